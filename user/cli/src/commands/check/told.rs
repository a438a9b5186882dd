//! What the verifier is told of an object's program: its instructions as they would be loaded, the object's maps, the types.

use skep_abi::{AttachType, ProgType};
use skep_btf::core::{Candidates, Request, patch};
use skep_btf::{Btf, CoreRelocKind, FuncInfo, Kind, TypeId};
use skep_elf::ObjectSpec;
use skep_isa::{Addr, InsnIdx, RawInsn};
use skep_model::{CoreTarget, DataKind, MapSpec, ProgramSpec, RelocTarget, Relocation, SymbolTarget};
use skep_verifier::{MapProto, Reference, References, Special, SpecialKind, special_fields};
use std::collections::HashMap;

/// The source number of a wide load that says: a variable of the kernel (`BPF_PSEUDO_BTF_ID`).
const VARIABLE: u8 = 3;
/// The source number of a call that says: a function of the kernel (`BPF_PSEUDO_KFUNC_CALL`).
const KFUNC: u8 = 2;
/// The opcode of a call, and a helper that no kernel has: what stands in the place of functions that may be missing, and are.
const CALL: u8 = 0x85;
const MISSING: i32 = 2_002_000_000;
/// An address in the kernel, for variables whose type it does not tell: not null, and nothing that a program may read through.
const ADDRESS: u64 = 0xffff_ffff_8000_0000;

/// A map of an object.
struct Described<'o> {
    spec: &'o MapSpec,
    inner: Option<usize>,
    special: Vec<Special>,
}

/// The maps of an object, and behind them those that they hold.
pub(super) struct Maps<'o>(Vec<Described<'o>>);

impl<'o> Maps<'o> {
    pub(super) fn of(object: &'o ObjectSpec, kernel: Option<&Btf<'_>>) -> Maps<'o> {
        let mut maps = Maps(Vec::new());
        for spec in &object.maps {
            maps.add(object, kernel, spec);
        }
        for index in 0..object.maps.len() {
            if let Some(inner) = maps.0[index].spec.inner.as_deref() {
                maps.0[index].inner = Some(maps.0.len());
                maps.add(object, kernel, inner);
            }
        }
        maps
    }

    fn add(&mut self, object: &ObjectSpec, kernel: Option<&Btf<'_>>, spec: &'o MapSpec) {
        let special = match (&object.btf, spec.value_type) {
            // A map whose fields are malformed is made, and its bytes are plain ones.
            (Some(types), Some(value)) => special_fields(types, TypeId(value.0), kernel).unwrap_or_default(),
            _ => Vec::new(),
        };
        self.0.push(Described { spec, inner: None, special });
    }

    pub(super) fn protos<'m>(&'m self) -> Vec<MapProto<'m>> {
        let proto = |map: &'m Described<'_>| MapProto {
            kind: map.spec.map_type,
            key_size: map.spec.key_size,
            value_size: map.spec.value_size,
            max_entries: map.spec.max_entries,
            flags: map.spec.flags,
            inner: map.inner,
            frozen: frozen(map.spec),
            special: &map.special,
        };
        self.0.iter().map(proto).collect()
    }
}

/// The bytes of constants, which are frozen when the object is loaded.
fn frozen(spec: &MapSpec) -> Option<&[u8]> {
    let data = spec.data().filter(|data| data.kind == DataKind::ReadOnly)?;
    Some(&*data.bytes).filter(|bytes| bytes.len() == spec.value_size as usize)
}

/// What instructions refer to by the object's relocations.
pub(super) struct ByRelocation<'o> {
    object: &'o ObjectSpec,
    targets: HashMap<InsnIdx, &'o RelocTarget>,
}

impl References for ByRelocation<'_> {
    fn address(&self, at: InsnIdx, addr: Addr) -> Reference {
        match (self.map_of(at, addr), self.targets.get(&at)) {
            (Some(map), _) => Reference::Map(self.object.maps[map].map_type),
            // Whether the kernel has it is known when it is loaded.
            (None, Some(RelocTarget::Ksym { .. } | RelocTarget::Kfunc { .. })) => Reference::Kernel,
            (None, _) => Reference::Missing,
        }
    }

    fn kfunc(&self, at: InsnIdx, _: u32) -> Reference {
        match self.targets.get(&at) {
            Some(RelocTarget::Kfunc { .. }) => Reference::Kernel,
            _ => Reference::Missing,
        }
    }

    fn map_of(&self, at: InsnIdx, _: Addr) -> Option<usize> {
        let (RelocTarget::Map(map) | RelocTarget::MapValue { map, .. }) = self.targets.get(&at)? else {
            return None;
        };
        Some(map.0 as usize).filter(|&map| map < self.object.maps.len())
    }
}

/// A program as it would be loaded.
pub(super) struct Told<'o> {
    pub(super) slots: Vec<RawInsn>,
    pub(super) references: ByRelocation<'o>,
    pub(super) functions: Vec<FuncInfo>,
    /// What of the kernel's types it is attached to.
    pub(super) target: Option<TypeId>,
}

