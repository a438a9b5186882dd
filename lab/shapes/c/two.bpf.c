// SPDX-License-Identifier: MIT OR Apache-2.0
/* Two maps at once: settings from an array, by which a hash table is asked. */
#include "shape.h"

struct settings {
	__u32 tenant;
	__u32 mark;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} setting SEC(".maps");

struct member {
	__be32 address;
	__u32 tenant;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct member);
	__type(value, struct tally);
} members SEC(".maps");

SHAPE(two)
{
	struct flow flow = {};
	struct member member = {};
	struct settings *settings;
	struct tally *tally;
	__u32 zero = 0;

	if (!read_flow(&flow, data, end))
		return 0;
	settings = bpf_map_lookup_elem(&setting, &zero);
	if (!settings)
		return 1;
	member.address = flow.source;
	member.tenant = settings->tenant;
	tally = bpf_map_lookup_elem(&members, &member);
	if (!tally)
		return 1;
	tally->packets++;
	return settings->mark + tally->mark;
}
