//! What happens in the capture, scene by scene. A scene is a function that plays to a [`Stage`]; scenes overlap in
//! time as traffic does.

use super::Timed;
use super::frame::{
    self, ACK, ARP, Bytes, FIN, ICMP, ICMPV6, IP, IPV6, PSH, QINQ, RST, SYN, TCP, UDP, URG, V4, VLAN,
};

/// The firewall's window and limit, as its settings have them.
const WINDOW_NS: u64 = 100_000_000;
const LIMIT: usize = 16;

/// The sources that the firewall blocks from the start.
const BLOCKED: [[u8; 4]; 2] = [[10, 77, 0, 1], [10, 77, 0, 2]];

const MILLISECOND: u64 = 1_000_000;

/// All scenes, one after the other; frames are in no order yet.
pub(super) fn all() -> Vec<Timed> {
    let mut frames = Vec::new();
    for scene in SCENES {
        let mut stage = Stage { now_ns: 0, frames: &mut frames };
        scene(&mut stage);
    }
    frames
}

const SCENES: &[fn(&mut Stage<'_>)] = &[
    everyday,
    neighbours,
    pings,
    ipv6_everyday,
    vlans,
    many_tags,
    sizes,
    blocked_sources,
    floods,
    window_edges,
    clock_backwards,
    tcp_flags,
    fragments,
    ipv4_headers,
    ipv6_extensions,
    ipv6_fragments,
    cut_ipv4_tcp,
    cut_ipv4_udp,
    cut_ipv6_tcp,
    cut_vlan,
    short_payloads,
    discard_service,
    other_protocols,
];

/// Where a scene puts its frames, with a clock of its own.
struct Stage<'a> {
    now_ns: u64,
    frames: &'a mut Vec<Timed>,
}

impl Stage<'_> {
    fn at(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
    }

    fn wait(&mut self, ns: u64) {
        self.now_ns += ns;
    }

    fn send(&mut self, bytes: Bytes) {
        self.frames.push(Timed { at_ns: self.now_ns, bytes });
    }

    /// Sends at most ten frames of one source in a window, so that the limit stays out of the scene.
    fn send_slowly(&mut self, bytes: Bytes) {
        self.send(bytes);
        self.wait(WINDOW_NS / 10 + 1);
    }
}

/// An ordinary client.
fn client(host: u8) -> [u8; 4] {
    [198, 51, 100, host]
}

fn segment(source: [u8; 4], ports: (u16, u16), flags: u8, length: usize) -> Bytes {
    frame::tcp(ports, flags, &[], &frame::data(length), |bytes| frame::pseudo(source, TCP, bytes))
}

fn datagram(source: [u8; 4], ports: (u16, u16), length: usize) -> Bytes {
    frame::udp(ports, &frame::data(length), |bytes| frame::pseudo(source, UDP, bytes))
}

fn tcp_packet(source: [u8; 4], port: u16, flags: u8, length: usize) -> Bytes {
    V4::new(source, TCP).packet(&segment(source, (40_000, port), flags, length))
}

fn udp_packet(source: [u8; 4], port: u16, length: usize) -> Bytes {
    V4::new(source, UDP).packet(&datagram(source, (50_000, port), length))
}

fn tcp_frame(source: [u8; 4], port: u16, flags: u8, length: usize) -> Bytes {
    frame::ethernet(source[3], IP, &tcp_packet(source, port, flags, length))
}

fn udp_frame(source: [u8; 4], port: u16, length: usize) -> Bytes {
    frame::ethernet(source[3], IP, &udp_packet(source, port, length))
}

fn segment6(source: [u8; 16], port: u16, flags: u8, length: usize) -> Bytes {
    frame::tcp((40_000, port), flags, &[], &frame::data(length), |bytes| frame::pseudo6(source, TCP, bytes))
}

fn datagram6(source: [u8; 16], port: u16, length: usize) -> Bytes {
    frame::udp((50_000, port), &frame::data(length), |bytes| frame::pseudo6(source, UDP, bytes))
}

