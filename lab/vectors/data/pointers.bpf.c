// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A table of addresses in `.rodata`: relocations in a data section, which no
 * loader resolves, since a map's bytes have no address before it is loaded.
 * Only to be read; whoever loads it finds null pointers, as with libbpf.
 */
#include "../vector.h"

const char first[] = "one";
const char second[] = "two";
const char *const words[] = { first, second };
volatile __u32 choice = 1;

SEC("xdp")
int pointers(struct xdp_md *ctx __unused)
{
	__u32 i = choice;

	EXPECT(i < 2);
	EXPECT(!READ_ONCE(words[i]));
	return 0;
}

LICENSE("Dual MIT/GPL");
