// SPDX-License-Identifier: MIT OR Apache-2.0
/* Definitions of nine words in `maps/NAME`, the last two of which are about maps of maps, which are not there. */
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

struct definition array SEC("maps/array") = { BPF_MAP_TYPE_ARRAY, 4, 8, 4, 0, 1, 0, 1, 1 };
struct definition hash SEC("maps/hash") = { BPF_MAP_TYPE_HASH, 4, 16, 100, BPF_F_NO_PREALLOC, 2, 0, 2, 2 };

SEC("xdp")
int legacy_maps(struct xdp_md *ctx __unused)
{
	__u32 three = 3;

	EXPECT(bpf_map_lookup_elem(&array, &three));
	EXPECT(!bpf_map_lookup_elem(&hash, &three));
	return 0;
}

LICENSE("Dual MIT/GPL");
