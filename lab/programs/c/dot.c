// Inner product and extremes of two vectors: an integer loop that compilers vectorise.
#include "bench.h"

#define COUNT 1024

ENTRY u64 PROG(void *mem, u64 len)
{
	const i32 *a = mem, *b = a + COUNT;
	i64 sum = 0;
	i32 low = 0, high = 0;

	if (len < COUNT * 8)
		return 0;
	for (u32 i = 0; i < COUNT; i++) {
		sum += (i64)a[i] * b[i];
		low = a[i] < low ? a[i] : low;
		high = b[i] > high ? b[i] : high;
	}
	return (u64)sum ^ (u64)(u32)low << 32 ^ (u32)high;
}
