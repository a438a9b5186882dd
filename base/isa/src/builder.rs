//! Programs made by code, with labels in place of distances.

use crate::structure::{self, Structure, StructureError};
use crate::{
    Addr, AluOp, AtomicOp, Cond, DecodeError, Endian, Insn, InsnIdx, LoadKind, Movsx, Operand, PacketSize,
    Program, RawInsn, Reg, Size, SwapWidth, Width,
};
use alloc::vec::Vec;
use core::fmt;

/// Names a place in a program that is being built, before or after that place is known.
///
/// It belongs to the builder that made it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BuilderLabel(u32);

/// Builds a program instruction by instruction.
///
/// What [`finish`](Builder::finish) returns decodes and hangs together; a mistake with a label shows there too, so that calls can be
/// chained.
///
/// ```
/// use skep_isa::{Builder, Cond, Reg};
///
/// let mut b = Builder::new();
/// let (again, done) = (b.label(), b.label());
/// b.mov(Reg::R0, 0);
/// b.bind(again).branch(Cond::Eq, Reg::R1, 0, done);
/// b.add(Reg::R0, Reg::R1).add(Reg::R1, -1).goto(again);
/// b.bind(done).exit();
/// let (program, _) = b.finish()?;
/// assert_eq!(program.len(), 6);
/// # Ok::<(), skep_isa::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    slots: Vec<RawInsn>,
    /// Holds where each label is, once bound.
    labels: Vec<Option<InsnIdx>>,
    /// Holds the instructions whose distance is still open, and the label it leads to.
    uses: Vec<(InsnIdx, Insn, BuilderLabel)>,
    error: Option<BuildError>,
}

/// Says why a program cannot be built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// A label is bound a second time.
    BoundTwice {
        /// Names the second place.
        at: InsnIdx,
    },
    /// A label is used but bound nowhere, or belongs to another builder.
    Unbound {
        /// Names the instruction that uses it.
        at: InsnIdx,
    },
    /// A label is too far away for the instruction's field.
    TooFar {
        /// Names the instruction that uses it.
        at: InsnIdx,
        /// Counts slots from the next instruction.
        distance: i64,
    },
    /// An instruction that leads nowhere was given a label.
    NoDistance {
        /// Names the instruction.
        at: InsnIdx,
    },
    /// What was built does not hang together.
    Structure(StructureError),
    /// There are more slots than an index can count.
    TooLong,
    /// Memory could not be had.
    OutOfMemory,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::BoundTwice { at } => write!(f, "instruction {at}: label is bound a second time"),
            BuildError::Unbound { at } => write!(f, "instruction {at}: label is bound nowhere"),
            BuildError::TooFar { at, distance } => {
                write!(f, "instruction {at}: label is {distance} instructions away, more than fit")
            }
            BuildError::NoDistance { at } => {
                write!(f, "instruction {at}: a label is given, and the instruction has no distance")
            }
            BuildError::Structure(error) => error.fmt(f),
            BuildError::TooLong => f.write_str("program has more than 4294967295 slots"),
            BuildError::OutOfMemory => f.write_str("no memory for the program"),
        }
    }
}

impl core::error::Error for BuildError {}

impl From<StructureError> for BuildError {
    fn from(error: StructureError) -> BuildError {
        BuildError::Structure(error)
    }
}

impl Builder {
    /// Starts an empty program.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Makes a label that is bound nowhere yet.
    pub fn label(&mut self) -> BuilderLabel {
        let label = BuilderLabel(u32::try_from(self.labels.len()).unwrap_or(u32::MAX));
        match self.labels.try_reserve(1) {
            Ok(()) => self.labels.push(None),
            Err(_) => self.fail(BuildError::OutOfMemory),
        }
        label
    }

    /// Binds a label to the place of the next instruction.
    pub fn bind(&mut self, label: BuilderLabel) -> &mut Builder {
        let at = self.here();
        match self.labels.get_mut(label.0 as usize) {
            Some(place @ None) => *place = Some(at),
            Some(Some(_)) => self.fail(BuildError::BoundTwice { at }),
            None => self.fail(BuildError::Unbound { at }),
        }
        self
    }

    /// Returns the slot of the next instruction.
    pub fn here(&self) -> InsnIdx {
        InsnIdx(u32::try_from(self.slots.len()).unwrap_or(u32::MAX))
    }

    /// Adds any instruction; one that jumps, by the distance it holds.
    pub fn push(&mut self, insn: Insn) -> &mut Builder {
        let encoded = insn.encode();
        if self.slots.len() + encoded.len() > u32::MAX as usize {
            self.fail(BuildError::TooLong);
        } else if self.slots.try_reserve(encoded.len()).is_err() {
            self.fail(BuildError::OutOfMemory);
        } else {
            self.slots.extend_from_slice(&encoded);
        }
        self
    }

