//! Maps that instructions name by descriptor.

use skep_abi::MapType;
use skep_abi::flags::{BPF_F_NO_PREALLOC, BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG};
use skep_btf::{Builder, Endian, Int, IntEncoding, Member, TypeId};
use skep_isa::{Addr, InsnIdx};
use skep_verifier::{MapProto, Reference, References, Special, SpecialKind};

/// The descriptor of the first of [`MAPS`].
pub const FIRST: i32 = 3;

pub(crate) const fn map(kind: MapType, key_size: u32, value_size: u32) -> MapProto<'static> {
    MapProto {
        kind,
        key_size,
        value_size,
        max_entries: 16,
        flags: 0,
        inner: None,
        frozen: None,
        special: &[],
    }
}

/// A lock, and a timer behind it.
const SPECIAL: &[Special] = &[
    Special { kind: SpecialKind::SpinLock, offset: 0, size: 4 },
    Special { kind: SpecialKind::Timer, offset: 8, size: 16 },
];

/// 3: hash; 4: array; 5: ring; 6: frozen array; 7: hash with a lock and a timer; 8: array of arrays; 9: programs; 10: sockets;
/// 11: AF_XDP sockets; 12: perf events; 13: queue; 14: write only; 15: per CPU; 16: storage of sockets; 17: storage of cgroups;
/// 18: read only; 19: array of one value; 20: array of frozen
/// arrays; 21: ring that user space fills; 22: bloom filter.
pub const MAPS: &[MapProto<'static>] = &[
    map(MapType::HASH, 8, 16),
    map(MapType::ARRAY, 4, 64),
    MapProto { max_entries: 4096, ..map(MapType::RINGBUF, 0, 0) },
    MapProto {
        flags: BPF_F_RDONLY_PROG,
        frozen: Some(b"\x07\0\0\0\0\0\0\0%d\n\0\0\0\0\0"),
        max_entries: 1,
        ..map(MapType::ARRAY, 4, 16)
    },
    MapProto { special: SPECIAL, ..map(MapType::HASH, 4, 32) },
    MapProto { inner: Some(1), ..map(MapType::ARRAY_OF_MAPS, 4, 4) },
    map(MapType::PROG_ARRAY, 4, 4),
    map(MapType::SOCKMAP, 4, 4),
    map(MapType::XSKMAP, 4, 4),
    map(MapType::PERF_EVENT_ARRAY, 4, 4),
    map(MapType::QUEUE, 0, 8),
    MapProto { flags: BPF_F_WRONLY_PROG, max_entries: 1, ..map(MapType::ARRAY, 4, 8) },
    map(MapType::PERCPU_ARRAY, 4, 8),
    MapProto { flags: BPF_F_NO_PREALLOC, max_entries: 0, ..map(MapType::SK_STORAGE, 4, 16) },
    MapProto { max_entries: 0, ..map(MapType::CGROUP_STORAGE, 16, 8) },
    MapProto { flags: BPF_F_RDONLY_PROG, ..map(MapType::ARRAY, 4, 8) },
    MapProto { max_entries: 1, ..map(MapType::ARRAY, 4, 64) },
    MapProto { inner: Some(3), ..map(MapType::ARRAY_OF_MAPS, 4, 4) },
    MapProto { max_entries: 4096, ..map(MapType::USER_RINGBUF, 0, 0) },
    map(MapType::BLOOM_FILTER, 0, 8),
];

/// What instructions refer to: maps by their descriptors, from [`FIRST`] on, and whatever they like of the kernel's.
#[derive(Clone, Copy, Debug)]
pub struct Among<'a>(pub &'a [MapProto<'a>]);

impl References for Among<'_> {
    fn address(&self, at: InsnIdx, addr: Addr) -> Reference {
        match addr {
            Addr::Variable { .. } => Reference::Kernel,
            _ => self
                .map_of(at, addr)
                .and_then(|map| self.0.get(map))
                .map_or(Reference::Missing, |map| Reference::Map(map.kind)),
        }
    }

    fn kfunc(&self, _: InsnIdx, btf_id: u32) -> Reference {
        if btf_id == 0 { Reference::Missing } else { Reference::Kernel }
    }

    fn map_of(&self, _: InsnIdx, addr: Addr) -> Option<usize> {
        let (Addr::MapFd { fd } | Addr::MapValueFd { fd, .. }) = addr else { return None };
        usize::try_from(fd.checked_sub(FIRST)?).ok().filter(|&map| map < self.0.len())
    }
}

/// What instructions refer to where there are no maps but [`MAPS`].
#[derive(Clone, Copy, Debug, Default)]
pub struct World;

impl References for World {
    fn address(&self, at: InsnIdx, addr: Addr) -> Reference {
        Among(MAPS).address(at, addr)
    }

    fn kfunc(&self, at: InsnIdx, btf_id: u32) -> Reference {
        Among(MAPS).kfunc(at, btf_id)
    }

    fn map_of(&self, at: InsnIdx, addr: Addr) -> Option<usize> {
        Among(MAPS).map_of(at, addr)
    }
}

/// The types of keys and values that maps want to be told.
#[derive(Clone, Debug)]
pub struct Values {
    /// The types.
    pub bytes: Vec<u8>,
    /// A number of four bytes, which is a key.
    pub key: TypeId,
    /// What [`MAPS`] says of the value with a lock and a timer.
    pub locked: TypeId,
    /// Sixteen bytes, for the storage of sockets.
    pub stored: TypeId,
}

/// Makes the types of keys and values.
pub fn value_types() -> Values {
    let mut builder = Builder::new(Endian::NATIVE);
    let number = |builder: &mut Builder, name: &str, bytes: u32| {
        let bits = (bytes * 8) as u8;
        builder.int(name, Int { size: bytes, bits, offset: 0, encoding: IntEncoding::UNSIGNED })
    };
    let key = number(&mut builder, "unsigned int", 4);
    let wide = number(&mut builder, "unsigned long", 8);
    let member = |name, type_id, byte: u32| Member { name, type_id, bit_offset: byte * 8, bitfield: None };
    let lock = builder.structure("bpf_spin_lock", 4, &[member("val", key, 0)]);
    let timer = builder.structure("bpf_timer", 16, &[member("low", wide, 0), member("high", wide, 8)]);
    let locked = builder.structure(
        "locked",
        32,
        &[member("lock", lock, 0), member("timer", timer, 8), member("number", wide, 24)],
    );
    let stored = builder.structure("stored", 16, &[member("low", wide, 0), member("high", wide, 8)]);
    let bytes = builder.finish().expect("types that were just built");
    Values { bytes, key, locked, stored }
}
