// SPDX-License-Identifier: MIT OR Apache-2.0
/* Variables that the loader provides: from the kernel's configuration, and from its symbols. Only to be read. */
#include "../vector.h"

extern int LINUX_KERNEL_VERSION __kconfig;
extern bool CONFIG_BPF_JIT __kconfig __weak;
extern int CONFIG_HZ __kconfig __weak;
extern const void schedule __ksym;
extern const void no_such_symbol __ksym __weak;

SEC("xdp")
int externs(struct xdp_md *ctx __unused)
{
	if (LINUX_KERNEL_VERSION < 0x050a00 || !CONFIG_BPF_JIT)
		return __LINE__;
	if (&no_such_symbol)
		return __LINE__;
	if ((__u64)&schedule < 4096)
		return __LINE__;
	return CONFIG_HZ == 0;
}

LICENSE("Dual MIT/GPL");
