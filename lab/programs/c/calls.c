// A tree of local functions, four deep, with one to five arguments.
// Memory: numbers of 32 bits.
#include "bench.h"

NOINLINE u64 blend(u64 a, u64 b, u64 c, u64 d, u64 e)
{
	return (a ^ rotl64(b, 7)) + (c ^ rotl64(d, 19)) * (e | 1);
}

NOINLINE u64 clamp(u64 value, u64 low, u64 high)
{
	return value < low ? low : value > high ? high : value;
}

NOINLINE u64 weigh(u64 value, const u32 *pair)
{
	return clamp(value * pair[0], pair[1], 1ull << 40) ^ clamp(pair[1], 100, 1 << 20);
}

NOINLINE u64 leaf(u64 value)
{
	return value * 0x9e3779b97f4a7c15 >> 7;
}

NOINLINE u64 node(u64 value, const u32 *pair)
{
	u64 left = weigh(value, pair), right = leaf(value + pair[0]);

	return blend(left, right, value, pair[0], pair[1]);
}

ENTRY u64 PROG(void *mem, u64 len)
{
	const u32 *numbers = mem;
	u64 sum = 1;

	for (u64 i = 0; i + 1 < len / 4; i++)
		sum = node(sum, numbers + i) ^ leaf(i);
	return sum;
}
