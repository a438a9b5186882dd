// The Internet checksum (RFC 1071) of packets of 1,500 bytes, in 16-bit words: compilers vectorise it.
#include "bench.h"

#define PACKET 1500

ENTRY u64 PROG(void *mem, u64 len)
{
	u64 sums = 0;

	for (u64 start = 0; start + PACKET <= len; start += PACKET) {
		const u16 *words = (const u16 *)((const u8 *)mem + start);
		u32 sum = 0;

		for (u32 i = 0; i < PACKET / 2; i++)
			sum += words[i];
		sum = (sum & 0xffff) + (sum >> 16);
		sum += sum >> 16;
		sums = sums << 16 | (u16)~sum;
	}
	return sums;
}
