// LEB128 integers with zigzag signs, as Protocol Buffers encode them: a loop of unforeseeable length.
#include "bench.h"

ENTRY u64 PROG(void *mem, u64 len)
{
	const u8 *at = mem;
	u64 sum = 0, count = 0, value = 0;
	u32 shift = 0;

	for (u64 i = 0; i < len; i++) {
		value |= (u64)(at[i] & 0x7f) << shift;
		if (at[i] & 0x80) {
			shift = (shift + 7) & 63;
			continue;
		}
		sum += value >> 1 ^ -(value & 1);
		count++;
		value = 0;
		shift = 0;
	}
	return sum ^ count << 48;
}
