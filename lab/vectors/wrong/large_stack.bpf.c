// SPDX-License-Identifier: MIT OR Apache-2.0
/* Two functions use more stack together than there is. */
#include "wrong.h"

#ifdef FIXED
#define ROOM 64
#else
#define ROOM 320
#endif

static __noinline int fill(struct xdp_md *ctx)
{
	volatile char text[ROOM];

	__asm__ volatile("" ::"r"(text) : "memory");
	text[8] = ctx->rx_queue_index;
	text[0] = 0;
	return text[8];
}

SEC("xdp")
int large_stack(struct xdp_md *ctx)
{
	volatile char text[ROOM];

	__asm__ volatile("" ::"r"(text) : "memory");
	text[16] = ctx->ingress_ifindex;
	text[0] = 0;
	return text[16] + fill(ctx) ? XDP_PASS : XDP_DROP; /* MISTAKE */
}

LICENSE("Dual MIT/GPL");
