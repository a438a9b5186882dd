// SPDX-License-Identifier: MIT OR Apache-2.0
/* A constant is written. */
#include "wrong.h"

#ifdef FIXED
volatile __u32 limit = 16;
#else
const volatile __u32 limit = 16;
#endif

SEC("xdp")
int constant_written(struct xdp_md *ctx)
{
	*(volatile __u32 *)&limit = ctx->rx_queue_index; /* MISTAKE */
	return XDP_PASS;
}

LICENSE("Dual MIT/GPL");
