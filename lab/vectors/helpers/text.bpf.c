// SPDX-License-Identifier: MIT OR Apache-2.0
/* Text: printing to the trace pipe, formatting, comparing, reading numbers. */
#include "../vector.h"

const char format_numbers[] = "%d %u %x %lld %llu %llx";
const char format_text[] = "%s-%5s-%-5s|%c%%";
const char word[] = "bee";
volatile __u64 minus_one = ~0ULL;

SEC("xdp")
int printk(struct xdp_md *ctx __unused)
{
	EXPECT(bpf_printk("skep vector %d %s", 42, word) > 0);
	EXPECT(bpf_printk("skep vector plain") > 0);
	return 0;
}

SEC("xdp")
int vprintk(struct xdp_md *ctx __unused)
{
	__u64 arguments[4] = { 1, 2, 3, minus_one };
	static const char format[] = "skep vector %d %d %d %llx";

	EXPECT(bpf_trace_vprintk(format, sizeof(format), arguments, sizeof(arguments)) > 0);
	return 0;
}

SEC("xdp")
int snprintf_numbers(struct xdp_md *ctx __unused)
{
	__u64 arguments[6] = { minus_one, minus_one, 255, minus_one, minus_one, 0xabcdef };
	char text[64] = {};
	long length = bpf_snprintf(text, sizeof(text), format_numbers, arguments, sizeof(arguments));

	/* "-1 4294967295 ff -1 18446744073709551615 abcdef" and its end */
	EXPECT(length == 48);
	EXPECT(text[0] == '-' && text[1] == '1' && text[2] == ' ' && text[3] == '4');
	EXPECT(text[13] == ' ' && text[14] == 'f' && text[15] == 'f');
	EXPECT(text[46] == 'f' && text[47] == 0);
	return 0;
}

SEC("xdp")
int snprintf_text(struct xdp_md *ctx __unused)
{
	char text[32] = {}, tight[4] = {};
	const char *argument = word;
	__u64 arguments[4];

	/* At run time: a table of addresses in `.rodata` would have to be relocated. */
	barrier_var(argument);
	arguments[0] = (long)argument;
	arguments[1] = (long)argument;
	arguments[2] = (long)argument;
	arguments[3] = 'x';

	/* "bee-  bee-bee  |x%" and its end */
	EXPECT(bpf_snprintf(text, sizeof(text), format_text, arguments, sizeof(arguments)) == 19);
	EXPECT(text[3] == '-' && text[4] == ' ' && text[6] == 'b' && text[9] == '-');
	EXPECT(text[15] == '|' && text[16] == 'x' && text[17] == '%' && text[18] == 0);
	/* What does not fit is cut; the answer is what it would have taken. */
	EXPECT(bpf_snprintf(tight, sizeof(tight), format_text, arguments, sizeof(arguments)) == 19);
	EXPECT(tight[0] == 'b' && tight[2] == 'e' && tight[3] == 0);
	return 0;
}

SEC("xdp")
int strncmp(struct xdp_md *ctx __unused)
{
	char same[4] = "bee", other[4] = "bef", shorter[4] = "be";

	EXPECT(bpf_strncmp(same, sizeof(same), word) == 0);
	EXPECT(bpf_strncmp(other, sizeof(other), word) > 0);
	EXPECT(bpf_strncmp(shorter, sizeof(shorter), word) < 0);
	EXPECT(bpf_strncmp(other, 2, word) == 0);
	return 0;
}

LICENSE("Dual MIT/GPL");