fn frame6(host: u8, packet: &[u8]) -> Bytes {
    frame::ethernet(host, IPV6, packet)
}

/// Short conversations: a connection, a request, an end; and name look-ups.
fn everyday(stage: &mut Stage<'_>) {
    for host in 1..=14 {
        stage.at(u64::from(host) * 23 * MILLISECOND + 1);
        stage.send(udp_frame(client(host), 53, 29 + usize::from(host)));
        let conversation = [(SYN, 0), (ACK, 0), (ACK | PSH, 120 + usize::from(host)), (FIN | ACK, 0)];
        for (flags, length) in conversation {
            stage.wait(3 * MILLISECOND + 17);
            stage.send(tcp_frame(client(host), 443, flags, length));
        }
    }
}

/// ARP, padded to the shortest frame on a wire, and what else is not IP.
fn neighbours(stage: &mut Stage<'_>) {
    for host in 1..=6 {
        stage.wait(31 * MILLISECOND);
        let mut request = vec![0, 1, 0x08, 0, 6, 4, 0, 1, 0x02, 0, 0, 0, 0x77, host];
        request.extend(client(host));
        request.extend([0; 6]);
        request.extend(frame::SERVER);
        request.resize(46, 0);
        stage.send(frame::ethernet(host, ARP, &request));
    }
    // LLDP, a length instead of a type (802.3), an experimental type (802.1), all zero.
    for ethertype in [0x88cc, 0x0026, 0x88b5, 0x0000, 0xffff] {
        stage.wait(MILLISECOND);
        stage.send(frame::ethernet(9, ethertype, &frame::data(46)));
    }
}

fn pings(stage: &mut Stage<'_>) {
    for (sequence, kind) in [8, 8, 8, 0, 3, 11, 8, 8].into_iter().enumerate() {
        stage.wait(40 * MILLISECOND + 3);
        let source = client(20 + sequence as u8);
        let message = frame::icmp(kind, sequence as u16, &frame::data(sequence * 8));
        stage.send(frame::ethernet(source[3], IP, &V4::new(source, ICMP).packet(&message)));
    }
    // A checksum whose complement carries over, and one cut inside ICMP's header.
    for data in [vec![0xff, 0xff], vec![0xf7, 0xff, 0x00, 0x00], vec![0x81, 0x76]] {
        stage.wait(MILLISECOND);
        let message = frame::icmp(8, 0, &data);
        stage.send(frame::ethernet(28, IP, &V4::new(client(28), ICMP).packet(&message)));
    }
    stage.send(frame::ethernet(29, IP, &V4::new(client(29), ICMP).packet(&[8, 0, 0xf7, 0xff])));
}

fn ipv6_everyday(stage: &mut Stage<'_>) {
    for host in 1..=8 {
        let source = frame::source6(host);
        stage.at(u64::from(host) * 29 * MILLISECOND + 5);
        stage.send(frame6(host, &frame::v6(source, UDP, &datagram6(source, 53, 40))));
        for flags in [SYN, ACK, ACK | PSH, RST] {
            stage.wait(2 * MILLISECOND);
            stage.send(frame6(
                host,
                &frame::v6(source, TCP, &segment6(source, 80, flags, usize::from(flags))),
            ));
        }
    }
    // Neighbour discovery: an unchecked checksum is part of what a parser must not care about.
    stage.send(frame6(9, &frame::v6(frame::source6(9), ICMPV6, &[135, 0, 0, 0, 0, 0, 0, 0])));
}

