// SPDX-License-Identifier: MIT OR Apache-2.0
/* The ring buffer: reserve with submit and discard, output, every question of query, and a ring that is full. */
#include "../vector.h"

struct record {
	__u64 number;
	__u32 kind;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

/* Never read, so it fills up for good. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} small SEC(".maps");

SEC("xdp")
int reserve(struct xdp_md *ctx __unused)
{
	__u64 before = bpf_ringbuf_query(&ring, BPF_RB_PROD_POS);
	struct record *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);

	EXPECT(record);
	record->number = 1;
	record->kind = 2;
	record->pad = 0;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
	EXPECT(record);
	bpf_ringbuf_discard(record, 0);
	/* A header of eight bytes and the record, twice: a discarded record takes its room too. */
	EXPECT(bpf_ringbuf_query(&ring, BPF_RB_PROD_POS) == before + 48);
	return 0;
}

SEC("xdp")
int output(struct xdp_md *ctx __unused)
{
	__u64 before = bpf_ringbuf_query(&ring, BPF_RB_PROD_POS);
	char text[13] = "thirteen byte";

	EXPECT(bpf_ringbuf_output(&ring, text, sizeof(text), BPF_RB_FORCE_WAKEUP) == 0);
	EXPECT(bpf_ringbuf_query(&ring, BPF_RB_PROD_POS) == before + 24);
	EXPECT(bpf_ringbuf_output(&ring, text, sizeof(text), 4) == -22);
	return 0;
}

SEC("xdp")
int query(struct xdp_md *ctx __unused)
{
	__u64 produced = bpf_ringbuf_query(&ring, BPF_RB_PROD_POS);
	__u64 consumed = bpf_ringbuf_query(&ring, BPF_RB_CONS_POS);

	EXPECT(bpf_ringbuf_query(&ring, BPF_RB_RING_SIZE) == 4096);
	EXPECT(bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) == produced - consumed);
	EXPECT(bpf_ringbuf_query(&ring, 4) == 0);
	return 0;
}

SEC("xdp")
int full(struct xdp_md *ctx __unused)
{
	__u32 sent = 0;

	/* Records of 1016 bytes and a header of 8: three leave less than a fourth needs. */
	for (__u32 i = 0; i < 5; i++) {
		void *record = bpf_ringbuf_reserve(&small, 1016, 0);

		if (!record)
			break;
		bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
		sent++;
	}
	EXPECT(bpf_ringbuf_output(&small, &sent, sizeof(sent), 0) == 0 || sent <= 4);
	EXPECT(bpf_ringbuf_query(&small, BPF_RB_AVAIL_DATA) >= 3 * 1024);
	EXPECT(sent <= 4);
	return 0;
}

LICENSE("Dual MIT/GPL");
