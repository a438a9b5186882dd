// Quick sort (Hoare's partition) with the ranges still to do on the program's own stack.
// Memory: 256 numbers, then room for them.
#include "bench.h"

#define COUNT 256
#define RANGES 32

ENTRY u64 PROG(void *mem, u64 len)
{
	const i32 *from = mem;
	i32 *a = (i32 *)mem + COUNT;
	i32 lows[RANGES], highs[RANGES];
	u32 depth = 1;
	u64 sum = 0;

	if (len < COUNT * 8)
		return 0;
	for (u32 i = 0; i < COUNT; i++)
		a[i] = from[i];
	lows[0] = 0;
	highs[0] = COUNT - 1;
	while (depth) {
		i32 low, high;

		depth--;
		low = lows[depth & (RANGES - 1)];
		high = highs[depth & (RANGES - 1)];
		while (low < high) {
			i32 pivot = a[(low + high) >> 1], i = low, j = high;

			while (i <= j) {
				while (a[i] < pivot)
					i++;
				while (a[j] > pivot)
					j--;
				if (i <= j) {
					i32 t = a[i];

					a[i] = a[j];
					a[j] = t;
					i++;
					j--;
				}
			}
			// The longer part waits, so the stack stays below the logarithm of the count.
			if (j - low < high - i) {
				lows[depth & (RANGES - 1)] = i;
				highs[depth & (RANGES - 1)] = high;
				high = j;
			} else {
				lows[depth & (RANGES - 1)] = low;
				highs[depth & (RANGES - 1)] = j;
				low = i;
			}
			depth++;
		}
	}
	for (u32 i = 0; i < COUNT; i++)
		sum = sum * 31 + (u32)a[i];
	return sum;
}
