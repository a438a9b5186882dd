// SPDX-License-Identifier: MIT OR Apache-2.0
/* Calls through a pointer, an instruction that clang emits and Linux does not have. */
#include "../vector.h"

static __noinline int one(void)
{
	return 1;
}

static __noinline int two(void)
{
	return 2;
}

volatile __u32 choice = 1;

SEC("xdp")
int caller(struct xdp_md *ctx __unused)
{
	int (*function)(void) = choice ? one : two;

	barrier_var(function);
	return function();
}

LICENSE("Dual MIT/GPL");
