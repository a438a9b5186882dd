//! What made programs refer to: maps of many kinds and types of functions, made once.

use crate::capture::Known;
use crate::{Case, MapOf};
use skep::sys::{BtfFd, Kernel, MapFd};
use skep_abi::{BtfLoad, MapCreate, MapType, ProgType, flags};
use skep_btf::{Btf, Builder, Endian, Func, FuncLinkage, Int, IntEncoding, Member, Param, TypeId};
use skep_model::platform::helper::Licence;
use skep_verifier::SpecialKind;
use std::collections::BTreeMap;
use std::sync::Arc;

type Error = Box<dyn std::error::Error>;

/// A map of the stock.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// Its descriptor.
    pub fd: i32,
    /// Its kind.
    pub kind: MapType,
    /// The bytes of a key.
    pub key: u32,
    /// The bytes of a value.
    pub value: u32,
    /// Where in the value the program's own bytes begin.
    pub free: u32,
    /// The offset of a lock or a timer.
    pub special: Option<(SpecialKind, u32)>,
    /// Whether programs may write values.
    pub is_read_only: bool,
    /// Whether instructions may name its value.
    pub is_direct: bool,
    /// The map that it holds, by its place in the stock.
    pub inner: Option<usize>,
}

/// What a function that is verified by itself takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A number.
    Number,
    /// The context.
    Context,
    /// Memory of sixteen bytes, or null.
    Memory,
}

/// The bytes behind a pointer that global functions take.
pub(super) const LENT: u32 = 16;

/// A type of a function.
#[derive(Clone, Debug)]
pub struct Signature {
    /// Its arguments.
    pub takes: Vec<Takes>,
    /// The program type whose context it takes, if it takes any.
    pub kind: Option<ProgType>,
    /// The FUNC.
    pub id: TypeId,
}

/// Everything that made programs refer to.
pub struct Stock {
    /// The maps.
    pub items: Vec<Item>,
    /// Global functions.
    pub global: Vec<Signature>,
    /// The type of static functions and of the main one.
    pub local: TypeId,
    /// The number of the types' descriptor.
    pub types_fd: i32,
    /// All that is told of it to the verifier.
    pub case: Case,
    _maps: Vec<MapFd>,
    _types: BtfFd,
}

