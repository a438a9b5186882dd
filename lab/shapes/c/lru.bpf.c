// SPDX-License-Identifier: MIT OR Apache-2.0
/* A cache that always is full: each run stores under another key, for which the least used one goes. */
#include "shape.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 512);
	__type(key, struct flow);
	__type(value, struct tally);
} seen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} next SEC(".maps");

SHAPE(lru)
{
	struct flow flow = {};
	struct tally tally = { .packets = 1 };
	__u64 *turn;
	__u32 zero = 0;

	if (!read_flow(&flow, data, end))
		return 0;
	turn = bpf_map_lookup_elem(&next, &zero);
	if (!turn)
		return 1;
	flow.source_port = (*turn)++ & 4095;
	tally.bytes = length(data, end);
	return bpf_map_update_elem(&seen, &flow, &tally, 0) ? 1 : 5;
}
