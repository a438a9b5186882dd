// SPDX-License-Identifier: MIT OR Apache-2.0
/* A table by a byte of the packet: the last one of its target. */
#include "shape.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct tally);
} hosts SEC(".maps");

SHAPE(array)
{
	struct flow flow = {};
	struct tally *tally;
	__u32 host;

	if (!read_flow(&flow, data, end))
		return 0;
	host = flow.target >> 24;
	tally = bpf_map_lookup_elem(&hosts, &host);
	if (!tally)
		return 1;
	tally->packets++;
	return tally->mark;
}
