// SPDX-License-Identifier: MIT OR Apache-2.0
/* A function ends without a result. */
#include "wrong.h"

SEC("xdp")
__attribute__((naked)) int no_result(void)
{
#ifdef FIXED
	__asm__ volatile("r0 = 2");
#endif
	__asm__ volatile("exit"); /* MISTAKE */
}

LICENSE("Dual MIT/GPL");
