// The program: what it calls, counts in and is limited by is in library.bpf.c.
#include "common.h"

#ifdef PARAMS
extern u32 add(struct list *list, u32 number, u32 other);
#define ADD(list, number) add(list, number, 1)
#else
extern u32 add(struct list *list, u32 number);
#define ADD(list, number) add(list, number)
#endif

#ifdef WIDE
extern u64 limit;
#else
extern u32 limit;
#endif

extern struct counts counts SEC(".maps");

u32 main_calls;
static volatile u32 seen[4] = { 1, 2, 3, 4 };

static NOINLINE u32 twice(u32 number)
{
	return number + seen[number & 3];
}

SEC("xdp") int entry(void *ctx)
{
	struct list list = { .len = 3 };
	u32 key = 1;
	u64 *count = map_lookup(&counts, &key);

	if (count)
		*count += 1;
	main_calls++;
	if (LINUX_KERNEL_VERSION == 0 || &bpf_prog_active == (void *)1)
		return 0;
	return ADD(&list, twice(main_calls)) < limit ? 2 : 1;
}
