// SPDX-License-Identifier: MIT OR Apache-2.0
/* Maps whose size is not the object's to know, and programs whose section does not say what they are. */
#include "../vector.h"

/* As many as there are CPUs. */
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} cpus SEC(".maps");

BPF_HELPER(51, long, bpf_redirect_map, void *map, __u64 key, __u64 flags);

/* A power of two that is a multiple of the page. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 5000);
} ring SEC(".maps");

/* As many as the application says. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u64);
} chosen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
} unused SEC(".maps");

SEC("xdp")
int sized(struct xdp_md *ctx)
{
	__u32 zero = 0;

	EXPECT(bpf_perf_event_output(ctx, &events, 1 << 20, &zero, sizeof(zero)) != 0);
	EXPECT(bpf_ringbuf_query(&ring, BPF_RB_RING_SIZE) >= 8192);
	EXPECT(bpf_redirect_map(&cpus, 1 << 20, 0) == 0);
	return 0;
}

SEC("?xdp")
int by_choice(struct xdp_md *ctx __unused)
{
	__u32 zero = 0;

	EXPECT(!bpf_map_lookup_elem(&chosen, &zero));
	return 0;
}

SEC("beehive/straw")
int of_no_type(struct xdp_md *ctx __unused)
{
	return 0;
}

/* Loads without its map: no path leads there. */
SEC("?xdp")
int without_map(struct xdp_md *ctx __unused)
{
	static volatile const __u32 wanted;
	__u32 zero = 0;

	if (wanted)
		return bpf_map_lookup_elem(&chosen, &zero) != 0;
	return 0;
}

LICENSE("Dual MIT/GPL");
