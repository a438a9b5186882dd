// SPDX-License-Identifier: MIT OR Apache-2.0
/* Two arenas, and no variable in either. */
#include "../vector.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
} first SEC(".maps"), second SEC(".maps");

SEC("xdp")
int pass(struct xdp_md *ctx __unused)
{
	return XDP_PASS;
}

LICENSE("Dual MIT/GPL");
