// SPDX-License-Identifier: MIT OR Apache-2.0
/* A record is written after it was submitted. */
#include "wrong.h"

RING(events);

SEC("xdp")
int use_after_release(struct xdp_md *ctx)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event)
		return XDP_PASS;
#ifdef FIXED
	event->saddr = ctx->ingress_ifindex;
	bpf_ringbuf_submit(event, 0);
#else
	bpf_ringbuf_submit(event, 0);
	event->saddr = ctx->ingress_ifindex; /* MISTAKE */
#endif
	return XDP_PASS;
}

LICENSE("Dual MIT/GPL");
