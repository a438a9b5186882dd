// Integer square roots (bit by bit) printed in decimal digits: divisions by ten, with quotient and remainder both used.
// Memory: 48 numbers of 64 bits, then room for 24 characters each.
#include "bench.h"

#define COUNT 48
#define ROOM 24

ENTRY u64 PROG(void *mem, u64 len)
{
	const u64 *numbers = mem;
	u8 *text = (u8 *)mem + COUNT * 8;
	u64 sum = 0;

	if (len < COUNT * (8 + ROOM))
		return 0;
	for (u32 i = 0; i < COUNT; i++) {
		u64 left = numbers[i], root = 0;
		u8 *out = text + i * ROOM;
		u32 at = ROOM;

		for (u64 bit = 1ull << 62; bit; bit >>= 2) {
			u64 next = root + bit;

			root >>= 1;
			if (left >= next) {
				left -= next;
				root += bit;
			}
		}
		for (u32 k = 0; k < ROOM; k++)
			out[k] = ' ';
		for (u32 k = 0; k < 20; k++) {
			u32 digit = root % 10;

			root /= 10;
			at--;
			out[at] = (u8)('0' + digit);
			sum = sum * 31 + digit;
			if (!root)
				break;
		}
		sum += at;
	}
	return sum;
}
