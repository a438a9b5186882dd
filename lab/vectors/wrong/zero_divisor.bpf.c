// SPDX-License-Identifier: MIT OR Apache-2.0
/* A number is divided by zero. */
#include "wrong.h"

SEC("xdp")
int zero_divisor(struct xdp_md *ctx)
{
	__u64 number = ctx->rx_queue_index;

#ifdef FIXED
	__asm__ volatile("%0 /= 2" : "+r"(number));
#else
	__asm__ volatile("%0 /= 0" : "+r"(number)); /* MISTAKE */
#endif
	return number > 7 ? XDP_DROP : XDP_PASS;
}

LICENSE("Dual MIT/GPL");
