// SPDX-License-Identifier: MIT OR Apache-2.0
/* A helper for programs under the GPL is called by one that is not. */
#include "wrong.h"

SEC("xdp")
int gpl_helper(struct xdp_md *ctx __unused)
{
	bpf_printk("seen"); /* MISTAKE */
	return XDP_PASS;
}

#ifdef FIXED
LICENSE("GPL");
#else
LICENSE("Proprietary");
#endif
