// Decompression of one LZ4 block (lz4_Block_format.md): literals and matches that may overlap themselves.
// Memory: the compressed size (32 bits), room for 1,020 compressed bytes, room for 4,096 bytes.
#include "bench.h"

#define IN 1020
#define OUT 4096
#define MOST_SEQUENCES 512

ENTRY u64 PROG(void *mem, u64 len)
{
	const u8 *in = (const u8 *)mem + 4;
	u8 *out = (u8 *)mem + 4 + IN;
	u32 size, i = 0, o = 0;
	u64 sum = 0;

	if (len < 4 + IN + OUT)
		return 0;
	size = *(const u32 *)mem;
	if (size > IN)
		return 0;
	for (u32 turn = 0; turn < MOST_SEQUENCES && i < size; turn++) {
		u32 token = in[i], literals = token >> 4, match = token & 15, back;

		i++;
		if (literals == 15) {
			u32 more = 255;

			while (more == 255 && i < size) {
				more = in[i];
				i++;
				literals += more;
			}
		}
		if (literals > size - i || literals > OUT - o)
			return 1;
		for (u32 k = 0; k < literals; k++)
			out[o + k] = in[i + k];
		i += literals;
		o += literals;
		// The last sequence has no match.
		if (i == size)
			break;
		if (size - i < 2)
			return 2;
		back = in[i] | in[i + 1] << 8;
		i += 2;
		if (match == 15) {
			u32 more = 255;

			while (more == 255 && i < size) {
				more = in[i];
				i++;
				match += more;
			}
		}
		match += 4;
		if (back == 0 || back > o || match > OUT - o)
			return 3;
		for (u32 k = 0; k < match; k++)
			out[o + k] = out[o + k - back];
		o += match;
	}
	for (u32 k = 0; k + 8 <= o; k += 64)
		sum = sum * 31 + *(u64 *)(out + k);
	return sum ^ (u64)o << 48;
}
