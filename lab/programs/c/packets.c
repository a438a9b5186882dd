// Flow hashes of packets: Ethernet, up to two VLAN tags (IEEE 802.1Q), IPv4 (RFC 791) or IPv6 (RFC 8200), TCP or UDP.
// Memory: slots of 128 bytes, each the length of a frame (16 bits) and the frame.
#include "bench.h"

#define SLOT 128

struct flow {
	u32 source[4], target[4];
	u32 ports;
	u32 protocol;
};

INLINE u32 be16(const u8 *at)
{
	return at[0] << 8 | at[1];
}

INLINE u32 be32(const u8 *at)
{
	return (u32)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

INLINE u64 mix(u64 hash, u64 value)
{
	return rotl64((hash ^ value) * 0x9e3779b97f4a7c15, 29);
}

// The hash of a frame's flow; 0 where it has none.
INLINE u64 flow_hash(const u8 *frame, u32 size)
{
	struct flow flow = { 0 };
	u32 at = 14, kind, tags = 0;
	u64 hash = 0;

	if (size < 14)
		return 0;
	kind = be16(frame + 12);
	while ((kind == 0x8100 || kind == 0x88a8) && tags < 2) {
		if (size < at + 4)
			return 0;
		kind = be16(frame + at + 2);
		at += 4;
		tags++;
	}
	if (kind == 0x0800) {
		const u8 *ip = frame + at;
		u32 head;

		if (size < at + 20 || ip[0] >> 4 != 4)
			return 0;
		head = (ip[0] & 15) * 4;
		// Later fragments have no ports.
		if (head < 20 || (be16(ip + 6) & 0x1fff))
			return 0;
		flow.protocol = ip[9];
		flow.source[0] = be32(ip + 12);
		flow.target[0] = be32(ip + 16);
		at += head;
	} else if (kind == 0x86dd) {
		const u8 *ip = frame + at;

		if (size < at + 40 || ip[0] >> 4 != 6)
			return 0;
		flow.protocol = ip[6];
		for (u32 i = 0; i < 4; i++) {
			flow.source[i] = be32(ip + 8 + 4 * i);
			flow.target[i] = be32(ip + 24 + 4 * i);
		}
		at += 40;
	} else {
		return 0;
	}
	if (flow.protocol != 6 && flow.protocol != 17)
		return 0;
	if (size < at + 4)
		return 0;
	flow.ports = be32(frame + at);
	for (u32 i = 0; i < 4; i++)
		hash = mix(hash, (u64)flow.source[i] << 32 | flow.target[i]);
	return mix(hash, (u64)flow.ports << 8 | flow.protocol) | 1;
}

ENTRY u64 PROG(void *mem, u64 len)
{
	u64 sum = 0, flows = 0;

	for (u64 start = 0; start + SLOT <= len; start += SLOT) {
		const u8 *slot = (const u8 *)mem + start;
		u32 size = *(const u16 *)slot;
		u64 hash;

		if (size > SLOT - 2)
			continue;
		hash = flow_hash(slot + 2, size);
		flows += hash != 0;
		sum = sum * 31 + hash;
	}
	return sum ^ flows << 56;
}
