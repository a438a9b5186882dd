// CRC-32 (ISO 3309, reflected), bit by bit: a shift and a conditional exclusive or.
#include "bench.h"

ENTRY u64 PROG(void *mem, u64 len)
{
	const u8 *at = mem;
	u32 crc = 0xffffffff;

	for (u64 i = 0; i < len; i++) {
		crc ^= at[i];
		for (u32 bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return (u32)~crc;
}