/// A type of programs, and the name of its context's struct.
type Named = (ProgType, &'static str);

/// Contexts that global functions may take by name (`btf_is_prog_ctx_type`, kernel/bpf/btf.c).
const CONTEXTS: &[Named] = &[
    (ProgType::SOCKET_FILTER, "__sk_buff"),
    (ProgType::SCHED_CLS, "__sk_buff"),
    (ProgType::CGROUP_SKB, "__sk_buff"),
    (ProgType::XDP, "xdp_md"),
    (ProgType::CGROUP_SOCK_ADDR, "bpf_sock_addr"),
    (ProgType::SOCK_OPS, "bpf_sock_ops"),
    (ProgType::RAW_TRACEPOINT, "bpf_raw_tracepoint_args"),
    (ProgType::SK_LOOKUP, "bpf_sk_lookup"),
];

/// The types, and what in them is what.
struct Types {
    bytes: Vec<u8>,
    key: TypeId,
    locked: TypeId,
    timed: TypeId,
    local: TypeId,
    global: Vec<Signature>,
}

/// The values of maps with something that is the kernel's: the lock first, the timer behind a number.
const LOCKED: u32 = 32;
const TIMED: u32 = 40;

fn types() -> Result<Types, Error> {
    let mut b = Builder::new(Endian::Little);
    let int = |size: u32, encoding| Int { size, bits: (size * 8) as u8, offset: 0, encoding };
    let word = b.int("int", int(4, IntEncoding::SIGNED));
    let long = b.int("unsigned long long", int(8, IntEncoding::UNSIGNED));
    let unsigned = b.int("unsigned int", int(4, IntEncoding::UNSIGNED));
    let member = |name, type_id, at: u32| Member { name, type_id, bit_offset: at * 8, bitfield: None };
    let lock = b.structure("bpf_spin_lock", 4, &[member("val", unsigned, 0)]);
    let timer = b.structure("bpf_timer", 16, &[member("a", long, 0), member("b", long, 8)]);
    let fields = [
        member("lock", lock, 0),
        member("x", unsigned, 4),
        member("y", long, 8),
        member("z", long, 16),
        member("w", long, 24),
    ];
    let locked = b.structure("locked", LOCKED, &fields);
    let fields =
        [member("timer", timer, 0), member("x", long, 16), member("y", long, 24), member("z", long, 32)];
    let timed = b.structure("timed", TIMED, &fields);
    let lent = b.structure("lent", LENT, &[member("x", long, 0), member("y", long, 8)]);
    let lent = b.ptr(lent);
    let param = |type_id| Param { name: "a", type_id };
    let proto = b.func_proto(word, &[]);
    let local = b.func("local", Func { proto, linkage: FuncLinkage::Static });
    let mut global = Vec::new();
    let numbers: &[&[Takes]] = &[
        &[Takes::Number],
        &[Takes::Number, Takes::Number],
        &[Takes::Memory],
        &[Takes::Number, Takes::Memory],
    ];
    let mut all: Vec<(Option<Named>, Vec<Takes>)> =
        numbers.iter().map(|takes| (None, takes.to_vec())).collect();
    for context in CONTEXTS {
        all.push((Some(*context), vec![Takes::Context, Takes::Number]));
        all.push((Some(*context), vec![Takes::Context, Takes::Memory]));
    }
    let mut contexts: BTreeMap<&str, TypeId> = BTreeMap::new();
    for (number, (context, takes)) in all.into_iter().enumerate() {
        let pointer = context.map(|(_, name)| {
            *contexts.entry(name).or_insert_with(|| {
                let structure = b.structure(name, 4, &[member("x", unsigned, 0)]);
                b.ptr(structure)
            })
        });
        let params: Vec<Param<'_>> = takes
            .iter()
            .map(|takes| {
                param(match takes {
                    Takes::Number => long,
                    Takes::Context => pointer.unwrap_or(long),
                    Takes::Memory => lent,
                })
            })
            .collect();
        let proto = b.func_proto(word, &params);
        let name = format!("global{number}");
        let id = b.func(&name, Func { proto, linkage: FuncLinkage::Global });
        global.push(Signature { takes, kind: context.map(|(kind, _)| kind), id });
    }
    Ok(Types { bytes: b.finish()?, key: word, locked, timed, local, global })
}

/// The maps: kind, bytes of key and value, entries, flags.
const MAPS: &[(MapType, u32, u32, u32, u32)] = &[
    (MapType::ARRAY, 4, 48, 4, 0),
    (MapType::HASH, 8, 64, 16, 0),
    (MapType::PERCPU_ARRAY, 4, 24, 2, 0),
    (MapType::LRU_HASH, 16, 32, 16, 0),
    (MapType::RINGBUF, 0, 0, 4096, 0),
    (MapType::PROG_ARRAY, 4, 4, 4, 0),
    (MapType::PERF_EVENT_ARRAY, 4, 4, 2, 0),
    (MapType::QUEUE, 0, 8, 8, 0),
    (MapType::STACK, 0, 16, 8, 0),
    (MapType::ARRAY, 4, 256, 1, 0),
    (MapType::PERCPU_HASH, 4, 16, 8, 0),
    (MapType::BLOOM_FILTER, 0, 8, 16, 0),
    (MapType::STACK_TRACE, 4, 128, 16, 0),
    (MapType::LPM_TRIE, 8, 16, 8, flags::BPF_F_NO_PREALLOC),
    (MapType::DEVMAP, 4, 4, 4, 0),
    (MapType::CPUMAP, 4, 4, 2, 0),
    (MapType::SOCKMAP, 4, 4, 4, 0),
    (MapType::XSKMAP, 4, 4, 4, 0),
    (MapType::HASH, 4, 3, 8, flags::BPF_F_NO_PREALLOC),
    (MapType::ARRAY, 4, 8, 4, flags::BPF_F_RDONLY_PROG),
    (MapType::ARRAY, 4, 8, 4, flags::BPF_F_WRONLY_PROG),
];

/// What is found in the frozen map: numbers, and a text with its end.
const FROZEN: &[u8; 32] = b"\x03\0\0\0\x11\0\0\0\xff\xff\xff\xff\x40\0\0\0x %d %u\n\0\0\0\0\0\0\0\0";

impl Stock {
    /// Makes everything.
    ///
    /// # Errors
    /// Where the kernel refuses something.
    pub fn new(kernel: &Kernel, kernel_types: Option<Arc<Btf<'static>>>) -> Result<Stock, Error> {
        let types = types()?;
        let loaded = kernel.btf_load(&mut BtfLoad::default(), &types.bytes, &mut [])?;
        let types_fd = loaded.fd().number();
        let parsed = Btf::from_vec(types.bytes.clone())?;
        let mut maker = Maker {
            kernel,
            known: Known::default(),
            types: kernel_types.clone(),
            items: Vec::new(),
            maps: Vec::new(),
            all: Vec::new(),
        };
        for &(kind, key, value, entries, map_flags) in MAPS {
            let create = MapCreate {
                map_type: kind.0,
                key_size: key,
                value_size: value,
                max_entries: entries,
                map_flags,
                ..MapCreate::default()
            };
            maker.make(&create, None)?;
        }
        for (place, kind) in [(0, MapType::ARRAY_OF_MAPS), (1, MapType::HASH_OF_MAPS)] {
            let create = MapCreate {
                map_type: kind.0,
                key_size: 4,
                value_size: 4,
                max_entries: 3,
                inner_map_fd: maker.items[place].fd as u32,
                ..MapCreate::default()
            };
            maker.make(&create, Some(place))?;
        }
        let with_types = |kind: MapType, value_size, value: TypeId| MapCreate {
            map_type: kind.0,
            key_size: 4,
            value_size,
            max_entries: 4,
            btf_fd: types_fd as u32,
            btf_key_type_id: types.key.0,
            btf_value_type_id: value.0,
            ..MapCreate::default()
        };
        maker.make(&with_types(MapType::ARRAY, LOCKED, types.locked), None)?;
        maker.make(&with_types(MapType::ARRAY, TIMED, types.timed), None)?;
        let hash = with_types(MapType::HASH, LOCKED, types.locked);
        maker.make(&hash, None)?;
        maker.make_frozen()?;
        let case = Case {
            slots: Vec::new(),
            kind: ProgType::XDP,
            attach: skep_abi::AttachType(0),
            licence: Licence::Gpl,
            flags: 0,
            by_fd: maker.items.iter().enumerate().map(|(at, item)| (item.fd, at)).collect(),
            maps: maker.items.iter().zip(maker.all).map(|(item, map)| (map, item.inner)).collect(),
            fd_array: Vec::new(),
            functions: Vec::new(),
            types: Some(Arc::new(parsed)),
            kernel: kernel_types,
            target: None,
            exception_callback: None,
            cpus: kernel.possible_cpus().unwrap_or(1),
        };
        Ok(Stock {
            items: maker.items,
            global: types.global,
            local: types.local,
            types_fd,
            case,
            _maps: maker.maps,
            _types: loaded,
        })
    }
}

/// Makes maps.
struct Maker<'k> {
    kernel: &'k Kernel,
    known: Known,
    types: Option<Arc<Btf<'static>>>,
    items: Vec<Item>,
    maps: Vec<MapFd>,
    all: Vec<MapOf>,
}