impl<'o> Told<'o> {
    /// Fills in what a program refers to. Without the kernel's types its accesses to structs of the kernel are those that it was compiled with.
    ///
    /// # Errors
    /// Says what of the program does not fit the kernel's types.
    pub(super) fn of(
        object: &'o ObjectSpec,
        program: &'o ProgramSpec,
        kind: ProgType,
        kernel: Option<&Btf<'_>>,
    ) -> Result<Told<'o>, String> {
        let targets = program.relocations.iter().map(|relocation| (relocation.insn, &relocation.target));
        let references = ByRelocation { object, targets: targets.collect() };
        let mut slots = program.insns.clone();
        for relocation in &program.relocations {
            if let RelocTarget::MapValue { offset, .. } = &relocation.target {
                if let Some(slot) = slots.get_mut(relocation.insn.index() + 1) {
                    slot.imm = *offset as i32;
                }
            }
        }
        if let Some(kernel) = kernel {
            fit(object, program, kernel, &mut slots)?;
            for relocation in &program.relocations {
                name(relocation, kernel, &mut slots);
            }
        }
        let functions = program
            .func_info
            .iter()
            .map(|info| FuncInfo { insn_off: info.insn.0, type_id: TypeId(info.type_id.0) })
            .collect();
        let target = kernel.and_then(|kernel| target(program, kind, kernel));
        Ok(Told { slots, references, functions, target })
    }
}

/// Whether a program needs the kernel's types.
pub(super) fn needs_kernel(object: &ObjectSpec, program: &ProgramSpec, kind: ProgType) -> bool {
    let typed = [ProgType::TRACING, ProgType::LSM, ProgType::STRUCT_OPS, ProgType::EXT].contains(&kind);
    let refers = |relocation: &Relocation| {
        matches!(
            relocation.target,
            RelocTarget::Core { .. } | RelocTarget::Ksym { .. } | RelocTarget::Kfunc { .. }
        )
    };
    // Without the types, pointers of the kernel's types in maps are not told from what no program can use.
    let holds_pointers = || {
        let maps = Maps::of(object, None);
        maps.0.iter().flat_map(|map| &map.special).any(|field| field.kind == SpecialKind::Other)
    };
    typed || program.relocations.iter().any(refers) || holds_pointers()
}

/// Answers what the program asks of the kernel's types (CO-RE).
fn fit(
    object: &ObjectSpec,
    program: &ProgramSpec,
    kernel: &Btf<'_>,
    slots: &mut [RawInsn],
) -> Result<(), String> {
    let asked = |relocation: &Relocation| match &relocation.target {
        RelocTarget::Core(core) => Some(TypeId(core.type_id.0)),
        _ => None,
    };
    if !program.relocations.iter().any(|relocation| asked(relocation).is_some()) {
        return Ok(());
    }
    let local = object.btf.as_ref().ok_or("it has CO-RE relocations and no types")?;
    let words = |error: skep_btf::Error| error.to_string();
    let mut candidates =
        Candidates::new(local, program.relocations.iter().filter_map(asked)).map_err(words)?;
    candidates.search(0, kernel).map_err(words)?;
    candidates.settle();
    for relocation in &program.relocations {
        let RelocTarget::Core(core) = &relocation.target else { continue };
        let CoreTarget { type_id, access, kind } = &**core;
        let at = relocation.insn;
        let kind = CoreRelocKind::from_number(*kind)
            .ok_or_else(|| format!("instruction {at}: CO-RE relocation of unknown kind {kind}"))?;
        let request = Request { type_id: TypeId(type_id.0), access, kind };
        let resolution =
            candidates.resolve(&request, &[kernel]).map_err(|error| format!("instruction {at}: {error}"))?;
        patch(slots, at.index(), &resolution.outcome)
            .map_err(|error| format!("instruction {at}: {error}"))?;
    }
    Ok(())
}

/// Writes the type of a variable or function of the kernel into the instruction that names it.
fn name(relocation: &Relocation, kernel: &Btf<'_>, slots: &mut [RawInsn]) {
    let at = relocation.insn.index();
    let (SymbolTarget { name, weak }, kind, source) = match &relocation.target {
        RelocTarget::Ksym(symbol) => (&**symbol, Kind::Var, VARIABLE),
        RelocTarget::Kfunc(symbol) => (&**symbol, Kind::Func, KFUNC),
        _ => return,
    };
    let Some(slot) = slots.get_mut(at) else { return };
    let is_call = slot.code == CALL;
    let found = kernel.find(name, kind).or_else(|| kernel.find(name, Kind::Func));
    match found {
        Some(id) => {
            let source = if is_call { KFUNC } else { source.max(VARIABLE) };
            slot.regs = (slot.regs & 0x0f) | source << 4;
            slot.off = 0;
            slot.imm = id.0 as i32;
        }
        None if is_call && *weak => (slot.regs, slot.off, slot.imm) = (0, 0, MISSING),
        None if is_call => {}
        None => {
            // Of variables without a type a loader knows the address.
            let address = if *weak { 0 } else { ADDRESS };
            slot.regs &= 0x0f;
            slot.imm = address as i32;
            if let Some(high) = slots.get_mut(at + 1) {
                high.imm = (address >> 32) as i32;
            }
        }
    }
}

/// Finds what a section's name says of the kernel's types: a function, a tracepoint, an iterator.
fn target(program: &ProgramSpec, kind: ProgType, kernel: &Btf<'_>) -> Option<TypeId> {
    let attach = program.attach.as_ref()?;
    let name = attach.target.as_deref()?;
    // Of a module's, only the function is looked for.
    let name = name.split_once(':').map_or(name, |(_, name)| name);
    let (prefix, kind) = match (kind, attach.attach_type.unwrap_or_default()) {
        (ProgType::TRACING, AttachType::TRACE_RAW_TP) => ("btf_trace_", Kind::Typedef),
        (ProgType::TRACING, AttachType::TRACE_ITER) => ("bpf_iter_", Kind::Func),
        (ProgType::TRACING, _) => ("", Kind::Func),
        (ProgType::LSM, _) => ("bpf_lsm_", Kind::Func),
        _ => return None,
    };
    kernel.find(&format!("{prefix}{name}"), kind)
}
