// SPDX-License-Identifier: MIT OR Apache-2.0
/* A program that allows or refuses returns what is neither. */
#include "wrong.h"

SEC("cgroup_skb/ingress")
int wrong_return(struct __sk_buff *ctx)
{
#ifdef FIXED
	return ctx->mark & 1;
#else
	return ctx->mark & 7; /* MISTAKE */
#endif
}

LICENSE("Dual MIT/GPL");