fn vlans(stage: &mut Stage<'_>) {
    let source = client(31);
    for (index, vlan) in [1_u16, 100, 0x0fff, 0x6064, 0xffff].into_iter().enumerate() {
        stage.wait(20 * MILLISECOND);
        let port = 8000 + index as u16;
        stage.send(frame::ethernet(31, VLAN, &frame::tag(vlan, IP, &tcp_packet(source, port, SYN, 4))));
        let inner = frame::tag(vlan, IP, &udp_packet(source, port, 4));
        stage.send(frame::ethernet(31, QINQ, &frame::tag(200 + port, VLAN, &inner)));
    }
    let packet = frame::v6(frame::source6(31), TCP, &segment6(frame::source6(31), 443, SYN, 0));
    stage.send(frame::ethernet(31, VLAN, &frame::tag(7, IPV6, &packet)));
    stage.send(frame::ethernet(31, QINQ, &frame::tag(7, QINQ, &frame::tag(8, ARP, &[0; 28]))));
    let ping = V4::new(source, ICMP).packet(&frame::icmp(8, 1, &frame::data(8)));
    stage.send(frame::ethernet(31, VLAN, &frame::tag(9, IP, &ping)));
    // Blocked behind tags too.
    stage.send(frame::tagged(31, 2, &tcp_packet(BLOCKED[0], 80, SYN, 0)));
}

/// More tags than anyone uses: two are read by the firewall, and a chain of 33 tail calls is as long as one gets.
fn many_tags(stage: &mut Stage<'_>) {
    for depth in [0, 1, 2, 3, 4, 8, 16, 29, 30, 31, 32, 33, 34, 35, 40, 200] {
        stage.send_slowly(frame::tagged(32, depth, &tcp_packet(client(32), 80, SYN, 0)));
    }
}

/// Every length of note from an empty frame to a full one.
fn sizes(stage: &mut Stage<'_>) {
    for ethertype in [IP, IPV6, ARP, VLAN, QINQ, 0x1234] {
        stage.send_slowly(frame::ethernet(40, ethertype, &[]));
    }
    for length in [0, 1, 5, 6, 7, 64, 200, 470, 982, 1459, 1460] {
        stage.send_slowly(tcp_frame(client(41), 80, ACK | PSH, length));
    }
    for length in [0, 1, 17, 18, 19, 500, 1471, 1472] {
        stage.send_slowly(udp_frame(client(42), 4789, length));
    }
    let source = frame::source6(43);
    for length in [0, 1, 1439, 1440] {
        stage.send_slowly(frame6(43, &frame::v6(source, TCP, &segment6(source, 80, ACK, length))));
    }
    // Padding behind the packet is no part of it.
    for padding in [1, 6, 20, 100] {
        let mut padded = udp_frame(client(44), 123, 12);
        padded.resize(padded.len() + padding, 0);
        stage.send_slowly(padded);
    }
}

fn blocked_sources(stage: &mut Stage<'_>) {
    for index in 0..70 {
        stage.wait(2 * MILLISECOND + 1);
        stage.send(tcp_frame(BLOCKED[0], 1000 + index, SYN, 0));
    }
    for index in 0..30_u8 {
        stage.wait(5 * MILLISECOND);
        stage.send(udp_frame(BLOCKED[1], 1900, usize::from(index)));
    }
    // Neighbours of blocked addresses are not blocked; nor is the same address backwards or as a destination.
    for source in [[10, 77, 0, 0], [10, 77, 0, 3], [10, 77, 1, 1], [1, 0, 77, 10], [0, 0, 0, 0]] {
        stage.wait(MILLISECOND);
        stage.send(tcp_frame(source, 80, SYN, 0));
    }
}

/// Sources that send more than the limit, in one window and again in a later one.
fn floods(stage: &mut Stage<'_>) {
    for (index, port) in [(1_u8, 80_u16), (2, 22), (3, 443)] {
        for burst in 0..2 {
            stage.at(u64::from(index) * 61 * MILLISECOND + burst * 5 * WINDOW_NS);
            for step in 0..LIMIT + 8 {
                stage.wait(MILLISECOND + u64::from(index));
                stage.send(tcp_frame([203, 0, 113, index], port, SYN, step % 3));
            }
        }
    }
    stage.at(700 * MILLISECOND);
    for _ in 0..LIMIT * 2 {
        stage.wait(MILLISECOND / 2);
        stage.send(udp_frame([203, 0, 113, 4], 53, 20));
    }
    let source = frame::source6(0xf0);
    stage.at(800 * MILLISECOND);
    for _ in 0..LIMIT + 6 {
        stage.wait(MILLISECOND);
        stage.send(frame6(0xf0, &frame::v6(source, TCP, &segment6(source, 80, SYN, 0))));
    }
}

