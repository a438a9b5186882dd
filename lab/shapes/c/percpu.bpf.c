// SPDX-License-Identifier: MIT OR Apache-2.0
/* Statistics that no other CPU writes: packets and bytes by protocol. */
#include "shape.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct tally);
} protocols SEC(".maps");

SHAPE(percpu)
{
	struct flow flow = {};
	struct tally *tally;

	if (!read_flow(&flow, data, end))
		return 0;
	tally = bpf_map_lookup_elem(&protocols, &flow.protocol);
	if (!tally)
		return 1;
	tally->packets++;
	tally->bytes += length(data, end);
	return flow.protocol;
}
