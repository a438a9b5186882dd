// SPDX-License-Identifier: MIT OR Apache-2.0
/* A loop that the kernel may end: it goes on until a budget is spent, here long after the loop's own end. */
#include "../vector.h"

volatile __u32 limit = 100;

SEC("xdp")
int may_goto(struct xdp_md *ctx __unused)
{
	__u32 sum = 0, i = 0, end = limit;

	for (;;) {
		__asm__ goto("may_goto %l[spent]" : : : : spent);
		if (i >= end)
			break;
		sum += i;
		i++;
		barrier_var(sum);
	}
	EXPECT(sum == 4950);
	return 0;
spent:
	return __LINE__;
}

LICENSE("Dual MIT/GPL");
