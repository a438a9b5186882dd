// SPDX-License-Identifier: MIT OR Apache-2.0
/* A pointer is halved. */
#include "wrong.h"

SEC("xdp")
int pointer_arithmetic(struct xdp_md *ctx)
{
#ifdef FIXED
	__u64 middle = ctx->data_end - ctx->data;
#else
	__u64 middle = (__u64)CTX_POINTER(ctx->data);
#endif

	barrier_var(middle);
	middle /= 2; /* MISTAKE */
	barrier_var(middle);
	return middle > 100 ? XDP_DROP : XDP_PASS;
}

LICENSE("Dual MIT/GPL");
