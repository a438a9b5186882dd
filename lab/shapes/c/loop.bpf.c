// SPDX-License-Identifier: MIT OR Apache-2.0
/* A loop with a bound over the packet: the sum of its 16-bit words (RFC 1071), a check of the end before each. */
#include "shape.h"

SHAPE(loop)
{
	const __u8 *at = data;
	__u32 sum = 0;

	for (int i = 0; i < 64; i++) {
		if ((const void *)(at + 2) > end)
			break;
		sum += at[0] << 8 | at[1];
		at += 2;
	}
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	return sum & 0xffff;
}
