// SPDX-License-Identifier: MIT OR Apache-2.0
/* Programs on tracepoints: arguments as the tracepoint's record has them, and raw. */
#include "../vector.h"

/* The record of syscalls:sys_enter_getppid: a common header of eight bytes, then the call's number. */
struct sys_enter {
	__u64 common;
	__s32 nr;
	__u32 pad;
	__u64 args[6];
};

__u64 entered;
__s64 last_nr = -1;
__u64 raw_entered;
__u64 last_raw_nr;
const volatile __u32 target_tgid = 0;

static __always_inline bool wanted(void)
{
	return !target_tgid || bpf_get_current_pid_tgid() >> 32 == target_tgid;
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int by_record(struct sys_enter *ctx)
{
	if (!wanted())
		return 0;
	WRITE_ONCE(last_nr, ctx->nr);
	__sync_fetch_and_add(&entered, 1);
	return 0;
}

SEC("tp/sched/sched_process_exit")
int short_name(void *ctx __unused)
{
	return 0;
}

SEC("raw_tp/sys_enter")
int raw(struct bpf_raw_tracepoint_args *ctx)
{
	if (!wanted())
		return 0;
	WRITE_ONCE(last_raw_nr, ctx->args[1]);
	__sync_fetch_and_add(&raw_entered, 1);
	return 0;
}

LICENSE("Dual MIT/GPL");
