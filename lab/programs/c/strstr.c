// A search for words in a text, without tables: two nested loops that mostly end at once.
// Memory: text.
#include "bench.h"

#define NEEDLE 6
#define NEEDLES 3

ENTRY u64 PROG(void *mem, u64 len)
{
	const u8 *text = mem;
	u64 found = 0;

	if (len < NEEDLE)
		return 0;
	for (u32 which = 1; which <= NEEDLES; which++) {
		// The needle stands somewhere in the text's last quarter.
		u64 needle = len - len / 4 + which * 16;

		if (needle + NEEDLE > len)
			return found;
		for (u64 i = 0; i + NEEDLE <= len; i++) {
			u32 same = 0;

			while (same < NEEDLE && text[i + same] == text[needle + same])
				same++;
			if (same == NEEDLE) {
				found = found * 65599 + i;
				break;
			}
		}
	}
	return found;
}
