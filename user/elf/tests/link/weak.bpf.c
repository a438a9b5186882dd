// Weak definitions of what library.bpf.c defines, and a program that uses them.
#include "common.h"

u32 WEAK limit = 7;
u32 weak_only = 11;

WEAK NOINLINE u32 add(struct list *list, u32 number)
{
	return list ? number - list->len : 5;
}

SEC("xdp/weak") int weak_entry(void *ctx)
{
	struct list list = { .len = 1 };

	return add(&list, weak_only) < limit;
}
