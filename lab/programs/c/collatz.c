// Steps of the Collatz sequence: a loop whose branches follow the data.
#include "bench.h"

#define COUNT 64
#define MOST_STEPS 256

ENTRY u64 PROG(void *mem, u64 len)
{
	const u32 *starts = mem;
	u64 steps = 0, peak = 0;

	if (len < COUNT * 4)
		return 0;
	for (u32 i = 0; i < COUNT; i++) {
		u64 n = starts[i] & 1023;

		for (u32 turn = 0; turn < MOST_STEPS && n > 1; turn++) {
			n = n & 1 ? 3 * n + 1 : n >> 1;
			if (n > peak)
				peak = n;
			steps++;
		}
	}
	return peak << 32 | steps;
}
