//! Loads and stores.

use super::exit::Address;
use super::{EmitError, Emitter, Place, SCRATCH};
use crate::x86_64::{Alu, Gpr, Index, Inst, Mem, Narrow, Scale, Shift, Size, SizedImm, Width};
use skep_ir::ops::Loc;
use skep_isa::{LoadKind, Size as Bytes};

/// Returns the encoder's name of a size.
pub(super) const fn size(bytes: Bytes) -> Size {
    match bytes {
        Bytes::B => Size::B1,
        Bytes::H => Size::B2,
        Bytes::W => Size::B4,
        Bytes::Dw => Size::B8,
    }
}

/// Is an address that is a sum: `base + (index << scale) + off`.
#[derive(Clone, Copy)]
pub(super) struct Sum {
    pub(super) base: Loc,
    pub(super) index: Loc,
    pub(super) scale: u8,
    pub(super) off: i32,
}

/// Does `to = mem`, extended.
fn extended(kind: LoadKind, to: Gpr, mem: Mem) -> Inst {
    match kind {
        LoadKind::S8 => Inst::mov_sx(Width::W64, Narrow::B1, to, mem),
        LoadKind::S16 => Inst::mov_sx(Width::W64, Narrow::B2, to, mem),
        LoadKind::S32 => Inst::mov_sx(Width::W64, Narrow::B4, to, mem),
        kind => Inst::mov_zx(size(kind.size()), to, mem),
    }
}

/// Returns the low bytes of a number.
const fn sized(bytes: Bytes, imm: i32) -> SizedImm {
    match bytes {
        Bytes::B => SizedImm::B1(imm as i8),
        Bytes::H => SizedImm::B2(imm as i16),
        Bytes::W => SizedImm::B4(imm),
        Bytes::Dw => SizedImm::B8(imm),
    }
}

