// SPDX-License-Identifier: MIT OR Apache-2.0
/* `map_extra`: how many hash functions a Bloom filter has. */
#include "../vector.h"

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 100);
	__type(value, __u32);
	__uint(map_extra, 3);
} bloom SEC(".maps");

SEC("xdp")
int extra(struct xdp_md *ctx __unused)
{
	__u32 number = 42;

	EXPECT(bpf_map_push_elem(&bloom, &number, BPF_ANY) == 0);
	EXPECT(bpf_map_peek_elem(&bloom, &number) == 0);
	return 0;
}

LICENSE("Dual MIT/GPL");
