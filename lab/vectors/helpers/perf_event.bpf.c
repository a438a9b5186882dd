// SPDX-License-Identifier: MIT OR Apache-2.0
/* Output to perf events: from the stack, and with a piece of the packet behind it. */
#include "../vector.h"

struct sample {
	__u32 number;
	__u32 length;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} events SEC(".maps");

/* 0 where the loader opened an event for this CPU, ENOENT where none is open. */
SEC("xdp")
int output(struct xdp_md *ctx)
{
	struct sample sample = { 1, ctx->data_end - ctx->data };
	long result = bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &sample, sizeof(sample));

	EXPECT(result == 0 || result == -2);
	return 0;
}

/* The upper half of the flags says how much of the packet to append; more than there is gives EFAULT. */
SEC("xdp")
int output_with_packet(struct xdp_md *ctx)
{
	__u64 length = ctx->data_end - ctx->data;
	struct sample sample = { 2, length };
	long result;

	result = bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU | 14ULL << 32, &sample, sizeof(sample));
	EXPECT(result == 0 || result == -2);
	result = bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU | (length + 1) << 32, &sample, sizeof(sample));
	EXPECT(result == -14);
	return 0;
}

LICENSE("Dual MIT/GPL");
