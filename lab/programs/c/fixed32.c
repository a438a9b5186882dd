// 32-bit arithmetic: noise from a shift register (Galois, x^32 + x^22 + x^2 + x + 1) through a filter in 16.16 numbers.
// Memory: five coefficients and a seed, of 32 bits, then room for 512 samples.
#include "bench.h"

#define COUNT 512

INLINE i32 times(i32 a, i32 b)
{
	return (i32)((i64)a * b >> 16);
}

ENTRY u64 PROG(void *mem, u64 len)
{
	const u32 *from = mem;
	i32 *out = (i32 *)mem + 6;
	i32 b0, b1, b2, a1, a2, x1 = 0, x2 = 0, y1 = 0, y2 = 0;
	u32 noise, energy = 0;

	if (len < (6 + COUNT) * 4)
		return 0;
	// Below one half, so that the filter is stable.
	b0 = from[0] & 0x7fff;
	b1 = from[1] & 0x7fff;
	b2 = from[2] & 0x7fff;
	a1 = from[3] & 0x7fff;
	a2 = from[4] & 0x3fff;
	noise = from[5] | 1;
	for (u32 i = 0; i < COUNT; i++) {
		i32 x, y;

		noise = noise >> 1 ^ (noise & 1 ? 0x80200003 : 0);
		x = (i32)noise >> 12;
		y = times(b0, x) + times(b1, x1) + times(b2, x2) - times(a1, y1) - times(a2, y2);
		x2 = x1;
		x1 = x;
		y2 = y1;
		y1 = y;
		out[i] = y;
		energy += (u32)times(y, y);
	}
	return (u64)noise << 32 | energy;
}
