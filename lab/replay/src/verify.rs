//! The verifier: three bytes choose what the program is, the rest is the program, in bytes or in text.
//!
//! | byte | chooses |
//! | --- | --- |
//! | first | the program type |
//! | second | text or bytes; whether it may sleep; strict alignment; the licence; whether its functions have types, and which |
//! | third | the attach type |
//!
//! Promised: whatever it is, a verdict comes without a panic, and after no more instructions than there may be; and it does not depend on
//! what is pruned: a program is refused for the same reason whether paths are left out where all that was seen to matter is
//! the same, or only where everything is. Loops that go round until nothing new happens are left out of that, as what is widened there does
//! depend on it.

use skep_abi::{AttachType, MapType, ProgType};
use skep_btf::{
    Btf, Builder, Endian, EnumWidth, Func, FuncInfo, FuncLinkage, Int, IntEncoding, Param, Sign, TypeId,
};
use skep_isa::{Addr, ByteOrder, Insn, InsnIdx, Program, RawInsn, raw, structure, text};
use skep_model::platform::Platform;
use skep_model::platform::helper::Licence;
use skep_verifier::{
    Alignment, Category, Limits, MapProto, Pruning, Reference, References, Sleep, Special, SpecialKind,
    Subject, verify,
};
use std::sync::OnceLock;

/// Maps that instructions name by their descriptors, the first by 3.
struct World;

const fn map(kind: MapType, key_size: u32, value_size: u32) -> MapProto<'static> {
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

const SPECIAL: &[Special] = &[
    Special { kind: SpecialKind::SpinLock, offset: 0, size: 4 },
    Special { kind: SpecialKind::Timer, offset: 8, size: 16 },
];

/// 3: hash; 4: array; 5: ring; 6: frozen array; 7: hash with a lock and a timer; 8: array of arrays; 9: programs; 10: sockets;
/// 11: AF_XDP sockets; 12: perf events; 13: queue; 14: write only; 15: per CPU.
const MAPS: &[MapProto<'static>] = &[
    map(MapType::HASH, 8, 16),
    map(MapType::ARRAY, 4, 64),
    MapProto { max_entries: 4096, ..map(MapType::RINGBUF, 0, 0) },
    MapProto {
        flags: 1 << 7,
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
    MapProto { flags: 1 << 8, ..map(MapType::ARRAY, 4, 8) },
    map(MapType::PERCPU_ARRAY, 4, 8),
];

impl References for World {
    fn address(&self, at: InsnIdx, addr: Addr) -> Reference {
        self.map_of(at, addr)
            .and_then(|map| MAPS.get(map))
            .map_or(Reference::Missing, |map| Reference::Map(map.kind))
    }

    fn kfunc(&self, _: InsnIdx, _: u32) -> Reference {
        Reference::Kernel
    }

    fn map_of(&self, _: InsnIdx, addr: Addr) -> Option<usize> {
        let (Addr::MapFd { fd } | Addr::MapValueFd { fd, .. }) = addr else { return None };
        usize::try_from(fd.checked_sub(3)?).ok().filter(|&map| map < MAPS.len())
    }
}

/// Types of functions: static, global, global with memory, global with what has no size.
struct Types {
    btf: Btf<'static>,
    functions: Vec<TypeId>,
}

fn types() -> &'static Types {
    static TYPES: OnceLock<Types> = OnceLock::new();
    TYPES.get_or_init(|| {
        let mut builder = Builder::new(Endian::NATIVE);
        let int = builder.int("int", Int { size: 4, encoding: IntEncoding(1), offset: 0, bits: 32 });
        let choice = builder.enumeration("choice", 4, EnumWidth::Bits32, Sign::Unsigned, &[]);
        let context = builder.structure("xdp_md", 24, &[]);
        let context = builder.ptr(context);
        let memory = builder.structure("memory", 16, &[]);
        let memory = builder.ptr(memory);
        let nothing = builder.ptr(TypeId(0));
        let param = |name, type_id| Param { name, type_id };
        let protos = [
            builder.func_proto(int, &[]),
            builder.func_proto(int, &[param("a", int), param("b", choice)]),
            builder.func_proto(int, &[param("ctx", context), param("memory", memory)]),
            builder.func_proto(int, &[param("nothing", nothing)]),
            builder.func_proto(TypeId(0), &[param("a", int)]),
        ];
        let linkages = [FuncLinkage::Static, FuncLinkage::Global];
        let functions = protos
            .iter()
            .zip(linkages.into_iter().cycle().skip(1))
            .flat_map(|(&proto, linkage)| [(proto, linkage), (proto, FuncLinkage::Global)])
            .map(|(proto, linkage)| builder.func("f", Func { proto, linkage }))
            .collect();
        let bytes = builder.finish().expect("types that were just built");
        Types { btf: Btf::from_vec(bytes).expect("types that were just built"), functions }
    })
}