/// The limit to the packet, and the window to the nanosecond.
fn window_edges(stage: &mut Stage<'_>) {
    for (host, last) in [(10, WINDOW_NS - 1), (11, WINDOW_NS), (12, WINDOW_NS + 1)] {
        let start = 1_000 * MILLISECOND;
        for step in 0..LIMIT {
            stage.at(start + step as u64);
            stage.send(tcp_frame([203, 0, 113, host], 80, ACK, step));
        }
        stage.at(start + last);
        stage.send(tcp_frame([203, 0, 113, host], 81, ACK, 0));
        stage.send(tcp_frame([203, 0, 113, host], 82, ACK, 0));
    }
}

/// Two packets of one instant, and one that a capture's clock may put before another.
fn clock_backwards(stage: &mut Stage<'_>) {
    for at in [1_500 * MILLISECOND, 1_500 * MILLISECOND, 1_500 * MILLISECOND + 1] {
        stage.at(at);
        stage.send(udp_frame([203, 0, 113, 20], 514, 60));
    }
}

/// Every combination of the four flags that matter, and two of those that do not.
fn tcp_flags(stage: &mut Stage<'_>) {
    for combination in 0..16_u8 {
        let pick = |bit: u8, flag: u8| if combination & bit != 0 { flag } else { 0 };
        let flags = pick(1, SYN) | pick(2, FIN) | pick(4, RST) | pick(8, ACK);
        stage.send_slowly(tcp_frame(client(50), 80, flags, 0));
    }
    for flags in [PSH, URG, PSH | URG | FIN, PSH | URG | ACK, 0xc0] {
        stage.send_slowly(tcp_frame(client(51), 80, flags, 3));
    }
    let source = frame::source6(51);
    for flags in [0, SYN | FIN, FIN, SYN | ACK] {
        stage.send_slowly(frame6(51, &frame::v6(source, TCP, &segment6(source, 80, flags, 0))));
    }
}

fn fragments(stage: &mut Stage<'_>) {
    const MORE: u16 = 0x2000;
    const DO_NOT: u16 = 0x4000;
    let source = client(60);
    let tcp = segment(source, (1, 80), SYN, 44);
    let udp = datagram(source, (1, 53), 400);
    let pieces: &[(u8, u16, &[u8])] = &[
        (TCP, DO_NOT, &tcp),
        (TCP, MORE, &tcp[..24]),
        (TCP, MORE, &tcp[..20]),
        (TCP, MORE, &tcp[..19]),
        (TCP, MORE, &tcp[..8]),
        (TCP, MORE | 1, &tcp[8..24]),
        (TCP, 1, &tcp[8..]),
        (TCP, 2, &tcp[16..]),
        (TCP, 3, &tcp[24..]),
        (TCP, 0x1fff, &tcp[..8]),
        (TCP, 0x1001, &tcp[..8]),
        (UDP, MORE, &udp[..8]),
        (UDP, MORE, &udp[..200]),
        (UDP, MORE | 1, &udp[8..200]),
        (UDP, 1, &udp[8..16]),
        (UDP, 25, &udp[200..]),
        (ICMP, 1, &udp[..8]),
    ];
    for &(protocol, fragment, payload) in pieces {
        let packet = V4 { fragment, ..V4::new(source, protocol) }.packet(payload);
        stage.send_slowly(frame::ethernet(60, IP, &packet));
    }
    // The same tricks in a blocked source's hand stay blocked.
    let packet = V4 { fragment: 1, ..V4::new(BLOCKED[1], TCP) }.packet(&tcp[8..]);
    stage.send(frame::ethernet(60, IP, &packet));
}

