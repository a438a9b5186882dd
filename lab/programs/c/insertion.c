// Insertion sort: a loop that moves words up by one.
// Memory: 96 numbers, then room for them.
#include "bench.h"

#define COUNT 96

ENTRY u64 PROG(void *mem, u64 len)
{
	const u32 *from = mem;
	u32 *a = (u32 *)mem + COUNT;
	u64 sum = 0;

	if (len < COUNT * 8)
		return 0;
	for (u32 i = 0; i < COUNT; i++) {
		u32 key = from[i];
		i32 j = (i32)i - 1;

		for (; j >= 0 && a[j] > key; j--)
			a[j + 1] = a[j];
		a[j + 1] = key;
	}
	for (u32 i = 0; i < COUNT; i++)
		sum = sum * 31 + a[i];
	return sum;
}
