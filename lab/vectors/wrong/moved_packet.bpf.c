// SPDX-License-Identifier: MIT OR Apache-2.0
/* The packet is read through a pointer from before it was moved. */
#include "wrong.h"

SEC("xdp")
int moved_packet(struct xdp_md *ctx)
{
	void *data = CTX_POINTER(ctx->data);
	void *end = CTX_POINTER(ctx->data_end);

	if (data + 14 > end)
		return XDP_DROP;
	if (bpf_xdp_adjust_head(ctx, -4))
		return XDP_DROP;
#ifdef FIXED
	data = CTX_POINTER(ctx->data);
	end = CTX_POINTER(ctx->data_end);
	if (data + 14 > end)
		return XDP_DROP;
#endif
	return *(volatile __u8 *)data ? XDP_PASS : XDP_DROP; /* MISTAKE */
}

LICENSE("Dual MIT/GPL");
