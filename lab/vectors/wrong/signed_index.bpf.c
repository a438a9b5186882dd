// SPDX-License-Identifier: MIT OR Apache-2.0
/* An index is compared as a signed number, which leaves the negative ones. */
#include "wrong.h"

struct table {
	__u32 words[16];
};

ARRAY(tables, 1, struct table);

SEC("xdp")
int signed_index(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct table *table;
#ifdef FIXED
	__u32 index = ctx->rx_queue_index;
#else
	int index = ctx->rx_queue_index;
#endif

	if (index > 15) /* MISTAKE */
		return XDP_PASS;
	table = bpf_map_lookup_elem(&tables, &key);
	if (!table)
		return XDP_PASS;
	return table->words[index] ? XDP_DROP : XDP_PASS;
}

LICENSE("Dual MIT/GPL");
