// SPDX-License-Identifier: MIT OR Apache-2.0
/* Arguments of global functions that are the context by a tag, whatever their type says. */
#include "../vector.h"

#define __arg_ctx __attribute__((btf_decl_tag("arg:ctx")))

/* As much of it as a program has to know that only passes it on. */
struct pt_regs {
	__u64 registers[21];
};

/* Called by programs of two types, each of which has a context of its own. */
__weak int shared(void *ctx __arg_ctx, int seen)
{
	return ctx ? seen : __LINE__;
}

/* Two contexts, and between them what is none. */
__weak int twice(void *first __arg_ctx, int *between, const void *second __arg_ctx)
{
	return between && *between + (first != second);
}

/* It has the type already. */
__weak int typed(struct __sk_buff *skb __arg_ctx)
{
	return skb->len == 0;
}

/* Only the tag tells a kernel that these may be read through. */
__weak int arguments(__u64 *args __arg_ctx)
{
	return args[0] != args[1];
}

__weak int registers(struct pt_regs *regs __arg_ctx)
{
	return bpf_get_func_ip(regs) != 0;
}

SEC("tc")
int packet(struct __sk_buff *skb)
{
	int zero = 0;

	EXPECT_ZERO(shared(skb, 0));
	EXPECT_ZERO(twice(skb, &zero, skb));
	EXPECT_ZERO(typed(skb));
	return 0;
}

SEC("raw_tp/sys_enter")
int raw(struct bpf_raw_tracepoint_args *ctx)
{
	EXPECT_ZERO(shared(ctx, 0));
	EXPECT_ZERO(arguments((__u64 *)ctx));
	return 0;
}

SEC("?kprobe/skep_nowhere")
int probe(struct pt_regs *ctx)
{
	return registers(ctx);
}

LICENSE("Dual MIT/GPL");
