//! What stands behind the functions: asking the runner, and leaving by error.
//!
//! A place that asks or stops pushes the number of its [`Site`](crate::state::Site). Asking leaves every register but `r11` as
//! it was, and the zero flag says whether to go on.

use super::{EmitError, Emitter, Place, Refusal, SCRATCH, Stub};
use crate::state::{self, WindowIdx};
use crate::x86_64::{Alu, Cond, Gpr, Inst, Label, Mem, Shift, Size, Width};
use alloc::vec::Vec;

/// Says how to compute an address once more.
#[derive(Clone, Copy)]
pub(super) struct Address {
    pub(super) base: Place,
    /// Is added, shifted left so far.
    pub(super) index: Option<(Place, u8)>,
    pub(super) off: i32,
}

impl Address {
    pub(super) const fn new(base: Place, off: i32) -> Address {
        Address { base, index: None, off }
    }
}

/// Lists the registers that a function of the runner may change (System V psABI, figure 3.4), but for the scratch one.
const CHANGED: [Gpr; 8] = [Gpr::Rax, Gpr::Rcx, Gpr::Rdx, Gpr::Rsi, Gpr::Rdi, Gpr::R8, Gpr::R9, Gpr::R10];

impl Emitter<'_> {
    /// Computes an address into the scratch register.
    pub(super) fn address(&mut self, address: Address) {
        let Address { base, index, off } = address;
        if let Some((index, scale)) = index {
            self.put(Inst::mov(Width::W64, SCRATCH, index));
            if scale != 0 {
                self.put(Inst::shift_imm(Shift::Shl, Width::W64, SCRATCH, scale));
            }
            self.put(Inst::alu(Alu::Add, Width::W64, SCRATCH, base));
            if off != 0 {
                self.put(Inst::alu_imm(Alu::Add, Width::W64, SCRATCH, off));
            }
            return;
        }
        match base {
            Place::Reg(reg) if off == 0 => {
                if reg != SCRATCH {
                    self.put(Inst::mov(Width::W64, SCRATCH, reg));
                }
            }
            Place::Reg(reg) => self.put(Inst::lea(Width::W64, SCRATCH, Mem::base(reg, off))),
            Place::Slot(mem) => {
                self.put(Inst::mov(Width::W64, SCRATCH, mem));
                if off != 0 {
                    self.put(Inst::alu_imm(Alu::Add, Width::W64, SCRATCH, off));
                }
            }
        }
    }

    /// Emits all that stands behind the functions.
    pub(super) fn put_stubs(&mut self) -> Result<(), EmitError> {
        self.put_refusals()?;
        let stubs = core::mem::take(&mut self.stubs);
        for stub in stubs {
            match stub {
                Stub::Search { from, back, address, power, site } => {
                    self.asm.bind(from);
                    self.address(address);
                    if let Some(power) = power.filter(|_| self.program.stack) {
                        // The stack grows and shrinks, so that searches do not remember it.
                        let other = self.asm.label();
                        let anchor = self.anchor(Gpr::R15);
                        let window = WindowIdx::STACK;
                        self.put(Inst::alu(
                            Alu::Cmp,
                            Width::W64,
                            SCRATCH,
                            Mem::base(anchor, window.at(state::BASE)),
                        ));
                        self.asm.jcc(Cond::B, other);
                        self.put(Inst::alu(
                            Alu::Cmp,
                            Width::W64,
                            SCRATCH,
                            Mem::base(anchor, window.at(state::READ + 8 * power)),
                        ));
                        self.asm.jcc(Cond::Be, back);
                        self.asm.bind(other);
                    }
                    self.ask(site, back);
                }
                Stub::Fuel { from, back, site } => {
                    self.asm.bind(from);
                    self.ask(site, back);
                }
                Stub::Refuse { from, address, site } => {
                    self.asm.bind(from);
                    self.refuse(address, site);
                }
                Stub::NoRoom { from, back } => {
                    self.asm.bind(from);
                    self.put_number(SCRATCH, 0);
                    self.asm.jmp(back);
                }
                Stub::Look { from, back, address, access, refused } => {
                    self.asm.bind(from);
                    let none = self.asm.label();
                    self.compare_in(address, access, none);
                    self.asm.jmp(back);
                    self.asm.bind(none);
                    self.refuse(address, refused);
                }
                Stub::Leave { from, exit, site } => {
                    self.asm.bind(from);
                    // `rdx` says which, and is one or two.
                    let leaves = self.asm.label();
                    self.put(Inst::alu_imm(Alu::Cmp, Width::W64, Gpr::Rdx, 1));
                    self.asm.jcc(Cond::Ne, leaves);
                    self.stop(site);
                    self.asm.bind(leaves);
                    self.put_number(Gpr::Rax, 0);
                    self.asm.jmp(exit);
                }
                Stub::Stop { from, site } => {
                    self.asm.bind(from);
                    self.stop(site);
                }
                Stub::Divide { from, back, special } => {
                    self.asm.bind(from);
                    self.divide_special(special);
                    self.asm.jmp(back);
                }
            }
        }
        if !self.sites.is_empty() {
            self.put_failed();
            self.put_ask();
        }
        Ok(())
    }

    /// Emits what accesses outside of a region lead to: for each its number, and for each region once what makes an address of
    /// the distance that was compared.
    fn put_refusals(&mut self) -> Result<(), EmitError> {
        let refusals = core::mem::take(&mut self.refusals);
        let mut tails: Vec<Option<Label>> = Vec::new();
        for Refusal { from, window, site } in &refusals {
            let number = window.0 as usize;
            let more = (number + 1).saturating_sub(tails.len());
            if more > 0 {
                super::reserve(&mut tails, more)?;
                tails.resize(number + 1, None);
            }
            let tail = match tails[number] {
                Some(tail) => tail,
                None => *tails[number].insert(self.asm.label()),
            };
            self.asm.bind(*from);
            self.put(Inst::push_imm(*site as i32));
            self.asm.jmp_near(tail);
        }
        for (number, tail) in tails.iter().enumerate() {
            let Some(tail) = tail else { continue };
            self.asm.bind(*tail);
            // Whatever the values were, nobody reads them again.
            let anchor = self.anchor(Gpr::Rax);
            let base = Mem::base(anchor, WindowIdx(number as u32).at(state::BASE));
            self.put(Inst::alu(Alu::Add, Width::W64, SCRATCH, base));
            self.put(Inst::store(Size::B8, Mem::base(anchor, state::STOP_ADDRESS), SCRATCH));
            self.asm.jmp_near(self.failed);
        }
        Ok(())
    }

    /// Lets the runner see how much fuel there is.
    pub(super) fn show_fuel(&mut self, anchor: Gpr) {
        if let Some(fuel) = self.target.fuel().filter(|_| self.program.fuel) {
            self.put(Inst::store(Size::B8, Mem::base(anchor, state::FUEL), fuel));
        }
    }

    /// Reads how much fuel the runner has left; no flags change.
    pub(super) fn take_fuel(&mut self, anchor: Gpr) {
        if let Some(fuel) = self.target.fuel().filter(|_| self.program.fuel) {
            self.put(Inst::mov(Width::W64, fuel, Mem::base(anchor, state::FUEL)));
        }
    }

    /// Ends the run at an access.
    fn refuse(&mut self, address: Address, site: u32) {
        self.address(address);
        // Whatever the values were, nobody reads them again.
        let anchor = self.anchor(Gpr::Rax);
        self.put(Inst::store(Size::B8, Mem::base(anchor, state::STOP_ADDRESS), SCRATCH));
        self.stop(site);
    }

    fn stop(&mut self, site: u32) {
        self.put(Inst::push_imm(site as i32));
        self.asm.jmp_near(self.failed);
    }

    fn ask(&mut self, site: u32, back: Label) {
        self.put(Inst::push_imm(site as i32));
        self.asm.call(self.ask);
        self.asm.jcc(Cond::Ne, self.failed);
        self.put(Inst::pop(SCRATCH));
        self.asm.jmp(back);
    }

    /// Leaves the run from any function, with a site's number on the stack.
    fn put_failed(&mut self) {
        self.asm.bind(self.failed);
        self.put(Inst::pop(SCRATCH));
        let anchor = self.anchor(Gpr::Rax);
        self.show_fuel(anchor);
        self.put(Inst::store(Size::B4, Mem::base(anchor, state::STOP_SITE), SCRATCH));
        if self.program.calls {
            self.put(Inst::mov(Width::W64, Gpr::Rbp, Mem::base(anchor, state::FRAME)));
        }
        self.put_number(Gpr::Rdx, 1);
        self.asm.jmp(self.unwound);
    }

    /// Asks the runner: the site's number is above the return address, an address in the scratch register.
    fn put_ask(&mut self) {
        self.asm.bind(self.ask);
        for reg in CHANGED {
            self.put(Inst::push(reg));
        }
        // Sixteen bytes of number and return address, and an even number of registers: the stack is aligned as calls want it.
        let anchor = self.anchor(Gpr::Rdi);
        if anchor != Gpr::Rdi {
            self.put(Inst::mov(Width::W64, Gpr::Rdi, anchor));
        }
        let site = Mem::base(Gpr::Rsp, 8 * (CHANGED.len() as i32 + 1));
        self.put(Inst::mov(Width::W64, Gpr::Rsi, site));
        self.put(Inst::mov(Width::W64, Gpr::Rdx, SCRATCH));
        self.show_fuel(Gpr::Rdi);
        self.put(Inst::call_to(Mem::base(Gpr::Rdi, state::ASK)));
        if self.program.fuel {
            let anchor = self.anchor(Gpr::Rdi);
            self.take_fuel(anchor);
        }
        self.put(Inst::test(Width::W64, Gpr::Rax, Gpr::Rax));
        for reg in CHANGED.into_iter().rev() {
            self.put(Inst::pop(reg));
        }
        self.put(Inst::ret());
    }
}
