// Adler-32 (RFC 1950): two running sums, a remainder each 5,552 bytes.
#include "bench.h"

#define BASE 65521
#define CHUNK 5552

ENTRY u64 PROG(void *mem, u64 len)
{
	const u8 *at = mem;
	u32 a = 1, b = 0;

	for (u64 i = 0; i < len;) {
		u64 end = i + CHUNK < len ? i + CHUNK : len;

		for (; i < end; i++) {
			a += at[i];
			b += a;
		}
		a %= BASE;
		b %= BASE;
	}
	return b << 16 | a;
}
