// SPDX-License-Identifier: MIT OR Apache-2.0
/* More is read of a value than the map has. */
#include "wrong.h"

ARRAY(tallies, 4, __u32);

SEC("xdp")
int value_size(struct xdp_md *ctx __unused)
{
	__u32 key = 1;
#ifdef FIXED
	__u32 *count = bpf_map_lookup_elem(&tallies, &key);
#else
	__u64 *count = bpf_map_lookup_elem(&tallies, &key);
#endif

	if (!count)
		return XDP_PASS;
	return *count ? XDP_DROP : XDP_PASS; /* MISTAKE */
}

LICENSE("Dual MIT/GPL");