    /// Adds an instruction whose distance is that to a label: any that jumps, calls a local function, or takes its address. The
    /// distance it holds counts for nothing; an instruction without one is a mistake.
    pub fn push_to(&mut self, insn: Insn, label: BuilderLabel) -> &mut Builder {
        match self.uses.try_reserve(1) {
            _ if with_distance(insn, 0).is_none() => self.fail(BuildError::NoDistance { at: self.here() }),
            Ok(()) => self.uses.push((self.here(), insn, label)),
            Err(_) => self.fail(BuildError::OutOfMemory),
        }
        self.push(insn)
    }

    fn fail(&mut self, error: BuildError) {
        self.error.get_or_insert(error);
    }

    /// Returns the program, labels resolved, and the functions it has.
    ///
    /// # Errors
    ///
    /// The first mistake with a label, then what [`structure::check`] says.
    pub fn finish(&mut self) -> Result<(Program, Structure), BuildError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        for &(at, insn, label) in &self.uses {
            let bound = self.labels.get(label.0 as usize).copied().flatten();
            let distance = at.offset_to(bound.ok_or(BuildError::Unbound { at })?);
            let insn = with_distance(insn, distance).ok_or(BuildError::TooFar { at, distance })?;
            if let Some(slot) = self.slots.get_mut(at.index()) {
                *slot = insn.encode().first();
            }
        }
        // What instructions encode to decodes, so memory is all that can lack.
        let program = Program::decode(&self.slots).map_err(|_: DecodeError| BuildError::OutOfMemory)?;
        let structure = structure::check(&program)?;
        Ok((program, structure))
    }
}

/// Returns an instruction with another distance; nothing if it has none, or the distance does not fit.
fn with_distance(insn: Insn, distance: i64) -> Option<Insn> {
    let short = || i16::try_from(distance).ok();
    let long = || i32::try_from(distance).ok();
    Some(match insn {
        Insn::Goto { .. } => Insn::Goto { off: short()? },
        Insn::MayGoto { .. } => Insn::MayGoto { off: short()? },
        Insn::Branch { width, cond, dst, src, .. } => Insn::Branch { width, cond, dst, src, off: short()? },
        Insn::Gotol { .. } => Insn::Gotol { off: long()? },
        Insn::CallLocal { .. } => Insn::CallLocal { off: long()? },
        Insn::LoadAddr { dst, addr: Addr::Code { .. } } => {
            Insn::LoadAddr { dst, addr: Addr::Code { off: long()? } }
        }
        _ => return None,
    })
}

/// Every instruction by name. Where it is not in the name, they are 64 bits wide.
impl Builder {
    /// Adds `dst = dst op src`.
    pub fn alu(&mut self, op: AluOp, dst: Reg, src: impl Into<Operand>) -> &mut Builder {
        self.push(Insn::Alu { width: Width::W64, op, dst, src: src.into() })
    }

    /// Adds `dst = dst op src` on the lower halves.
    pub fn alu32(&mut self, op: AluOp, dst: Reg, src: impl Into<Operand>) -> &mut Builder {
        self.push(Insn::Alu { width: Width::W32, op, dst, src: src.into() })
    }

    /// Adds `dst = src`.
    pub fn mov(&mut self, dst: Reg, src: impl Into<Operand>) -> &mut Builder {
        self.alu(AluOp::Mov, dst, src)
    }

    /// Adds `dst += src`.
    pub fn add(&mut self, dst: Reg, src: impl Into<Operand>) -> &mut Builder {
        self.alu(AluOp::Add, dst, src)
    }

    /// Adds `dst = -dst`.
    pub fn neg(&mut self, dst: Reg) -> &mut Builder {
        self.push(Insn::Neg { width: Width::W64, dst })
    }

    /// Adds `dst = -dst` on the lower half.
    pub fn neg32(&mut self, dst: Reg) -> &mut Builder {
        self.push(Insn::Neg { width: Width::W32, dst })
    }

    /// Adds `dst = src` with the sign of a part extended.
    pub fn movsx(&mut self, kind: Movsx, dst: Reg, src: Reg) -> &mut Builder {
        self.push(Insn::Movsx { kind, dst, src })
    }

    /// Adds a change of the order of the lower bytes of `dst`; the rest becomes zero.
    pub fn byte_swap(&mut self, op: Endian, width: SwapWidth, dst: Reg) -> &mut Builder {
        self.push(Insn::ByteSwap { op, width, dst })
    }

    /// Adds `dst = src` as an address of the space `to` instead of `from`.
    pub fn addr_space_cast(&mut self, dst: Reg, src: Reg, to: u16, from: u16) -> &mut Builder {
        self.push(Insn::AddrSpaceCast { dst, src, to, from })
    }

    /// Adds `dst = value`, in two slots.
    pub fn imm64(&mut self, dst: Reg, value: u64) -> &mut Builder {
        self.push(Insn::LoadImm64 { dst, value })
    }

    /// Adds `dst = address`, in two slots.
    pub fn addr(&mut self, dst: Reg, addr: Addr) -> &mut Builder {
        self.push(Insn::LoadAddr { dst, addr })
    }

