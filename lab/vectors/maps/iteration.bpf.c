// SPDX-License-Identifier: MIT OR Apache-2.0
/* bpf_for_each_map_elem over arrays and hashes, with an early end; bpf_map_lookup_percpu_elem. */
#include "../vector.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 5);
	__type(key, __u32);
	__type(value, __u64);
} numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} each_cpu SEC(".maps");

struct sum {
	__u64 keys;
	__u64 values;
	__u64 calls;
};

volatile __u64 stop_after;

static long add(void *map __unused, __u32 *key, __u64 *value, struct sum *sum)
{
	sum->keys += *key;
	sum->values += *value;
	sum->calls++;
	return 0;
}

/* Counts in a global: a verifier would follow a count on the stack through every number of turns. */
static long count_down(void *map __unused, __u32 *key __unused, __u64 *value __unused, void *context __unused)
{
	__u64 left = stop_after - 1;

	stop_after = left;
	return left == 0;
}

SEC("xdp")
int arrays(struct xdp_md *ctx __unused)
{
	struct sum sum = {};

	for (__u32 i = 0; i < 5; i++) {
		__u64 square = i * i;
		__u32 key = i;

		EXPECT(bpf_map_update_elem(&numbers, &key, &square, BPF_ANY) == 0);
	}
	EXPECT(bpf_for_each_map_elem(&numbers, add, &sum, 0) == 5);
	EXPECT(sum.keys == 10 && sum.values == 30);
	stop_after = 3;
	EXPECT(bpf_for_each_map_elem(&numbers, count_down, NULL, 0) == 3);
	/* Before Linux 6.4 mistakes were answered in the lower 32 bits only. */
	EXPECT((int)bpf_for_each_map_elem(&numbers, add, &sum, 1) == -22);
	return 0;
}

SEC("xdp")
int hashes(struct xdp_md *ctx __unused)
{
	struct sum sum = {};

	for (__u32 i = 1; i <= 4; i++) {
		__u64 value = 10 * i;
		__u32 key = i;

		EXPECT(bpf_map_update_elem(&table, &key, &value, BPF_ANY) == 0);
	}
	EXPECT(bpf_for_each_map_elem(&table, add, &sum, 0) == 4);
	EXPECT(sum.keys == 10 && sum.values == 100);
	return 0;
}

SEC("xdp")
int one_cpu(struct xdp_md *ctx __unused)
{
	__u32 zero = 0, cpu = bpf_get_smp_processor_id();
	__u64 *mine = bpf_map_lookup_elem(&each_cpu, &zero);
	__u64 *same;

	EXPECT(mine);
	*mine = 77;
	same = bpf_map_lookup_percpu_elem(&each_cpu, &zero, cpu);
	EXPECT(same && *same == 77);
	EXPECT(!bpf_map_lookup_percpu_elem(&each_cpu, &zero, 1 << 20));
	return 0;
}

LICENSE("Dual MIT/GPL");
