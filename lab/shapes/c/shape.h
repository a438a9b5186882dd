/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What every shape includes. A shape is one body in two forms: a program of
 * XDP, for kernels, and with -DMACHINE one of a machine without a kernel, whose
 * r1 is the packet and whose r2 is its length.
 *
 * What a body returns says that it did its work, and is always the same, so
 * that it may run again at once; nothing that it stores changes it.
 */
#ifndef SHAPE_H
#define SHAPE_H

#include <skep/bpf.h>
#include <skep/endian.h>
#include <skep/net.h>

#ifdef MACHINE
#define SHAPE_ENTRY(name)                                                             \
	SEC("socket") __u64 name(const void *data, __u64 len)                         \
	{                                                                             \
		return name##_on((void *)data, data, (const __u8 *)data + len);       \
	}
#else
#define SHAPE_ENTRY(name)                                                             \
	SEC("xdp") int name(struct xdp_md *xdp)                                       \
	{                                                                             \
		return name##_on(xdp, CTX_POINTER(xdp->data), CTX_POINTER(xdp->data_end)); \
	}
#endif

/* Begins a program: `context` is for helpers that want one, the packet lies from `data` to before `end`. */
#define SHAPE(name)                                                                   \
	static __always_inline __u32 name##_on(void *context, const void *data, const void *end); \
	SHAPE_ENTRY(name)                                                             \
	static __always_inline __u32 name##_on(void *context __unused, const void *data, const void *end)

/* Who talks to whom. */
struct flow {
	__be32 source, target;
	__be16 source_port, target_port;
	__u32 protocol;
};

/* What is kept about somebody. */
struct tally {
	__u64 packets;
	__u64 bytes;
	__u32 mark;
	__u32 unused;
};

/* Reads the flow of a packet of IPv4 without options; false where it is none. */
static __always_inline bool read_flow(struct flow *flow, const void *data, const void *end)
{
	const struct ethhdr *eth = data;
	const struct iphdr *ip = (const void *)(eth + 1);
	const struct udphdr *ports = (const void *)(ip + 1);

	if ((const void *)(ports + 1) > end)
		return false;
	if (eth->h_proto != bpf_htons(0x0800) || ip->version_ihl != 0x45)
		return false;
	flow->source = ip->saddr;
	flow->target = ip->daddr;
	flow->source_port = ports->source;
	flow->target_port = ports->dest;
	flow->protocol = ip->protocol;
	return true;
}

static __always_inline __u64 length(const void *data, const void *end)
{
	return (__u64)(end - data);
}

LICENSE("Dual MIT/GPL");

#endif
