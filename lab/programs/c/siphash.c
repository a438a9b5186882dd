// SipHash-2-4 (J.-P. Aumasson, D. J. Bernstein, 2012): 64-bit additions, rotations, exclusive ors.
// The key is the first 16 bytes, the message whole words behind it.
#include "bench.h"

struct state {
	u64 v0, v1, v2, v3;
};

INLINE void turn(struct state *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotl64(s->v1, 13) ^ s->v0;
	s->v3 = rotl64(s->v3, 16) ^ s->v2;
	s->v0 = rotl64(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotl64(s->v1, 17) ^ s->v2;
	s->v3 = rotl64(s->v3, 21) ^ s->v0;
	s->v2 = rotl64(s->v2, 32);
}

ENTRY u64 PROG(void *mem, u64 len)
{
	const u64 *words = mem;
	struct state s;
	u64 last;

	if (len < 16)
		return 0;
	s.v0 = words[0] ^ 0x736f6d6570736575;
	s.v1 = words[1] ^ 0x646f72616e646f6d;
	s.v2 = words[0] ^ 0x6c7967656e657261;
	s.v3 = words[1] ^ 0x7465646279746573;
	for (u64 i = 2; i < len / 8; i++) {
		s.v3 ^= words[i];
		turn(&s);
		turn(&s);
		s.v0 ^= words[i];
	}
	last = (len - 16) << 56;
	s.v3 ^= last;
	turn(&s);
	turn(&s);
	s.v0 ^= last;
	s.v2 ^= 0xff;
	turn(&s);
	turn(&s);
	turn(&s);
	turn(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
