// SPDX-License-Identifier: MIT OR Apache-2.0
/* A map definition whose key has one size by its type and another by its number. */
#include "../vector.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__uint(key_size, 8);
	__type(value, __u64);
} contradictory SEC(".maps");

SEC("xdp")
int user(struct xdp_md *ctx __unused)
{
	__u64 zero = 0;

	return !bpf_map_lookup_elem(&contradictory, &zero);
}

LICENSE("Dual MIT/GPL");
