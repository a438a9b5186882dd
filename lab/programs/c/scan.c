// strlen and memchr: bytes one by one, then eight at a time by the carry of a subtraction.
// Memory: text that ends with zeroes.
#include "bench.h"

#define LOW 0x0101010101010101ull
#define HIGH 0x8080808080808080ull

INLINE u64 zeroes(u64 word)
{
	return (word - LOW) & ~word & HIGH;
}

INLINE u32 lowest_byte(u64 marks)
{
	u32 n = 0;

	while (n < 7 && !(marks & 0xff)) {
		marks >>= 8;
		n++;
	}
	return n;
}

ENTRY u64 PROG(void *mem, u64 len)
{
	const u8 *at = mem;
	const u64 *words = mem;
	u64 length = 0, quick = 0, spaces = 0, places = 0;

	while (length < len && at[length])
		length++;
	for (u64 i = 0; i < len / 8; i++) {
		u64 marks = zeroes(words[i]);

		if (marks) {
			quick = i * 8 + lowest_byte(marks);
			break;
		}
	}
	for (u64 i = 0; i < len / 8; i++) {
		u64 marks = zeroes(words[i] ^ ' ' * LOW);

		if (marks) {
			spaces++;
			places ^= i * 8 + lowest_byte(marks);
		}
	}
	return length << 48 ^ quick << 32 ^ spaces << 16 ^ places;
}
