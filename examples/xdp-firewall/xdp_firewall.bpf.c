// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A packet filter for an interface: sources on a blocklist are dropped, every
 * other source may send so many packets per window, and packets that
 * contradict themselves or try a known trick are dropped. It counts per reason
 * and per blocked source and reports each drop as an event.
 *
 * It loads on Linux 5.10 and later: no helper, instruction or map kind here is
 * younger than 5.8.
 */
#include <skep/bpf.h>
#include <skep/net.h>

/* Why a packet met its fate, in the order of `struct counters`. */
enum reason {
	REASON_PASSED,
	REASON_NOT_IP,     /* passed unseen: ARP, LLDP and so on */
	REASON_BLOCKED,    /* the source is on the blocklist */
	REASON_LIMITED,    /* the source sent too many packets in this window */
	REASON_TRUNCATED,  /* a header goes past the end of the frame or of its packet */
	REASON_MALFORMED,  /* a header contradicts itself or the frame */
	REASON_TCP_FLAGS,  /* no flags, SYN with FIN or RST, FIN without ACK */
	REASON_FRAGMENT,   /* hides or overwrites ports: RFC 1858, RFC 3128 */
	REASON_ROUTING,    /* IPv6 routing header of type 0: RFC 5095 */
	REASON_VLAN_DEPTH, /* more than two tags */
	REASON_EXTENSIONS, /* more IPv6 extension headers than anyone needs */
	REASON_COUNT,
};

struct tally {
	__u64 packets;
	__u64 bytes;
};

/* One tally per reason, by name so that a dump explains itself. */
struct counters {
	struct tally passed;
	struct tally not_ip;
	struct tally blocked;
	struct tally limited;
	struct tally truncated;
	struct tally malformed;
	struct tally tcp_flags;
	struct tally fragment;
	struct tally routing;
	struct tally vlan_depth;
	struct tally extensions;
	__u64 lost_events;
};
_Static_assert(offsetof(struct counters, lost_events) == REASON_COUNT * sizeof(struct tally), "a tally per reason");

/* A source of either family, in host byte order; IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). */
struct address {
	__u32 words[4];
};

struct flow {
	__u64 window_start_ns;
	__u32 packets; /* in this window, refused ones included */
	__u32 refused; /* ever */
};

/* A dropped packet. The layout has no padding: every byte of a record is written. */
struct event {
	__u64 at_ns;
	__u32 saddr; /* IPv4 source, or the last word of the IPv6 one; host byte order */
	enum reason reason;
	__u32 length; /* of the frame */
	__u32 seen;   /* packets of this source in this window */
	__u16 sport;
	__u16 dport;
	__u16 vlan; /* identifier of the innermost tag */
	__u8 family; /* 4, 6 or 0 */
	__u8 protocol;
};
_Static_assert(sizeof(struct event) == 32, "no padding");

/* Settings, frozen when the program is loaded. */
const volatile __u32 limit_packets = 16; /* per source and window; 0 is no limit */
const volatile __u64 window_ns = 100000000;
const volatile bool use_ktime = false; /* true: the kernel's clock; false: `skep_now_ns` */
const volatile bool log_drops = true;
/* Sources that are blocked from the start, host byte order: 10.77.0.1 and 10.77.0.2. */
const volatile __u32 blocked_default[8] = { 0x0a4d0001, 0x0a4d0002 };

/*
 * The time of the packet. Whoever replays a capture stores each packet's time
 * here before it runs the program, so that the result depends on nothing else.
 * `skep run --pcap` does so for every program that has a global of this name.
 */
volatile __u64 skep_now_ns;

/* The blocklist and what it stopped: IPv4 source, host byte order. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct tally);
} blocked SEC(".maps");

/* What each source sent lately; the least recent are forgotten. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct address);
	__type(value, struct flow);
} sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");
RECORDS(events, struct event);

/* A frame being read: the next byte, the end, and what was learned so far. */
struct packet {
	void *next;
	void *end;
	struct address source;
	__u32 length;
	__u32 seen;
	__u16 sport;
	__u16 dport;
	__u16 vlan;
	__u8 family;
	__u8 protocol;
};

/* Takes the next `size` bytes off the frame, or nothing. */
static __always_inline void *take(struct packet *packet, __u64 size)
{
	void *header = packet->next;

	if (header + size > packet->end)
		return NULL;
	packet->next = header + size;
	return header;
}

static __always_inline __u64 now_ns(void)
{
	return use_ktime ? bpf_ktime_get_ns() : skep_now_ns;
}

/* The blocklist's entry for a source; one that is blocked from the start gets its entry at first sight. */
static __always_inline struct tally *blocked_entry(__u32 saddr)
{
	struct tally *entry = bpf_map_lookup_elem(&blocked, &saddr);
	struct tally none = {};

	if (entry)
		return entry;
	for (int i = 0; i < 8; i++) {
		if (blocked_default[i] && blocked_default[i] == saddr) {
			bpf_map_update_elem(&blocked, &saddr, &none, BPF_NOEXIST);
			return bpf_map_lookup_elem(&blocked, &saddr);
		}
	}
	return NULL;
}

