// SPDX-License-Identifier: MIT OR Apache-2.0
/* A map of maps that names its inner map as iproute2 has it: refused by name. */
#include "../vector.h"

struct definition {
	__u32 type;
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
	__u32 map_flags;
	__u32 id;
	__u32 pinning;
	__u32 inner_id;
	__u32 inner_index;
};

struct definition inner_array SEC("maps") = { BPF_MAP_TYPE_ARRAY, 4, 8, 4, 0, 1, 0, 0, 0 };
struct definition outer_array SEC("maps") = { BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 4, 0, 0, 0, 1, 2 };

SEC("xdp")
int legacy_maps(struct xdp_md *ctx __unused)
{
	__u32 three = 3;

	EXPECT(bpf_map_lookup_elem(&inner_array, &three));
	EXPECT(!bpf_map_lookup_elem(&outer_array, &three));
	return 0;
}

LICENSE("Dual MIT/GPL");
