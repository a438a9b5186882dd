// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A protocol dispatcher: one small program per header, each of which hands the
 * packet to the next through a table of programs. The table is filled by its
 * definition; slots can be replaced while it runs. What one program learned
 * reaches the next through a per-CPU scratch value.
 *
 * Verdicts: an echo request goes back as its reply, the discard service (RFC
 * 863) is refused, a header that is cut off is aborted, a packet with more
 * headers than the kernel allows tail calls is dropped, all else passes.
 */
#include <skep/bpf.h>
#include <skep/net.h>

enum stage {
	STAGE_START,
	STAGE_VLAN,
	STAGE_ARP,
	STAGE_IPV4,
	STAGE_IPV6,
	STAGE_TCP,
	STAGE_UDP,
	STAGE_ICMP,
	STAGE_SCTP, /* no program: shows what an empty slot does */
	STAGE_OTHER,
	STAGE_COUNT,
};

/* Linux runs at most so many tail calls for a packet (MAX_TAIL_CALL_CNT). */
#define MAX_HOPS 33

#define PORT_DISCARD 9

struct tally {
	__u64 packets;
	__u64 bytes;
};

/* What has been read of the packet so far. */
struct scratch {
	__u32 offset; /* of the next header */
	__u32 hops;   /* tail calls tried */
	__u32 tags;   /* VLAN tags passed */
};

/* Packets that reached a stage, by `enum stage`. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STAGE_COUNT);
	__type(key, __u32);
	__type(value, struct tally);
} reached SEC(".maps");

/* Packets by the number of tail calls that they took. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_HOPS + 2);
	__type(key, __u32);
	__type(value, __u64);
} hops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch SEC(".maps");

int vlan(struct xdp_md *ctx);
int arp(struct xdp_md *ctx);
int ipv4(struct xdp_md *ctx);
int ipv6(struct xdp_md *ctx);
int tcp(struct xdp_md *ctx);
int udp(struct xdp_md *ctx);
int icmp(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, STAGE_COUNT);
	__uint(key_size, sizeof(__u32));
	__array(values, int(struct xdp_md *));
} stages SEC(".maps") = {
	.values = {
		[STAGE_VLAN] = &vlan,
		[STAGE_ARP] = &arp,
		[STAGE_IPV4] = &ipv4,
		[STAGE_IPV6] = &ipv6,
		[STAGE_TCP] = &tcp,
		[STAGE_UDP] = &udp,
		[STAGE_ICMP] = &icmp,
	},
};

static __always_inline struct scratch *scratch_value(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratch, &zero);
}

static __always_inline void count(struct xdp_md *ctx, enum stage stage)
{
	__u32 key = stage;
	struct tally *tally = bpf_map_lookup_elem(&reached, &key);

	if (!tally)
		return;
	tally->packets++;
	tally->bytes += ctx->data_end - ctx->data;
}

/* Ends the chain: notes its length and keeps the verdict. */
static __always_inline int finish(struct scratch *state, int verdict)
{
	__u32 key = state->hops;
	__u64 *chains = bpf_map_lookup_elem(&hops, &key);

	if (chains)
		++*chains;
	return verdict;
}

/* Goes to another program; comes back only if there is none or the kernel's limit is reached. */
static __always_inline int go(struct xdp_md *ctx, struct scratch *state, enum stage stage)
{
	state->hops++;
	bpf_tail_call(ctx, &stages, stage);
	/* What the helper returned is not told to a compiled program, so the count decides. */
	if (state->hops > MAX_HOPS)
		return finish(state, XDP_DROP);
	count(ctx, STAGE_OTHER);
	return finish(state, XDP_PASS);
}

static __always_inline enum stage ethertype_stage(__be16 ethertype)
{
	switch (ethertype) {
	case bpf_htons(ETH_P_8021Q):
	case bpf_htons(ETH_P_8021AD):
		return STAGE_VLAN;
	case bpf_htons(ETH_P_ARP):
		return STAGE_ARP;
	case bpf_htons(ETH_P_IP):
		return STAGE_IPV4;
	case bpf_htons(ETH_P_IPV6):
		return STAGE_IPV6;
	default:
		return STAGE_OTHER;
	}
}

static __always_inline enum stage protocol_stage(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return STAGE_TCP;
	case IPPROTO_UDP:
		return STAGE_UDP;
	case IPPROTO_ICMP:
		return STAGE_ICMP;
	case IPPROTO_SCTP:
		return STAGE_SCTP;
	default:
		return STAGE_OTHER;
	}
}

/* The `size` bytes at the scratch value's offset, or nothing. */
static __always_inline void *header_at(struct xdp_md *ctx, struct scratch *state, __u64 size)
{
	void *data = CTX_POINTER(ctx->data);
	void *end = CTX_POINTER(ctx->data_end);
	__u64 offset = state->offset;
	void *header;

	if (offset > 0x3fff)
		return NULL;
	header = data + offset;
	if (header + size > end)
		return NULL;
	return header;
}

