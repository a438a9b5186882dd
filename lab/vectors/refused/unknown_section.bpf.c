// SPDX-License-Identifier: MIT OR Apache-2.0
/* A program in a section whose name says no program type. */
#include "../vector.h"

SEC("beehive/straw")
int nobody_knows(void *ctx __unused)
{
	return 0;
}

LICENSE("Dual MIT/GPL");
