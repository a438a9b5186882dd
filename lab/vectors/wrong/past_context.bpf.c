// SPDX-License-Identifier: MIT OR Apache-2.0
/* The context is read behind its last field. */
#include "wrong.h"

SEC("xdp")
int past_context(struct xdp_md *ctx)
{
#ifdef FIXED
	return ctx->rx_queue_index ? XDP_DROP : XDP_PASS;
#else
	return *(volatile __u32 *)((void *)ctx + sizeof(*ctx)) ? XDP_DROP : XDP_PASS; /* MISTAKE */
#endif
}

LICENSE("Dual MIT/GPL");
