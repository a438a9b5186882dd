// SPDX-License-Identifier: MIT OR Apache-2.0
/* A value is indexed by a number that nothing bounds. */
#include "wrong.h"

struct table {
	__u8 bytes[64];
};

ARRAY(tables, 1, struct table);

SEC("xdp")
int unbounded_index(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u32 index = ctx->rx_queue_index;
	struct table *table = bpf_map_lookup_elem(&tables, &key);

	if (!table)
		return XDP_PASS;
#ifdef FIXED
	if (index >= sizeof(table->bytes))
		return XDP_PASS;
#endif
	return table->bytes[index] ? XDP_DROP : XDP_PASS; /* MISTAKE */
}

LICENSE("Dual MIT/GPL");
