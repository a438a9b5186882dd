//! Loads and stores.

use super::exit::Address;
use super::{EmitError, Emitter, Place, SCRATCH};
use crate::x86_64::{Gpr, Inst, Mem, Narrow, Size, SizedImm, Width};
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

impl Emitter<'_> {
    pub(super) fn load(&mut self, kind: LoadKind, dst: Loc, base: Loc, off: i32) -> Result<(), EmitError> {
        let to = self.result(dst)?;
        // Where a result is wanted in a register, its base can be read there too.
        let base = self.read(base, to)?;
        let mem = Mem::base(base, off);
        self.put(match kind {
            LoadKind::S8 => Inst::mov_sx(Width::W64, Narrow::B1, to, mem),
            LoadKind::S16 => Inst::mov_sx(Width::W64, Narrow::B2, to, mem),
            LoadKind::S32 => Inst::mov_sx(Width::W64, Narrow::B4, to, mem),
            kind => Inst::mov_zx(size(kind.size()), to, mem),
        });
        self.set(dst, to)
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
        let address = Address { base: self.place(base)?, off };
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
        let address = Address { base: self.place(base)?, off };
        self.aligned(address, size)?;
        self.store(size, base, off, src)
    }

    pub(super) fn store(&mut self, bytes: Bytes, base: Loc, off: i32, src: Loc) -> Result<(), EmitError> {
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
        let imm = match bytes {
            Bytes::B => SizedImm::B1(imm as i8),
            Bytes::H => SizedImm::B2(imm as i16),
            Bytes::W => SizedImm::B4(imm),
            Bytes::Dw => SizedImm::B8(imm),
        };
        self.put(Inst::store_imm(Mem::base(base, off), imm));
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
