// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Every kind of map that packet filters and tracers use, defined through BTF
 * and used once. Before Linux 6.4 operations on maps answered mistakes in the
 * lower 32 bits only, hence the conversions to int.
 */
#include "../vector.h"

struct key {
	__u32 first;
	__u16 second;
	__u16 third;
};

struct value {
	__u64 count;
	__u32 parts[3];
};

#define MAP(name, kind, entries, key_type, value_type) \
	struct {                                       \
		__uint(type, BPF_MAP_TYPE_##kind);     \
		__uint(max_entries, entries);          \
		__type(key, key_type);                 \
		__type(value, value_type);             \
	} name SEC(".maps")

MAP(array, ARRAY, 4, __u32, struct value);
MAP(percpu_array, PERCPU_ARRAY, 4, __u32, struct value);
MAP(hash, HASH, 8, struct key, struct value);
MAP(percpu_hash, PERCPU_HASH, 8, struct key, struct value);
MAP(lru_hash, LRU_HASH, 64, struct key, struct value);
MAP(lru_percpu_hash, LRU_PERCPU_HASH, 64, struct key, struct value);

/* Queues and stacks have no key. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 4);
	__type(value, __u64);
} queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 4);
	__type(value, __u64);
} stack SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

/* Sizes instead of types, and no number of entries: a slot for each CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} perf_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} programs SEC(".maps");

static __always_inline int use_array(void *map)
{
	__u32 index = 3, beyond = 4;
	struct value *value = bpf_map_lookup_elem(map, &index);

	EXPECT(value);
	value->count = 7;
	value->parts[2] = 8;
	value = bpf_map_lookup_elem(map, &index);
	EXPECT(value && value->count == 7 && value->parts[2] == 8);
	EXPECT(!bpf_map_lookup_elem(map, &beyond));
	EXPECT((int)bpf_map_delete_elem(map, &index) == -22);
	return 0;
}

static __always_inline int use_hash(void *map)
{
	struct key key = { 1, 2, 3 }, other = { 1, 2, 4 };
	struct value value = { .count = 5, .parts = { 1, 2, 3 } };
	struct value *found;

	bpf_map_delete_elem(map, &key);
	EXPECT(!bpf_map_lookup_elem(map, &key));
	EXPECT((int)bpf_map_update_elem(map, &key, &value, BPF_EXIST) == -2);
	EXPECT(bpf_map_update_elem(map, &key, &value, BPF_NOEXIST) == 0);
	EXPECT((int)bpf_map_update_elem(map, &key, &value, BPF_NOEXIST) == -17);
	EXPECT(bpf_map_update_elem(map, &key, &value, BPF_ANY) == 0);
	found = bpf_map_lookup_elem(map, &key);
	EXPECT(found && found->count == 5 && found->parts[1] == 2);
	EXPECT(!bpf_map_lookup_elem(map, &other));
	EXPECT((int)bpf_map_delete_elem(map, &other) == -2);
	EXPECT(bpf_map_delete_elem(map, &key) == 0);
	EXPECT(!bpf_map_lookup_elem(map, &key));
	return 0;
}

SEC("xdp")
int arrays(struct xdp_md *ctx __unused)
{
	EXPECT_ZERO(use_array(&array));
	EXPECT_ZERO(use_array(&percpu_array));
	return 0;
}

SEC("xdp")
int hashes(struct xdp_md *ctx __unused)
{
	EXPECT_ZERO(use_hash(&hash));
	EXPECT_ZERO(use_hash(&percpu_hash));
	return 0;
}

SEC("xdp")
int lru_hashes(struct xdp_md *ctx __unused)
{
	EXPECT_ZERO(use_hash(&lru_hash));
	EXPECT_ZERO(use_hash(&lru_percpu_hash));
	return 0;
}

/* A hash of eight takes eight: the ninth is refused with E2BIG. */
SEC("xdp")
int full_hash(struct xdp_md *ctx __unused)
{
	struct value value = {};
	long result = 0;

	for (__u32 i = 0; i < 9; i++) {
		struct key key = { 100 + i, 0, 0 };

		result = bpf_map_update_elem(&hash, &key, &value, BPF_NOEXIST);
		if (i < 8)
			EXPECT(result == 0);
	}
	EXPECT((int)result == -7);
	for (__u32 i = 0; i < 8; i++) {
		struct key key = { 100 + i, 0, 0 };

		EXPECT(bpf_map_delete_elem(&hash, &key) == 0);
	}
	return 0;
}

SEC("xdp")
int queue_and_stack(struct xdp_md *ctx __unused)
{
	__u64 value = 0;

	for (__u64 i = 1; i <= 4; i++) {
		value = i;
		EXPECT(bpf_map_push_elem(&queue, &value, BPF_ANY) == 0);
		EXPECT(bpf_map_push_elem(&stack, &value, BPF_ANY) == 0);
	}
	value = 5;
	EXPECT((int)bpf_map_push_elem(&queue, &value, BPF_ANY) == -7);
	/* BPF_EXIST makes room by forgetting the oldest. */
	EXPECT(bpf_map_push_elem(&stack, &value, BPF_EXIST) == 0);
	EXPECT(bpf_map_peek_elem(&queue, &value) == 0 && value == 1);
	EXPECT(bpf_map_peek_elem(&stack, &value) == 0 && value == 5);
	for (__u64 i = 1; i <= 4; i++)
		EXPECT(bpf_map_pop_elem(&queue, &value) == 0 && value == i);
	EXPECT((int)bpf_map_pop_elem(&queue, &value) == -2);
	for (__u64 i = 5; i >= 2; i--)
		EXPECT(bpf_map_pop_elem(&stack, &value) == 0 && value == i);
	EXPECT((int)bpf_map_pop_elem(&stack, &value) == -2);
	return 0;
}

SEC("xdp")
int empty_slots(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &programs, 3);
	bpf_tail_call(ctx, &programs, 4);
	EXPECT(bpf_ringbuf_query(&ring, BPF_RB_RING_SIZE) == 4096);
	return 0;
}

/* Nobody opened an event: ENOENT. An index beyond the array: E2BIG. */
SEC("xdp")
int no_perf_event(struct xdp_md *ctx)
{
	__u32 data = 1;

	EXPECT(bpf_perf_event_output(ctx, &perf_events, BPF_F_CURRENT_CPU, &data, sizeof(data)) == -2);
	EXPECT(bpf_perf_event_output(ctx, &perf_events, 0xfffffffe, &data, sizeof(data)) == -7);
	return 0;
}

LICENSE("Dual MIT/GPL");
