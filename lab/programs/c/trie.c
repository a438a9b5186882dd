// Longest-prefix match of IPv4 addresses in a trie of four bits a step: dependent loads.
// Memory: 128 nodes of 16 entries of 16 bits, then addresses. An entry is 0 (nothing), 0x8000 | a route, or a node.
#include "bench.h"

#define NODES 128

ENTRY u64 PROG(void *mem, u64 len)
{
	const u16 *entries = mem;
	const u32 *addresses = (const u32 *)(entries + NODES * 16);
	u64 count, sum = 0;

	if (len < NODES * 32)
		return 0;
	count = (len - NODES * 32) / 4;
	for (u64 i = 0; i < count; i++) {
		u32 address = addresses[i], node = 0, route = 0;

		for (u32 step = 0; step < 8; step++) {
			u32 entry = entries[(node & (NODES - 1)) * 16 + (address >> 28)];

			if (entry & 0x8000) {
				route = entry & 0x7fff;
				break;
			}
			if (!entry)
				break;
			node = entry;
			address <<= 4;
		}
		sum = sum * 31 + route;
	}
	return sum;
}
