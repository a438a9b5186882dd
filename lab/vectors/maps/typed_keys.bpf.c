// SPDX-License-Identifier: MIT OR Apache-2.0
/* A table of programs with a typed key, which kernels refuse to be told about: the loader leaves the type out. */
#include "../vector.h"

int second(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
	__array(values, int(struct xdp_md *));
} programs SEC(".maps") = {
	.values = { [1] = &second },
};

SEC("xdp")
int first(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &programs, 1);
	return __LINE__;
}

SEC("xdp")
int second(struct xdp_md *ctx __unused)
{
	return 0;
}

LICENSE("Dual MIT/GPL");
