// SPDX-License-Identifier: MIT OR Apache-2.0
/* Checksums: differences over buffers, and replacing words of a packet's headers. See packet.hex. */
#include "../vector.h"
#include <skep/net.h>

#define IP_AT sizeof(struct ethhdr)
#define UDP_AT (IP_AT + sizeof(struct iphdr))

static __always_inline __u32 folded(__u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

SEC("tc")
int differences(struct __sk_buff *skb __unused)
{
	__be32 words[2] = { bpf_htonl(0x0001f203), bpf_htonl(0xf4f5f6f7) };
	__be32 other[2] = { bpf_htonl(0x0001f203), bpf_htonl(0xf4f50000) };
	__s64 sum = bpf_csum_diff(NULL, 0, words, sizeof(words), 0);

	/* RFC 1071 section 3: the sum of these words is ddf2. */
	EXPECT(folded(sum) == bpf_htons(0xddf2));
	EXPECT(folded(bpf_csum_diff(other, sizeof(other), words, sizeof(words), 0)) == bpf_htons(0xf6f7));
	EXPECT(folded(bpf_csum_diff(words, sizeof(words), words, sizeof(words), 7)) == 7);
	EXPECT(bpf_csum_diff(NULL, 0, NULL, 0, 5) == 5);
	return 0;
}

/* Changes the destination port and the source address and repairs both checksums; then all the way back. */
SEC("tc")
int replacements(struct __sk_buff *skb)
{
	__be16 port = bpf_htons(53), new_port = bpf_htons(5353), sum, start_sum;
	__be32 address = bpf_htonl(0xc0000207), new_address = bpf_htonl(0xcb007105);
	__u32 port_at = UDP_AT + offsetof(struct udphdr, dest), sum_at = UDP_AT + offsetof(struct udphdr, check);
	__u32 address_at = IP_AT + offsetof(struct iphdr, saddr), ip_sum_at = IP_AT + offsetof(struct iphdr, check);
	__be16 ip_sum;

	EXPECT(bpf_skb_load_bytes(skb, sum_at, &start_sum, 2) == 0);
	EXPECT(start_sum == bpf_htons(0x3be0));
	EXPECT(bpf_l4_csum_replace(skb, sum_at, port, new_port, 2) == 0);
	EXPECT(bpf_skb_load_bytes(skb, sum_at, &sum, 2) == 0);
	/* The port grew by 0x14b4, so the complement fell by it. */
	EXPECT(sum == bpf_htons(0x3be0 - 0x14b4));
	EXPECT(bpf_skb_store_bytes(skb, port_at, &new_port, 2, 0) == 0);

	EXPECT(bpf_l4_csum_replace(skb, sum_at, address, new_address, 4 | BPF_F_PSEUDO_HDR) == 0);
	EXPECT(bpf_l3_csum_replace(skb, ip_sum_at, address, new_address, 4) == 0);
	EXPECT(bpf_skb_load_bytes(skb, ip_sum_at, &ip_sum, 2) == 0);
	/* c000 + 0207 became cb00 + 7105: more by 79fe, so less by it, end around. */
	EXPECT(ip_sum == bpf_htons((0x4e00 - 0x79fe - 1) & 0xffff));
	EXPECT(bpf_skb_store_bytes(skb, address_at, &new_address, 4, 0) == 0);

	/* By a difference computed before: size 0. */
	EXPECT(bpf_l3_csum_replace(skb, ip_sum_at, 0, bpf_csum_diff(&new_address, 4, &address, 4, 0), 0) == 0);
	EXPECT(bpf_l4_csum_replace(skb, sum_at, new_address, address, 4 | BPF_F_PSEUDO_HDR) == 0);
	EXPECT(bpf_l4_csum_replace(skb, sum_at, new_port, port, 2) == 0);
	EXPECT(bpf_skb_store_bytes(skb, address_at, &address, 4, 0) == 0);
	EXPECT(bpf_skb_store_bytes(skb, port_at, &port, 2, 0) == 0);
	EXPECT(bpf_skb_load_bytes(skb, sum_at, &sum, 2) == 0);
	EXPECT(sum == start_sum);
	EXPECT(bpf_skb_load_bytes(skb, ip_sum_at, &ip_sum, 2) == 0);
	EXPECT(ip_sum == bpf_htons(0x4e00));
	return 0;
}

SEC("tc")
int mistakes(struct __sk_buff *skb)
{
	EXPECT(bpf_l3_csum_replace(skb, 24, 0, 0, 3) == -22);
	EXPECT(bpf_l3_csum_replace(skb, 25, 0, 0, 2) == -14);
	EXPECT(bpf_l3_csum_replace(skb, 0x10000, 0, 0, 2) == -14);
	EXPECT(bpf_l4_csum_replace(skb, 40, 0, 0, 3) == -22);
	EXPECT(bpf_l4_csum_replace(skb, 40, 0, 0, 2 | 0x8000) == -22);
	return 0;
}

LICENSE("Dual MIT/GPL");
