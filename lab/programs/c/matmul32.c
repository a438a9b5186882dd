// Product of two matrices of 20 by 20 numbers of 32 bits, row by row, so that compilers vectorise the inner loop.
// Memory: two matrices, then room for the third.
#include "bench.h"

#define N 20

ENTRY u64 PROG(void *mem, u64 len)
{
	const u32 *a = mem, *b = a + N * N;
	u32 *c = (u32 *)mem + 2 * N * N;
	u64 trace = 0;

	if (len < 3 * N * N * 4)
		return 0;
	for (u32 i = 0; i < N * N; i++)
		c[i] = 0;
	for (u32 i = 0; i < N; i++) {
		for (u32 k = 0; k < N; k++) {
			u32 factor = a[i * N + k];

			for (u32 j = 0; j < N; j++)
				c[i * N + j] += factor * b[k * N + j];
		}
	}
	for (u32 i = 0; i < N; i++)
		trace = trace * 31 + c[i * N + i];
	return trace;
}
