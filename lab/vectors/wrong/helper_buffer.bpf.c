// SPDX-License-Identifier: MIT OR Apache-2.0
/* A helper writes more than the buffer has. */
#include "wrong.h"

SEC("raw_tracepoint/sys_enter")
int helper_buffer(void *ctx __unused)
{
	char comm[8] = {};

#ifdef FIXED
	bpf_get_current_comm(comm, sizeof(comm));
#else
	bpf_get_current_comm(comm, 16); /* MISTAKE */
#endif
	return comm[0] == 'x';
}

LICENSE("Dual MIT/GPL");
