// What main.bpf.c needs.
#include "common.h"

struct item {
	struct list list;
	u64 value;
};

u32 limit = 100;
#ifndef SECOND
u32 library_calls;
struct item last;
struct counts counts SEC(".maps");
#endif

static const volatile u8 table[] = { 3, 1, 4, 1, 5, 9, 2, 6 };

// Of the same name as one of main.bpf.c.
static NOINLINE u32 twice(u32 number)
{
	return 2 * number + table[number & 7];
}

HIDDEN NOINLINE u32 scale(u32 number)
{
	return twice(number) + twice(number + 1) + (LINUX_KERNEL_VERSION > 5);
}

NOINLINE u32 add(struct list *list, u32 number)
{
#ifndef SECOND
	library_calls++;
#endif
	if (!list)
		return 0;
	if (list->first == (struct item *)(sizeof(struct item) + __builtin_offsetof(struct item, value)))
		return 1;
	return list->len + scale(number);
}
