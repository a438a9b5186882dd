// SPDX-License-Identifier: MIT OR Apache-2.0
/* An arena: its variables, pages that a program allocates, pointers that programs and user space share. */
#include "../vector.h"

#define __arena __attribute__((address_space(1)))

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16);
#ifdef EXTRA
	__ulong(map_extra, EXTRA);
#endif
} arena SEC(".maps");

struct bee {
	struct bee __arena *next;
	__u64 honey;
};

struct limits {
	__u32 low;
	__u32 high;
};

__u64 __arena total;
struct limits __arena limits = { .low = 3, .high = 40 };
struct bee __arena *__arena hive;
__u8 __arena room[5000] = { [4999] = 7 };

extern void __arena *bpf_arena_alloc_pages(void *map, void __arena *addr, __u32 pages, int node, __u64 flags) __ksym;

/* Takes a page, and puts bees on it until there are as many as the limit says. */
SEC("syscall")
int settle(void *ctx __unused)
{
	struct bee __arena *bees = bpf_arena_alloc_pages(&arena, (void __arena *)0, 1, -1, 0);
	struct bee __arena *next = (void __arena *)0;

	EXPECT(bees);
	EXPECT(limits.low == 3);
	EXPECT(room[4999] == 7);
	for (int i = 0; i < 3; i++) {
		bees[i].honey = 10 + i;
		bees[i].next = next;
		next = &bees[i];
	}
	hive = next;
	return 0;
}

/* Adds up what the bees have, whoever put them there. */
SEC("syscall")
int harvest(void *ctx __unused)
{
	struct bee __arena *bee = hive;
	__u64 sum = 0;

	for (int i = 0; i < 100 && bee; i++) {
		sum += bee->honey;
		bee = bee->next;
	}
	total = sum;
	limits.high += 1;
	__asm__ volatile("" : : "r"(&arena));
	return 0;
}

LICENSE("Dual MIT/GPL");
