// SPDX-License-Identifier: MIT OR Apache-2.0
/* Copying out of and into a socket buffer; growing and shrinking it. */
#include "../vector.h"

SEC("tc")
int bytes(struct __sk_buff *skb)
{
	__u8 start[6] = {}, saved[6] = {}, one = 0;
	__u32 length = skb->len;

	EXPECT(length == 64);
	EXPECT(bpf_skb_load_bytes(skb, 0, start, sizeof(start)) == 0);
	EXPECT(start[0] == 0x02 && start[5] == 0x01);
	EXPECT(bpf_skb_load_bytes(skb, length - 1, &one, 1) == 0);
	EXPECT(one == '.');
	EXPECT(bpf_skb_load_bytes(skb, length, &one, 1) == -14);
	/* What a failed load was to fill is cleared. */
	EXPECT(one == 0);
	EXPECT(bpf_skb_load_bytes(skb, 6, saved, sizeof(saved)) == 0);
	EXPECT(bpf_skb_store_bytes(skb, 6, start, sizeof(start), 0) == 0);
	EXPECT(bpf_skb_load_bytes(skb, 11, &one, 1) == 0 && one == 0x01);
	EXPECT(bpf_skb_store_bytes(skb, 6, saved, sizeof(saved), BPF_F_INVALIDATE_HASH) == 0);
	EXPECT(bpf_skb_store_bytes(skb, length, start, 1, 0) == -14);
	EXPECT(bpf_skb_store_bytes(skb, 0, start, 1, 0x100) == -22);
	return 0;
}

/* Relative to the network header: 1. */
SEC("tc")
int relative(struct __sk_buff *skb)
{
	__u8 version = 0;

	EXPECT(bpf_skb_load_bytes_relative(skb, 0, &version, 1, 1) == 0);
	EXPECT(version == 0x45);
	EXPECT(bpf_skb_load_bytes_relative(skb, 12, &version, 1, 0) == 0);
	EXPECT(version == 0x08);
	return 0;
}

SEC("tc")
int direct_access(struct __sk_buff *skb)
{
	__u8 *data, *end;

	EXPECT(bpf_skb_pull_data(skb, skb->len) == 0);
	data = CTX_POINTER(skb->data);
	end = CTX_POINTER(skb->data_end);
	EXPECT(data + 64 <= end);
	EXPECT(data[12] == 0x08 && data[14] == 0x45);
	data[63] = '!';
	data[63] = '.';
	return 0;
}

/* Reads start behind the Ethernet header in a socket filter. */
SEC("socket")
int from_a_socket(struct __sk_buff *skb)
{
	__u8 version = 0;

	EXPECT(bpf_skb_load_bytes(skb, 0, &version, 1) == 0);
	EXPECT(version == 0x45);
	EXPECT(skb->len == 50);
	return 0;
}

LICENSE("Dual MIT/GPL");
