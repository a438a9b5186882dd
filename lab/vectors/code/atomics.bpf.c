// SPDX-License-Identifier: MIT OR Apache-2.0
/* Every atomic instruction of RFC 9669 section 5.3, in a map and on the stack, both widths. */
#include "../vector.h"

__u64 cell = 0;
__u32 narrow = 0;

#define FETCH(cell, name, old, operand, new)                           \
	do {                                                           \
		WRITE_ONCE(cell, old);                                 \
		EXPECT(__sync_fetch_and_##name(&cell, operand) == old); \
		EXPECT(READ_ONCE(cell) == (__typeof__(cell))(new));    \
	} while (0)

#define ALL(cell)                                                                   \
	do {                                                                        \
		FETCH(cell, add, 0xfffffff0U, 0x20, (__typeof__(cell))0xfffffff0U + 0x20); \
		FETCH(cell, sub, 5U, 7, -2);                                        \
		FETCH(cell, and, 0xf0f0U, 0xff00, 0xf000);                          \
		FETCH(cell, or, 0xf0f0U, 0x0f00, 0xfff0);                           \
		FETCH(cell, xor, 0xf0f0U, 0xffff, 0x0f0f);                          \
		WRITE_ONCE(cell, 1);                                                \
		EXPECT(__sync_lock_test_and_set(&cell, 2) == 1);                    \
		EXPECT(READ_ONCE(cell) == 2);                                       \
		EXPECT(__sync_val_compare_and_swap(&cell, 2, 3) == 2);              \
		EXPECT(READ_ONCE(cell) == 3);                                       \
		EXPECT(__sync_val_compare_and_swap(&cell, 2, 4) == 3);              \
		EXPECT(READ_ONCE(cell) == 3);                                       \
	} while (0)

/* Results unused: the forms that fetch nothing. */
#define PLAIN(cell)                                        \
	do {                                               \
		WRITE_ONCE(cell, 1);                       \
		__sync_fetch_and_add(&cell, 6);            \
		EXPECT(READ_ONCE(cell) == 7);              \
		__sync_fetch_and_or(&cell, 8);             \
		EXPECT(READ_ONCE(cell) == 15);             \
		__sync_fetch_and_and(&cell, 0xd);          \
		EXPECT(READ_ONCE(cell) == 13);             \
		__sync_fetch_and_xor(&cell, 0xf);          \
		EXPECT(READ_ONCE(cell) == 2);              \
	} while (0)

SEC("xdp")
int in_a_map(struct xdp_md *ctx __unused)
{
	ALL(cell);
	ALL(narrow);
	PLAIN(cell);
	PLAIN(narrow);
	return 0;
}

SEC("xdp")
int on_the_stack(struct xdp_md *ctx __unused)
{
	__u64 here = 0;
	__u32 narrow_here = 0;

	barrier_var(here);
	ALL(here);
	ALL(narrow_here);
	PLAIN(here);
	PLAIN(narrow_here);
	return 0;
}

/* The 32-bit exchange clears the upper half of what it returns. */
SEC("xdp")
int narrow_results(struct xdp_md *ctx __unused)
{
	__u64 got = ~0ULL;

	WRITE_ONCE(narrow, 0x80000001);
	got = (__u64)__sync_lock_test_and_set(&narrow, 0x90000000);
	barrier_var(got);
	EXPECT(got == 0x80000001ULL);
	got = (__u64)__sync_val_compare_and_swap(&narrow, 0x90000000, 5);
	barrier_var(got);
	EXPECT(got == 0x90000000ULL);
	return 0;
}

LICENSE("Dual MIT/GPL");
