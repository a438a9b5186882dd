// SPDX-License-Identifier: MIT OR Apache-2.0
/* Stacks of whoever makes system calls: by address, and by file and offset. */
#include "../vector.h"

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 64);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 16 * sizeof(__u64));
} addresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 64);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 16 * 32);
	/* BPF_F_STACK_BUILD_ID */
	__uint(map_flags, 1 << 5);
} files SEC(".maps");

static long (*const get_stackid)(void *ctx, void *map, __u64 flags) = (void *)27;

/* Whose stacks are taken. */
__u32 wanted;
__s64 in_kernel = -1;
__s64 in_files = -1;

SEC("raw_tracepoint/sys_enter")
int stacks(void *ctx)
{
	if ((__u32)(bpf_get_current_pid_tgid() >> 32) != wanted)
		return 0;
	if (in_kernel < 0)
		in_kernel = get_stackid(ctx, &addresses, 0);
	/* BPF_F_USER_STACK */
	if (in_files < 0)
		in_files = get_stackid(ctx, &files, 1 << 8);
	return 0;
}

LICENSE("Dual MIT/GPL");
