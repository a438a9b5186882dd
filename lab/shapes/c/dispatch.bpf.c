// SPDX-License-Identifier: MIT OR Apache-2.0
/* A dispatcher: the first program goes on with the one for the packet's protocol, by a tail call. */
#include "shape.h"

/* Where the programs are, in the table of programs and in this file. */
enum stage { STAGE_FIRST, STAGE_TCP, STAGE_UDP };

#ifdef MACHINE
/* The machine's programs are its table. */
#define GO_ON(context, stage) bpf_tail_call(context, NULL, stage)
#else
int tcp(struct xdp_md *xdp);
int udp(struct xdp_md *xdp);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, sizeof(__u32));
	__array(values, int(struct xdp_md *));
} stages SEC(".maps") = {
	.values = {
		[STAGE_TCP] = &tcp,
		[STAGE_UDP] = &udp,
	},
};
#define GO_ON(context, stage) bpf_tail_call(context, &stages, stage)
#endif

SHAPE(dispatch)
{
	struct flow flow = {};

	if (!read_flow(&flow, data, end))
		return 0;
	GO_ON(context, flow.protocol == 6 ? STAGE_TCP : STAGE_UDP);
	return 1;
}

SHAPE(tcp)
{
	const struct tcphdr *header = data + sizeof(struct ethhdr) + sizeof(struct iphdr);

	if ((const void *)(header + 1) > end)
		return 0;
	return 0x600 | header->flags;
}

SHAPE(udp)
{
	const struct udphdr *header = data + sizeof(struct ethhdr) + sizeof(struct iphdr);

	if ((const void *)(header + 1) > end)
		return 0;
	return 0x1100;
}
