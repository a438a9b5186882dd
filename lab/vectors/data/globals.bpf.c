// SPDX-License-Identifier: MIT OR Apache-2.0
/* Every kind of data section, custom names included, and every way to refer into one. */
#include "../vector.h"

struct point {
	__u32 x, y;
};

/* `.data`, `.bss`, `.rodata`: global, static, hidden, in the middle of a section, arrays and structs. */
__u64 in_data = 1;
static volatile __u32 static_data = 2;
__hidden __u16 hidden_data = 3;
struct point points[3] = { { 1, 2 }, { 3, 4 }, { 5, 6 } };

__u64 in_bss;
static volatile __u8 static_bss[5];
struct point origin;

const volatile __u64 in_rodata = 4;
static const volatile __u32 static_rodata[4] = { 5, 6, 7, 8 };
const char greeting[] = "hello";

/* Sections of their own: a map each. */
__u32 custom_data SEC(".data.custom") = 9;
__u32 custom_bss SEC(".bss.custom");
const volatile __u32 custom_rodata SEC(".rodata.custom") = 10;
static volatile __u32 custom_static SEC(".data.custom") = 11;

volatile __u32 second = 2;

SEC("xdp")
int reads(struct xdp_md *ctx __unused)
{
	__u32 i = second;

	EXPECT(READ_ONCE(in_data) == 1);
	EXPECT(static_data == 2);
	EXPECT(READ_ONCE(hidden_data) == 3);
	EXPECT(READ_ONCE(in_bss) == 0);
	EXPECT(in_rodata == 4);
	EXPECT(custom_rodata == 10);
	EXPECT(READ_ONCE(custom_data) == 9);
	EXPECT(custom_static == 11);
	EXPECT(READ_ONCE(custom_bss) == 0);
	EXPECT(i < 3);
	EXPECT(READ_ONCE(points[i].y) == 6);
	EXPECT(static_rodata[i] == 7);
	EXPECT(READ_ONCE(greeting[i]) == 'l');
	return 0;
}

/* Leaves everything as it was, so that it may run again. */
SEC("xdp")
int writes(struct xdp_md *ctx __unused)
{
	__u32 i = second;

	WRITE_ONCE(in_data, 100);
	EXPECT(READ_ONCE(in_data) == 100);
	WRITE_ONCE(in_data, 1);
	EXPECT(i < 3);
	WRITE_ONCE(points[i].x, 200);
	EXPECT(READ_ONCE(points[2].x) == 200);
	WRITE_ONCE(points[i].x, 5);
	static_bss[i] = 7;
	EXPECT(static_bss[2] == 7);
	static_bss[i] = 0;
	WRITE_ONCE(origin.y, 8);
	EXPECT(READ_ONCE(origin.y) == 8);
	WRITE_ONCE(origin.y, 0);
	WRITE_ONCE(custom_bss, 12);
	EXPECT(READ_ONCE(custom_bss) == 12);
	WRITE_ONCE(custom_bss, 0);
	return 0;
}

/* A literal lands in `.rodata.str1.1`, a local table in `.rodata.cst…` or `.rodata`. */
SEC("xdp")
int literals(struct xdp_md *ctx __unused)
{
	const __u32 table[] = { 11, 22, 33, 44 };
	const char *text = "literal";
	__u32 i = second;

	EXPECT(i < 4);
	EXPECT(READ_ONCE(table[i]) == 33);
	EXPECT(READ_ONCE(text[i]) == 't');
	return 0;
}

LICENSE("Dual MIT/GPL");
