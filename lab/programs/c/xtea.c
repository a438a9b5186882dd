// XTEA (R. Needham, D. Wheeler, 1997), encryption: 32-bit shifts, a key word chosen by the sum.
// Memory: the key (4 words), plain blocks of 8 bytes, room for as many cipher blocks.
#include "bench.h"

#define BLOCKS 32
#define CYCLES 32

ENTRY u64 PROG(void *mem, u64 len)
{
	const u32 *key = mem;
	const u32 *plain = key + 4;
	u32 *cipher = (u32 *)mem + 4 + 2 * BLOCKS;
	u64 mixed = 0;

	if (len < (4 + 4 * BLOCKS) * 4)
		return 0;
	for (u32 block = 0; block < BLOCKS; block++) {
		u32 v0 = plain[2 * block], v1 = plain[2 * block + 1], sum = 0;

		for (u32 cycle = 0; cycle < CYCLES; cycle++) {
			v0 += ((v1 << 4 ^ v1 >> 5) + v1) ^ (sum + key[sum & 3]);
			sum += 0x9e3779b9;
			v1 += ((v0 << 4 ^ v0 >> 5) + v0) ^ (sum + key[sum >> 11 & 3]);
		}
		cipher[2 * block] = v0;
		cipher[2 * block + 1] = v1;
		mixed = mixed * 31 + ((u64)v1 << 32 | v0);
	}
	return mixed;
}
