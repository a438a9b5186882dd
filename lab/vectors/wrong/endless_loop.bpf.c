// SPDX-License-Identifier: MIT OR Apache-2.0
/* A loop ends when a number from outside says so. */
#include "wrong.h"

volatile __u64 sum;

SEC("xdp")
int endless_loop(struct xdp_md *ctx)
{
	__u32 turns = ctx->rx_queue_index;

#ifdef FIXED
	if (turns > 64)
		turns = 64;
#endif
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < turns; i++) /* MISTAKE */
		sum += i;
	return XDP_PASS;
}

LICENSE("Dual MIT/GPL");
