// MurmurHash3_x86_32 (public domain, A. Appleby): 32-bit multiplications and rotations.
#include "bench.h"

INLINE u32 scramble(u32 k)
{
	return rotl32(k * 0xcc9e2d51, 15) * 0x1b873593;
}

ENTRY u64 PROG(void *mem, u64 len)
{
	const u32 *words = mem;
	u32 hash = 0x5eed;

	for (u64 i = 0; i < len / 4; i++) {
		hash ^= scramble(words[i]);
		hash = rotl32(hash, 13) * 5 + 0xe6546b64;
	}
	if (len & 3) {
		const u8 *tail = (const u8 *)mem + (len & ~3ull);
		u32 k = 0;

		for (u64 i = len & 3; i; i--)
			k = k << 8 | tail[i - 1];
		hash ^= scramble(k);
	}
	hash ^= (u32)len;
	hash = (hash ^ hash >> 16) * 0x85ebca6b;
	hash = (hash ^ hash >> 13) * 0xc2b2ae35;
	return hash ^ hash >> 16;
}
