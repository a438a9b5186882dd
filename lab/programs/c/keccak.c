// Keccak-f[1600] (FIPS 202 §3.3), four times: twenty-five live values of 64 bits, many more than any machine's registers.
// Memory: 25 lanes, then room for 25.
#include "bench.h"

#define TIMES 4

// A column's parity, and what theta adds to each lane of one.
#define PARITY(x) (a##x ^ b##x ^ c##x ^ d##x ^ e##x)
#define THETA(x, by) (a##x ^= by, b##x ^= by, c##x ^= by, d##x ^= by, e##x ^= by)
// Rho and pi: the lane that is held goes to its new place, and what was there is held.
#define MOVE(lane, by) (next = lane, lane = rotl64(held, by), held = next)
// Chi on one plane.
#define CHI(p)                                                                                                         \
	do {                                                                                                           \
		u64 first = p##0, second = p##1;                                                                       \
		p##0 ^= ~p##1 & p##2;                                                                                  \
		p##1 ^= ~p##2 & p##3;                                                                                  \
		p##2 ^= ~p##3 & p##4;                                                                                  \
		p##3 ^= ~p##4 & first;                                                                                 \
		p##4 ^= ~first & second;                                                                               \
	} while (0)

ENTRY u64 PROG(void *mem, u64 len)
{
	const u64 *in = mem;
	u64 *out = (u64 *)mem + 25;

	// Planes a to e are the rows y = 0 to 4, digits the columns x.
	u64 a0, a1, a2, a3, a4, b0, b1, b2, b3, b4, c0, c1, c2, c3, c4, d0, d1, d2, d3, d4, e0, e1, e2, e3, e4;

	if (len < 400)
		return 0;
	a0 = in[0], a1 = in[1], a2 = in[2], a3 = in[3], a4 = in[4];
	b0 = in[5], b1 = in[6], b2 = in[7], b3 = in[8], b4 = in[9];
	c0 = in[10], c1 = in[11], c2 = in[12], c3 = in[13], c4 = in[14];
	d0 = in[15], d1 = in[16], d2 = in[17], d3 = in[18], d4 = in[19];
	e0 = in[20], e1 = in[21], e2 = in[22], e3 = in[23], e4 = in[24];
	for (u32 time = 0; time < TIMES; time++) {
		u32 bits = 1;

		for (u32 round = 0; round < 24; round++) {
			u64 p0 = PARITY(0), p1 = PARITY(1), p2 = PARITY(2), p3 = PARITY(3), p4 = PARITY(4);
			u64 held, next, constant = 0;

			THETA(0, (p4 ^ rotl64(p1, 1)));
			THETA(1, (p0 ^ rotl64(p2, 1)));
			THETA(2, (p1 ^ rotl64(p3, 1)));
			THETA(3, (p2 ^ rotl64(p4, 1)));
			THETA(4, (p3 ^ rotl64(p0, 1)));
			held = a1;
			MOVE(c0, 1), MOVE(b2, 3), MOVE(c1, 6), MOVE(d2, 10), MOVE(d3, 15), MOVE(a3, 21);
			MOVE(b0, 28), MOVE(d1, 36), MOVE(b3, 45), MOVE(e1, 55), MOVE(e4, 2), MOVE(a4, 14);
			MOVE(d0, 27), MOVE(e3, 41), MOVE(d4, 56), MOVE(c3, 8), MOVE(c2, 25), MOVE(a2, 43);
			MOVE(e0, 62), MOVE(c4, 18), MOVE(e2, 39), MOVE(b4, 61), MOVE(b1, 20), MOVE(a1, 44);
			CHI(a);
			CHI(b);
			CHI(c);
			CHI(d);
			CHI(e);
			// The round constant's bits come from a shift register (§3.2.5).
			for (u32 j = 0; j < 7; j++) {
				constant |= (u64)(bits & 1) << ((1u << j) - 1);
				bits = bits << 1 ^ (bits & 0x80 ? 0x171 : 0);
			}
			a0 ^= constant;
		}
	}
	out[0] = a0, out[1] = a1, out[2] = a2, out[3] = a3, out[4] = a4;
	out[5] = b0, out[6] = b1, out[7] = b2, out[8] = b3, out[9] = b4;
	out[10] = c0, out[11] = c1, out[12] = c2, out[13] = c3, out[14] = c4;
	out[15] = d0, out[16] = d1, out[17] = d2, out[18] = d3, out[19] = d4;
	out[20] = e0, out[21] = e1, out[22] = e2, out[23] = e3, out[24] = e4;
	return a0;
}
