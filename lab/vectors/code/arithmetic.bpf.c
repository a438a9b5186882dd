// SPDX-License-Identifier: MIT OR Apache-2.0
/* Every arithmetic operator of C on every width; built once per instruction set version. */
#include "../vector.h"

/* Overflow is meant: objects are compiled with -fwrapv. */
#pragma clang diagnostic ignored "-Winteger-overflow"

#define BIG 0x8899aabbccddeeffULL
#define SMALL 0x0000000700000005ULL

#define INPUTS(type)                             \
	volatile type type##_big = (type)BIG;    \
	volatile type type##_small = (type)SMALL

INPUTS(__u64);
INPUTS(__u32);
INPUTS(__u16);
INPUTS(__u8);
INPUTS(__s64);
INPUTS(__s32);
INPUTS(__s16);
INPUTS(__s8);

/* One operator, by register and by immediate, in both orders. */
#define BINARY(type, op)                                                                                  \
	do {                                                                                              \
		EXPECT((type)(type##_big op type##_small) == (type)((type)BIG op (type)SMALL));           \
		EXPECT((type)(type##_small op type##_big) == (type)((type)SMALL op (type)BIG));           \
		EXPECT((type)(type##_big op (type)0x1234) == (type)((type)BIG op (type)0x1234));          \
	} while (0)

/* Shifts by amounts below the width; what lies beyond is in edges.bpf.c. */
#define SHIFT(type, op)                                                                 \
	do {                                                                            \
		EXPECT((type)(type##_big op 3) == (type)((type)BIG op 3));              \
		EXPECT((type)(type##_big op (type##_small & 7)) == (type)((type)BIG op 5)); \
	} while (0)

#define UNARY(type)                                                 \
	do {                                                        \
		EXPECT((type)(-type##_big) == (type)(-(type)BIG));  \
		EXPECT((type)(~type##_big) == (type)(~(type)BIG));  \
		EXPECT((!type##_big) == 0);                         \
	} while (0)

#define COMMON(type)               \
	do {                       \
		BINARY(type, +);   \
		BINARY(type, -);   \
		BINARY(type, *);   \
		BINARY(type, &);   \
		BINARY(type, |);   \
		BINARY(type, ^);   \
		SHIFT(type, <<);   \
		SHIFT(type, >>);   \
		UNARY(type);       \
	} while (0)

#define DIVISION(type)             \
	do {                       \
		BINARY(type, /);   \
		BINARY(type, %);   \
	} while (0)

SEC("xdp")
int unsigned_64(struct xdp_md *ctx __unused)
{
	COMMON(__u64);
	DIVISION(__u64);
	return 0;
}

SEC("xdp")
int unsigned_32(struct xdp_md *ctx __unused)
{
	COMMON(__u32);
	DIVISION(__u32);
	return 0;
}

SEC("xdp")
int unsigned_narrow(struct xdp_md *ctx __unused)
{
	COMMON(__u16);
	COMMON(__u8);
	return 0;
}

SEC("xdp")
int signed_64(struct xdp_md *ctx __unused)
{
	COMMON(__s64);
#ifdef __BPF_FEATURE_SDIV_SMOD
	DIVISION(__s64);
#endif
	return 0;
}

SEC("xdp")
int signed_32(struct xdp_md *ctx __unused)
{
	COMMON(__s32);
#ifdef __BPF_FEATURE_SDIV_SMOD
	DIVISION(__s32);
#endif
	return 0;
}

SEC("xdp")
int signed_narrow(struct xdp_md *ctx __unused)
{
	COMMON(__s16);
	COMMON(__s8);
	return 0;
}

/* Conversions between every two widths: sign and zero extension, truncation. */
#define CONVERT(from, to) EXPECT((to)(from##_big) == (to)(from)BIG)
#define CONVERT_ALL(from)             \
	do {                          \
		CONVERT(from, __u64); \
		CONVERT(from, __u32); \
		CONVERT(from, __u16); \
		CONVERT(from, __u8);  \
		CONVERT(from, __s64); \
		CONVERT(from, __s32); \
		CONVERT(from, __s16); \
		CONVERT(from, __s8);  \
	} while (0)

SEC("xdp")
int conversions(struct xdp_md *ctx __unused)
{
	CONVERT_ALL(__u64);
	CONVERT_ALL(__u32);
	CONVERT_ALL(__u16);
	CONVERT_ALL(__u8);
	CONVERT_ALL(__s64);
	CONVERT_ALL(__s32);
	CONVERT_ALL(__s16);
	CONVERT_ALL(__s8);
	return 0;
}

SEC("xdp")
int byte_swaps(struct xdp_md *ctx __unused)
{
	EXPECT(__builtin_bswap16(__u16_big) == 0xffee);
	EXPECT(__builtin_bswap32(__u32_big) == 0xffeeddcc);
	EXPECT(__builtin_bswap64(__u64_big) == 0xffeeddccbbaa9988ULL);
	return 0;
}

LICENSE("Dual MIT/GPL");
