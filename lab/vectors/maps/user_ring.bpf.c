// SPDX-License-Identifier: MIT OR Apache-2.0
/* A ring that user space writes: each record is taken, and what is in it is added up. */
#include "../vector.h"

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
} commands SEC(".maps");

struct command {
	__u32 number;
	__u32 weight;
};

__u64 records;
__u64 sum;
__s64 taken;

struct bpf_dynptr;

static long (*const dynptr_read)(void *to, __u32 len, const struct bpf_dynptr *from, __u32 offset, __u64 flags) =
	(void *)201;
static long (*const user_ringbuf_drain)(void *map, void *callback, void *ctx, __u64 flags) = (void *)209;

static long take(struct bpf_dynptr *record, void *ctx __unused)
{
	struct command command = {};

	if (dynptr_read(&command, sizeof(command), record, 0, 0))
		return 1;
	records++;
	sum += (__u64)command.number * command.weight;
	return 0;
}

SEC("xdp")
int drain(struct xdp_md *ctx __unused)
{
	taken = user_ringbuf_drain(&commands, take, NULL, 0);
	return 0;
}

LICENSE("Dual MIT/GPL");
