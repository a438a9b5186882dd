// SPDX-License-Identifier: MIT OR Apache-2.0
/* A map definition with a member that means nothing. */
#include "../vector.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entires, 2);
} misspelt SEC(".maps");

SEC("xdp")
int user(struct xdp_md *ctx __unused)
{
	__u32 zero = 0;

	return !bpf_map_lookup_elem(&misspelt, &zero);
}

LICENSE("Dual MIT/GPL");
