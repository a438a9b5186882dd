// SPDX-License-Identifier: MIT OR Apache-2.0
/* A parser: every header is looked at only behind a check that the packet has it; no maps. */
#include "shape.h"

SHAPE(bounds)
{
	const __u8 *at = data;
	const struct ethhdr *eth = data;
	const struct iphdr *ip;
	const struct tcphdr *tcp;
	__be16 kind;
	__u32 words;

	if ((const void *)(eth + 1) > end)
		return 0;
	kind = eth->h_proto;
	at += sizeof(*eth);
	for (int tags = 0; tags < 2; tags++) {
		const struct vlan_hdr *tag = (const void *)at;

		if (kind != bpf_htons(0x8100) && kind != bpf_htons(0x88a8))
			break;
		if ((const void *)(tag + 1) > end)
			return 0;
		kind = tag->encapsulated_proto;
		at += sizeof(*tag);
	}
	if (kind != bpf_htons(0x0800))
		return 0;
	ip = (const void *)at;
	if ((const void *)(ip + 1) > end || ip->version_ihl >> 4 != 4 || ip->protocol != 6)
		return 0;
	if (ip->frag_off & bpf_htons(IP_OFFSET))
		return 0;
	words = ip->version_ihl & 15;
	if (words < 5)
		return 0;
	at += words * 4;
	tcp = (const void *)at;
	if ((const void *)(tcp + 1) > end)
		return 0;
	return bpf_ntohs(tcp->dest) << 8 | tcp->flags;
}
