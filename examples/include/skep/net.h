/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Headers on the wire, written from their specifications. Bytes that hold two
 * fields are one member here, so that nothing depends on the order of
 * bit-fields.
 */
#ifndef SKEP_NET_H
#define SKEP_NET_H

#include "types.h"
#include "endian.h"

/* EtherTypes (IANA, "IEEE 802 Numbers"). */
enum {
	ETH_P_IP = 0x0800,
	ETH_P_ARP = 0x0806,
	ETH_P_8021Q = 0x8100,
	ETH_P_IPV6 = 0x86dd,
	ETH_P_8021AD = 0x88a8,
};

/* Protocol numbers (IANA, "Protocol Numbers"); several are IPv6 extension headers. */
enum {
	IPPROTO_HOPOPTS = 0,
	IPPROTO_ICMP = 1,
	IPPROTO_TCP = 6,
	IPPROTO_UDP = 17,
	IPPROTO_ROUTING = 43,
	IPPROTO_FRAGMENT = 44,
	IPPROTO_ESP = 50,
	IPPROTO_AH = 51,
	IPPROTO_ICMPV6 = 58,
	IPPROTO_NONE = 59,
	IPPROTO_DSTOPTS = 60,
	IPPROTO_SCTP = 132,
};

/* IEEE 802.3. */
struct ethhdr {
	__u8 h_dest[6];
	__u8 h_source[6];
	__be16 h_proto;
};

/* IEEE 802.1Q: what follows the tag's EtherType. */
struct vlan_hdr {
	__be16 tci; /* priority 3 bits, drop eligible 1, identifier 12 */
	__be16 encapsulated_proto;
};
#define VLAN_ID_MASK 0x0fff

/* RFC 791 section 3.1. */
struct iphdr {
	__u8 version_ihl; /* version 4 bits, header length in 32-bit words 4 bits */
	__u8 tos;
	__be16 tot_len;
	__be16 id;
	__be16 frag_off; /* flags 3 bits, offset in 8-byte units 13 bits */
	__u8 ttl;
	__u8 protocol;
	__u16 check;
	__be32 saddr;
	__be32 daddr;
};
#define IP_MF 0x2000
#define IP_OFFSET 0x1fff

/* RFC 8200 section 3. */
struct ipv6hdr {
	__be32 version_class_flow; /* version 4 bits, traffic class 8, flow label 20 */
	__be16 payload_len;
	__u8 nexthdr;
	__u8 hop_limit;
	__be32 saddr[4];
	__be32 daddr[4];
};

/* RFC 8200 sections 4.3, 4.4 and 4.6: the part common to the extension headers with a length. */
struct ipv6_ext {
	__u8 nexthdr;
	__u8 len;  /* in 8-byte units, without the first 8 bytes */
	__u8 type; /* of a routing header */
	__u8 segments_left;
	__be32 data;
};

/* RFC 8200 section 4.5. */
struct ipv6_frag {
	__u8 nexthdr;
	__u8 reserved;
	__be16 frag_off; /* offset in 8-byte units 13 bits, reserved 2, more fragments 1 */
	__be32 id;
};

/* RFC 9293 section 3.1. */
struct tcphdr {
	__be16 source;
	__be16 dest;
	__be32 seq;
	__be32 ack_seq;
	__u8 offset; /* header length in 32-bit words 4 bits, reserved 4 */
	__u8 flags;
	__be16 window;
	__u16 check;
	__be16 urg_ptr;
};
enum { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_PSH = 0x08, TCP_ACK = 0x10, TCP_URG = 0x20 };

/* RFC 768. */
struct udphdr {
	__be16 source;
	__be16 dest;
	__be16 len;
	__u16 check;
};

/* RFC 792 and RFC 4443: the part common to all messages, and echo's own. */
struct icmphdr {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__be16 id;
	__be16 sequence;
};
enum { ICMP_ECHOREPLY = 0, ICMP_ECHO = 8 };

_Static_assert(sizeof(struct ethhdr) == 14, "RFC 894");
_Static_assert(sizeof(struct iphdr) == 20 && sizeof(struct ipv6hdr) == 40, "RFC 791, RFC 8200");
_Static_assert(sizeof(struct tcphdr) == 20 && sizeof(struct udphdr) == 8, "RFC 9293, RFC 768");

#endif
