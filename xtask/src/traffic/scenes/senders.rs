//! Who sends: ordinary hosts, blocked ones, and those that send too much.

use super::super::frame::{
    self, ACK, ARP, FIN, ICMP, ICMPV6, IP, IPV6, PSH, QINQ, RST, SYN, TCP, UDP, V4, VLAN,
};
use super::{
    BLOCKED, LIMIT, MILLISECOND, Stage, WINDOW_NS, client, datagram6, frame6, segment6, tcp_frame,
    tcp_packet, udp_frame, udp_packet,
};

pub(super) const SCENES: &[fn(&mut Stage<'_>)] = &[
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
];

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
