//! What headers can say: every edge of every field that the examples read.

use super::super::frame::{self, ACK, FIN, ICMP, IP, PSH, RST, SYN, TCP, UDP, URG, V4};
use super::{
    BLOCKED, Stage, client, datagram, datagram6, frame6, segment, segment6, tcp_frame, tcp_packet, udp_frame,
    udp_packet,
};

pub(super) const SCENES: &[fn(&mut Stage<'_>)] = &[
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
