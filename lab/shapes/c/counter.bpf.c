// SPDX-License-Identifier: MIT OR Apache-2.0
/* Counters that all CPUs share: two atomic additions. */
#include "shape.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct tally);
} counters SEC(".maps");

SHAPE(counter)
{
	struct tally *tally;
	__u32 kind = length(data, end) >> 6 & 15;

	tally = bpf_map_lookup_elem(&counters, &kind);
	if (!tally)
		return 1;
	__sync_fetch_and_add(&tally->packets, 1);
	__sync_fetch_and_add(&tally->bytes, length(data, end));
	return kind + 7;
}
