// SPDX-License-Identifier: MIT OR Apache-2.0
/* Copying out of and into an XDP packet, without pointers. */
#include "../vector.h"

SEC("xdp")
int bytes(struct xdp_md *ctx)
{
	__u8 start[6] = {}, end[2] = {}, saved[6];
	__u64 length = bpf_xdp_get_buff_len(ctx);

	EXPECT(length == ctx->data_end - ctx->data);
	EXPECT(bpf_xdp_load_bytes(ctx, 0, start, sizeof(start)) == 0);
	EXPECT(start[0] == 0x02 && start[5] == 0x01);
	EXPECT(bpf_xdp_load_bytes(ctx, length - 2, end, sizeof(end)) == 0);
	EXPECT(end[0] == '.' && end[1] == '.');
	EXPECT(bpf_xdp_load_bytes(ctx, length - 1, end, sizeof(end)) == -22);
	EXPECT(bpf_xdp_load_bytes(ctx, 0x10000, end, sizeof(end)) == -14);
	EXPECT(bpf_xdp_load_bytes(ctx, 6, saved, sizeof(saved)) == 0);
	EXPECT(bpf_xdp_store_bytes(ctx, 6, start, sizeof(start)) == 0);
	EXPECT(bpf_xdp_load_bytes(ctx, 11, end, 1) == 0);
	EXPECT(end[0] == 0x01);
	EXPECT(bpf_xdp_store_bytes(ctx, 6, saved, sizeof(saved)) == 0);
	EXPECT(bpf_xdp_store_bytes(ctx, length, start, 1) == -22);
	return 0;
}

LICENSE("Dual MIT/GPL");
