// SPDX-License-Identifier: MIT OR Apache-2.0
/* bpf_loop: to its end, to an early end, and its limit of 2^23 turns. */
#include "../vector.h"

struct state {
	__u64 sum;
	__u32 stop_at;
};

static long step(__u32 index, struct state *state)
{
	state->sum += index;
	return index == state->stop_at;
}

SEC("xdp")
int loop(struct xdp_md *ctx __unused)
{
	struct state state = { .stop_at = ~0U };

	EXPECT(bpf_loop(10, step, &state, 0) == 10);
	EXPECT(state.sum == 45);
	state.sum = 0;
	state.stop_at = 4;
	EXPECT(bpf_loop(10, step, &state, 0) == 5);
	EXPECT(state.sum == 10);
	EXPECT(bpf_loop(0, step, &state, 0) == 0);
	/* Linux inlines the helper and answers in the lower 32 bits only, so these are compared. */
	EXPECT((int)bpf_loop((1 << 23) + 1, step, &state, 0) == -7);
	EXPECT(bpf_loop(1, step, &state, 1) == -22);
	return 0;
}

LICENSE("Dual MIT/GPL");