/// Options of every length, and every way for an IPv4 header to be wrong.
fn ipv4_headers(stage: &mut Stage<'_>) {
    let source = client(61);
    for words in 0..=10 {
        let options = vec![1; words * 4];
        let packet =
            V4 { options: &options, ..V4::new(source, TCP) }.packet(&segment(source, (7, 80), SYN, words));
        stage.send_slowly(frame::ethernet(61, IP, &packet));
    }
    let wrong: &[(usize, u8)] = &[
        (0, 0x55), // version 5
        (0, 0x65), // version 6 behind IPv4's type
        (0, 0x05),
        (0, 0x44), // a header of 16 bytes
        (0, 0x40),
        (0, 0x4f), // a header longer than the packet
        (0, 0x46),
        (2, 0x01), // a packet longer than the frame
        (3, 0),
        (3, 19),
        (3, 20),
        (3, 39),
        (3, 40),
        (3, 41),
        (3, 45),
    ];
    for &(place, value) in wrong {
        let mut packet = tcp_packet(client(62), 80, SYN, 4);
        packet[place] = value;
        stage.send_slowly(frame::ethernet(62, IP, &packet));
    }
    // TCP's own length: too short, exact, one word too long.
    for offset in [0x00, 0x40, 0x50, 0x60, 0x70, 0xf0] {
        let mut packet = tcp_packet(client(63), 80, SYN, 4);
        packet[20 + 12] = offset;
        stage.send_slowly(frame::ethernet(63, IP, &packet));
    }
    // UDP's own length around the truth.
    for length in [0, 7, 8, 9, 11, 12, 13, 255] {
        let mut packet = udp_packet(client(64), 53, 4);
        packet[20 + 5] = length;
        stage.send_slowly(frame::ethernet(64, IP, &packet));
    }
}

fn ipv6_extensions(stage: &mut Stage<'_>) {
    const HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const DESTINATION: u8 = 60;
    const NONE: u8 = 59;
    let source = frame::source6(70);
    let tcp = segment6(source, 80, SYN, 0);
    let chains: &[&[(u8, u8, u8)]] = &[
        &[(HOP, 0, 5)],
        &[(HOP, 1, 5), (DESTINATION, 0, 1)],
        &[(DESTINATION, 0, 1), (HOP, 0, 5)],
        &[(ROUTING, 0, 0)],
        &[(ROUTING, 2, 2)],
        &[(ROUTING, 0, 4), (DESTINATION, 3, 1)],
        &[(DESTINATION, 0, 0)],
        &[(HOP, 0, 0), (ROUTING, 0, 0)],
        &[(DESTINATION, 0, 1), (DESTINATION, 0, 1), (DESTINATION, 0, 1)],
        &[(DESTINATION, 0, 1), (DESTINATION, 0, 1), (DESTINATION, 0, 1), (DESTINATION, 0, 1)],
        &[
            (DESTINATION, 0, 1),
            (DESTINATION, 0, 1),
            (DESTINATION, 0, 1),
            (DESTINATION, 0, 1),
            (DESTINATION, 0, 1),
        ],
    ];
    for (index, chain) in chains.iter().enumerate() {
        for upper in [TCP, NONE] {
            let mut payload = if upper == TCP { tcp.clone() } else { Vec::new() };
            let mut next = upper;
            for &(header, units, kind) in chain.iter().rev() {
                payload = frame::extension(next, units, kind, &payload);
                next = header;
            }
            stage.send_slowly(frame6(
                70 + index as u8,
                &frame::v6(frame::source6(70 + index as u8), next, &payload),
            ));
        }
    }
    // Headers that claim more than there is.
    for units in [0, 1, 2, 3, 255] {
        let mut packet = frame::v6(source, DESTINATION, &frame::extension(TCP, 0, 1, &tcp));
        packet[41] = units;
        stage.send_slowly(frame6(90, &packet));
    }
    for (place, value) in [(0, 0x50), (0, 0x40), (4, 1), (5, 0), (5, 19), (5, 20), (5, 21)] {
        let mut packet = frame::v6(frame::source6(91), TCP, &segment6(frame::source6(91), 80, SYN, 0));
        packet[place] = value;
        stage.send_slowly(frame6(91, &packet));
    }
}

