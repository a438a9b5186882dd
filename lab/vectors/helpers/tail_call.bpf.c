// SPDX-License-Identifier: MIT OR Apache-2.0
/* Tail calls: to another program, to itself until the kernel's limit of 33, and with an index in a register. */
#include "../vector.h"

int target(struct xdp_md *ctx);
int again(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 3);
	__uint(key_size, sizeof(__u32));
	__array(values, int(struct xdp_md *));
} programs SEC(".maps") = {
	.values = { [0] = &target, [1] = &again },
};

volatile __u32 slot = 0;
volatile __u32 runs;

SEC("xdp")
int target(struct xdp_md *ctx __unused)
{
	return 0;
}

/* Falls through only if the call failed: there is no way back. */
SEC("xdp")
int constant_index(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &programs, 0);
	return __LINE__;
}

SEC("xdp")
int index_in_register(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &programs, slot);
	return __LINE__;
}

SEC("xdp")
int again(struct xdp_md *ctx)
{
	__u32 count = runs + 1;

	runs = count;
	bpf_tail_call(ctx, &programs, 1);
	runs = 0;
	/* By itself: the first run and 33 calls. Entered by `limit`: its call was one of them. */
	EXPECT(count == 34 || count == 33);
	return 0;
}

SEC("xdp")
int limit(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &programs, 1);
	return __LINE__;
}

/* An empty slot and an index past the end come back. */
SEC("xdp")
int nowhere(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &programs, 2);
	bpf_tail_call(ctx, &programs, 3 + slot);
	return 0;
}

LICENSE("Dual MIT/GPL");
