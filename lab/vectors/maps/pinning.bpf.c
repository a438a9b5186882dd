// SPDX-License-Identifier: MIT OR Apache-2.0
/* Maps that are pinned by name when loaded, and found there by the next object. */
#include "../vector.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} vector_pinned SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_NONE);
} not_pinned SEC(".maps");

SEC("xdp")
int count_runs(struct xdp_md *ctx __unused)
{
	__u32 zero = 0;
	__u64 *runs = bpf_map_lookup_elem(&vector_pinned, &zero);

	EXPECT(runs && bpf_map_lookup_elem(&not_pinned, &zero));
	__sync_fetch_and_add(runs, 1);
	return 0;
}

LICENSE("Dual MIT/GPL");