    /// Adds `r0 = packet[off]`, the legacy load; in network byte order.
    pub fn load_abs(&mut self, size: PacketSize, off: i32) -> &mut Builder {
        self.push(Insn::LoadAbs { size, off })
    }

    /// Adds `r0 = packet[src + off]`, the legacy load; in network byte order.
    pub fn load_ind(&mut self, size: PacketSize, src: Reg, off: i32) -> &mut Builder {
        self.push(Insn::LoadInd { size, src, off })
    }

    /// Adds `dst = *(base + off)`.
    pub fn load(&mut self, kind: LoadKind, dst: Reg, base: Reg, off: i16) -> &mut Builder {
        self.push(Insn::Load { kind, dst, base, off })
    }

    /// Adds `*(base + off) = src`.
    pub fn store(&mut self, size: Size, base: Reg, off: i16, src: impl Into<Operand>) -> &mut Builder {
        self.push(Insn::Store { size, base, off, src: src.into() })
    }

    /// Adds an atomic change of `*(base + off)`.
    pub fn atomic(&mut self, op: AtomicOp, base: Reg, off: i16, src: Reg) -> &mut Builder {
        self.push(Insn::Atomic { width: Width::W64, op, base, off, src })
    }

    /// Adds an atomic change of the 32 bits of `*(base + off)`.
    pub fn atomic32(&mut self, op: AtomicOp, base: Reg, off: i16, src: Reg) -> &mut Builder {
        self.push(Insn::Atomic { width: Width::W32, op, base, off, src })
    }

    /// Adds `dst = *(base + off)`, before everything that follows it.
    pub fn load_acquire(&mut self, size: Size, dst: Reg, base: Reg, off: i16) -> &mut Builder {
        self.push(Insn::LoadAcquire { size, dst, base, off })
    }

    /// Adds `*(base + off) = src`, after everything before it.
    pub fn store_release(&mut self, size: Size, base: Reg, off: i16, src: Reg) -> &mut Builder {
        self.push(Insn::StoreRelease { size, base, off, src })
    }

    /// Adds a jump.
    pub fn goto(&mut self, label: BuilderLabel) -> &mut Builder {
        self.push_to(Insn::Goto { off: 0 }, label)
    }

    /// Adds a jump whose distance has 32 bits.
    pub fn gotol(&mut self, label: BuilderLabel) -> &mut Builder {
        self.push_to(Insn::Gotol { off: 0 }, label)
    }

    /// Adds a jump to the address in a register, which was read from a map of instructions.
    pub fn gotox(&mut self, dst: Reg) -> &mut Builder {
        self.push(Insn::Gotox { dst })
    }

    /// Adds a jump that is taken when the kernel wants a loop to end.
    pub fn may_goto(&mut self, label: BuilderLabel) -> &mut Builder {
        self.push_to(Insn::MayGoto { off: 0 }, label)
    }

    /// Adds a jump that is taken if the comparison holds.
    pub fn branch(
        &mut self,
        cond: Cond,
        dst: Reg,
        src: impl Into<Operand>,
        label: BuilderLabel,
    ) -> &mut Builder {
        self.push_to(Insn::Branch { width: Width::W64, cond, dst, src: src.into(), off: 0 }, label)
    }

    /// Adds a jump that is taken if the comparison of the lower halves holds.
    pub fn branch32(
        &mut self,
        cond: Cond,
        dst: Reg,
        src: impl Into<Operand>,
        label: BuilderLabel,
    ) -> &mut Builder {
        self.push_to(Insn::Branch { width: Width::W32, cond, dst, src: src.into(), off: 0 }, label)
    }

    /// Adds a call of a helper.
    pub fn call_helper(&mut self, id: u32) -> &mut Builder {
        self.push(Insn::CallHelper { id })
    }

    /// Adds a call of a function of the kernel, by its BTF and which of the program's BTF descriptors that is of.
    pub fn call_kfunc(&mut self, btf_id: u32, fd_index: i16) -> &mut Builder {
        self.push(Insn::CallKfunc { btf_id, fd_index })
    }

    /// Adds a call of the function whose address or number is in a register.
    pub fn call_reg(&mut self, reg: Reg) -> &mut Builder {
        self.push(Insn::CallReg { reg })
    }

    /// Adds a call of a function of the program.
    pub fn call_local(&mut self, label: BuilderLabel) -> &mut Builder {
        self.push_to(Insn::CallLocal { off: 0 }, label)
    }

    /// Adds `dst = address of a function of the program`, in two slots.
    pub fn function_addr(&mut self, dst: Reg, label: BuilderLabel) -> &mut Builder {
        self.push_to(Insn::LoadAddr { dst, addr: Addr::Code { off: 0 } }, label)
    }

    /// Adds the return.
    pub fn exit(&mut self) -> &mut Builder {
        self.push(Insn::Exit)
    }
}
