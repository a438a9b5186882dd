// SPDX-License-Identifier: MIT OR Apache-2.0
/* An event for each packet, through a ring, whose reader is not woken. */
#include "shape.h"

struct event {
	struct flow flow;
	__u32 bytes;
	__u32 kind;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 24);
} events SEC(".maps");

RECORDS(events, struct event);

SHAPE(ring)
{
	struct event event = { .kind = 1 };

	if (!read_flow(&event.flow, data, end))
		return 0;
	event.bytes = length(data, end);
	return bpf_ringbuf_output(&events, &event, sizeof(event), BPF_RB_NO_WAKEUP) ? 1 : 3;
}
