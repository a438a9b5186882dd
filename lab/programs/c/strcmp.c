// Comparisons of each of 24 strings with each other: byte loops with two ways out.
// Memory: 24 strings that end with zero, each in 32 bytes.
#include "bench.h"

#define COUNT 24
#define ROOM 32

ENTRY u64 PROG(void *mem, u64 len)
{
	const u8 *strings = mem;
	u64 sum = 0;

	if (len < COUNT * ROOM)
		return 0;
	for (u32 i = 0; i < COUNT; i++) {
		u32 rank = 0;

		for (u32 j = 0; j < COUNT; j++) {
			const u8 *a = strings + i * ROOM, *b = strings + j * ROOM;
			u32 k = 0;

			while (k < ROOM - 1 && a[k] && a[k] == b[k])
				k++;
			rank += a[k] > b[k];
		}
		sum = sum * 31 + rank;
	}
	return sum;
}
