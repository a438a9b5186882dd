// SPDX-License-Identifier: MIT OR Apache-2.0
/* A connection table: the key is made on the stack, the value counted in. */
#include "shape.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct flow);
	__type(value, struct tally);
} flows SEC(".maps");

SHAPE(hash)
{
	struct flow flow = {};
	struct tally *tally;

	if (!read_flow(&flow, data, end))
		return 0;
	tally = bpf_map_lookup_elem(&flows, &flow);
	if (!tally)
		return 1;
	tally->packets++;
	tally->bytes += length(data, end);
	return tally->mark;
}
