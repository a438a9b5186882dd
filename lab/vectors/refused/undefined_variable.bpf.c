// SPDX-License-Identifier: MIT OR Apache-2.0
/* Reads a variable that no object defines. */
#include "../vector.h"

extern volatile int defined_nowhere;

SEC("xdp")
int reader(struct xdp_md *ctx __unused)
{
	return defined_nowhere;
}

LICENSE("Dual MIT/GPL");
