// Validation of UTF-8 (Unicode 15, table 3-7): counts characters, finds the first bad byte.
#include "bench.h"

ENTRY u64 PROG(void *mem, u64 len)
{
	const u8 *at = mem;
	u64 i = 0, characters = 0, sum = 0;

	while (i < len) {
		u32 first = at[i], more, low = 0x80, high = 0xbf, code;

		if (first < 0x80) {
			i++;
			characters++;
			sum += first;
			continue;
		}
		if (first >= 0xc2 && first <= 0xdf) {
			more = 1;
			code = first & 0x1f;
		} else if ((first & 0xf0) == 0xe0) {
			more = 2;
			code = first & 0x0f;
			if (first == 0xe0)
				low = 0xa0;
			if (first == 0xed)
				high = 0x9f;
		} else if (first >= 0xf0 && first <= 0xf4) {
			more = 3;
			code = first & 0x07;
			if (first == 0xf0)
				low = 0x90;
			if (first == 0xf4)
				high = 0x8f;
		} else {
			break;
		}
		if (i + more >= len)
			break;
		for (u32 k = 1; k <= more; k++) {
			u32 next = at[i + k];

			if (next < low || next > high)
				return i << 32 | characters;
			low = 0x80;
			high = 0xbf;
			code = code << 6 | (next & 0x3f);
		}
		sum += code;
		i += more + 1;
		characters++;
	}
	return i << 48 ^ characters << 32 ^ sum;
}
