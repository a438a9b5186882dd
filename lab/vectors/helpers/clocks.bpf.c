// SPDX-License-Identifier: MIT OR Apache-2.0
/* Clocks that do not go backwards, randomness that is not constant, processors. */
#include "../vector.h"

SEC("xdp")
int clocks(struct xdp_md *ctx __unused)
{
	__u64 first = bpf_ktime_get_ns(), coarse, boot, jiffies;

	EXPECT(first > 0);
	EXPECT(bpf_ktime_get_ns() >= first);
	boot = bpf_ktime_get_boot_ns();
	/* Time asleep counts here only. */
	EXPECT(boot >= first);
	coarse = bpf_ktime_get_coarse_ns();
	EXPECT(coarse > 0 && coarse <= bpf_ktime_get_ns());
	jiffies = bpf_jiffies64();
	EXPECT(bpf_jiffies64() >= jiffies);
	return 0;
}

SEC("xdp")
int randomness(struct xdp_md *ctx __unused)
{
	__u32 first = bpf_get_prandom_u32(), same = 0;

	for (int i = 0; i < 8; i++)
		same += bpf_get_prandom_u32() == first;
	EXPECT(same < 8);
	return 0;
}

SEC("xdp")
int processors(struct xdp_md *ctx __unused)
{
	EXPECT(bpf_get_smp_processor_id() < 8192);
	EXPECT(bpf_get_smp_processor_id() == bpf_get_smp_processor_id());
	EXPECT(bpf_get_numa_node_id() >= 0);
	return 0;
}

LICENSE("Dual MIT/GPL");
