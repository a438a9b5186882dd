// SPDX-License-Identifier: MIT OR Apache-2.0
/* The jump with a 32-bit distance, forwards and backwards. */
#include "../vector.h"

volatile __u32 input = 3;

SEC("xdp")
int long_jump(struct xdp_md *ctx __unused)
{
	__u32 count = 0;

	__asm__ volatile("%[count] = 0\n\t"
			 "gotol .Lcheck_%=\n"
			 ".Lagain_%=:\n\t"
			 "%[count] += 1\n"
			 ".Lcheck_%=:\n\t"
			 "if %[count] == 4 goto .Lend_%=\n\t"
			 "gotol .Lagain_%=\n"
			 ".Lend_%=:\n"
			 : [count] "+r"(count));
	EXPECT(count == 4);
	return 0;
}

LICENSE("Dual MIT/GPL");
