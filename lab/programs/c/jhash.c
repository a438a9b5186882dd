// Jenkins' lookup3, words (public domain, R. Jenkins, 2006): what Linux calls jhash2.
#include "bench.h"

ENTRY u64 PROG(void *mem, u64 len)
{
	const u32 *k = mem;
	u64 left = len / 4;
	u32 a, b, c;

	a = b = c = 0xdeadbeef + (u32)len;
	for (; left > 3; left -= 3, k += 3) {
		a += k[0];
		b += k[1];
		c += k[2];
		a = (a - c) ^ rotl32(c, 4);
		c += b;
		b = (b - a) ^ rotl32(a, 6);
		a += c;
		c = (c - b) ^ rotl32(b, 8);
		b += a;
		a = (a - c) ^ rotl32(c, 16);
		c += b;
		b = (b - a) ^ rotl32(a, 19);
		a += c;
		c = (c - b) ^ rotl32(b, 4);
		b += a;
	}
	if (left) {
		if (left == 3)
			c += k[2];
		if (left >= 2)
			b += k[1];
		a += k[0];
		c = (c ^ b) - rotl32(b, 14);
		a = (a ^ c) - rotl32(c, 11);
		b = (b ^ a) - rotl32(a, 25);
		c = (c ^ b) - rotl32(b, 16);
		a = (a ^ c) - rotl32(c, 4);
		b = (b ^ a) - rotl32(a, 14);
		c = (c ^ b) - rotl32(b, 24);
	}
	return (u64)b << 32 | c;
}
