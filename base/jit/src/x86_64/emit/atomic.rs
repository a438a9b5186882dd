//! Atomic accesses. They are sequentially consistent, as every locked instruction is, and must be aligned.
//!
//! The target's [machine](super::super::Target::machine) says that they change `rax` and `rcx`, and what they read besides
//! is elsewhere.

use super::alu::bits;
use super::exit::Address;
use super::memory::size;
use super::{EmitError, Emitter, Place, SCRATCH, Stub};
use crate::state::SiteKind;
use crate::x86_64::{Alu, Cond, Gpr, Inst, LockAlu, Mem, Width as Bits};
use skep_ir::ops::Loc;
use skep_isa::{AtomicOp, Size as Bytes, Width};

impl Emitter<'_> {
    pub(super) fn atomic(
        &mut self,
        op: AtomicOp,
        width: Width,
        dst: Loc,
        base: Loc,
        off: i32,
        src: Loc,
    ) -> Result<(), EmitError> {
        let (base, src) = (self.place(base)?, self.place(src)?);
        self.not_changed(base)?;
        self.not_changed(src)?;
        self.aligned(Address::new(base, off), width.size())?;
        let bytes = size(width.size());
        let plain = match op {
            AtomicOp::Add => Some(LockAlu::Add),
            AtomicOp::Or => Some(LockAlu::Or),
            AtomicOp::And => Some(LockAlu::And),
            AtomicOp::Xor => Some(LockAlu::Xor),
            AtomicOp::FetchAdd if dst == Loc::NONE => Some(LockAlu::Add),
            AtomicOp::FetchOr if dst == Loc::NONE => Some(LockAlu::Or),
            AtomicOp::FetchAnd if dst == Loc::NONE => Some(LockAlu::And),
            AtomicOp::FetchXor if dst == Loc::NONE => Some(LockAlu::Xor),
            _ => None,
        };
        let at = Mem::base(self.reg(base, SCRATCH), off);
        if let Some(plain) = plain.filter(|_| dst == Loc::NONE) {
            let src = self.reg(src, Gpr::Rcx);
            self.put(Inst::lock_alu(plain, bytes, at, src));
            return Ok(());
        }
        let alu = match op {
            AtomicOp::Add | AtomicOp::FetchAdd | AtomicOp::Xchg | AtomicOp::Cmpxchg => {
                self.put(Inst::mov(Bits::W64, Gpr::Rcx, src));
                self.put(match op {
                    AtomicOp::Add | AtomicOp::FetchAdd => Inst::lock_xadd(bytes, at, Gpr::Rcx),
                    _ => Inst::xchg(bytes, at, Gpr::Rcx),
                });
                return self.set(dst, Gpr::Rcx);
            }
            AtomicOp::Or | AtomicOp::FetchOr => Alu::Or,
            AtomicOp::And | AtomicOp::FetchAnd => Alu::And,
            AtomicOp::Xor | AtomicOp::FetchXor => Alu::Xor,
        };
        // What was there is in `rax`; what shall be there is made in another register, and the base keeps its own.
        let (base, new) = match base {
            Place::Slot(_) => (SCRATCH, Gpr::Rcx),
            Place::Reg(reg) => (reg, SCRATCH),
        };
        let at = Mem::base(base, off);
        let bits = bits(width);
        self.put(Inst::mov(bits, Gpr::Rax, at));
        let again = self.asm.here();
        self.put(Inst::mov(bits, new, Gpr::Rax));
        self.put(Inst::alu(alu, bits, new, src));
        self.put(Inst::lock_cmpxchg(bytes, at, new));
        self.asm.jcc(Cond::Ne, again);
        // Of 32 bits the load has cleared the upper half, and nothing has set it.
        self.set(dst, Gpr::Rax)
    }

    pub(super) fn cmpxchg(
        &mut self,
        width: Width,
        dst: Loc,
        base: Loc,
        off: i32,
        expected: Loc,
        src: Loc,
    ) -> Result<(), EmitError> {
        let (base, src) = (self.place(base)?, self.place(src)?);
        self.not_changed(base)?;
        self.not_changed(src)?;
        self.aligned(Address::new(base, off), width.size())?;
        self.get(expected, Gpr::Rax)?;
        let src = self.reg(src, Gpr::Rcx);
        let at = Mem::base(self.reg(base, SCRATCH), off);
        self.put(Inst::lock_cmpxchg(size(width.size()), at, src));
        if width == Width::W32 {
            // Where it was equal, the upper half is still that of what was expected.
            self.put(Inst::mov(Bits::W32, Gpr::Rax, Gpr::Rax));
        }
        self.set(dst, Gpr::Rax)
    }

    /// Refuses an operand where the operation has something else.
    fn not_changed(&self, place: Place) -> Result<(), EmitError> {
        match place {
            Place::Reg(Gpr::Rax | Gpr::Rcx | SCRATCH) => Err(self.malformed()),
            _ => Ok(()),
        }
    }

    /// Returns a register that holds what is in a place.
    fn reg(&mut self, place: Place, lent: Gpr) -> Gpr {
        match place {
            Place::Reg(reg) => reg,
            Place::Slot(mem) => {
                self.put(Inst::mov(Bits::W64, lent, mem));
                lent
            }
        }
    }

    /// Stops the run where an address is not a multiple of the access's size.
    pub(super) fn aligned(&mut self, address: Address, size: Bytes) -> Result<(), EmitError> {
        let bytes = size.bytes() as u8;
        if bytes == 1 {
            return Ok(());
        }
        let site = self.site(SiteKind::Misaligned { bytes })?;
        let reg = match address {
            Address { base: Place::Reg(reg), index: None, off } if off % i32::from(bytes) == 0 => reg,
            address => {
                self.address(address);
                SCRATCH
            }
        };
        self.put(Inst::test_imm_byte(reg, bytes - 1));
        self.aside(Cond::Ne, |from| Stub::Refuse { from, address, site })
    }
}
