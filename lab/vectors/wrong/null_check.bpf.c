// SPDX-License-Identifier: MIT OR Apache-2.0
/* A value of a map is used without asking whether it was found. */
#include "wrong.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct tally);
} blocked SEC(".maps");

SEC("xdp")
int null_check(struct xdp_md *ctx)
{
	__u32 source = ctx->ingress_ifindex;
	struct tally *entry = bpf_map_lookup_elem(&blocked, &source);

#ifdef FIXED
	if (!entry)
		return XDP_PASS;
#endif
	entry->packets++; /* MISTAKE */
	return XDP_DROP;
}

LICENSE("Dual MIT/GPL");
