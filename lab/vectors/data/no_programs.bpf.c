// SPDX-License-Identifier: MIT OR Apache-2.0
/* An object with maps and data and not one program: readable, and nothing to run. */
#include "../vector.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} lonely SEC(".maps");

__u32 number = 5;
LICENSE("Dual MIT/GPL");
