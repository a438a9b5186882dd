// SPDX-License-Identifier: MIT OR Apache-2.0
/* Reads a word of the packet without asking whether it is there: well formed, and refused by every verifier. */
#include "../vector.h"

SEC("xdp")
int unchecked(struct xdp_md *ctx)
{
	return *(volatile __u32 *)CTX_POINTER(ctx->data);
}

LICENSE("Dual MIT/GPL");
