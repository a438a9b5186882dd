//! What may be accessed: the checks of the code, and the one that every access has its own.

use super::exit::Address;
use super::{EmitError, EmitOptions, Emitter, Place, SCRATCH, Stub};
use crate::state::{self, SiteKind, WindowIdx};
use crate::x86_64::target::{StateIn, Target};
use crate::x86_64::{Alu, Cond, Inst, Mem, Width};
use skep_ir::ops::{Code, Loc, Op};
use skep_ir::{Access, Region, cover};

/// Counts the numbered regions that code names.
pub(super) fn regions(code: &Code) -> u32 {
    let count = |op: &Op| match op {
        Op::Check { region: Region::Fixed(number), .. } => u32::from(*number) + 1,
        _ => 0,
    };
    code.ops.iter().map(count).max().unwrap_or(0)
}

/// Returns the position of the field that bounds accesses of this many bytes; nothing for other sizes than registers'.
fn last(bytes: u16) -> Option<usize> {
    matches!(bytes, 1 | 2 | 4 | 8).then(|| state::LAST + 8 * bytes.trailing_zeros() as usize)
}

impl Emitter<'_> {
    pub(super) fn check(
        &mut self,
        base: Loc,
        off: i32,
        bytes: u16,
        write: bool,
        region: Region,
    ) -> Result<(), EmitError> {
        if self.target.state != StateIn::Register {
            return Err(EmitError::NoStateRegister);
        }
        let base = self.place(base)?;
        let address = Address { base, off };
        let window = match region {
            Region::Stack => WindowIdx::STACK,
            Region::Fixed(number) => WindowIdx::region(number),
            Region::Unknown => return self.search(address, bytes, write),
        };
        let kind = if write { SiteKind::Write { bytes } } else { SiteKind::Read { bytes } };
        let site = self.site(kind)?;
        let refused = self.asm.label();
        self.stub(Stub::Refuse { from: refused, address, site })?;
        self.compare(address, bytes, low(window, write), window, refused);
        Ok(())
    }

    /// Jumps unless an access lies in a window.
    fn compare(
        &mut self,
        address: Address,
        bytes: u16,
        low: i32,
        window: WindowIdx,
        refused: crate::x86_64::Label,
    ) {
        let anchor = self.anchor(SCRATCH);
        let reg = match address {
            Address { base: Place::Reg(reg), off: 0 } => reg,
            address => {
                self.address(address);
                SCRATCH
            }
        };
        let compare = |field| Inst::alu(Alu::Cmp, Width::W64, reg, Mem::base(anchor, field));
        self.put(compare(low));
        self.asm.jcc(Cond::B, refused);
        if let Some(last) = last(bytes) {
            self.put(compare(window.at(last)));
            self.asm.jcc(Cond::A, refused);
            return;
        }
        // The last byte lies inside as well; where its address wraps, it lies below.
        self.put(Inst::lea(Width::W64, SCRATCH, Mem::base(reg, i32::from(bytes) - 1)));
        self.put(Inst::alu(Alu::Cmp, Width::W64, SCRATCH, Mem::base(anchor, low)));
        self.asm.jcc(Cond::B, refused);
        self.put(Inst::alu(Alu::Cmp, Width::W64, SCRATCH, Mem::base(anchor, window.at(state::LAST))));
        self.asm.jcc(Cond::A, refused);
    }

    /// Looks where it was last found, and else everywhere.
    fn search(&mut self, address: Address, bytes: u16, write: bool) -> Result<(), EmitError> {
        let window = self.remember();
        let number = window.0 as u16;
        let site = self.site(match write {
            true => SiteKind::SearchWrite { bytes, window: number },
            false => SiteKind::SearchRead { bytes, window: number },
        })?;
        let (from, back) = (self.asm.label(), self.asm.label());
        self.stub(Stub::Search { from, back, address, last: last(bytes), site })?;
        let field = if write { state::WRITE } else { state::READ };
        self.compare(address, bytes, window.at(field), window, from);
        self.asm.bind(back);
        Ok(())
    }
}

/// Returns where a window's lowest address is; the stack's may be read and written alike, and has one.
fn low(window: WindowIdx, write: bool) -> i32 {
    let field = if write && window != WindowIdx::STACK { state::WRITE } else { state::READ };
    window.at(field)
}

/// Looks whether operations fit together, and, where that is asked for, whether each access has a check in front of it that
/// still holds.
pub(super) fn check(code: &Code, target: &Target, options: &EmitOptions) -> Result<(), EmitError> {
    if options.stack_bytes > 1 << 24 {
        return Err(EmitError::StackTooLarge);
    }
    let mut next = 0;
    for function in &code.functions {
        let malformed = Err(EmitError::Malformed { op: function.ops.start });
        let ends = function.ops.end.checked_sub(1).and_then(|last| code.ops.get(last as usize));
        if function.ops.start != next || !ends.is_some_and(Op::is_end) || function.locs > Loc::LIMIT {
            return malformed;
        }
        next = function.ops.end;
    }
    if next as usize != code.ops.len() || code.at.len() != code.ops.len() || code.functions.is_empty() {
        return Err(EmitError::Malformed { op: next });
    }
    for function in &code.functions {
        for index in function.ops.clone() {
            let fits = match &code.ops[index as usize] {
                Op::Call { function, .. } => code.functions.get(*function as usize).is_some(),
                op => op.target().is_none_or(|to| function.ops.contains(&to.0)),
            };
            if !fits {
                return Err(EmitError::Malformed { op: index });
            }
        }
    }
    match options.access {
        Access::Checked => Ok(cover::check(code, &target.machine())?),
        Access::Unchecked => Ok(()),
    }
}