/// What an input asks for.
struct Wanted {
    kind: ProgType,
    how: u8,
    attach: AttachType,
    slots: Vec<RawInsn>,
}

impl Wanted {
    fn new(data: &[u8]) -> Option<Self> {
        let [kind, how, attach, rest @ ..] = data else { return None };
        let slots = if how & 1 != 0 {
            text::assemble(std::str::from_utf8(rest).ok()?, &()).ok()?.slots().to_vec()
        } else {
            raw::from_bytes(rest.get(..rest.len() / 8 * 8)?, ByteOrder::Little).ok()?
        };
        let kind = ProgType::ALL[usize::from(*kind) % ProgType::ALL.len()];
        let attach = AttachType::ALL[usize::from(*attach) % AttachType::ALL.len()];
        Some(Self { kind, how: *how, attach, slots })
    }

    /// Gives each function a type, if they are to have any.
    fn functions(&self) -> Vec<FuncInfo> {
        if self.how & 16 == 0 {
            return Vec::new();
        }
        let Ok(program) = Program::decode(&self.slots) else { return Vec::new() };
        let Ok(structure) = structure::check(&program) else { return Vec::new() };
        let all = &types().functions;
        let first = usize::from(self.how >> 5);
        let typed = structure.subprograms().iter().enumerate();
        typed
            .map(|(number, sub)| FuncInfo {
                insn_off: sub.start.0,
                type_id: all[(first + number) % all.len()],
            })
            .collect()
    }

    fn goes_round(&self) -> bool {
        let Ok(program) = Program::decode(&self.slots) else { return false };
        // Those that call functions.
        const ROUND: [u32; 4] = [164, 180, 181, 209];
        program.iter().any(|(_, insn)| match insn {
            Insn::MayGoto { .. } => true,
            Insn::CallHelper { id } => ROUND.contains(&id),
            _ => false,
        })
    }
}

pub(crate) fn run(data: &[u8]) {
    let Some(wanted) = Wanted::new(data) else { return };
    let functions = wanted.functions();
    let mut subject = Subject::new(&wanted.slots, &Platform::LINUX_6_18, wanted.kind, &World);
    subject.attach = wanted.attach;
    subject.maps = MAPS;
    if wanted.how & 2 != 0 {
        subject.sleep = Sleep::Allowed;
    }
    if wanted.how & 4 != 0 {
        subject.alignment = Alignment::Strict;
    }
    if wanted.how & 8 != 0 {
        subject.licence = Licence::Gpl;
    }
    if !functions.is_empty() {
        subject.functions = &functions;
        subject.types = Some(&types().btf);
    }
    let limits = Limits { insns: 4000, waiting: 256, ..Limits::LINUX };
    let verdict = |pruning| {
        let verified = verify(&subject, &Limits { pruning, ..limits });
        if let Ok(verified) = &verified {
            assert!(verified.stats().insns <= limits.insns, "{:?}", verified.stats());
        }
        verified.map(|_| ()).map_err(|rejection| (rejection.id(), rejection.insn, rejection.category()))
    };
    let full = verdict(Pruning::Full);
    let within = verdict(Pruning::Within);
    let gave_up = |verdict: &Result<_, (_, _, Category)>| {
        verdict.as_ref().is_err_and(|&(_, _, category)| category == Category::Limit)
    };
    if !wanted.goes_round() && !gave_up(&full) && !gave_up(&within) {
        assert_eq!(full, within, "what is pruned decides the verdict");
    }
}
