//! Loads and stores in the other byte order: one operation where the processor has `movbe`, and no register in between where it
//! has not.

use super::memory::Sum;
use super::{EmitError, Emitter, Place, SCRATCH};
use crate::x86_64::{Inst, Mem, Size, SwapSize, Width as Bits};
use skep_ir::ops::{Loc, Op};
use skep_isa::{LoadKind, Size as Bytes, SwapWidth};

impl Emitter<'_> {
    /// Loads and swaps: the operation in front loads what alone is swapped.
    pub(super) fn load_swapped(&mut self, load: Op, width: SwapWidth, dst: Loc) -> Result<bool, EmitError> {
        let fits = |kind| {
            let pair = (kind, width);
            matches!(
                pair,
                (LoadKind::U16, SwapWidth::W16)
                    | (LoadKind::U32, SwapWidth::W32)
                    | (LoadKind::U64, SwapWidth::W64)
            )
        };
        let to = self.result(dst)?;
        let mem = match load {
            // The base may be read where the result will be.
            Op::Load { kind, base, off, .. } if fits(kind) => Mem::base(self.read(base, to)?, off),
            Op::LoadSum { kind, base, index, scale, off, .. } if fits(kind) => {
                self.sum(Sum { base, index, scale, off })?
            }
            _ => return Ok(false),
        };
        match (width, self.target.features.movbe()) {
            // Of two bytes it would leave what is above them.
            (SwapWidth::W16, _) => {
                self.put(Inst::mov_zx(Size::B2, to, mem));
                self.put(Inst::rol16(to, 8));
            }
            (SwapWidth::W32, Some(movbe)) => self.put(Inst::movbe_load(movbe, SwapSize::B4, to, mem)),
            (SwapWidth::W64, Some(movbe)) => self.put(Inst::movbe_load(movbe, SwapSize::B8, to, mem)),
            (SwapWidth::W32, None) => {
                self.put(Inst::mov_zx(Size::B4, to, mem));
                self.put(Inst::bswap(Bits::W32, to));
            }
            (SwapWidth::W64, None) => {
                self.put(Inst::mov_zx(Size::B8, to, mem));
                self.put(Inst::bswap(Bits::W64, to));
            }
        }
        self.set(dst, to)?;
        self.skip = 1;
        Ok(true)
    }

    /// Swaps and stores: what is swapped is stored and read by nobody else.
    pub(super) fn store_swapped(&mut self, width: SwapWidth, a: Loc, store: Op) -> Result<bool, EmitError> {
        let Some(movbe) = self.target.features.movbe() else { return Ok(false) };
        let Place::Reg(value) = self.place(a)? else { return Ok(false) };
        let (Op::Store { size, .. } | Op::StoreSum { size, .. }) = store else { return Ok(false) };
        let swapped = match (width, size) {
            (SwapWidth::W16, Bytes::H) => SwapSize::B2,
            (SwapWidth::W32, Bytes::W) => SwapSize::B4,
            (SwapWidth::W64, Bytes::Dw) => SwapSize::B8,
            _ => return Ok(false),
        };
        let mem = match store {
            Op::Store { base, off, .. } => Mem::base(self.read(base, SCRATCH)?, off),
            Op::StoreSum { base, index, scale, off, .. } => self.sum(Sum { base, index, scale, off })?,
            _ => return Ok(false),
        };
        self.put(Inst::movbe_store(movbe, swapped, mem, value));
        self.skip = 1;
        Ok(true)
    }
}
