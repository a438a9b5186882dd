// SPDX-License-Identifier: MIT OR Apache-2.0
/* The legacy section `maps` with definitions of seven words, as programs written with aya carry them. */
#include "../vector.h"

struct definition {
	__u32 type;
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
	__u32 map_flags;
	__u32 id;
	__u32 pinning;
};

struct definition counters SEC("maps") = { BPF_MAP_TYPE_ARRAY, 4, 8, 4, 0, 0, 0 };
struct definition flows SEC("maps") = { BPF_MAP_TYPE_HASH, 4, 16, 100, BPF_F_NO_PREALLOC, 0, 0 };
struct definition pinned SEC("maps") = { BPF_MAP_TYPE_ARRAY, 4, 8, 1, 0, 0, LIBBPF_PIN_BY_NAME };
struct definition ring SEC("maps") = { BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0, 0, 0 };

SEC("xdp")
int legacy_maps(struct xdp_md *ctx __unused)
{
	__u32 three = 3, zero = 0;
	__u64 *counter = bpf_map_lookup_elem(&counters, &three);

	EXPECT(counter);
	*counter += 1;
	EXPECT(!bpf_map_lookup_elem(&flows, &three));
	EXPECT(bpf_map_lookup_elem(&pinned, &zero));
	EXPECT(bpf_ringbuf_query(&ring, BPF_RB_RING_SIZE) == 4096);
	return 0;
}

LICENSE("Dual MIT/GPL");
