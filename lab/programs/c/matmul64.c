// Product of two matrices of 16 by 16 numbers of 64 bits: no machine of this level multiplies these in vectors.
// Memory: two matrices, then room for the third.
#include "bench.h"

#define N 16

ENTRY u64 PROG(void *mem, u64 len)
{
	const u64 *a = mem, *b = a + N * N;
	u64 *c = (u64 *)mem + 2 * N * N;
	u64 trace = 0;

	if (len < 3 * N * N * 8)
		return 0;
	for (u32 i = 0; i < N; i++) {
		for (u32 j = 0; j < N; j++) {
			u64 sum = 0;

			for (u32 k = 0; k < N; k++)
				sum += a[i * N + k] * b[k * N + j];
			c[i * N + j] = sum;
		}
		trace = trace * 31 + c[i * N + i];
	}
	return trace;
}
