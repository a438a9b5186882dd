// SPDX-License-Identifier: MIT OR Apache-2.0
/* Calls a function that no object defines and no kernel has: the symbol is named in the refusal. */
#include "../vector.h"

extern int defined_nowhere(int number);

SEC("xdp")
int caller(struct xdp_md *ctx __unused)
{
	return defined_nowhere(1);
}

LICENSE("Dual MIT/GPL");