fn ipv6_fragments(stage: &mut Stage<'_>) {
    const FRAGMENT: u8 = 44;
    let source = frame::source6(92);
    let tcp = segment6(source, 80, SYN, 20);
    let udp = datagram6(source, 53, 64);
    let pieces: &[(u8, u16, &[u8])] = &[
        (TCP, 0, &tcp),
        (TCP, 1, &tcp[..24]),
        (TCP, 1, &tcp[..16]),
        (TCP, 8, &tcp[8..]),
        (TCP, 9, &tcp[8..16]),
        (UDP, 0, &udp),
        (UDP, 1, &udp[..16]),
        (UDP, 16, &udp[16..]),
        (UDP, 6, &udp[..7]),
    ];
    for &(next, place, payload) in pieces {
        let packet = frame::v6(source, FRAGMENT, &frame::fragment6(next, place, payload));
        stage.send_slowly(frame6(92, &packet));
    }
    for length in [0, 4, 7, 8] {
        let whole = frame::fragment6(TCP, 0, &[]);
        stage.send_slowly(frame6(92, &frame::v6(source, FRAGMENT, &whole[..length])));
    }
}

/// Sends a frame cut to each of the lengths.
fn cut(stage: &mut Stage<'_>, whole: &[u8], lengths: std::ops::RangeInclusive<usize>) {
    for length in lengths {
        stage.send_slowly(whole[..length].to_vec());
    }
}

fn cut_ipv4_tcp(stage: &mut Stage<'_>) {
    cut(stage, &tcp_frame(client(100), 80, SYN, 2), 14..=56);
}

fn cut_ipv4_udp(stage: &mut Stage<'_>) {
    cut(stage, &udp_frame(client(101), 53, 2), 30..=44);
}

fn cut_ipv6_tcp(stage: &mut Stage<'_>) {
    let source = frame::source6(102);
    let whole = frame6(102, &frame::v6(source, TCP, &segment6(source, 80, SYN, 0)));
    cut(stage, &whole, 50..=74);
}

fn cut_vlan(stage: &mut Stage<'_>) {
    let whole = frame::tagged(103, 2, &udp_packet(client(103), 53, 0));
    cut(stage, &whole, 15..=23);
}

/// Packets whose IP length is right and whose transport header is cut off.
fn short_payloads(stage: &mut Stage<'_>) {
    let source = client(104);
    let tcp = segment(source, (1, 80), SYN, 1);
    for length in [0, 1, 4, 12, 13, 14, 19, 20, 21] {
        stage.send_slowly(frame::ethernet(104, IP, &V4::new(source, TCP).packet(&tcp[..length])));
    }
    for length in [0, 1, 7] {
        let udp = datagram(source, (1, 53), 0);
        stage.send_slowly(frame::ethernet(104, IP, &V4::new(source, UDP).packet(&udp[..length])));
    }
    for length in [0, 19] {
        let source = frame::source6(104);
        let packet = frame::v6(source, TCP, &segment6(source, 80, SYN, 0)[..length]);
        stage.send_slowly(frame6(104, &packet));
    }
}

/// Port 9, which the dispatcher refuses, and its neighbours.
fn discard_service(stage: &mut Stage<'_>) {
    for port in [8, 9, 10, 0x0900] {
        stage.send_slowly(tcp_frame(client(105), port, SYN, 0));
        stage.send_slowly(udp_frame(client(105), port, 3));
        let source = frame::source6(105);
        stage.send_slowly(frame6(105, &frame::v6(source, UDP, &datagram6(source, port, 3))));
    }
}

/// Transport protocols that nobody reads here: SCTP, GRE, ESP, OSPF, and the reserved last.
fn other_protocols(stage: &mut Stage<'_>) {
    for protocol in [132, 47, 50, 89, 255, 0] {
        let packet = V4::new(client(106), protocol).packet(&frame::data(16));
        stage.send_slowly(frame::ethernet(106, IP, &packet));
    }
    for protocol in [132, 50] {
        stage.send_slowly(frame6(106, &frame::v6(frame::source6(106), protocol, &frame::data(16))));
    }
}
