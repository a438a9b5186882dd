// Bit tricks by hand: population count, reversal, leading zeroes, Morton order there and back.
#include "bench.h"

#define COUNT 128

INLINE u64 ones(u64 x)
{
	x -= x >> 1 & 0x5555555555555555;
	x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return x * 0x0101010101010101 >> 56;
}

INLINE u64 reverse(u64 x)
{
	x = (x >> 1 & 0x5555555555555555) | (x & 0x5555555555555555) << 1;
	x = (x >> 2 & 0x3333333333333333) | (x & 0x3333333333333333) << 2;
	x = (x >> 4 & 0x0f0f0f0f0f0f0f0f) | (x & 0x0f0f0f0f0f0f0f0f) << 4;
	x = (x >> 8 & 0x00ff00ff00ff00ff) | (x & 0x00ff00ff00ff00ff) << 8;
	x = (x >> 16 & 0x0000ffff0000ffff) | (x & 0x0000ffff0000ffff) << 16;
	return x >> 32 | x << 32;
}

INLINE u32 leading_zeroes(u64 x)
{
	u32 n = 0;

	for (u32 half = 32; half; half >>= 1) {
		if (!(x >> (64 - half))) {
			n += half;
			x <<= half;
		}
	}
	return n + !(x >> 63);
}

INLINE u64 spread(u64 x)
{
	x = (x | x << 16) & 0x0000ffff0000ffff;
	x = (x | x << 8) & 0x00ff00ff00ff00ff;
	x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
	x = (x | x << 2) & 0x3333333333333333;
	return (x | x << 1) & 0x5555555555555555;
}

INLINE u64 gather(u64 x)
{
	x &= 0x5555555555555555;
	x = (x | x >> 1) & 0x3333333333333333;
	x = (x | x >> 2) & 0x0f0f0f0f0f0f0f0f;
	x = (x | x >> 4) & 0x00ff00ff00ff00ff;
	x = (x | x >> 8) & 0x0000ffff0000ffff;
	return (x | x >> 16) & 0x00000000ffffffff;
}

ENTRY u64 PROG(void *mem, u64 len)
{
	const u64 *words = mem;
	u64 sum = 0;

	if (len < COUNT * 8)
		return 0;
	for (u32 i = 0; i < COUNT; i++) {
		u64 x = words[i] >> (words[i] & 63);
		u64 morton = spread(x & 0xffffffff) | spread(x >> 32) << 1;

		sum = sum * 31 + ones(x) + leading_zeroes(x);
		sum ^= reverse(morton) ^ gather(x) ^ gather(morton >> 1);
	}
	return sum;
}
