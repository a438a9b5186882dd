// SPDX-License-Identifier: MIT OR Apache-2.0
/* A pointer on the stack is used that nothing was stored to. */
#include "wrong.h"

SEC("xdp")
int unset_pointer(struct xdp_md *ctx)
{
	__u64 *volatile where[2];
	__u64 number = ctx->ingress_ifindex;

	barrier_var(number);
#ifdef FIXED
	where[0] = &number;
#endif
	where[1] = &number;
	return *where[0] ? XDP_PASS : XDP_DROP; /* MISTAKE */
}

LICENSE("Dual MIT/GPL");
