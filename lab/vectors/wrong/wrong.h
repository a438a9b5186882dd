/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the broken programs share with the examples. In each, the line that is wrong ends with a comment that says MISTAKE;
 * with -DFIXED the mistake is mended as the help says.
 */
#ifndef SKEP_WRONG_H
#define SKEP_WRONG_H

#include <skep/bpf.h>
#include <skep/net.h>

struct tally {
	__u64 packets;
	__u64 bytes;
};

struct event {
	__u64 at_ns;
	__u32 saddr;
	__u32 reason;
};

#define ARRAY(name, entries, value_type)             \
	struct {                                     \
		__uint(type, BPF_MAP_TYPE_ARRAY);    \
		__uint(max_entries, entries);        \
		__type(key, __u32);                  \
		__type(value, value_type);           \
	} name SEC(".maps")

#define RING(name)                                   \
	struct {                                     \
		__uint(type, BPF_MAP_TYPE_RINGBUF);  \
		__uint(max_entries, 4096);           \
	} name SEC(".maps")

#endif
