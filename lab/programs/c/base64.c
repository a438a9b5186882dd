// Base64 (RFC 4648 §4), there by a table and back by comparisons.
// Memory: 768 bytes, then scratch: the alphabet, 1,024 characters, 768 bytes.
#include "bench.h"

#define PLAIN 768
#define CODED (PLAIN / 3 * 4)

INLINE u32 value(u8 c)
{
	if (c >= 'a')
		return c - 'a' + 26;
	if (c >= 'A')
		return c - 'A';
	if (c >= '0')
		return c - '0' + 52;
	return c == '+' ? 62 : 63;
}

ENTRY u64 PROG(void *mem, u64 len)
{
	const u8 *plain = mem;
	u8 *alphabet = (u8 *)mem + PLAIN;
	u8 *coded = alphabet + 64;
	u8 *back = coded + CODED;
	u64 sum = 0;

	if (len < PLAIN + 64 + CODED + PLAIN)
		return 0;
	for (u32 i = 0; i < 26; i++) {
		alphabet[i] = (u8)('A' + i);
		alphabet[26 + i] = (u8)('a' + i);
	}
	for (u32 i = 0; i < 10; i++)
		alphabet[52 + i] = (u8)('0' + i);
	alphabet[62] = '+';
	alphabet[63] = '/';
	for (u32 i = 0, o = 0; i < PLAIN; i += 3, o += 4) {
		u32 three = plain[i] << 16 | plain[i + 1] << 8 | plain[i + 2];

		coded[o] = alphabet[three >> 18];
		coded[o + 1] = alphabet[three >> 12 & 63];
		coded[o + 2] = alphabet[three >> 6 & 63];
		coded[o + 3] = alphabet[three & 63];
	}
	for (u32 i = 0, o = 0; i < CODED; i += 4, o += 3) {
		u32 three = value(coded[i]) << 18 | value(coded[i + 1]) << 12 | value(coded[i + 2]) << 6 |
			    value(coded[i + 3]);

		back[o] = (u8)(three >> 16);
		back[o + 1] = (u8)(three >> 8);
		back[o + 2] = (u8)three;
		sum = sum * 31 + three;
	}
	return sum;
}
