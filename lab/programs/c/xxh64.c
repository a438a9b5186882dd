// XXH64 (Y. Collet, doc/xxhash_spec.md, version 0.2.0): four independent lanes, then a tail of words and bytes.
#include "bench.h"

#define P1 0x9e3779b185ebca87ull
#define P2 0xc2b2ae3d27d4eb4full
#define P3 0x165667b19e3779f9ull
#define P4 0x85ebca77c2b2ae63ull
#define P5 0x27d4eb2f165667c5ull

INLINE u64 lane(u64 acc, u64 word)
{
	return rotl64(acc + word * P2, 31) * P1;
}

INLINE u64 join(u64 acc, u64 of_lane)
{
	return (acc ^ lane(0, of_lane)) * P1 + P4;
}

ENTRY u64 PROG(void *mem, u64 len)
{
	const u8 *at = mem;
	const u64 *words = mem;
	u64 a = P1 + P2, b = P2, c = 0, d = -P1, hash;
	u64 done = 0;

	if (len >= 32) {
		for (; done + 32 <= len; done += 32) {
			a = lane(a, words[done / 8]);
			b = lane(b, words[done / 8 + 1]);
			c = lane(c, words[done / 8 + 2]);
			d = lane(d, words[done / 8 + 3]);
		}
		hash = rotl64(a, 1) + rotl64(b, 7) + rotl64(c, 12) + rotl64(d, 18);
		hash = join(join(join(join(hash, a), b), c), d);
	} else {
		hash = P5;
	}
	hash += len;
	for (; done + 8 <= len; done += 8)
		hash = rotl64(hash ^ lane(0, words[done / 8]), 27) * P1 + P4;
	if (done + 4 <= len) {
		hash = rotl64(hash ^ ((const u32 *)mem)[done / 4] * P1, 23) * P2 + P3;
		done += 4;
	}
	for (; done < len; done++)
		hash = rotl64(hash ^ at[done] * P5, 11) * P1;
	hash = (hash ^ hash >> 33) * P2;
	hash = (hash ^ hash >> 29) * P3;
	return hash ^ hash >> 32;
}
