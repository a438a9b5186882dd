// Binary search: the half is chosen by a comparison that nobody can foresee.
// Memory: 256 sorted numbers of 32 bits, then keys.
#include "bench.h"

#define COUNT 256

ENTRY u64 PROG(void *mem, u64 len)
{
	const u32 *sorted = mem;
	const u32 *keys = sorted + COUNT;
	u64 count, sum = 0;

	if (len < COUNT * 4)
		return 0;
	count = (len - COUNT * 4) / 4;
	for (u64 i = 0; i < count; i++) {
		u32 key = keys[i], at = 0;

		for (u32 half = COUNT / 2; half; half >>= 1) {
			u32 middle = at + half;

			at = sorted[middle & (COUNT - 1)] <= key ? middle : at;
		}
		sum = sum * 31 + at;
	}
	return sum;
}
