//! Builds frames from the outside in: every layer is a function from its payload to bytes, with right lengths and
//! checksums. What is to be wrong is put wrong afterwards, where a reader sees it.

/// Bytes of a header or a frame.
pub(super) type Bytes = Vec<u8>;

/// EtherTypes.
pub(super) const IP: u16 = 0x0800;
pub(super) const ARP: u16 = 0x0806;
pub(super) const IPV6: u16 = 0x86dd;
pub(super) const VLAN: u16 = 0x8100;
pub(super) const QINQ: u16 = 0x88a8;

/// Protocol numbers.
pub(super) const ICMP: u8 = 1;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ICMPV6: u8 = 58;

/// TCP flags.
pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;
pub(super) const URG: u8 = 0x20;

/// The address that everything is sent to.
pub(super) const SERVER: [u8; 4] = [192, 0, 2, 1];

/// The IPv6 address that everything is sent to.
pub(super) const SERVER6: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// An IPv6 source in the documentation prefix (RFC 3849).
pub(super) fn source6(host: u8) -> [u8; 16] {
    let mut address = SERVER6;
    address[4] = 0x77;
    address[15] = host;
    address
}

/// An Ethernet frame; the station's address is derived from `station`.
pub(super) fn ethernet(station: u8, ethertype: u16, payload: &[u8]) -> Bytes {
    let mut frame = vec![0x02, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 0x77, station];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// What stands behind a tag's EtherType: identifier, the next EtherType, the rest.
pub(super) fn tag(vlan: u16, ethertype: u16, payload: &[u8]) -> Bytes {
    let mut bytes = vlan.to_be_bytes().to_vec();
    bytes.extend(ethertype.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A frame with `depth` tags of type 802.1Q around an IPv4 packet.
pub(super) fn tagged(station: u8, depth: usize, packet: &[u8]) -> Bytes {
    let mut payload = packet.to_vec();
    let mut ethertype = IP;
    for level in 0..depth {
        payload = tag(100 + level as u16, ethertype, &payload);
        ethertype = VLAN;
    }
    ethernet(station, ethertype, &payload)
}

/// The parts of an IPv4 header that scenes vary.
#[derive(Clone, Copy)]
pub(super) struct V4<'a> {
    pub(super) source: [u8; 4],
    pub(super) protocol: u8,
    /// Flags and offset, as on the wire.
    pub(super) fragment: u16,
    /// Options, a multiple of four bytes.
    pub(super) options: &'a [u8],
}

impl V4<'_> {
    /// A packet without options that is no fragment.
    pub(super) fn new(source: [u8; 4], protocol: u8) -> Self {
        Self { source, protocol, fragment: 0, options: &[] }
    }

    /// The packet with its payload.
    pub(super) fn packet(&self, payload: &[u8]) -> Bytes {
        let header = 20 + self.options.len();
        let mut bytes = vec![0x40 | (header / 4) as u8, 0];
        bytes.extend(((header + payload.len()) as u16).to_be_bytes());
        bytes.extend([0x12, self.source[3]]);
        bytes.extend(self.fragment.to_be_bytes());
        bytes.extend([64, self.protocol, 0, 0]);
        bytes.extend(self.source);
        bytes.extend(SERVER);
        bytes.extend(self.options);
        let sum = checksum(&bytes, 0);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes.extend(payload);
        bytes
    }
}

/// An IPv6 packet; `next` is the protocol of the first header in `payload`.
pub(super) fn v6(source: [u8; 16], next: u8, payload: &[u8]) -> Bytes {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend((payload.len() as u16).to_be_bytes());
    bytes.extend([next, 64]);
    bytes.extend(source);
    bytes.extend(SERVER6);
    bytes.extend(payload);
    bytes
}

/// An IPv6 extension header with a length, `units` times 8 bytes after the first 8.
pub(super) fn extension(next: u8, units: u8, kind: u8, payload: &[u8]) -> Bytes {
    let mut bytes = vec![next, units, kind, 0, 0, 0, 0, 0];
    bytes.resize(8 + usize::from(units) * 8, 0);
    bytes.extend(payload);
    bytes
}

/// An IPv6 fragment header; `place` is offset, reserved bits and the more flag as on the wire.
pub(super) fn fragment6(next: u8, place: u16, payload: &[u8]) -> Bytes {
    let mut bytes = vec![next, 0];
    bytes.extend(place.to_be_bytes());
    bytes.extend([0, 0, 0x77, 0x77]);
    bytes.extend(payload);
    bytes
}

/// The pseudo-header's sum for IPv4 (RFC 9293 section 3.1).
pub(super) fn pseudo(source: [u8; 4], protocol: u8, length: usize) -> u32 {
    let words = [source, SERVER].concat();
    partial(&words) + u32::from(protocol) + length as u32
}

/// The pseudo-header's sum for IPv6 (RFC 8200 section 8.1).
pub(super) fn pseudo6(source: [u8; 16], protocol: u8, length: usize) -> u32 {
    let words = [source, SERVER6].concat();
    partial(&words) + u32::from(protocol) + length as u32
}

/// A TCP segment with `options` padded to whole words; `pseudo` is the sum of the pseudo-header over `length`.
pub(super) fn tcp(
    ports: (u16, u16),
    flags: u8,
    options: &[u8],
    data: &[u8],
    pseudo: impl Fn(usize) -> u32,
) -> Bytes {
    let header = 20 + options.len().next_multiple_of(4);
    let mut bytes = Vec::new();
    bytes.extend(ports.0.to_be_bytes());
    bytes.extend(ports.1.to_be_bytes());
    bytes.extend([0, 0, 0x10, 0, 0, 0, 0x20, 0, (header as u8 / 4) << 4, flags, 0x20, 0, 0, 0, 0, 0]);
    bytes.extend(options);
    bytes.resize(header, 1);
    bytes.extend(data);
    let sum = checksum(&bytes, pseudo(bytes.len()));
    bytes[16..18].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// A UDP datagram.
pub(super) fn udp(ports: (u16, u16), data: &[u8], pseudo: impl Fn(usize) -> u32) -> Bytes {
    let mut bytes = Vec::new();
    bytes.extend(ports.0.to_be_bytes());
    bytes.extend(ports.1.to_be_bytes());
    bytes.extend(((8 + data.len()) as u16).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(data);
    // A sum of zero is sent as all ones: zero means that there is none (RFC 768).
    let sum = match checksum(&bytes, pseudo(bytes.len())) {
        0 => 0xffff,
        sum => sum,
    };
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// An ICMP message with an identifier, a sequence number and data.
pub(super) fn icmp(kind: u8, sequence: u16, data: &[u8]) -> Bytes {
    let mut bytes = vec![kind, 0, 0, 0, 0x77, 0x01];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(data);
    let sum = checksum(&bytes, 0);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// The Internet checksum of `bytes` with a partial sum before it (RFC 1071).
fn checksum(bytes: &[u8], before: u32) -> u16 {
    let mut sum = before + partial(bytes);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn partial(bytes: &[u8]) -> u32 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
    bytes.chunks(2).map(word).sum()
}

/// Data of a length, different in each byte nearby.
pub(super) fn data(length: usize) -> Bytes {
    (0..length).map(|index| (index * 7 + index / 256) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_sum_to_zero() {
        let source = [198, 51, 100, 7];
        let segment = tcp((1000, 80), SYN, &[], &data(33), |length| pseudo(source, TCP, length));
        assert_eq!(checksum(&segment, pseudo(source, TCP, segment.len())), 0);
        let packet = V4::new(source, TCP).packet(&segment);
        assert_eq!(checksum(&packet[..20], 0), 0);
        assert_eq!(checksum(&icmp(8, 1, &data(9)), 0), 0);
    }

    #[test]
    fn checksum_of_the_worked_example() {
        // RFC 1071 section 3: the words 0001 f203 f4f5 f6f7 sum to ddf2.
        assert_eq!(!checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], 0), 0xddf2);
    }
}
