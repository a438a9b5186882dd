// Greatest common divisors (Euclid) and modular powers (square and multiply): divisions by what is not known before.
// Memory: numbers of 32 bits.
#include "bench.h"

#define PAIRS 16

ENTRY u64 PROG(void *mem, u64 len)
{
	const u32 *numbers = mem;
	u64 sum = 0;

	if (len < PAIRS * 8)
		return 0;
	for (u32 i = 0; i < PAIRS; i++) {
		u64 a = numbers[2 * i], b = numbers[2 * i + 1];
		u64 modulus = b | 1, power = 1, base = a % modulus;

		for (u32 turn = 0; turn < 64 && b; turn++) {
			u64 rest = a % b;

			a = b;
			b = rest;
		}
		for (u32 exponent = numbers[i] & 0xffff; exponent; exponent >>= 1) {
			if (exponent & 1)
				power = power * base % modulus;
			base = base * base % modulus;
		}
		sum = sum * 31 + a + power;
	}
	return sum;
}
