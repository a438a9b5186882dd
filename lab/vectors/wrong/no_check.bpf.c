// SPDX-License-Identifier: MIT OR Apache-2.0
/* The packet is read without a look at its end. */
#include "wrong.h"

SEC("xdp")
int no_check(struct xdp_md *ctx)
{
	void *data = CTX_POINTER(ctx->data);
	struct ethhdr *ethernet = data;

#ifdef FIXED
	if (data + sizeof(*ethernet) > CTX_POINTER(ctx->data_end))
		return XDP_DROP;
#endif
	return ethernet->h_proto == bpf_htons(ETH_P_IP) ? XDP_PASS : XDP_DROP; /* MISTAKE */
}

LICENSE("Dual MIT/GPL");
