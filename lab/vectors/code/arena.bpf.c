// SPDX-License-Identifier: MIT OR Apache-2.0
/* Address-space casts and an arena's globals: for readers of instructions and objects. */
#include "../vector.h"

#define __arena __attribute__((address_space(1)))

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16);
} arena SEC(".maps");

struct node {
	struct node __arena *next;
	__u64 value;
};

struct node __arena *head;

SEC("syscall")
int walk(void *ctx __unused)
{
	__u64 sum = 0;

	for (struct node __arena *node = head; node; node = node->next) {
		sum += node->value;
		if (sum > 100)
			break;
	}
	/* A program has an arena if it refers to one. */
	__asm__ volatile("" : : "r"(&arena));
	return sum;
}

LICENSE("Dual MIT/GPL");
