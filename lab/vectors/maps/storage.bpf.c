// SPDX-License-Identifier: MIT OR Apache-2.0
/* Storage that belongs to a socket; the loader may make it another owner's. */
#include "../vector.h"

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	/* BPF_F_NO_PREALLOC */
	__uint(map_flags, 1);
	__type(key, __s32);
	__type(value, __u64);
} storage SEC(".maps");

SEC("xdp")
int nothing(struct xdp_md *ctx __unused)
{
	return 0;
}

LICENSE("Dual MIT/GPL");
