// SPDX-License-Identifier: MIT OR Apache-2.0
/* Who is running, and reading kernel and user memory; results stay in globals for whoever started it. */
#include "../vector.h"

__u64 pid_tgid;
__u64 uid_gid;
char comm[16];
__u64 task;
__u64 cgroup;

const char text[] = "straw";

SEC("raw_tracepoint/sys_enter")
int who(struct bpf_raw_tracepoint_args *ctx __unused)
{
	WRITE_ONCE(pid_tgid, bpf_get_current_pid_tgid());
	WRITE_ONCE(uid_gid, bpf_get_current_uid_gid());
	WRITE_ONCE(task, bpf_get_current_task());
	EXPECT(bpf_get_current_comm(comm, sizeof(comm)) == 0);
	EXPECT(task != 0);
	return 0;
}

SEC("raw_tracepoint/sys_enter")
int kernel_memory(struct bpf_raw_tracepoint_args *ctx __unused)
{
	char copy[8] = {}, tight[3] = {};

	EXPECT(bpf_probe_read_kernel(copy, 3, text) == 0);
	EXPECT(copy[0] == 's' && copy[2] == 'r' && copy[3] == 0);
	EXPECT(bpf_probe_read_kernel_str(copy, sizeof(copy), text) == 6);
	EXPECT(copy[4] == 'w' && copy[5] == 0);
	/* A text that does not fit is cut and ended. */
	EXPECT(bpf_probe_read_kernel_str(tight, sizeof(tight), text) == 3);
	EXPECT(tight[1] == 't' && tight[2] == 0);
	/* A user's address is out of range for kernel reads; what was to be filled is cleared. */
	copy[0] = 'x';
	EXPECT(bpf_probe_read_kernel(copy, sizeof(copy), NULL) == -34);
	EXPECT(copy[0] == 0);
	EXPECT(bpf_probe_read_kernel_str(copy, sizeof(copy), (void *)8) == -34);
	return 0;
}

SEC("raw_tracepoint/sys_enter")
int user_memory(struct bpf_raw_tracepoint_args *ctx __unused)
{
	char copy[8] = { 'x' };

	EXPECT(bpf_probe_read_user(copy, sizeof(copy), NULL) == -14);
	EXPECT(copy[0] == 0);
	copy[0] = 'x';
	EXPECT(bpf_probe_read_user_str(copy, sizeof(copy), (void *)8) == -14);
	EXPECT(copy[0] == 0);
	return 0;
}

LICENSE("Dual MIT/GPL");
