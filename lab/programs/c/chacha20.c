// ChaCha20 (RFC 8439 §2.3, §2.4): sixteen live 32-bit values, additions and rotations.
// Memory: key (8 words), counter, nonce (3 words), the plain text, room for as much cipher text.
#include "bench.h"

#define BLOCKS 8

INLINE void quarter(u32 *a, u32 *b, u32 *c, u32 *d)
{
	*a += *b;
	*d = rotl32(*d ^ *a, 16);
	*c += *d;
	*b = rotl32(*b ^ *c, 12);
	*a += *b;
	*d = rotl32(*d ^ *a, 8);
	*c += *d;
	*b = rotl32(*b ^ *c, 7);
}

ENTRY u64 PROG(void *mem, u64 len)
{
	const u32 *key = mem;
	const u32 *plain = key + 12;
	u32 *cipher = (u32 *)mem + 12 + BLOCKS * 16;
	u64 sum = 0;

	if (len < (12 + 2 * BLOCKS * 16) * 4)
		return 0;
	for (u32 block = 0; block < BLOCKS; block++) {
		u32 s0 = 0x61707865, s1 = 0x3320646e, s2 = 0x79622d32, s3 = 0x6b206574;
		u32 x0 = s0, x1 = s1, x2 = s2, x3 = s3;
		u32 x4 = key[0], x5 = key[1], x6 = key[2], x7 = key[3];
		u32 x8 = key[4], x9 = key[5], x10 = key[6], x11 = key[7];
		u32 x12 = key[8] + block, x13 = key[9], x14 = key[10], x15 = key[11];
		const u32 *in = plain + block * 16;
		u32 *out = cipher + block * 16;

		for (u32 round = 0; round < 10; round++) {
			quarter(&x0, &x4, &x8, &x12);
			quarter(&x1, &x5, &x9, &x13);
			quarter(&x2, &x6, &x10, &x14);
			quarter(&x3, &x7, &x11, &x15);
			quarter(&x0, &x5, &x10, &x15);
			quarter(&x1, &x6, &x11, &x12);
			quarter(&x2, &x7, &x8, &x13);
			quarter(&x3, &x4, &x9, &x14);
		}
		out[0] = in[0] ^ (x0 + s0);
		out[1] = in[1] ^ (x1 + s1);
		out[2] = in[2] ^ (x2 + s2);
		out[3] = in[3] ^ (x3 + s3);
		out[4] = in[4] ^ (x4 + key[0]);
		out[5] = in[5] ^ (x5 + key[1]);
		out[6] = in[6] ^ (x6 + key[2]);
		out[7] = in[7] ^ (x7 + key[3]);
		out[8] = in[8] ^ (x8 + key[4]);
		out[9] = in[9] ^ (x9 + key[5]);
		out[10] = in[10] ^ (x10 + key[6]);
		out[11] = in[11] ^ (x11 + key[7]);
		out[12] = in[12] ^ (x12 + key[8] + block);
		out[13] = in[13] ^ (x13 + key[9]);
		out[14] = in[14] ^ (x14 + key[10]);
		out[15] = in[15] ^ (x15 + key[11]);
		sum = sum * 31 + ((u64)out[15] << 32 | out[0]);
	}
	return sum;
}