impl Maker<'_> {
    fn make(&mut self, create: &MapCreate, inner: Option<usize>) -> Result<(), Error> {
        let kind = MapType(create.map_type);
        let made = self.kernel.map_create(create).map_err(|error| format!("{kind}: {error}"))?;
        if create.map_flags & flags::BPF_F_RDONLY_PROG != 0 && create.max_entries == 1 {
            made.update(&[0; 4], FROZEN, 0)?;
            made.freeze()?;
        }
        self.keep(made, create, inner)
    }

    fn make_frozen(&mut self) -> Result<(), Error> {
        let create = MapCreate {
            map_type: MapType::ARRAY.0,
            key_size: 4,
            value_size: FROZEN.len() as u32,
            max_entries: 1,
            map_flags: flags::BPF_F_RDONLY_PROG,
            ..MapCreate::default()
        };
        self.make(&create, None)
    }

    fn keep(&mut self, made: MapFd, create: &MapCreate, inner: Option<usize>) -> Result<(), Error> {
        let fd = made.fd();
        let id = made.info()?.id;
        if let Some(inner) = inner.and_then(|inner| self.all.get(inner)) {
            self.known.inner.insert(id, inner.clone());
        }
        let is_read_only = create.map_flags & flags::BPF_F_RDONLY_PROG != 0;
        if is_read_only && create.max_entries == 1 {
            self.known.frozen.insert(id);
        }
        let of = MapOf::of(self.kernel, fd, &self.known, self.types.as_deref()).ok_or("a map is gone")?;
        let special = of.special.first().map(|special| (special.kind, special.offset));
        self.items.push(Item {
            fd: fd.number(),
            kind: MapType(create.map_type),
            key: create.key_size,
            value: create.value_size,
            free: of.special.first().map_or(0, |special| special.offset + special.size),
            special,
            is_read_only,
            is_direct: MapType(create.map_type) == MapType::ARRAY && create.max_entries == 1,
            inner,
        });
        self.all.push(of);
        self.maps.push(made);
        Ok(())
    }
}
