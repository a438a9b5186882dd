// Heap sort: indices that double, and a choice between two children.
// Memory: 192 numbers, then room for them.
#include "bench.h"

#define COUNT 192

INLINE void sift(u64 *a, u32 at, u32 count)
{
	u64 value = a[at];

	for (;;) {
		u32 child = 2 * at + 1;

		if (child >= count)
			break;
		if (child + 1 < count && a[child + 1] > a[child])
			child++;
		if (a[child] <= value)
			break;
		a[at] = a[child];
		at = child;
	}
	a[at] = value;
}

ENTRY u64 PROG(void *mem, u64 len)
{
	const u64 *from = mem;
	u64 *a = (u64 *)mem + COUNT;
	u64 sum = 0;

	if (len < COUNT * 16)
		return 0;
	for (u32 i = 0; i < COUNT; i++)
		a[i] = from[i];
	for (u32 i = COUNT / 2; i; i--)
		sift(a, i - 1, COUNT);
	for (u32 end = COUNT - 1; end; end--) {
		u64 largest = a[0];

		a[0] = a[end];
		a[end] = largest;
		sift(a, 0, end);
	}
	for (u32 i = 0; i < COUNT; i++)
		sum = sum * 31 + a[i];
	return sum;
}
