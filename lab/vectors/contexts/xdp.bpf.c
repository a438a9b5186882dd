// SPDX-License-Identifier: MIT OR Apache-2.0
/* Every field of xdp_md that any XDP program may read. */
#include "../vector.h"

__u32 ifindex;
__u32 queue;

SEC("xdp")
int context(struct xdp_md *ctx)
{
	__u8 *data = CTX_POINTER(ctx->data), *end = CTX_POINTER(ctx->data_end), *meta = CTX_POINTER(ctx->data_meta);

	WRITE_ONCE(ifindex, ctx->ingress_ifindex);
	WRITE_ONCE(queue, ctx->rx_queue_index);
	EXPECT(end - data == 64);
	EXPECT(meta == data);
	EXPECT(data + 64 <= end);
	EXPECT(data[12] == 0x08 && data[13] == 0x00);
	/* One byte more is not there. */
	EXPECT(data + 65 > end);
	return 0;
}

LICENSE("Dual MIT/GPL");
