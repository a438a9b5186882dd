//! Values that change places at once.

use super::{EmitError, Emitter, Place, SCRATCH};
use crate::x86_64::{Flags, Gpr, Inst, Size, SizedImm, Width};
use skep_ir::ops::Loc;

/// Says where a value comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Place(Place),
    Number(u64),
}

/// Holds moves, six at most: r1 to r5 and what a register names. No two have one destination, and no slot that one writes is
/// read by another.
#[derive(Default)]
pub(super) struct Moves {
    list: [Option<(Place, From)>; 6],
    len: usize,
}

impl Moves {
    pub(super) fn add(&mut self, to: Place, from: From) {
        if let Some(entry) = self.list.get_mut(self.len) {
            *entry = Some((to, from));
            self.len += 1;
        }
    }

    fn pending(&self) -> impl Iterator<Item = (usize, Place, From)> + '_ {
        self.list.iter().enumerate().filter_map(|(index, entry)| entry.map(|(to, from)| (index, to, from)))
    }

    /// Returns a move whose destination no other one reads.
    fn ready(&self) -> Option<(usize, Place, From)> {
        let is_read =
            |index, to| self.pending().any(|(other, _, from)| other != index && from == From::Place(to));
        self.pending().find(|(index, to, _)| !is_read(*index, *to))
    }
}

impl Emitter<'_> {
    /// Emits moves in an order in which none overwrites what another still reads.
    pub(super) fn moves(&mut self, mut moves: Moves) {
        loop {
            if let Some((index, to, from)) = moves.ready() {
                self.one_move(to, from);
                moves.list[index] = None;
                continue;
            }
            // Only circles are left, and those are of registers: one exchange settles one move.
            let circle = moves.pending().find_map(|(index, to, from)| match (to, from) {
                (Place::Reg(to), From::Place(Place::Reg(from))) => Some((index, to, from)),
                _ => None,
            });
            let Some((index, to, from)) = circle else { return };
            self.put(Inst::swap(Width::W64, to, from));
            moves.list[index] = None;
            for (_, other) in moves.list.iter_mut().flatten() {
                *other = match *other {
                    From::Place(Place::Reg(reg)) if reg == to => From::Place(Place::Reg(from)),
                    From::Place(Place::Reg(reg)) if reg == from => From::Place(Place::Reg(to)),
                    other => other,
                };
            }
        }
    }

    fn one_move(&mut self, to: Place, from: From) {
        match (to, from) {
            (to, From::Place(from)) if to == from => {}
            (Place::Reg(to), From::Place(from)) => self.put(Inst::mov(Width::W64, to, from)),
            (Place::Slot(to), From::Place(Place::Reg(from))) => self.put(Inst::store(Size::B8, to, from)),
            (Place::Slot(to), From::Place(from)) => {
                self.put(Inst::mov(Width::W64, SCRATCH, from));
                self.put(Inst::store(Size::B8, to, SCRATCH));
            }
            (Place::Reg(to), From::Number(number)) => self.put_number(to, number),
            (Place::Slot(to), From::Number(number)) => match SizedImm::truncate(Size::B8, number) {
                Some(imm) => self.put(Inst::store_imm(to, imm)),
                None => {
                    self.put_number(SCRATCH, number);
                    self.put(Inst::store(Size::B8, to, SCRATCH));
                }
            },
        }
    }

    /// Puts a number into a register; nothing reads the flags between operations.
    pub(super) fn put_number(&mut self, reg: Gpr, number: u64) {
        self.put(Inst::mov_imm(reg, number, Flags::MayChange));
    }

    #[inline(always)]
    pub(super) fn copy(&mut self, dst: Loc, src: Loc) -> Result<(), EmitError> {
        if let (Some(to), Some(from)) = (self.register(dst), self.register(src)) {
            if to != from {
                self.put(Inst::mov(Width::W64, to, from));
            }
            return Ok(());
        }
        self.any_copy(dst, src)
    }

    #[inline(never)]
    fn any_copy(&mut self, dst: Loc, src: Loc) -> Result<(), EmitError> {
        let (to, from) = (self.place(dst)?, self.place(src)?);
        self.one_move(to, From::Place(from));
        Ok(())
    }

    pub(super) fn constant(&mut self, dst: Loc, value: u64) -> Result<(), EmitError> {
        if let Some(to) = self.register(dst) {
            self.put_number(to, value);
            return Ok(());
        }
        let to = self.place(dst)?;
        self.one_move(to, From::Number(value));
        Ok(())
    }
}
