// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * What RFC 9669 section 4.1 defines and C does not: division by zero, shifts
 * by more than the width, the most negative number divided by -1.
 */
#include "../vector.h"

#define MIN64 0x8000000000000000ULL
#define MIN32 0x80000000U

volatile __u64 zero = 0;
volatile __u64 seven = 0xffffffff00000007ULL;
volatile __u64 many = 0x1234567800000041ULL; /* 65: 1 in six bits and in five */
volatile __u64 minimum = MIN64;
volatile __u64 minus_one = ~0ULL;

/* `dst OP= src` on 64 bits, and on the lower 32 with the upper half cleared. */
#define OP64(dst, op, src)                                                          \
	({                                                                          \
		__u64 __d = (dst), __s = (src);                                     \
		__asm__ volatile("%0 " op " %1" : "+r"(__d) : "r"(__s));            \
		__d;                                                                \
	})
#define OP32(dst, op, src)                                                          \
	({                                                                          \
		__u64 __d = (dst), __s = (src);                                     \
		__asm__ volatile("r1 = %0\n\tr2 = %1\n\tw1 " op " w2\n\t%0 = r1"    \
				 : "+r"(__d) : "r"(__s) : "r1", "r2");              \
		__d;                                                                \
	})

SEC("xdp")
int division_by_zero(struct xdp_md *ctx __unused)
{
	EXPECT(OP64(seven, "/=", zero) == 0);
	EXPECT(OP64(seven, "%%=", zero) == 0xffffffff00000007ULL);
	EXPECT(OP32(seven, "/=", zero) == 0);
	EXPECT(OP32(seven, "%%=", zero) == 7);
	/* Only the lower half of the divisor counts. */
	EXPECT(OP32(seven, "/=", 0x100000000ULL) == 0);
	return 0;
}

SEC("xdp")
int shifts_beyond_the_width(struct xdp_md *ctx __unused)
{
	EXPECT(OP64(seven, "<<=", many) == 0xfffffffe0000000eULL);
	EXPECT(OP64(seven, ">>=", many) == 0x7fffffff80000003ULL);
	EXPECT(OP64(seven, "s>>=", many) == 0xffffffff80000003ULL);
	EXPECT(OP32(seven, "<<=", many) == 14);
	EXPECT(OP32(seven, ">>=", many) == 3);
	EXPECT(OP32(MIN32, "s>>=", many) == 0xc0000000U);
	return 0;
}

SEC("xdp")
int upper_half_is_cleared(struct xdp_md *ctx __unused)
{
	EXPECT(OP32(minus_one, "+=", zero) == 0xffffffffU);
	EXPECT(OP32(minus_one, "-=", minus_one) == 0);
	EXPECT(OP32(minus_one, "*=", minus_one) == 1);
	EXPECT(OP32(minus_one, "|=", zero) == 0xffffffffU);
	EXPECT(OP32(minus_one, "&=", minus_one) == 0xffffffffU);
	EXPECT(OP32(minus_one, "^=", minus_one) == 0);
	EXPECT(OP32(zero, "=", minus_one) == 0xffffffffU);
	return 0;
}

#ifdef __BPF_FEATURE_SDIV_SMOD
SEC("xdp")
int signed_edges(struct xdp_md *ctx __unused)
{
	EXPECT(OP64(minimum, "s/=", minus_one) == MIN64);
	EXPECT(OP64(minimum, "s%%=", minus_one) == 0);
	EXPECT(OP32(MIN32, "s/=", minus_one) == MIN32);
	EXPECT(OP32(MIN32, "s%%=", minus_one) == 0);
	EXPECT(OP64(minimum, "s/=", zero) == 0);
	EXPECT(OP64(minimum, "s%%=", zero) == MIN64);
	EXPECT(OP32(seven, "s%%=", zero) == 7);
	/* Truncation towards zero. */
	EXPECT(OP64(-7ULL, "s/=", 2) == -3ULL);
	EXPECT(OP64(-7ULL, "s%%=", 2) == -1ULL);
	EXPECT(OP32(-7U, "s/=", 2) == -3U);
	EXPECT(OP32(-7U, "s%%=", 2) == -1U);
	return 0;
}
#endif

LICENSE("Dual MIT/GPL");
