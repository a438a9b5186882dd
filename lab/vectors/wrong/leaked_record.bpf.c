// SPDX-License-Identifier: MIT OR Apache-2.0
/* A record is reserved, and one path forgets it. */
#include "wrong.h"

RING(events);

SEC("xdp")
int leaked_record(struct xdp_md *ctx)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event)
		return XDP_PASS;
	event->saddr = ctx->ingress_ifindex;
	if (event->saddr == 7) { /* MISTAKE */
#ifdef FIXED
		bpf_ringbuf_discard(event, 0);
#endif
		return XDP_DROP;
	}
	bpf_ringbuf_submit(event, 0);
	return XDP_PASS;
}

LICENSE("Dual MIT/GPL");
