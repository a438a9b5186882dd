// SPDX-License-Identifier: MIT OR Apache-2.0
/* What a program prints to its own streams, standard output and errors. */
#include "../vector.h"

/* Linux 6.18's name of it; 6.17 has it without the `_impl`. */
extern int bpf_stream_vprintk_impl(int stream_id, const char *fmt__str, const void *args,
				   __u32 len__sz, void *aux__prog) __ksym;

const char to_stdout[] = "%d straws\n";
const char to_stderr[] = "a hive of %d straws is small\n";
volatile __u64 straws = 3;

SEC("tc")
int prints(struct __sk_buff *ctx __unused)
{
	__u64 args[1] = { straws };

	EXPECT(bpf_stream_vprintk_impl(1, to_stdout, args, sizeof(args), (void *)0) >= 0);
	EXPECT(bpf_stream_vprintk_impl(2, to_stderr, args, sizeof(args), (void *)0) >= 0);
	return 0;
}

LICENSE("Dual MIT/GPL");
