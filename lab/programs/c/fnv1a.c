// FNV-1a, 64 bits (RFC 9923): a multiplication a byte, each waiting for the one before.
#include "bench.h"

ENTRY u64 PROG(void *mem, u64 len)
{
	const u8 *at = mem;
	u64 hash = 0xcbf29ce484222325;

	for (u64 i = 0; i < len; i++)
		hash = (hash ^ at[i]) * 0x100000001b3;
	return hash;
}
