//! Instructions with their references filled in.

use super::Loading;
use super::core::Poisoned;
use super::externs::Symbol;
use crate::error::{Error, ErrorKind, Result};
use skep_abi::flags::{BPF_PSEUDO_BTF_ID, BPF_PSEUDO_KFUNC_CALL};
use skep_btf::core::RawInsn;
use skep_model::{ProgramSpec, RelocTarget, Relocation, SymbolTarget};
use std::borrow::Cow;

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
pub(super) struct Linked<'o> {
    /// The object's own where nothing had to be filled in.
    pub(super) insns: Cow<'o, [RawInsn]>,
    /// The instructions that need what this kernel does not have.
    pub(super) poisoned: Vec<Poisoned>,
}

impl<'o> Loading<'o> {
    /// Fills in a program's references: in the instructions that were taken out of the object for that, or in a copy of the
    /// object's.
    pub(super) fn link(&mut self, spec: &'o ProgramSpec, own: Option<Vec<RawInsn>>) -> Result<Linked<'o>> {
        let mut insns = match own {
            Some(own) => own,
            None if spec.relocations.is_empty() => {
                return Ok(Linked { insns: Cow::Borrowed(&spec.insns), poisoned: Vec::new() });
            }
            None => copy(&spec.insns)?,
        };
        let mut poisoned = Vec::new();
        for relocation in &spec.relocations {
            let place = |error: Error| error.at_insn(relocation.insn.0).in_section(&spec.section);
            let outside = || place(Error::new(ErrorKind::Object, "a relocation lies outside its program"));
            // The slot that it is of, and the next, which a wide instruction has too.
            let slots = insns.get_mut(relocation.insn.index()..).unwrap_or_default();
            let slots = match slots.split_at_mut_checked(2) {
                Some((slots, _)) => slots,
                None => slots,
            };
            match relocation.target {
                RelocTarget::Core { .. } => {
                    poisoned.extend(self.core.apply(&mut self.types, slots, relocation).map_err(place)?);
                }
                _ => {
                    let code = slots.first().ok_or_else(outside)?.code;
                    let found = self.resolve(relocation, code).map_err(place)?;
                    fill_in(slots, &found).ok_or_else(outside)?;
                }
            }
        }
        Ok(Linked { insns: Cow::Owned(insns), poisoned })
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
            RelocTarget::Ksym(symbol) | RelocTarget::Kfunc(symbol) => {
                let SymbolTarget { name, weak } = &**symbol;
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

fn copy(insns: &[RawInsn]) -> Result<Vec<RawInsn>> {
    let mut copy = Vec::new();
    let no_memory = |_| Error::new(ErrorKind::Kernel, "out of memory").with_errno(skep_abi::Errno::ENOMEM);
    copy.try_reserve_exact(insns.len()).map_err(no_memory)?;
    copy.extend_from_slice(insns);
    Ok(copy)
}

/// Writes what was found for a reference into its slots; `None` where there are too few.
fn fill_in(slots: &mut [RawInsn], found: &Found) -> Option<()> {
    let (first, rest) = slots.split_first_mut()?;
    let is_wide = first.code == LOAD_IMM64;
    match found {
        Found::Nothing(helper) => {
            let poison = RawInsn::new(CALL, 0, 0, 0, *helper);
            *first = poison;
            if is_wide {
                *rest.first_mut()? = poison;
            }
        }
        Found::Value(low, high) => {
            if let Some(src) = low.src {
                first.regs = (first.regs & 0x0f) | src << 4;
            }
            if let Some(off) = low.off {
                first.off = off;
            }
            first.imm = low.imm;
            if is_wide {
                rest.first_mut()?.imm = *high;
            }
        }
    }
    Some(())
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
