// SPDX-License-Identifier: MIT OR Apache-2.0
/* One map in two versions of a program, whose values have the same size and other fields. */
#include "../vector.h"

struct traffic {
	__u64 packets;
#ifdef SECOND
	__u64 drops;
#else
	__u64 bytes;
#endif
};

struct seen {
	__u64 since;
	struct traffic traffic;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct seen);
} shared SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx __unused)
{
	__u32 key = 1;
	struct seen none = {}, *seen;

	EXPECT(bpf_map_update_elem(&shared, &key, &none, BPF_ANY) == 0);
	seen = bpf_map_lookup_elem(&shared, &key);
	EXPECT(seen && seen->traffic.packets == 0);
	return 0;
}

LICENSE("Dual MIT/GPL");