/* Counts a packet of a source and returns how many there were in its window. */
static __noinline __u32 count_source(struct address *source)
{
	__u64 now = now_ns();
	struct flow fresh = { .window_start_ns = now, .packets = 1 };
	struct flow *flow = bpf_map_lookup_elem(&sources, source);

	if (!flow) {
		bpf_map_update_elem(&sources, source, &fresh, BPF_ANY);
		return 1;
	}
	if (now - flow->window_start_ns >= window_ns) {
		flow->window_start_ns = now;
		flow->packets = 0;
	}
	/* Addition and reading are two steps: an addition that returns the old value came with Linux 5.12. */
	__sync_fetch_and_add(&flow->packets, 1);
	if (limit_packets && flow->packets > limit_packets)
		__sync_fetch_and_add(&flow->refused, 1);
	return flow->packets;
}

static __always_inline enum reason read_tcp(struct packet *packet, __u32 payload)
{
	struct tcphdr *tcp;
	__u32 size;

	if (payload < sizeof(*tcp))
		return REASON_TRUNCATED;
	tcp = take(packet, sizeof(*tcp));
	if (!tcp)
		return REASON_TRUNCATED;
	packet->sport = bpf_ntohs(tcp->source);
	packet->dport = bpf_ntohs(tcp->dest);
	size = (tcp->offset >> 4) * 4;
	if (size < sizeof(*tcp) || size > payload)
		return REASON_MALFORMED;
	if (!(tcp->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)))
		return REASON_TCP_FLAGS;
	if ((tcp->flags & TCP_SYN) && (tcp->flags & (TCP_FIN | TCP_RST)))
		return REASON_TCP_FLAGS;
	if ((tcp->flags & TCP_FIN) && !(tcp->flags & TCP_ACK))
		return REASON_TCP_FLAGS;
	return REASON_PASSED;
}

static __always_inline enum reason read_udp(struct packet *packet, __u32 payload)
{
	struct udphdr *udp;
	__u32 size;

	if (payload < sizeof(*udp))
		return REASON_TRUNCATED;
	udp = take(packet, sizeof(*udp));
	if (!udp)
		return REASON_TRUNCATED;
	packet->sport = bpf_ntohs(udp->source);
	packet->dport = bpf_ntohs(udp->dest);
	size = bpf_ntohs(udp->len);
	if (size < sizeof(*udp) || size > payload)
		return REASON_MALFORMED;
	return REASON_PASSED;
}

/* Reads the ports, where the protocol has any; `payload` is what the IP header says is left. */
static __always_inline enum reason read_transport(struct packet *packet, __u32 payload)
{
	switch (packet->protocol) {
	case IPPROTO_TCP:
		return read_tcp(packet, payload);
	case IPPROTO_UDP:
		return read_udp(packet, payload);
	default:
		return REASON_PASSED;
	}
}

static __always_inline enum reason read_ipv4(struct packet *packet)
{
	struct iphdr *ip = take(packet, sizeof(*ip));
	__u32 header, total, fragment, left;

	if (!ip)
		return REASON_TRUNCATED;
	packet->family = 4;
	packet->protocol = ip->protocol;
	packet->source.words[2] = 0xffff;
	packet->source.words[3] = bpf_ntohl(ip->saddr);
	header = (ip->version_ihl & 0x0f) * 4;
	total = bpf_ntohs(ip->tot_len);
	left = packet->end - (void *)ip;
	if (ip->version_ihl >> 4 != 4 || header < sizeof(*ip) || total < header || total > left)
		return REASON_MALFORMED;
	if (!take(packet, header - sizeof(*ip)))
		return REASON_TRUNCATED;
	fragment = bpf_ntohs(ip->frag_off);
	if (fragment & IP_OFFSET) {
		/* A piece at offset 1 would overwrite the TCP flags of the first (RFC 1858 section 3.2). */
		if (ip->protocol == IPPROTO_TCP && (fragment & IP_OFFSET) == 1)
			return REASON_FRAGMENT;
		return REASON_PASSED;
	}
	/* A first piece too short for the TCP header hides its flags (RFC 3128). */
	if ((fragment & IP_MF) && ip->protocol == IPPROTO_TCP && total - header < sizeof(struct tcphdr))
		return REASON_FRAGMENT;
	/* UDP's own length counts the whole datagram, of which this is the first piece. */
	if (fragment & IP_MF)
		return ip->protocol == IPPROTO_TCP ? read_transport(packet, total - header) : REASON_PASSED;
	return read_transport(packet, total - header);
}

#define MAX_EXTENSIONS 4