impl Emitter<'_> {
    #[inline(always)]
    pub(super) fn load(&mut self, kind: LoadKind, dst: Loc, base: Loc, off: i32) -> Result<(), EmitError> {
        if let (Some(to), Some(base)) = (self.register(dst), self.register(base)) {
            self.put(extended(kind, to, Mem::base(base, off)));
            return Ok(());
        }
        self.any_load(kind, dst, base, off)
    }

    #[inline(never)]
    fn any_load(&mut self, kind: LoadKind, dst: Loc, base: Loc, off: i32) -> Result<(), EmitError> {
        let to = self.result(dst)?;
        // Where a result is wanted in a register, its base can be read there too.
        let base = self.read(base, to)?;
        self.put(extended(kind, to, Mem::base(base, off)));
        self.set(dst, to)
    }

    pub(super) fn load_sum(&mut self, kind: LoadKind, dst: Loc, sum: Sum) -> Result<(), EmitError> {
        let to = self.result(dst)?;
        let mem = self.sum(sum)?;
        self.put(extended(kind, to, mem));
        self.set(dst, to)
    }

    pub(super) fn store_sum(&mut self, bytes: Bytes, sum: Sum, src: Loc) -> Result<(), EmitError> {
        let in_registers = [sum.base, sum.index].map(|loc| self.place(loc));
        let in_registers = in_registers.iter().all(|place| matches!(place, Ok(Place::Reg(_))));
        let mem = self.sum(sum)?;
        match self.place(src)? {
            Place::Reg(src) => self.put(Inst::store(size(bytes), mem, src)),
            Place::Slot(src) if in_registers => {
                self.put(Inst::mov(Width::W64, SCRATCH, src));
                self.put(Inst::store(size(bytes), mem, SCRATCH));
            }
            Place::Slot(src) => {
                // The whole address first, for what is lent may be part of it.
                self.put(Inst::lea(Width::W64, SCRATCH, mem));
                let lent = self.lend();
                self.put(Inst::mov(Width::W64, lent, src));
                self.put(Inst::store(size(bytes), Mem::base(SCRATCH, 0), lent));
                self.give_back(lent);
            }
        }
        Ok(())
    }

    pub(super) fn store_imm_sum(&mut self, bytes: Bytes, sum: Sum, imm: i32) -> Result<(), EmitError> {
        let mem = self.sum(sum)?;
        self.put(Inst::store_imm(mem, sized(bytes, imm)));
        Ok(())
    }

    /// Makes an address of a sum; what is not in a register goes through the scratch one.
    pub(super) fn sum(&mut self, sum: Sum) -> Result<Mem, EmitError> {
        let scale = match sum.scale {
            0 => Scale::X1,
            1 => Scale::X2,
            2 => Scale::X4,
            _ => Scale::X8,
        };
        let (base, index) = match (self.place(sum.base)?, self.place(sum.index)?) {
            (Place::Reg(base), Place::Reg(index)) => (base, index),
            (Place::Reg(base), Place::Slot(index)) => {
                self.put(Inst::mov(Width::W64, SCRATCH, index));
                (base, SCRATCH)
            }
            (Place::Slot(base), Place::Reg(index)) => {
                self.put(Inst::mov(Width::W64, SCRATCH, base));
                (SCRATCH, index)
            }
            (Place::Slot(base), Place::Slot(index)) => {
                self.put(Inst::mov(Width::W64, SCRATCH, index));
                if sum.scale != 0 {
                    self.put(Inst::shift_imm(Shift::Shl, Width::W64, SCRATCH, sum.scale));
                }
                self.put(Inst::alu(Alu::Add, Width::W64, SCRATCH, base));
                return Ok(Mem::base(SCRATCH, sum.off));
            }
        };
        // The stack pointer is no value's place.
        let index = Index::new(index).ok_or(self.malformed())?;
        Ok(Mem::indexed(base, index, scale, sum.off))
    }

    /// Loads what must be aligned: the processor lets no later access pass a load.
    pub(super) fn load_acquire(
        &mut self,
        size: Bytes,
        dst: Loc,
        base: Loc,
        off: i32,
    ) -> Result<(), EmitError> {
        let kind = match size {
            Bytes::B => LoadKind::U8,
            Bytes::H => LoadKind::U16,
            Bytes::W => LoadKind::U32,
            Bytes::Dw => LoadKind::U64,
        };
        let address = Address::new(self.place(base)?, off);
        self.aligned(address, size)?;
        self.load(kind, dst, base, off)
    }

    /// Stores what must be aligned: the processor lets no store pass an earlier access.
    pub(super) fn store_release(
        &mut self,
        size: Bytes,
        base: Loc,
        off: i32,
        src: Loc,
    ) -> Result<(), EmitError> {
        let address = Address::new(self.place(base)?, off);
        self.aligned(address, size)?;
        self.store(size, base, off, src)
    }

    #[inline(always)]
    pub(super) fn store(&mut self, bytes: Bytes, base: Loc, off: i32, src: Loc) -> Result<(), EmitError> {
        if let (Some(base), Some(src)) = (self.register(base), self.register(src)) {
            self.put(Inst::store(size(bytes), Mem::base(base, off), src));
            return Ok(());
        }
        self.any_store(bytes, base, off, src)
    }

    #[inline(never)]
    fn any_store(&mut self, bytes: Bytes, base: Loc, off: i32, src: Loc) -> Result<(), EmitError> {
        let (base, src) = (self.place(base)?, self.place(src)?);
        let store = |base, src| Inst::store(size(bytes), Mem::base(base, off), src);
        match (base, src) {
            (Place::Reg(base), Place::Reg(src)) => self.put(store(base, src)),
            (Place::Reg(base), Place::Slot(mem)) => {
                self.put(Inst::mov(Width::W64, SCRATCH, mem));
                self.put(store(base, SCRATCH));
            }
            (Place::Slot(mem), Place::Reg(src)) => {
                self.put(Inst::mov(Width::W64, SCRATCH, mem));
                self.put(store(SCRATCH, src));
            }
            (Place::Slot(base), Place::Slot(src)) => {
                let lent = self.lend();
                self.put(Inst::mov(Width::W64, SCRATCH, base));
                self.put(Inst::mov(Width::W64, lent, src));
                self.put(store(SCRATCH, lent));
                self.give_back(lent);
            }
        }
        Ok(())
    }

    pub(super) fn store_imm(&mut self, bytes: Bytes, base: Loc, off: i32, imm: i32) -> Result<(), EmitError> {
        let base = self.read(base, SCRATCH)?;
        self.put(Inst::store_imm(Mem::base(base, off), sized(bytes, imm)));
        Ok(())
    }

    /// Keeps a register's value in the frame, so that it can be used for something else.
    fn lend(&mut self) -> Gpr {
        let lent = Gpr::Rax;
        self.put(Inst::store(Size::B8, self.frame.lent(), lent));
        lent
    }

    fn give_back(&mut self, lent: Gpr) {
        self.put(Inst::mov(Width::W64, lent, self.frame.lent()));
    }
}
