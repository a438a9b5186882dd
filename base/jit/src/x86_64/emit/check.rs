//! What may be accessed: the checks of the code, and the one that every access has its own.

use super::exit::Address;
use super::frame::Needs;
use super::{EmitError, EmitOptions, Emitter, Place, Refusal, SCRATCH, Stub};
use crate::state::{self, SiteKind, WindowIdx};
use crate::x86_64::target::{StateIn, Target};
use crate::x86_64::{Alu, Cond, Inst, Label, Mem, Width};
use skep_ir::ops::{Code, Loc, Op};
use skep_ir::{Access, Region, cover};

/// Returns the position of a size among those of registers; nothing for others.
fn power(bytes: u16) -> Option<usize> {
    matches!(bytes, 1 | 2 | 4 | 8).then(|| bytes.trailing_zeros() as usize)
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
        let address = Address::new(base, off);
        let window = match region {
            Region::Stack => WindowIdx::STACK,
            Region::Fixed(number) => WindowIdx::region(number),
            Region::Unknown => return self.search(address, bytes, write),
        };
        let kind = if write { SiteKind::Write { bytes } } else { SiteKind::Read { bytes } };
        let site = self.site(kind)?;
        let from = self.asm.label();
        match region {
            Region::Stack => self.compare_stack(address, bytes, from),
            _ => self.compare(address, bytes, limit(window, write), window, from),
        }
        if region == Region::Stack || power(bytes).is_none() {
            return self.stub(Stub::Refuse { from, address, site });
        }
        super::reserve(&mut self.refusals, 1)?;
        self.refusals.push(Refusal { from, window, site });
        Ok(())
    }

    /// Jumps unless an access lies in a window.
    pub(super) fn compare(
        &mut self,
        address: Address,
        bytes: u16,
        limit: i32,
        window: WindowIdx,
        refused: Label,
    ) {
        let anchor = self.anchor(SCRATCH);
        let field = |field| Mem::base(anchor, field);
        self.address(address);
        self.put(Inst::alu(Alu::Sub, Width::W64, SCRATCH, field(window.at(state::BASE))));
        let power = power(bytes);
        self.put(Inst::alu(Alu::Cmp, Width::W64, SCRATCH, field(limit + 8 * power.unwrap_or(0) as i32)));
        self.jump_aside(Cond::Ae, refused);
        if power.is_none() {
            // The last byte lies inside as well; as the first does, nothing wraps.
            self.put(Inst::alu_imm(Alu::Add, Width::W64, SCRATCH, i32::from(bytes) - 1));
            self.put(Inst::alu(Alu::Cmp, Width::W64, SCRATCH, field(limit)));
            self.jump_aside(Cond::Ae, refused);
        }
    }

    /// Jumps unless an access lies in the stacks in use.
    pub(super) fn compare_stack(&mut self, address: Address, bytes: u16, refused: Label) {
        let anchor = self.anchor(SCRATCH);
        let field = |field| Mem::base(anchor, WindowIdx::STACK.at(field));
        let reg = match address {
            Address { base: Place::Reg(reg), index: None, off: 0 } => reg,
            address => {
                self.address(address);
                SCRATCH
            }
        };
        self.put(Inst::alu(Alu::Cmp, Width::W64, reg, field(state::BASE)));
        self.jump_aside(Cond::B, refused);
        if let Some(power) = power(bytes) {
            self.put(Inst::alu(Alu::Cmp, Width::W64, reg, field(state::READ + 8 * power)));
            self.jump_aside(Cond::A, refused);
            return;
        }
        // The last byte lies inside as well; where its address wraps, it lies below.
        self.put(Inst::lea(Width::W64, SCRATCH, Mem::base(reg, i32::from(bytes) - 1)));
        self.put(Inst::alu(Alu::Cmp, Width::W64, SCRATCH, field(state::BASE)));
        self.jump_aside(Cond::B, refused);
        self.put(Inst::alu(Alu::Cmp, Width::W64, SCRATCH, field(state::READ)));
        self.jump_aside(Cond::A, refused);
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
        self.stub(Stub::Search { from, back, address, power: power(bytes), site })?;
        self.compare(address, bytes, limit(window, write), window, from);
        self.asm.bind(back);
        Ok(())
    }
}

/// Returns where a window's limits are.
pub(super) fn limit(window: WindowIdx, write: bool) -> i32 {
    window.at(if write { state::WRITE } else { state::READ })
}

/// Looks whether operations fit together, and, where that is asked for, whether each access has a check in front of it that
/// still holds; and returns what the program needs.
pub(super) fn check(code: &Code, target: &Target, options: &EmitOptions<'_>) -> Result<Needs, EmitError> {
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
    let needs = Needs::new(code, target)?;
    if options.access == Access::Checked {
        cover::check(code, &target.machine(), options.stack_bytes)?;
    }
    Ok(needs)
}