SEC("xdp")
int dispatch(struct xdp_md *ctx)
{
	struct scratch *state = scratch_value();
	struct ethhdr *ethernet;

	if (!state)
		return XDP_ABORTED;
	state->offset = 0;
	state->hops = 0;
	state->tags = 0;
	count(ctx, STAGE_START);
	ethernet = header_at(ctx, state, sizeof(*ethernet));
	if (!ethernet)
		return finish(state, XDP_ABORTED);
	state->offset = sizeof(*ethernet);
	return go(ctx, state, ethertype_stage(ethernet->h_proto));
}

SEC("xdp")
int vlan(struct xdp_md *ctx)
{
	struct scratch *state = scratch_value();
	struct vlan_hdr *tag;

	if (!state)
		return XDP_ABORTED;
	count(ctx, STAGE_VLAN);
	tag = header_at(ctx, state, sizeof(*tag));
	if (!tag)
		return finish(state, XDP_ABORTED);
	state->tags++;
	state->offset += sizeof(*tag);
	return go(ctx, state, ethertype_stage(tag->encapsulated_proto));
}

SEC("xdp")
int arp(struct xdp_md *ctx)
{
	struct scratch *state = scratch_value();

	if (!state)
		return XDP_ABORTED;
	count(ctx, STAGE_ARP);
	return finish(state, XDP_PASS);
}

SEC("xdp")
int ipv4(struct xdp_md *ctx)
{
	struct scratch *state = scratch_value();
	struct iphdr *ip;

	if (!state)
		return XDP_ABORTED;
	count(ctx, STAGE_IPV4);
	ip = header_at(ctx, state, sizeof(*ip));
	if (!ip || (ip->version_ihl & 0x0f) < 5)
		return finish(state, XDP_ABORTED);
	/* Only a first piece has a transport header. */
	if (ip->frag_off & bpf_htons(IP_OFFSET)) {
		count(ctx, STAGE_OTHER);
		return finish(state, XDP_PASS);
	}
	state->offset += (ip->version_ihl & 0x0f) * 4;
	return go(ctx, state, protocol_stage(ip->protocol));
}

SEC("xdp")
int ipv6(struct xdp_md *ctx)
{
	struct scratch *state = scratch_value();
	struct ipv6hdr *ip;

	if (!state)
		return XDP_ABORTED;
	count(ctx, STAGE_IPV6);
	ip = header_at(ctx, state, sizeof(*ip));
	if (!ip)
		return finish(state, XDP_ABORTED);
	state->offset += sizeof(*ip);
	return go(ctx, state, protocol_stage(ip->nexthdr));
}

SEC("xdp")
int tcp(struct xdp_md *ctx)
{
	struct scratch *state = scratch_value();
	struct tcphdr *header;

	if (!state)
		return XDP_ABORTED;
	count(ctx, STAGE_TCP);
	header = header_at(ctx, state, sizeof(*header));
	if (!header)
		return finish(state, XDP_ABORTED);
	return finish(state, header->dest == bpf_htons(PORT_DISCARD) ? XDP_DROP : XDP_PASS);
}

SEC("xdp")
int udp(struct xdp_md *ctx)
{
	struct scratch *state = scratch_value();
	struct udphdr *header;

	if (!state)
		return XDP_ABORTED;
	count(ctx, STAGE_UDP);
	header = header_at(ctx, state, sizeof(*header));
	if (!header)
		return finish(state, XDP_ABORTED);
	return finish(state, header->dest == bpf_htons(PORT_DISCARD) ? XDP_DROP : XDP_PASS);
}

static __always_inline void swap_addresses(struct ethhdr *ethernet)
{
	for (int i = 0; i < 6; i++) {
		__u8 byte = ethernet->h_dest[i];

		ethernet->h_dest[i] = ethernet->h_source[i];
		ethernet->h_source[i] = byte;
	}
}

/* Turns an untagged echo request into its reply, in place. */
static __always_inline int echo(struct xdp_md *ctx, struct icmphdr *message)
{
	void *data = CTX_POINTER(ctx->data);
	void *end = CTX_POINTER(ctx->data_end);
	struct ethhdr *ethernet = data;
	struct iphdr *ip = data + sizeof(*ethernet);
	__be32 address;
	__u32 sum;

	if ((void *)(ip + 1) > end)
		return XDP_ABORTED;
	swap_addresses(ethernet);
	/* Swapping keeps the header's checksum. */
	address = ip->saddr;
	ip->saddr = ip->daddr;
	ip->daddr = address;
	/* RFC 1624: the type's word falls by 8 << 8, so the sum's complement rises by it, end around. */
	message->type = ICMP_ECHOREPLY;
	sum = bpf_ntohs(message->checksum) + (ICMP_ECHO << 8);
	message->checksum = bpf_htons((sum & 0xffff) + (sum >> 16));
	return XDP_TX;
}

SEC("xdp")
int icmp(struct xdp_md *ctx)
{
	struct scratch *state = scratch_value();
	struct icmphdr *message;

	if (!state)
		return XDP_ABORTED;
	count(ctx, STAGE_ICMP);
	message = header_at(ctx, state, sizeof(*message));
	if (!message)
		return finish(state, XDP_ABORTED);
	if (message->type != ICMP_ECHO || state->tags)
		return finish(state, XDP_PASS);
	return finish(state, echo(ctx, message));
}

LICENSE("Dual MIT/GPL");
