// SPDX-License-Identifier: MIT OR Apache-2.0
/* Flags and the memory node: attributes of a definition besides kind, sizes and entries. */
#include "../vector.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} grows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(map_flags, BPF_F_RDONLY_PROG);
} programs_read SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(map_flags, BPF_F_WRONLY_PROG);
} programs_write SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
	__uint(map_flags, BPF_F_MMAPABLE);
} mapped SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
	__uint(map_flags, BPF_F_NO_COMMON_LRU);
} percpu_lists SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
	__uint(map_flags, BPF_F_NUMA_NODE);
	__uint(numa_node, 0);
} on_a_node SEC(".maps");

SEC("xdp")
int flags(struct xdp_md *ctx __unused)
{
	__u32 zero = 0, number = 42;
	__u64 value = 1, *found;

	EXPECT(bpf_map_update_elem(&grows, &number, &value, BPF_ANY) == 0);
	found = bpf_map_lookup_elem(&grows, &number);
	EXPECT(found && *found == 1);
	EXPECT(bpf_map_delete_elem(&grows, &number) == 0);
	found = bpf_map_lookup_elem(&programs_read, &zero);
	EXPECT(found && *found == 0);
	EXPECT(bpf_map_update_elem(&programs_write, &zero, &value, BPF_ANY) == 0);
	EXPECT(bpf_map_update_elem(&mapped, &zero, &value, BPF_ANY) == 0);
	EXPECT(bpf_map_update_elem(&percpu_lists, &number, &value, BPF_ANY) == 0);
	EXPECT(bpf_map_update_elem(&on_a_node, &number, &value, BPF_ANY) == 0);
	return 0;
}

LICENSE("Dual MIT/GPL");
