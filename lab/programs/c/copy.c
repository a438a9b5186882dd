// memcpy, memset and memmove by words, and a copy that starts at an odd byte.
// Memory: 8,192 bytes, then scratch: 8,192 and 1,024 bytes.
#include "bench.h"

#define COUNT 8192
#define MORE 1024

ENTRY u64 PROG(void *mem, u64 len)
{
	const u64 *from = mem;
	const u8 *bytes = mem;
	u64 *to = (u64 *)mem + COUNT / 8;
	u8 *odd = (u8 *)mem + 2 * COUNT;
	u64 sum = 0;

	if (len < 2 * COUNT + MORE)
		return 0;
	for (u32 i = 0; i < COUNT / 8; i++)
		to[i] = from[i];
	for (u32 i = COUNT / 32; i < COUNT / 16; i++)
		to[i] = 0xa5a5a5a5a5a5a5a5;
	// Overlapping, upwards: from the last word on.
	for (u32 i = COUNT / 16; i; i--)
		to[i + 7] = to[i - 1];
	for (u32 i = 0; i < MORE; i++)
		odd[i] = bytes[i + 3];
	for (u32 i = 0; i < COUNT / 8; i++)
		sum += to[i];
	return sum + odd[MORE - 1];
}
