//! Programs: an entry function linked with all that it calls, its references named.

use crate::error::{ElfError, Problem};
use crate::exceptions::Callbacks;
use crate::externs::{ExternKind, ExternSpec};
use crate::functions::{FnIdx, Functions};
use crate::image::{Home, Image, R_BPF_64_32, R_BPF_64_64, Reloc, SecIdx, Section};
use crate::maps::Maps;
use skep_abi::flags::{BPF_F_SLEEPABLE, BPF_F_XDP_HAS_FRAGS};
use skep_isa::{InsnIdx, RawInsn};
use skep_model::platform::sections::{self, Autoload, Flags};
use skep_model::{AttachSpec, FunctionSpec, MapId, ProgramSpec, RelocTarget, Relocation, SymbolTarget};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// The most slots of one linked program; Linux refuses a million instructions long before.
const MOST_SLOTS: usize = 1 << 24;

const LDDW: u8 = 0x18;
const CALL: u8 = 0x85;
/// `src` of a call to a function of the program.
const CALL_LOCAL: u8 = 1;
/// `src` of a call to a kernel function.
const CALL_KFUNC: u8 = 2;
/// `src` of an LDDW of a kernel variable.
const LDDW_VARIABLE: u8 = 3;
/// `src` of an LDDW of a code address.
const LDDW_CODE: u8 = 4;
/// `src` of an LDDW of a map by descriptor.
const LDDW_MAP: u8 = 1;
/// `src` of an LDDW of a map's value by descriptor.
const LDDW_MAP_VALUE: u8 = 2;

/// What an object holds that programs refer to.
pub(crate) struct Linker<'o, 'd> {
    pub(crate) image: &'o Image<'d>,
    pub(crate) functions: &'o Functions<'d>,
    pub(crate) maps: &'o Maps,
    pub(crate) externs: &'o BTreeMap<&'o str, &'o ExternSpec>,
    pub(crate) kconfig: Option<MapId>,
    pub(crate) callbacks: &'o Callbacks,
    pub(crate) code: RefCell<&'o mut ReadCode<'o>>,
}

/// Fills a buffer from an offset of the file, and tells whether there was that much.
pub(crate) type ReadCode<'r> = dyn FnMut(u64, &mut [u8]) -> bool + 'r;

/// Where a function of a program was in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) section: SecIdx,
    /// Its first slot in the section, of which no more than [`MOST_SLOTS`] are of use.
    pub(crate) start: u32,
}

/// A program, and where each of its functions was, behind those of the programs before it.
struct Linked<'p> {
    program: ProgramSpec,
    places: &'p mut Vec<Place>,
}

/// Where functions begin in a program, in slots. Most programs are one function.
#[derive(Default)]
struct Placed {
    first: Option<(FnIdx, usize)>,
    others: BTreeMap<FnIdx, usize>,
}

impl Placed {
    fn at(&self, function: FnIdx) -> Option<usize> {
        match self.first {
            Some((first, start)) if first == function => Some(start),
            _ => self.others.get(&function).copied(),
        }
    }

    fn put(&mut self, function: FnIdx, start: usize) {
        match self.first {
            None => self.first = Some((function, start)),
            Some(_) => drop(self.others.insert(function, start)),
        }
    }
}

/// The load flags that a section's properties ask for.
const LOAD_FLAGS: &[(Flags, u32)] =
    &[(Flags::SLEEPABLE, BPF_F_SLEEPABLE), (Flags::XDP_FRAGS, BPF_F_XDP_HAS_FRAGS)];

/// What a section's name says of its programs. A name that no rule knows is no mistake yet: whoever loads may say
/// what the program is.
fn attach(section: &str) -> Option<AttachSpec> {
    let found = sections::lookup(section).ok()?;
    let row = found.row;
    let asked = LOAD_FLAGS.iter().filter(|(flag, _)| row.flags.has(*flag));
    // Number 0 is a real attach type for those that are attached by it, and none for all others.
    let has_attach_type = row.attach.0 != 0 || row.flags.has(Flags::ATTACHABLE);
    Some(AttachSpec {
        prog_type: row.prog,
        attach_type: has_attach_type.then_some(row.attach),
        target: found.extra.map(str::to_owned),
        prog_flags: asked.fold(0, |flags, (_, load)| flags | load),
        autoload: found.autoload == Autoload::Yes,
    })
}

