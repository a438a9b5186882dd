// SPDX-License-Identifier: MIT OR Apache-2.0
/* A helper is called that XDP programs have not. */
#include "wrong.h"

SEC("xdp")
int wrong_helper(struct xdp_md *ctx)
{
#ifdef FIXED
	return bpf_xdp_adjust_tail(ctx, -4) ? XDP_DROP : XDP_PASS;
#else
	return bpf_skb_pull_data((void *)ctx, 64) ? XDP_DROP : XDP_PASS; /* MISTAKE */
#endif
}

LICENSE("Dual MIT/GPL");
