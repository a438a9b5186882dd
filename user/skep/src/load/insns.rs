//! Instructions with their references filled in.

use super::Loading;
use super::core::Poisoned;
use super::externs::Symbol;
use crate::error::{Error, ErrorKind, Result};
use skep_abi::flags::{BPF_PSEUDO_BTF_ID, BPF_PSEUDO_KFUNC_CALL};
use skep_model::{ProgramSpec, RelocTarget, Relocation};

/// The opcode of a 64-bit load of an immediate (RFC 9669 §5.4).
const LOAD_IMM64: u8 = 0x18;
/// The opcode of a call.
const CALL: u8 = 0x85;
/// Calls of helpers that no kernel has, in the place of what is not there: a branch that is never taken loads, and any
/// other is refused by a number that says why. The numbers are libbpf's, and so is what is counted behind them: the map, the
/// symbol (`POISON_LDIMM64_MAP_BASE`, `POISON_CALL_KFUNC_BASE`).
const NO_SUCH_MAP: i32 = 2_001_000_000;
const NO_SUCH_FUNCTION: i32 = 2_002_000_000;

/// A program whose references are filled in.
pub(super) struct Linked {
    pub(super) insns: Vec<u8>,
    /// The instructions that need what this kernel does not have.
    pub(super) poisoned: Vec<Poisoned>,
}

impl<'o> Loading<'o> {
    /// Fills in a program's references.
    pub(super) fn link(&mut self, spec: &'o ProgramSpec) -> Result<Linked> {
        let mut insns = spec.insns.clone();
        let mut poisoned = Vec::new();
        for relocation in &spec.relocations {
            let at = relocation.insn.index();
            let place = |error: Error| error.at_insn(relocation.insn.0).in_section(&spec.section);
            let outside = || place(Error::new(ErrorKind::Object, "a relocation lies outside its program"));
            if let RelocTarget::Core { .. } = relocation.target {
                poisoned.extend(self.core.apply(&mut self.types, &mut insns, relocation).map_err(place)?);
                continue;
            }
            let code = insns.get(at).ok_or_else(outside)?.code;
            let (low, high) = match self.resolve(relocation, code).map_err(place)? {
                Found::Value(low, high) => (low, high),
                Found::Nothing(helper) => {
                    let slots = if code == LOAD_IMM64 { 2 } else { 1 };
                    let slots = insns.get_mut(at..at + slots).ok_or_else(outside)?;
                    for slot in slots {
                        (slot.code, slot.regs, slot.off, slot.imm) = (CALL, 0, 0, helper);
                    }
                    continue;
                }
            };
            let insn = insns.get_mut(at).ok_or_else(outside)?;
            if let Some(src) = low.src {
                insn.regs = (insn.regs & 0x0f) | src << 4;
            }
            if let Some(off) = low.off {
                insn.off = off;
            }
            insn.imm = low.imm;
            if code == LOAD_IMM64 {
                insns.get_mut(at + 1).ok_or_else(outside)?.imm = high;
            }
        }
        let mut bytes = Vec::new();
        let no_memory =
            |_| Error::new(ErrorKind::Kernel, "out of memory").with_errno(skep_abi::Errno::ENOMEM);
        bytes.try_reserve_exact(insns.len() * 8).map_err(no_memory)?;
        bytes.resize(insns.len() * 8, 0);
        for (slot, insn) in bytes.chunks_exact_mut(8).zip(&insns) {
            slot.copy_from_slice(&insn.to_bytes(self.object.spec.order));
        }
        Ok(Linked { insns: bytes, poisoned })
    }

    fn resolve(&mut self, relocation: &Relocation, code: u8) -> Result<Found> {
        let (low, high) = match &relocation.target {
            RelocTarget::Map(map) => match self.map_fd(*map)? {
                Some(fd) => (Low::imm(fd.fd().number()), 0),
                None => return Ok(Found::Nothing(NO_SUCH_MAP + map.0 as i32)),
            },
            RelocTarget::MapValue { map, offset } => match self.map_fd(*map)? {
                Some(fd) => {
                    let offset = offset.wrapping_add(self.start_in_arena(*map));
                    (Low::imm(fd.fd().number()), offset as i32)
                }
                None => return Ok(Found::Nothing(NO_SUCH_MAP + map.0 as i32)),
            },
            RelocTarget::Ksym { name, weak } | RelocTarget::Kfunc { name, weak } => {
                let is_call = code == CALL;
                match self.externs.symbol(&mut self.types, name)? {
                    Some(Symbol::Type(id, module)) if is_call => {
                        let off = match module {
                            None => Some(0),
                            Some(module) => self.types.modules.call_index(module),
                        };
                        let off = off.ok_or_else(|| {
                            Error::new(
                                ErrorKind::Object,
                                "calls functions of more modules than a call can name",
                            )
                        })?;
                        (Low { src: Some(BPF_PSEUDO_KFUNC_CALL), off: Some(off), imm: id.0 as i32 }, 0)
                    }
                    Some(Symbol::Type(id, module)) => {
                        let fd = module.and_then(|module| self.types.modules.fd(module));
                        let low = Low { src: Some(BPF_PSEUDO_BTF_ID), off: Some(0), imm: id.0 as i32 };
                        (low, fd.map_or(0, |fd| fd.number()))
                    }
                    Some(Symbol::Address(address)) => {
                        (Low { src: Some(0), off: None, imm: address as i32 }, (address >> 32) as i32)
                    }
                    None if *weak && is_call => {
                        return Ok(Found::Nothing(NO_SUCH_FUNCTION + self.externs.number(name)));
                    }
                    None if *weak => (Low { src: Some(0), off: None, imm: 0 }, 0),
                    None => {
                        let what = format!("this kernel has no symbol {name}");
                        return Err(self.types.modules.explain(Error::new(ErrorKind::Unsupported, what)));
                    }
                }
            }
            RelocTarget::Core { .. } => {
                return Err(Error::new(ErrorKind::Object, "has a CO-RE relocation where none belongs"));
            }
        };
        Ok(Found::Value(low, high))
    }
}

/// What is found for a reference.
enum Found {
    /// What becomes of the first slot, and the immediate of the second.
    Value(Low, i32),
    /// Nothing; a call of this helper stands in its place.
    Nothing(i32),
}

/// What becomes of the first slot of an instruction.
struct Low {
    src: Option<u8>,
    off: Option<i16>,
    imm: i32,
}

impl Low {
    fn imm(imm: i32) -> Low {
        Low { src: None, off: None, imm }
    }
}