/// What an instruction of a function turned out to mean.
enum Meaning {
    /// As it stands.
    Plain,
    /// A call of a function.
    Call(FnIdx),
    /// The address of a function.
    Address(FnIdx),
    /// Something of a kernel, with the `src` that its instruction gets.
    Refers(RelocTarget, u8),
}

impl Linker<'_, '_> {
    /// Links the program that starts with `entry`, and adds where its functions were; the records of these are still to be added.
    pub(crate) fn link(&self, entry: FnIdx, places: &mut Vec<Place>) -> Result<ProgramSpec, ElfError> {
        let function = self.functions.get(entry);
        let section = self.image.section(function.section);
        let program = ProgramSpec {
            name: function.name.to_owned(),
            section: section.name.to_owned(),
            attach: attach(section.name),
            insns: Vec::new(),
            relocations: Vec::new(),
            // Most programs are one function.
            functions: Vec::with_capacity(1),
            func_info: Vec::new(),
            line_info: Vec::new(),
            exception_callback: None,
        };
        let mut linked = Linked { program, places };
        let mut placed = Placed::default();
        let mut calls = Vec::new();
        self.place(entry, &mut linked, &mut placed, &mut calls)?;
        // Behind all that is called, as libbpf has it.
        let callback = self.callbacks.of(function.name);
        // One that the program calls itself, which the kernel refuses, is there already.
        if let Some(callback) = callback.filter(|callback| placed.at(*callback).is_none()) {
            self.place(callback, &mut linked, &mut placed, &mut calls)?;
        }
        let mut program = linked.program;
        program.exception_callback =
            callback.and_then(|index| placed.at(index)).map(|start| InsnIdx(start as u32));
        for (at, callee) in calls {
            // Whatever is called is placed. Both fit in 24 bits, so their difference fits an i32.
            let start = placed.at(callee).unwrap_or_default();
            program.insns[at].imm = start as i32 - at as i32 - 1;
        }
        // Made with some room, and held as long as the object.
        program.insns.shrink_to_fit();
        program.relocations.shrink_to_fit();
        program.functions.shrink_to_fit();
        Ok(program)
    }

    /// Places a function and all that it calls, each callee behind its first caller and before the caller's next one: the order
    /// of libbpf (`bpf_object__reloc_code`), so that both send the same bytes.
    fn place(
        &self,
        first: FnIdx,
        linked: &mut Linked<'_>,
        placed: &mut Placed,
        calls: &mut Vec<(usize, FnIdx)>,
    ) -> Result<(), ElfError> {
        // Not on the stack: how deep calls go is the file's to say.
        let mut left = vec![vec![first].into_iter()];
        while let Some(callees) = left.last_mut() {
            let Some(index) = callees.next() else {
                left.pop();
                continue;
            };
            if placed.at(index).is_some() {
                continue;
            }
            placed.put(index, linked.program.insns.len());
            let known = calls.len();
            self.append(index, linked, calls)?;
            let callees: Vec<FnIdx> = calls[known..].iter().map(|(_, callee)| *callee).collect();
            left.push(callees.into_iter());
        }
        Ok(())
    }

