// A histogram of bytes, its running sums, and bytes replaced by their rank: loads and stores that may collide.
// Memory: 2,048 bytes, then scratch: 256 counts of 32 bits.
#include "bench.h"

#define COUNT 2048

ENTRY u64 PROG(void *mem, u64 len)
{
	const u8 *at = mem;
	u32 *counts = (u32 *)((u8 *)mem + COUNT);
	u32 before = 0;
	u64 sum = 0;

	if (len < COUNT + 256 * 4)
		return 0;
	for (u32 i = 0; i < 256; i++)
		counts[i] = 0;
	for (u32 i = 0; i < COUNT; i++)
		counts[at[i]]++;
	for (u32 i = 0; i < 256; i++) {
		u32 here = counts[i];

		counts[i] = before;
		before += here;
	}
	for (u32 i = 0; i < COUNT; i++)
		sum = sum * 31 + counts[at[i]]++;
	return sum;
}
