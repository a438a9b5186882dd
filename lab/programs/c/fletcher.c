// Fletcher's checksum over 16-bit words (RFC 1146), reduced in each step by a comparison.
#include "bench.h"

ENTRY u64 PROG(void *mem, u64 len)
{
	const u16 *words = mem;
	u32 a = 0, b = 0;

	for (u64 i = 0; i < len / 2; i++) {
		a += words[i];
		if (a >= 65535)
			a -= 65535;
		b += a;
		if (b >= 65535)
			b -= 65535;
	}
	return (u64)b << 16 | a;
}
