// SPDX-License-Identifier: MIT OR Apache-2.0
/* Structs of functions that the kernel calls: a congestion control, twice, and what it may do without. */
#include "../vector.h"

struct sock;

/* In an order of its own, with some of the kernel's members, and some that no kernel has. */
struct tcp_congestion_ops___vector {
	char name[16];
	void (*waggle)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
	__u32 nectar;
	__u32 (*ssthresh)(struct sock *sk);
	__u32 (*undo_cwnd)(struct sock *sk);
	__u32 flags;
};

SEC("struct_ops/ssthresh")
__u32 slow_start(__u64 *arguments __unused)
{
	return 2;
}

SEC("struct_ops")
__u32 undo(__u64 *arguments __unused)
{
	return 10;
}

SEC("struct_ops/cong_avoid")
int avoid(__u64 *arguments __unused)
{
	return 0;
}

SEC("?struct_ops/ssthresh")
__u32 slower_start(__u64 *arguments __unused)
{
	return 1;
}

/* Nothing in a kernel would call it. */
SEC("struct_ops/waggle")
int dance(__u64 *arguments __unused)
{
	return 0;
}

SEC(".struct_ops")
struct tcp_congestion_ops___vector straw = {
	.name = "skep_straw",
	.waggle = (void *)dance,
	.cong_avoid = (void *)avoid,
	.ssthresh = (void *)slow_start,
	.undo_cwnd = (void *)undo,
};

SEC(".struct_ops.link")
struct tcp_congestion_ops___vector linked = {
	.name = "skep_linked",
	.cong_avoid = (void *)avoid,
	.ssthresh = (void *)slow_start,
	.undo_cwnd = (void *)undo,
};

SEC("?.struct_ops.link")
struct tcp_congestion_ops___vector optional = {
	.name = "skep_optional",
	.cong_avoid = (void *)avoid,
	.ssthresh = (void *)slower_start,
	.undo_cwnd = (void *)undo,
};

LICENSE("Dual MIT/GPL");
