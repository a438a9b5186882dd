// SPDX-License-Identifier: MIT OR Apache-2.0
/* The address of the function that a probe stands on. */
#include "../vector.h"

__u64 address;
__u64 hits;

SEC("kprobe/do_nanosleep")
int func_ip(void *ctx)
{
	WRITE_ONCE(address, bpf_get_func_ip(ctx));
	__sync_fetch_and_add(&hits, 1);
	return 0;
}

LICENSE("Dual MIT/GPL");
