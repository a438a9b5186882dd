// SPDX-License-Identifier: MIT OR Apache-2.0
/* Maps of maps: the inner one defined in place, by a named type, and filled by the definition. */
#include "../vector.h"

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
};

struct inner first SEC(".maps");
struct inner second SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, __u32);
	__array(values, struct inner);
} outer_array SEC(".maps") = {
	.values = { [0] = &first, [2] = &second },
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_HASH);
		__uint(max_entries, 8);
		__uint(map_flags, BPF_F_NO_PREALLOC);
		__uint(key_size, 4);
		__uint(value_size, 16);
	});
} outer_hash SEC(".maps");

SEC("xdp")
int inner_maps(struct xdp_md *ctx __unused)
{
	__u32 two = 2, one = 1, seven = 7;
	void *inner = bpf_map_lookup_elem(&outer_array, &two);
	__u64 *value;

	EXPECT(inner);
	value = bpf_map_lookup_elem(inner, &one);
	EXPECT(value);
	*value = 9;
	value = bpf_map_lookup_elem(&second, &one);
	EXPECT(value && *value == 9);
	EXPECT(!bpf_map_lookup_elem(&outer_array, &one));
	EXPECT(!bpf_map_lookup_elem(&outer_hash, &seven));
	return 0;
}

LICENSE("Dual MIT/GPL");