    /// Appends one function to the program, and notes its calls.
    fn append(
        &self,
        index: FnIdx,
        Linked { program, places }: &mut Linked<'_>,
        calls: &mut Vec<(usize, FnIdx)>,
    ) -> Result<(), ElfError> {
        let function = self.functions.get(index);
        let section = self.image.section(function.section);
        let (base, count) = (program.insns.len(), function.slots);
        let fail = |error: ElfError, at: usize| {
            error.in_section(section.name).in_symbol(function.name).at_insn(function.start + at)
        };
        if base + count > MOST_SLOTS {
            return Err(fail(Problem::TooLarge.into(), 0));
        }
        make_room(&mut program.insns, count);
        program.insns.resize(base + count, RawInsn::default());
        let slots = &mut program.insns[base..];
        let at = section.offset + (function.start * RawInsn::BYTES) as u64;
        if !RawInsn::fill(slots, self.image.order, |bytes| (self.code.borrow_mut())(at, bytes)) {
            let (start, size) = ((function.start * RawInsn::BYTES) as u64, (count * RawInsn::BYTES) as u64);
            return Err(fail(Problem::OutsideSection { start, size, section: section.size }.into(), 0));
        }
        program.functions.push(FunctionSpec {
            name: function.name.to_owned(),
            start: InsnIdx(base as u32),
            slots: count as u32,
            linkage: function.linkage,
        });
        let start = u32::try_from(function.start).map_err(|_| fail(Problem::TooLarge.into(), 0))?;
        places.push(Place { section: function.section, start });
        let slots = &mut program.insns[base..];
        let (first, end) = (function.start as u64 * 8, (function.start + count) as u64 * 8);
        let relocs = self.image.relocs_within(function.section, first..end);
        check_relocations(&section, function.start, relocs.clone(), slots)?;
        make_room(&mut program.relocations, relocs.len());
        let mut relocs = relocs.peekable();
        let mut at = 0;
        while let Some(insn) = slots.get_mut(at) {
            let wide = insn.code == LDDW;
            let place = function.start + at;
            // Several for one instruction are one: the first. What lies between two instructions is of none.
            let offset = place as u64 * 8;
            let mut reloc = None;
            while let Some(next) = relocs.next_if(|next| next.offset <= offset) {
                reloc = reloc.or(Some(next).filter(|next| next.offset == offset));
            }
            let meaning = match (reloc, insn.code) {
                (None, code) if code != CALL => Meaning::Plain,
                _ => self.meaning(function.section, place, *insn, reloc).map_err(|error| fail(error, at))?,
            };
            match meaning {
                Meaning::Plain => {}
                Meaning::Call(callee) => calls.push((base + at, callee)),
                Meaning::Address(callee) => {
                    *insn = RawInsn::new(insn.code, insn.dst(), LDDW_CODE, insn.off, 0);
                    calls.push((base + at, callee));
                }
                Meaning::Refers(target, src) => {
                    *insn =
                        RawInsn::new(insn.code, insn.dst(), src, insn.off, if wide { 0 } else { insn.imm });
                    program.relocations.push(Relocation { insn: InsnIdx((base + at) as u32), target });
                }
            }
            if wide && at + 1 == count {
                let wanted = "a second slot of the wide instruction";
                return Err(fail(
                    Problem::BadTarget { target: "the end of the function".into(), wanted }.into(),
                    at,
                ));
            }
            at += if wide { 2 } else { 1 };
        }
        Ok(())
    }

    fn meaning(
        &self,
        section: SecIdx,
        at: usize,
        slot: RawInsn,
        reloc: Option<Reloc>,
    ) -> Result<Meaning, ElfError> {
        match reloc {
            Some(reloc) if reloc.r_type == R_BPF_64_32 => self.call(reloc, slot),
            Some(reloc) => self.wide_load(reloc, slot),
            None if slot.code == CALL && slot.src() == CALL_LOCAL => {
                let target = at as i64 + i64::from(slot.imm) + 1;
                self.function(section, target).map(Meaning::Call).ok_or_else(|| {
                    let target = format!("instruction {target} of its section");
                    Problem::BadTarget { target, wanted: "the start of a function" }.into()
                })
            }
            None => Ok(Meaning::Plain),
        }
    }

    /// A call: of a function by its symbol, or by its section's symbol and the distance in `imm`.
    fn call(&self, reloc: Reloc, slot: RawInsn) -> Result<Meaning, ElfError> {
        let symbol = self.image.symbol(reloc.symbol);
        let Home::Section(home) = symbol.home else {
            return match self.externs.get(symbol.name) {
                Some(found) if found.kind == ExternKind::Kfunc => {
                    Ok(Meaning::Refers(RelocTarget::Kfunc(target_of(found)), CALL_KFUNC))
                }
                _ => Err(Problem::Undefined(self.image.describe(reloc.symbol)).into()),
            };
        };
        // A call's immediate counts from the next instruction, so -1 means the symbol itself.
        let target = (symbol.value / 8) as i64 + i64::from(slot.imm) + 1;
        let found = self.function(home, target).filter(|_| slot.src() == CALL_LOCAL);
        found.map(Meaning::Call).ok_or_else(|| {
            Problem::BadTarget {
                target: self.image.describe(reloc.symbol),
                wanted: "the start of a function",
            }
            .into()
        })
    }

