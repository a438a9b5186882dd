// A scanner driven by tables: words, numbers, quoted text and the rest, with characters put into classes first.
// Memory: 2,048 bytes of text, then scratch: 256 classes, 32 transitions.
#include "bench.h"

#define COUNT 2048

enum { SPACE, LETTER, DIGIT, QUOTE, ESCAPE, OTHER };

INLINE u8 class_of(u32 c)
{
	if (c == ' ' || (c >= '\t' && c <= '\r'))
		return SPACE;
	if ((c | 32) >= 'a' && (c | 32) <= 'z')
		return LETTER;
	if (c >= '0' && c <= '9')
		return DIGIT;
	if (c == '"')
		return QUOTE;
	return c == '\\' ? ESCAPE : OTHER;
}

ENTRY u64 PROG(void *mem, u64 len)
{
	const u8 *text = mem;
	u8 *classes = (u8 *)mem + COUNT;
	u64 *rows = (u64 *)(classes + 256);
	const u8 *next = (const u8 *)rows;
	u32 state = 0;
	u64 tokens = 0, trace = 0;

	if (len < COUNT + 256 + 32)
		return 0;
	for (u32 c = 0; c < 256; c++)
		classes[c] = class_of(c);
	// State between tokens, in a word, in a number, in quotes: a byte for each class, the first lowest.
	rows[0] = 0x0000000003020100;
	rows[1] = 0x0000000003010100;
	rows[2] = 0x0000000003020100;
	rows[3] = 0x0000030300030303;
	for (u32 i = 0; i < COUNT; i++) {
		u32 to = next[state * 8 + (classes[text[i]] & 7)] & 3;

		if (to != state) {
			tokens++;
			trace = trace * 31 + (state << 2 | to) + i;
		}
		state = to;
	}
	return tokens << 48 ^ trace;
}
