//! A trie of IPv4 prefixes, four bits a step, and addresses to look up in it.

use super::Noise;

/// The nodes that the memory has room for, each of 16 entries.
const NODES: usize = 128;
/// An entry that is a route.
const ROUTE: u16 = 0x8000;

/// Makes a full trie, then so many addresses; most of them begin as some prefix does.
pub(super) fn with_addresses(noise: &mut Noise, count: usize) -> Vec<u8> {
    let mut nodes = vec![[0; 16]];
    let mut prefixes = Vec::new();
    while nodes.len() + 6 <= NODES {
        let (prefix, steps) = (noise.next() as u32, 2 + noise.below(5));
        insert(&mut nodes, prefix, steps, ROUTE | prefixes.len() as u16);
        prefixes.push((prefix, steps));
    }
    nodes.resize(NODES, [0; 16]);
    let mut bytes: Vec<u8> = nodes.iter().flatten().flat_map(|entry| entry.to_le_bytes()).collect();
    for _ in 0..count {
        let random = noise.next() as u32;
        let (prefix, steps) = prefixes[noise.below(prefixes.len())];
        let kept = u32::MAX << (32 - 4 * steps);
        let address = if noise.below(5) == 0 { random } else { prefix & kept | random & !kept };
        bytes.extend(address.to_le_bytes());
    }
    bytes
}

/// Puts a prefix of so many steps in, unless a shorter one is in its way.
fn insert(nodes: &mut Vec<[u16; 16]>, prefix: u32, steps: usize, route: u16) {
    let mut node = 0;
    for step in 0..steps {
        let entry = (prefix >> (28 - 4 * step) & 15) as usize;
        if nodes[node][entry] & ROUTE != 0 {
            return;
        }
        if step + 1 == steps {
            if nodes[node][entry] == 0 {
                nodes[node][entry] = route;
            }
            return;
        }
        if nodes[node][entry] == 0 {
            nodes[node][entry] = nodes.len() as u16;
            nodes.push([0; 16]);
        }
        node = usize::from(nodes[node][entry]);
    }
}
