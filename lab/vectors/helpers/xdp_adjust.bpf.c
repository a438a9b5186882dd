// SPDX-License-Identifier: MIT OR Apache-2.0
/* Moving a packet's ends; every program puts back what it changed but for what it says. */
#include "../vector.h"

static __always_inline __u64 length(struct xdp_md *ctx)
{
	return ctx->data_end - ctx->data;
}

SEC("xdp")
int head(struct xdp_md *ctx)
{
	__u64 before = length(ctx);
	__u8 *data, *end;

	EXPECT(bpf_xdp_adjust_head(ctx, -16) == 0);
	EXPECT(length(ctx) == before + 16);
	data = CTX_POINTER(ctx->data);
	end = CTX_POINTER(ctx->data_end);
	EXPECT(data + 32 <= end);
	data[0] = 0xaa;
	EXPECT(data[16] == 0x02 && data[21] == 0x01);
	EXPECT(bpf_xdp_adjust_head(ctx, 16) == 0);
	EXPECT(length(ctx) == before);
	/* Less than an Ethernet header must not remain; more than the headroom is not there. */
	EXPECT(bpf_xdp_adjust_head(ctx, before - 13) == -22);
	EXPECT(bpf_xdp_adjust_head(ctx, -4096) == -22);
	EXPECT(length(ctx) == before);
	return 0;
}

SEC("xdp")
int tail(struct xdp_md *ctx)
{
	__u64 before = length(ctx);
	__u8 *data, *end;

	EXPECT(bpf_xdp_adjust_tail(ctx, -20) == 0);
	EXPECT(length(ctx) == before - 20);
	EXPECT(bpf_xdp_adjust_tail(ctx, 20) == 0);
	EXPECT(length(ctx) == before);
	data = CTX_POINTER(ctx->data);
	end = CTX_POINTER(ctx->data_end);
	EXPECT(data + 64 <= end);
	/* What grew back is zero. */
	EXPECT(data[43] != 0 && data[44] == 0 && data[63] == 0);
	EXPECT(bpf_xdp_adjust_tail(ctx, -(int)before + 13) == -22);
	EXPECT(bpf_xdp_adjust_tail(ctx, 4096) == -22);
	return 0;
}

SEC("xdp")
int metadata(struct xdp_md *ctx)
{
	__u32 *meta;
	void *data;

	EXPECT(ctx->data_meta == ctx->data);
	EXPECT(bpf_xdp_adjust_meta(ctx, -8) == 0);
	meta = CTX_POINTER(ctx->data_meta);
	data = CTX_POINTER(ctx->data);
	EXPECT((void *)(meta + 2) <= data);
	meta[0] = 1;
	meta[1] = 2;
	EXPECT(ctx->data - ctx->data_meta == 8);
	EXPECT(bpf_xdp_adjust_meta(ctx, 8) == 0);
	EXPECT(ctx->data_meta == ctx->data);
	/* Whole words only. */
	EXPECT(bpf_xdp_adjust_meta(ctx, -6) == -13);
	return 0;
}

LICENSE("Dual MIT/GPL");
