// SPDX-License-Identifier: MIT OR Apache-2.0
/* Every comparison, signed and unsigned, 64 and 32 bits wide, by register and immediate; switches and loops. */
#include "../vector.h"

volatile __u64 values[] = {
	0, 1, 7, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000ULL, 0x7fffffffffffffffULL,
	0x8000000000000000ULL, ~0ULL,
};
#define COUNT (sizeof(values) / sizeof(values[0]))

volatile __u32 turns = 10;

/* A bit per comparison that holds; `__noinline`, so that the compiler cannot see both operands. */
#define COMPARE(name, type)                                               \
	static __noinline __u32 name(__u64 first, __u64 second)           \
	{                                                                 \
		type a = first, b = second;                               \
		__u32 bits = 0;                                           \
                                                                          \
		if (a == b)                                               \
			bits |= 1;                                        \
		barrier_var(bits);                                        \
		if (a != b)                                               \
			bits |= 2;                                        \
		barrier_var(bits);                                        \
		if (a < b)                                                \
			bits |= 4;                                        \
		barrier_var(bits);                                        \
		if (a <= b)                                               \
			bits |= 8;                                        \
		barrier_var(bits);                                        \
		if (a > b)                                                \
			bits |= 16;                                       \
		barrier_var(bits);                                        \
		if (a >= b)                                               \
			bits |= 32;                                       \
		barrier_var(bits);                                        \
		if (a & b)                                                \
			bits |= 64;                                       \
		return bits;                                              \
	}

COMPARE(unsigned_64, __u64)
COMPARE(signed_64, __s64)
COMPARE(unsigned_32, __u32)
COMPARE(signed_32, __s32)

/* Three orders are possible; each has its bits. */
#define LESS (2 | 4 | 8)
#define EQUAL (1 | 8 | 32)
#define GREATER (2 | 16 | 32)

SEC("xdp")
int comparisons(struct xdp_md *ctx __unused)
{
	/* 7 and the most negative number. */
	__u64 seven = values[2], minimum = values[8], minus_one = values[9], half = values[4];

	EXPECT(unsigned_64(seven, minimum) == LESS);
	EXPECT(signed_64(seven, minimum) == GREATER);
	EXPECT(unsigned_64(minimum, minimum) == (EQUAL | 64));
	EXPECT(signed_64(minus_one, seven) == (LESS | 64));
	EXPECT(unsigned_64(minus_one, seven) == (GREATER | 64));
	/* The lower half of the minimum is zero. */
	EXPECT(unsigned_32(seven, minimum) == GREATER);
	EXPECT(signed_32(minimum, seven) == LESS);
	EXPECT(unsigned_32(half, seven) == GREATER);
	EXPECT(signed_32(half, seven) == LESS);
	EXPECT(signed_32(minus_one, minus_one) == (EQUAL | 64));
	return 0;
}

static __noinline __u32 named(__u64 number)
{
	switch (number) {
	case 0:
		return 10;
	case 1:
		return 11;
	case 7:
		return 17;
	case 0x7fffffff:
		return 20;
	case 0x80000000:
		return 21;
	case 0xffffffff:
		return 22;
	case 0x100000000ULL:
		return 23;
	case 0x8000000000000000ULL:
		return 24;
	case ~0ULL:
		return 25;
	default:
		return 0;
	}
}

SEC("xdp")
int switches(struct xdp_md *ctx __unused)
{
	const __u32 expected[COUNT] = { 10, 11, 17, 20, 21, 22, 23, 0, 24, 25 };

	for (__u32 i = 0; i < COUNT; i++)
		EXPECT(named(values[i]) == READ_ONCE(expected[i]));
	return 0;
}

SEC("xdp")
int loops(struct xdp_md *ctx __unused)
{
	__u32 limit = turns, sum = 0;

	if (limit > 100)
		return __LINE__;
	for (__u32 i = 0; i < limit; i++) {
		if (i == 3)
			continue;
		if (i == 8)
			break;
		sum += i;
		barrier_var(sum);
	}
	EXPECT(sum == 0 + 1 + 2 + 4 + 5 + 6 + 7);
	return 0;
}

LICENSE("Dual MIT/GPL");
