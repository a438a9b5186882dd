// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A value of every BTF kind, in globals with known contents: what a printer of
 * values has to show. The names say what the numbers are.
 */
#include "../vector.h"

#define __decl_tag(text) __attribute__((btf_decl_tag(text)))
#define __type_tag(text) __attribute__((btf_type_tag(text)))

enum colour { RED, GREEN = 5, BLUE };
enum temperature { COLD = -40, MILD = 20 };
enum wide : __u64 { NARROW = 1, WIDE = 0x8000000000000001ULL };
enum deep : __s64 { SHALLOW = -1, DEEP = -0x4000000000000000LL };

struct forward;
typedef __u32 counter_t;
typedef struct {
	__s16 x, y;
} point_t;

struct bits {
	__u32 one : 1;
	__u32 three : 3;
	__s32 negative : 5;
	__u32 across : 17; /* spans bytes */
	__u64 wide : 40;
	__u64 : 4;
	__u64 last : 20;
	bool flag : 1;
	enum colour colour : 4;
};

union number {
	__u64 whole;
	__u32 halves[2];
	__u8 bytes[8];
};

struct nested {
	struct {
		__u8 first;
		union {
			__u16 half;
			__u8 bytes[2];
		};
	};
	point_t corners[2];
	struct nested *next;
};

typedef int (*callback_t)(const struct nested *, counter_t);

struct everything {
	char character;
	signed char small;
	bool yes;
	__u8 byte;
	__s16 minus_two;
	__u16 two;
	__s32 minus_three;
	__u32 three;
	__s64 minus_four;
	__u64 four;
	__int128 huge;
	float single;
	double twice;
	enum colour colour;
	enum temperature temperature;
	enum wide wide;
	enum deep deep;
	counter_t counter;
	const volatile __u32 qualified;
	__u32 *restrict pointer;
	struct forward *forward;
	callback_t callback;
	char text[12];
	char unended[4];
	__u8 matrix[2][3];
	struct bits bits;
	union number number;
	struct nested nested;
	__u32 __type_tag("user") *tagged;
	__u32 marked __decl_tag("marked");
	__u8 tail[];
};

struct everything everything = {
	.character = 'k',
	.small = -1,
	.yes = true,
	.byte = 200,
	.minus_two = -2,
	.two = 2,
	.minus_three = -3,
	.three = 3,
	.minus_four = -4,
	.four = 4,
	.huge = ((__int128)0x0123456789abcdefLL << 64) | 0xfedcba9876543210ULL,
	.single = 1.5,
	.twice = -0.25,
	.colour = BLUE,
	.temperature = COLD,
	.wide = WIDE,
	.deep = DEEP,
	.counter = 9,
	.qualified = 10,
	.text = "twelve",
	.unended = { 'f', 'o', 'u', 'r' },
	.matrix = { { 1, 2, 3 }, { 4, 5, 6 } },
	.bits = { 1, 5, -6, 0x1abcd, 0xabcdef0123ULL, 0xfffff, true, GREEN },
	.number = { .whole = 0x1122334455667788ULL },
	.nested = { { .first = 7, .half = 0x0809 }, { { 1, -1 }, { 2, -2 } }, NULL },
	.marked = 11,
};

enum colour odd_colour = 77; /* no enumerator of this value */
const char *const no_pointer = NULL;

struct keyed {
	struct bits bits;
	enum wide wide;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, struct keyed);
	__type(value, struct nested);
} table SEC(".maps");

/* Names of parameters and tags of functions are BTF too. */
__noinline __decl_tag("exported") int colour_of(__u32 number __decl_tag("number"))
{
	return number == 2 ? BLUE : RED;
}

SEC("xdp")
int values(struct xdp_md *ctx __unused)
{
	struct keyed key = { .wide = WIDE };

	EXPECT(READ_ONCE(everything.three) == 3);
	EXPECT(READ_ONCE(everything.number.whole) == 0x1122334455667788ULL);
	EXPECT(everything.bits.across == 0x1abcd);
	EXPECT(everything.bits.negative == -6);
	EXPECT(READ_ONCE(odd_colour) == 77);
	EXPECT(colour_of(READ_ONCE(everything.two)) == BLUE);
	EXPECT(!bpf_map_lookup_elem(&table, &key));
	return 0;
}

LICENSE("Dual MIT/GPL");
