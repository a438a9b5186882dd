// SPDX-License-Identifier: MIT OR Apache-2.0
/* A function that another program replaces (`freplace`), and the one that replaces it. */
#include "../vector.h"

__noinline int honey(struct xdp_md *ctx)
{
	return ctx ? 1 : 2;
}

SEC("xdp")
int outer(struct xdp_md *ctx)
{
	return honey(ctx) - 1;
}

SEC("?freplace/honey")
int inner(struct xdp_md *ctx)
{
	return ctx ? 43 : 44;
}

LICENSE("Dual MIT/GPL");
