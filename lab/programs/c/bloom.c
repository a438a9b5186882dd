// A Bloom filter with three hashes (Kirsch and Mitzenmacher's two, combined): single bits set and asked.
// Memory: 96 keys to put in and 96 to ask for, of 64 bits, then scratch: 2,048 bits.
#include "bench.h"

#define COUNT 96
#define BITS 2048

INLINE u64 hash(u64 key)
{
	key = (key ^ key >> 33) * 0xff51afd7ed558ccd;
	key = (key ^ key >> 33) * 0xc4ceb9fe1a85ec53;
	return key ^ key >> 33;
}

ENTRY u64 PROG(void *mem, u64 len)
{
	const u64 *keys = mem;
	u64 *filter = (u64 *)mem + 2 * COUNT;
	u64 found = 0;

	if (len < 2 * COUNT * 8 + BITS / 8)
		return 0;
	for (u32 i = 0; i < BITS / 64; i++)
		filter[i] = 0;
	for (u32 i = 0; i < COUNT; i++) {
		u64 h = hash(keys[i]);
		u32 a = (u32)h, b = (u32)(h >> 32) | 1;

		for (u32 k = 0; k < 3; k++, a += b)
			filter[a % BITS / 64] |= 1ull << (a & 63);
	}
	for (u32 i = 0; i < 2 * COUNT; i++) {
		u64 h = hash(keys[i]);
		u32 a = (u32)h, b = (u32)(h >> 32) | 1;
		u32 hits = 0;

		for (u32 k = 0; k < 3; k++, a += b)
			hits += filter[a % BITS / 64] >> (a & 63) & 1;
		found = (found << 1 | found >> 63) ^ (hits == 3);
		found += hits;
	}
	return found;
}
