// SPDX-License-Identifier: MIT OR Apache-2.0
/* A record is given back twice. */
#include "wrong.h"

RING(events);

SEC("xdp")
int double_release(struct xdp_md *ctx)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event)
		return XDP_PASS;
	event->saddr = ctx->ingress_ifindex;
	bpf_ringbuf_submit(event, 0);
#ifndef FIXED
	bpf_ringbuf_discard(event, 0); /* MISTAKE */
#endif
	return XDP_PASS;
}

LICENSE("Dual MIT/GPL");
