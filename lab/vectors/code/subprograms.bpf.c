// SPDX-License-Identifier: MIT OR Apache-2.0
/* Static, global and weak subprograms, in `.text` and beside a program, called from two sections, nested. */
#include "../vector.h"

volatile __u32 input = 5;

static __noinline __u32 twice(__u32 number)
{
	barrier_var(number);
	return number * 2;
}

/* Global: verified on its own, with arguments about which nothing is known. */
__noinline __u32 twice_and_one(__u32 number)
{
	return twice(number) + 1;
}

__weak __noinline __u32 three_times(__u32 number)
{
	barrier_var(number);
	return number * 3;
}

/* Hidden: global to the linker, static to the loader. */
__hidden __noinline __u32 by_pointer(__u32 *number)
{
	*number += 1;
	return *number;
}

static __noinline __u32 five_arguments(__u32 a, __u64 b, __s32 c, __u64 *d, __u32 e)
{
	barrier_var(a);
	*d += 1;
	return a + b + c + e;
}

SEC("xdp")
int from_xdp(struct xdp_md *ctx __unused)
{
	__u32 number = input;
	__u64 cell = 41;

	EXPECT(twice(number) == 10);
	EXPECT(twice_and_one(number) == 11);
	EXPECT(three_times(number) == 15);
	EXPECT(by_pointer(&number) == 6);
	EXPECT(number == 6);
	EXPECT(five_arguments(1, 2, -3, &cell, input) == 5);
	EXPECT(cell == 42);
	return 0;
}

SEC("tc")
int from_another_section(struct __sk_buff *skb __unused)
{
	EXPECT(three_times(twice_and_one(input)) == 33);
	return 0;
}

/* Frames are apart: what a callee does to its stack its caller does not see. */
static __noinline __u32 uses_stack(__u32 seed)
{
	volatile __u32 numbers[8];

	for (int i = 0; i < 8; i++)
		numbers[i] = seed + i;
	return numbers[7];
}

SEC("xdp")
int frames(struct xdp_md *ctx __unused)
{
	volatile __u32 numbers[8];

	for (int i = 0; i < 8; i++)
		numbers[i] = 100 + i;
	EXPECT(uses_stack(input) == 12);
	for (int i = 0; i < 8; i++)
		EXPECT(numbers[i] == 100U + i);
	return 0;
}

LICENSE("Dual MIT/GPL");
