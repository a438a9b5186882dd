// SPDX-License-Identifier: MIT OR Apache-2.0
/* A variable of each type that a configuration's values have. What they are to be, the test says to the loader. */
#include "../vector.h"

extern bool CONFIG_TEST_FLAG __kconfig;
extern enum libbpf_tristate CONFIG_TEST_MODULE __kconfig;
extern enum libbpf_tristate CONFIG_TEST_ABSENT __kconfig __weak;
extern char CONFIG_TEST_LETTER __kconfig;
extern char CONFIG_TEST_TEXT[8] __kconfig;
extern __u16 CONFIG_TEST_HEX __kconfig;
extern int CONFIG_TEST_NEGATIVE __kconfig;
extern unsigned long CONFIG_TEST_WIDE __kconfig;
extern int CONFIG_TEST_ONLY_FOR_OTHERS __kconfig;
extern int LINUX_KERNEL_VERSION __kconfig;
extern bool LINUX_HAS_BPF_COOKIE __kconfig;
extern bool LINUX_HAS_SYSCALL_WRAPPER __kconfig;
extern bool LINUX_HAS_WINGS __kconfig __weak;

SEC("xdp")
int values(struct xdp_md *ctx __unused)
{
	EXPECT(CONFIG_TEST_FLAG == true);
	EXPECT(CONFIG_TEST_MODULE == TRI_MODULE);
	EXPECT(CONFIG_TEST_ABSENT == TRI_NO);
	EXPECT(CONFIG_TEST_LETTER == 'm');
	EXPECT(CONFIG_TEST_TEXT[0] == 'o' && CONFIG_TEST_TEXT[6] == 'e' && CONFIG_TEST_TEXT[7] == 0);
	EXPECT(CONFIG_TEST_HEX == 0xffff);
	EXPECT(CONFIG_TEST_NEGATIVE == -3);
	EXPECT(CONFIG_TEST_WIDE == 0xffffffffffffffff);
	EXPECT(LINUX_KERNEL_VERSION >= 0x050a00);
	EXPECT(LINUX_HAS_BPF_COOKIE == (LINUX_KERNEL_VERSION >= 0x050f00));
	EXPECT(LINUX_HAS_SYSCALL_WRAPPER);
	EXPECT(!LINUX_HAS_WINGS);
	return 0;
}

/* Nobody else needs what this one does. */
SEC("?xdp")
int others(struct xdp_md *ctx __unused)
{
	return CONFIG_TEST_ONLY_FOR_OTHERS != 7;
}

LICENSE("Dual MIT/GPL");