    /// An LDDW: of a map, a place in a data section, a function, a kernel variable, a configuration value.
    fn wide_load(&self, reloc: Reloc, slot: RawInsn) -> Result<Meaning, ElfError> {
        let symbol = self.image.symbol(reloc.symbol);
        let addend = u64::from(slot.imm as u32);
        if let Home::Undefined = symbol.home {
            let found = self.externs.get(symbol.name);
            let Some(found) = found else {
                return Err(Problem::Undefined(self.image.describe(reloc.symbol)).into());
            };
            return Ok(match (found.kind, self.kconfig) {
                (ExternKind::Kconfig { offset, .. }, Some(map)) => {
                    Meaning::Refers(RelocTarget::MapValue { map, offset }, LDDW_MAP_VALUE)
                }
                (ExternKind::Kfunc, _) => {
                    Meaning::Refers(RelocTarget::Kfunc(target_of(found)), LDDW_VARIABLE)
                }
                _ => Meaning::Refers(RelocTarget::Ksym(target_of(found)), LDDW_VARIABLE),
            });
        }
        if let Some(target) = self.maps.target(self.image, reloc.symbol, addend) {
            return Ok(match target? {
                target @ RelocTarget::MapValue { .. } => Meaning::Refers(target, LDDW_MAP_VALUE),
                target => Meaning::Refers(target, LDDW_MAP),
            });
        }
        let bad = || Problem::BadTarget {
            target: self.image.describe(reloc.symbol),
            wanted: "a map, a data section or a function",
        };
        let Home::Section(home) = symbol.home else { return Err(bad().into()) };
        let offset = symbol.value.wrapping_add(addend);
        let found = if offset % 8 == 0 { self.functions.at(home, (offset / 8) as usize) } else { None };
        match found {
            Some(function) => Ok(Meaning::Address(function)),
            None if self.image.section(home).name.starts_with(".addr_space.") => {
                Err(Problem::Unsupported("variables of an address space that is no arena's").into())
            }
            None => Err(bad().into()),
        }
    }

    fn function(&self, section: SecIdx, start: i64) -> Option<FnIdx> {
        self.functions.at(section, usize::try_from(start).ok()?)
    }
}

fn target_of(spec: &ExternSpec) -> Box<SymbolTarget> {
    Box::new(SymbolTarget { name: spec.name.as_str().into(), weak: spec.weak })
}

/// Makes room for more elements: a quarter more than there are at least, as most programs are one function and keep what they
/// are given.
fn make_room<T>(list: &mut Vec<T>, more: usize) {
    if list.capacity() - list.len() < more {
        list.reserve_exact(more.max(list.len() / 4));
    }
}

/// Refuses relocations inside a function that no instruction can carry.
fn check_relocations(
    section: &Section<'_>,
    start: usize,
    relocs: impl Iterator<Item = Reloc>,
    slots: &[RawInsn],
) -> Result<(), ElfError> {
    for reloc in relocs {
        let fail = |problem: Problem| ElfError::from(problem).in_section(section.name).at_byte(reloc.offset);
        let code = slots[(reloc.offset / 8) as usize - start].code;
        match reloc.r_type {
            _ if reloc.offset % 8 != 0 => return Err(fail(Problem::MisplacedRelocation("instruction"))),
            R_BPF_64_64 if code == LDDW => {}
            R_BPF_64_32 if code == CALL => {}
            R_BPF_64_64 => return Err(fail(Problem::MisplacedRelocation("wide load"))),
            R_BPF_64_32 => return Err(fail(Problem::MisplacedRelocation("call"))),
            other => return Err(fail(Problem::UnknownRelocation(other))),
        }
    }
    Ok(())
}
