// SPDX-License-Identifier: MIT OR Apache-2.0
/* Exceptions: programs that throw, and the functions that say what becomes of it. */
#include "../vector.h"

extern void bpf_throw(__u64 cookie) __ksym;

volatile __u64 thrown;
volatile __u64 seen;

static __attribute__((noinline)) int double_of(__u64 cookie)
{
	return cookie * 2;
}

/* Called by nobody but the kernel, and calls another function. */
__attribute__((noinline)) int caught(__u64 cookie)
{
	seen = cookie;
	return double_of(cookie);
}

SEC("tc")
__attribute__((btf_decl_tag("exception_callback:caught")))
int tagged(struct __sk_buff *skb __unused)
{
	if (thrown)
		bpf_throw(thrown);
	return 1;
}

/* What it throws is what it returns. */
SEC("tc")
int untagged(struct __sk_buff *skb __unused)
{
	if (thrown)
		bpf_throw(thrown);
	return 2;
}

/* There is no such function: this program is refused, and no other. */
SEC("?tc")
__attribute__((btf_decl_tag("exception_callback:nobody")))
int dangling(struct __sk_buff *skb __unused)
{
	if (thrown)
		bpf_throw(thrown);
	return 3;
}

LICENSE("Dual MIT/GPL");
