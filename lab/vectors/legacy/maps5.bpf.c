// SPDX-License-Identifier: MIT OR Apache-2.0
/* The legacy section `maps` with definitions of five words, the shape of libbpf before 1.0. */
#include "../vector.h"

struct definition {
	__u32 type;
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
	__u32 map_flags;
};

struct definition counters SEC("maps") = { BPF_MAP_TYPE_ARRAY, 4, 8, 4, 0 };
struct definition flows SEC("maps") = { BPF_MAP_TYPE_HASH, 4, 16, 100, BPF_F_NO_PREALLOC };

SEC("xdp")
int legacy_maps(struct xdp_md *ctx __unused)
{
	__u32 three = 3;
	__u64 *counter = bpf_map_lookup_elem(&counters, &three);

	EXPECT(counter);
	*counter += 1;
	EXPECT(!bpf_map_lookup_elem(&flows, &three));
	return 0;
}

LICENSE("Dual MIT/GPL");
