// SPDX-License-Identifier: MIT OR Apache-2.0
/* One byte less is asked for than is read. */
#include "wrong.h"

SEC("xdp")
int short_check(struct xdp_md *ctx)
{
	void *data = CTX_POINTER(ctx->data);
	void *end = CTX_POINTER(ctx->data_end);
	struct ethhdr *ethernet = data;

#ifdef FIXED
	if (data + sizeof(*ethernet) > end)
#else
	if (data + sizeof(*ethernet) - 1 > end)
#endif
		return XDP_DROP;
	return ethernet->h_proto == bpf_htons(ETH_P_IP) ? XDP_PASS : XDP_DROP; /* MISTAKE */
}

LICENSE("Dual MIT/GPL");
