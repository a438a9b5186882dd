// SPDX-License-Identifier: MIT OR Apache-2.0
/* Loads and stores of every width, signed and unsigned, on the stack, in a map and in the packet. */
#include "../vector.h"

struct record {
	__u8 byte;
	__s8 signed_byte;
	__u16 half;
	__s16 signed_half;
	__u32 word;
	__s32 signed_word;
	__u64 whole;
	__s64 signed_whole;
};

volatile struct record record = {
	.byte = 0x81,
	.signed_byte = -2,
	.half = 0x8182,
	.signed_half = -3,
	.word = 0x81828384,
	.signed_word = -4,
	.whole = 0x8182838485868788ULL,
	.signed_whole = -5,
};

SEC("xdp")
int global(struct xdp_md *ctx __unused)
{
	EXPECT((__u64)record.byte == 0x81);
	EXPECT((__s64)record.signed_byte == -2);
	EXPECT((__u64)record.half == 0x8182);
	EXPECT((__s64)record.signed_half == -3);
	EXPECT((__u64)record.word == 0x81828384);
	EXPECT((__s64)record.signed_word == -4);
	EXPECT(record.whole == 0x8182838485868788ULL);
	EXPECT(record.signed_whole == -5);
	return 0;
}

SEC("xdp")
int stack(struct xdp_md *ctx __unused)
{
	volatile __u8 bytes[16] = {};
	volatile __u64 *whole = (volatile __u64 *)bytes;

	*(volatile __u64 *)(bytes + 8) = 0x1122334455667788ULL;
	whole[0] = record.whole;
	*(volatile __u32 *)(bytes + 4) = record.word;
	*(volatile __u16 *)(bytes + 2) = record.half;
	bytes[1] = record.byte;
	/* Constants, of every width: v4 has an instruction for each. */
	*(volatile __u16 *)(bytes + 8) = 0x1234;
	bytes[10] = 0x56;
	*(volatile __u32 *)(bytes + 12) = 0x789abcde;
	EXPECT(bytes[1] == 0x81);
	EXPECT(*(volatile __u16 *)(bytes + 2) == 0x8182);
	EXPECT(*(volatile __u32 *)(bytes + 4) == 0x81828384);
	EXPECT(*(volatile __u16 *)(bytes + 8) == 0x1234);
	EXPECT(bytes[10] == 0x56);
	EXPECT(*(volatile __u32 *)(bytes + 12) == 0x789abcde);
	return 0;
}

/* Reads back what it wrote into the packet, through pointers of every width. */
SEC("xdp")
int packet(struct xdp_md *ctx)
{
	__u8 *data = CTX_POINTER(ctx->data), *end = CTX_POINTER(ctx->data_end);
	__u64 saved;

	EXPECT(data + 16 <= end);
	saved = *(volatile __u64 *)(data + 2);
	*(volatile __u64 *)(data + 2) = 0;
	*(volatile __u8 *)(data + 2) = record.byte;
	*(volatile __u16 *)(data + 3) = record.half;
	*(volatile __u32 *)(data + 5) = record.word;
	EXPECT(*(volatile __u8 *)(data + 2) == 0x81);
	EXPECT(*(volatile __u16 *)(data + 3) == 0x8182);
	EXPECT(*(volatile __u32 *)(data + 5) == 0x81828384);
	EXPECT(*(volatile __u8 *)(data + 9) == 0);
	*(volatile __u64 *)(data + 2) = saved;
	return 0;
}

LICENSE("Dual MIT/GPL");