static __always_inline enum reason read_ipv6(struct packet *packet)
{
	struct ipv6hdr *ip = take(packet, sizeof(*ip));
	__u32 payload, left, size;
	struct ipv6_frag *piece;
	struct ipv6_ext *ext;
	__u8 protocol;

	if (!ip)
		return REASON_TRUNCATED;
	packet->family = 6;
	for (int i = 0; i < 4; i++)
		packet->source.words[i] = bpf_ntohl(ip->saddr[i]);
	protocol = ip->nexthdr;
	packet->protocol = protocol;
	payload = bpf_ntohs(ip->payload_len);
	left = packet->end - packet->next;
	if (bpf_ntohl(ip->version_class_flow) >> 28 != 6 || payload > left)
		return REASON_MALFORMED;

	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		switch (protocol) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			ext = take(packet, sizeof(*ext));
			if (!ext)
				return REASON_TRUNCATED;
			if (protocol == IPPROTO_ROUTING && ext->type == 0)
				return REASON_ROUTING;
			/* Hop-by-hop options come first or not at all (RFC 8200 section 4.1). */
			if (protocol == IPPROTO_HOPOPTS && i != 0)
				return REASON_MALFORMED;
			size = ext->len * 8;
			protocol = ext->nexthdr;
			if (size + sizeof(*ext) > payload || !take(packet, size))
				return REASON_TRUNCATED;
			payload -= size + sizeof(*ext);
			break;
		case IPPROTO_FRAGMENT:
			piece = take(packet, sizeof(*piece));
			if (!piece || payload < sizeof(*piece))
				return REASON_TRUNCATED;
			protocol = piece->nexthdr;
			packet->protocol = protocol;
			payload -= sizeof(*piece);
			/* Only the first piece has ports. */
			if (bpf_ntohs(piece->frag_off) >> 3)
				return REASON_PASSED;
			if ((bpf_ntohs(piece->frag_off) & 1) && protocol == IPPROTO_UDP)
				return REASON_PASSED;
			break;
		default:
			packet->protocol = protocol;
			return read_transport(packet, payload);
		}
	}
	packet->protocol = protocol;
	if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP)
		return read_transport(packet, payload);
	return REASON_EXTENSIONS;
}

static __always_inline enum reason read_frame(struct packet *packet)
{
	struct ethhdr *ethernet = take(packet, sizeof(*ethernet));
	struct vlan_hdr *vlan;
	__be16 protocol;

	if (!ethernet)
		return REASON_TRUNCATED;
	protocol = ethernet->h_proto;
	for (int i = 0; i < 3; i++) {
		if (protocol != bpf_htons(ETH_P_8021Q) && protocol != bpf_htons(ETH_P_8021AD))
			break;
		if (i == 2)
			return REASON_VLAN_DEPTH;
		vlan = take(packet, sizeof(*vlan));
		if (!vlan)
			return REASON_TRUNCATED;
		packet->vlan = bpf_ntohs(vlan->tci) & VLAN_ID_MASK;
		protocol = vlan->encapsulated_proto;
	}
	switch (protocol) {
	case bpf_htons(ETH_P_IP):
		return read_ipv4(packet);
	case bpf_htons(ETH_P_IPV6):
		return read_ipv6(packet);
	default:
		return REASON_NOT_IP;
	}
}

/* What the source's history adds to what its packet says. */
static __always_inline enum reason judge_source(struct packet *packet, enum reason reason)
{
	struct tally *entry;

	if (packet->family == 4) {
		entry = blocked_entry(packet->source.words[3]);
		if (entry) {
			__sync_fetch_and_add(&entry->packets, 1);
			__sync_fetch_and_add(&entry->bytes, packet->length);
			return REASON_BLOCKED;
		}
	}
	if (packet->family) {
		packet->seen = count_source(&packet->source);
		if (reason == REASON_PASSED && limit_packets && packet->seen > limit_packets)
			return REASON_LIMITED;
	}
	return reason;
}

static __always_inline void report(struct packet *packet, enum reason reason, struct counters *counters)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		counters->lost_events++;
		return;
	}
	event->at_ns = now_ns();
	event->saddr = packet->source.words[3];
	event->reason = reason;
	event->length = packet->length;
	event->seen = packet->seen;
	event->sport = packet->sport;
	event->dport = packet->dport;
	event->vlan = packet->vlan;
	event->family = packet->family;
	event->protocol = packet->protocol;
	bpf_ringbuf_submit(event, 0);
}

SEC("xdp")
int xdp_firewall(struct xdp_md *ctx)
{
	struct packet packet = {
		.next = CTX_POINTER(ctx->data),
		.end = CTX_POINTER(ctx->data_end),
	};
	struct counters *counters;
	struct tally *tally;
	enum reason reason;
	__u32 zero = 0;

	packet.length = packet.end - packet.next;
	reason = judge_source(&packet, read_frame(&packet));

	counters = bpf_map_lookup_elem(&totals, &zero);
	if (!counters || reason >= REASON_COUNT)
		return XDP_ABORTED;
	/* Per CPU, so plain additions are exact. */
	tally = (struct tally *)counters + reason;
	tally->packets++;
	tally->bytes += packet.length;

	if (reason == REASON_PASSED || reason == REASON_NOT_IP)
		return XDP_PASS;
	if (log_drops)
		report(&packet, reason, counters);
	return XDP_DROP;
}

LICENSE("Dual MIT/GPL");
