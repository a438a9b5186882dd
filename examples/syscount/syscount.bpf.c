// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Counts system calls as they are entered: by process, and by process and
 * call. Counts are exact: no call is sampled, and additions are atomic.
 *
 * Loads on Linux 5.10 and later.
 */
#include <skep/bpf.h>

struct process {
	__u64 count;
	char comm[16]; /* of the thread that called first */
};

struct call {
	__u32 tgid;
	__u32 nr;
};

/* What did not fit, so that a full table is noticed. */
struct missed {
	__u64 processes;
	__u64 calls;
};

/* Settings, frozen when the program is loaded. */
const volatile __u32 target_tgid = 0; /* only this process; 0 is all */
const volatile bool by_call = true;   /* fill `calls` too */

struct missed missed;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct process);
} processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct call);
	__type(value, __u64);
} calls SEC(".maps");

static __always_inline void count_process(__u32 tgid)
{
	struct process *process = bpf_map_lookup_elem(&processes, &tgid);

	if (!process) {
		struct process fresh = {};

		bpf_get_current_comm(fresh.comm, sizeof(fresh.comm));
		/* Two threads may get here at once; whoever is second adds to the first one's entry. */
		bpf_map_update_elem(&processes, &tgid, &fresh, BPF_NOEXIST);
		process = bpf_map_lookup_elem(&processes, &tgid);
		if (!process) {
			__sync_fetch_and_add(&missed.processes, 1);
			return;
		}
	}
	__sync_fetch_and_add(&process->count, 1);
}

static __always_inline void count_call(__u32 tgid, __u32 nr)
{
	struct call key = { .tgid = tgid, .nr = nr };
	__u64 *count = bpf_map_lookup_elem(&calls, &key);
	__u64 zero = 0;

	if (!count) {
		bpf_map_update_elem(&calls, &key, &zero, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&calls, &key);
		if (!count) {
			__sync_fetch_and_add(&missed.calls, 1);
			return;
		}
	}
	__sync_fetch_and_add(count, 1);
}

/* The tracepoint's arguments are the registers and the number of the call. */
SEC("raw_tracepoint/sys_enter")
int syscount(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	if (target_tgid && tgid != target_tgid)
		return 0;
	count_process(tgid);
	if (by_call)
		count_call(tgid, ctx->args[1]);
	return 0;
}

LICENSE("Dual MIT/GPL");
