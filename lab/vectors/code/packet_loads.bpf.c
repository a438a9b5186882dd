// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Legacy packet loads (RFC 9669 section 5.2 leaves them to the platform): by
 * offset and by register, in network byte order; a load past the end ends the
 * program with 0. See packet.hex for what is read.
 */
#include "../vector.h"

unsigned long long load_byte(void *skb, unsigned long long offset) __asm__("llvm.bpf.load.byte");
unsigned long long load_half(void *skb, unsigned long long offset) __asm__("llvm.bpf.load.half");
unsigned long long load_word(void *skb, unsigned long long offset) __asm__("llvm.bpf.load.word");

volatile __u32 place = 26;

/* A socket filter's offsets start behind the Ethernet header. */
SEC("socket")
int constant_offsets(struct __sk_buff *skb)
{
	EXPECT(load_byte(skb, 0) == 0x45);
	EXPECT(load_byte(skb, 9) == 17);
	EXPECT(load_half(skb, 22) == 53);
	EXPECT(load_word(skb, 12) == 0xc0000207);
	return 0;
}

SEC("socket")
int offsets_in_registers(struct __sk_buff *skb)
{
	__u32 start = place - 26;

	EXPECT(load_byte(skb, start + 9) == 17);
	EXPECT(load_half(skb, start + 20) == 0x1234);
	EXPECT(load_word(skb, start + 16) == 0xc6336409);
	return 0;
}

/* Ends at once with 0: the line after the load is never reached. */
SEC("socket")
int past_the_end(struct __sk_buff *skb)
{
	__u64 word = load_word(skb, 4000);

	barrier_var(word);
	return __LINE__;
}

LICENSE("Dual MIT/GPL");
