// SPDX-License-Identifier: MIT OR Apache-2.0
/* The fields of __sk_buff that each kind of program may read, and those that it may write. */
#include "../vector.h"
#include <skep/net.h>

SEC("tc")
int fields(struct __sk_buff *skb)
{
	__u8 *data = CTX_POINTER(skb->data), *end = CTX_POINTER(skb->data_end);
	volatile __u64 sum = 0;

	EXPECT(skb->len == 64);
	EXPECT(end - data == 64);
	EXPECT(skb->protocol == bpf_htons(ETH_P_IP));
	EXPECT(!skb->vlan_present);
	sum += skb->pkt_type + skb->queue_mapping + skb->vlan_tci + skb->vlan_proto + skb->ingress_ifindex;
	sum += skb->ifindex + skb->tc_index + skb->hash + skb->tc_classid + skb->napi_id;
	skb->mark = 5;
	skb->priority = 6;
	skb->tc_index = 7;
	for (int i = 0; i < 5; i++)
		skb->cb[i] = i + 10;
	EXPECT(skb->mark == 5 && skb->priority == 6 && skb->tc_index == 7);
	EXPECT(skb->cb[0] == 10 && skb->cb[4] == 14);
	skb->mark = 0;
	skb->priority = 0;
	skb->tc_index = 0;
	for (int i = 0; i < 5; i++)
		skb->cb[i] = 0;
	/* Parts of a field: its lower half, and its first byte. */
	EXPECT(*(volatile __u16 *)&skb->len == (__u16)skb->len);
	return 0;
}

/* The older spelling of the section. */
SEC("classifier")
int older_name(struct __sk_buff *skb)
{
	return skb->len == 64 ? TC_ACT_OK : __LINE__;
}

SEC("socket")
int socket_filter(struct __sk_buff *skb)
{
	EXPECT(skb->len == 50);
	EXPECT(skb->protocol == bpf_htons(ETH_P_IP));
	for (int i = 0; i < 5; i++)
		skb->cb[i] = i;
	EXPECT(skb->cb[3] == 3);
	return 0;
}

LICENSE("Dual MIT/GPL");
