//! Statements that branch and go round.

use super::state::{Kind, Slot, State};
use super::{Role, Writer};
use skep_isa::{AluOp, BuilderLabel, Cond, Insn, Operand, Reg, Width};

const CONDS: &[Cond] = &[
    Cond::Eq,
    Cond::Gt,
    Cond::Ge,
    Cond::Set,
    Cond::Ne,
    Cond::Sgt,
    Cond::Sge,
    Cond::Lt,
    Cond::Le,
    Cond::Slt,
    Cond::Sle,
];

impl Writer<'_> {
    /// Writes one statement.
    pub(super) fn statement(&mut self) {
        self.budget -= 1;
        match self.random.below(36) {
            0..=5 => self.compute(),
            6 | 7 => self.touch_context(),
            8..=10 => self.touch_stack(),
            11 => self.point_to_stack(),
            12 | 13 => self.move_pointer(),
            14..=17 => self.touch_memory(),
            18 => self.name_value(),
            19 => self.packet(),
            20 => self.touch_packet(),
            21 if self.has_classic_loads() => self.classic_load(),
            22 | 23 => self.branch(),
            24 => self.go_round(),
            25..=27 => self.look_up(),
            28 | 29 => self.call_any(),
            30 => self.ring(),
            31 => self.call_function(),
            32 => self.call_back(),
            33 => self.locked(),
            34 => self.null_check(),
            _ => self.inner_map(),
        }
    }

    /// A few statements in a block.
    pub(super) fn block(&mut self, most: u64) {
        self.nested += 1;
        let count = if self.nested > 3 { 1 } else { 1 + self.random.below(most) };
        for _ in 0..count {
            self.statement();
        }
        self.nested -= 1;
    }

    /// Writes a check whose failure leads out: around a block, or out of the function. `pass` says what is known after it, `fail` what
    /// is where it failed.
    pub(super) fn around(
        &mut self,
        check: impl FnOnce(&mut Self, BuilderLabel),
        pass: impl FnOnce(&mut Self),
        fail: impl FnOnce(&mut Self),
    ) {
        let out = self.b.label();
        check(self, out);
        let before = self.now.clone();
        if self.holding == 0 && self.random.once_in(3) {
            // Whoever fails leaves.
            let on = self.b.label();
            self.b.goto(on).bind(out);
            fail(self);
            self.leave();
            self.now = before;
            self.b.bind(on);
            pass(self);
            return;
        }
        fail(self);
        let failed = std::mem::replace(&mut self.now, before);
        pass(self);
        self.block(4);
        self.b.bind(out);
        self.meet(&failed);
    }

    /// What is known where another way comes in.
    pub(super) fn meet(&mut self, other: &State) {
        let mut ids = self.ids;
        self.now.join(other, || {
            ids += 1;
            ids
        });
        self.ids = ids;
    }

    /// Decides between two blocks.
    fn branch(&mut self) {
        let dst = self.number();
        let cond = self.one_of(CONDS);
        let width = self.one_of(&[Width::W32, Width::W64, Width::W64]);
        // What a comparison with itself comes to, skep knows and Linux does not.
        let other = self.number();
        let src: Operand = match self.random.below(3) {
            0 if other != dst => other.into(),
            1 => (self.random.below(64) as i32).into(),
            _ => (self.random.number() as i32).into(),
        };
        let (other, end) = (self.b.label(), self.b.label());
        self.b.push_to(Insn::Branch { width, cond, dst, src, off: 0 }, other);
        let before = self.now.clone();
        self.block(4);
        if self.holding == 0 && self.random.once_in(6) {
            self.leave();
            self.b.bind(other);
            self.now = before;
            return;
        }
        let has_other = self.random.once_in(2);
        if !has_other {
            self.b.bind(other);
            self.meet(&before);
            return;
        }
        self.b.goto(end).bind(other);
        let first = std::mem::replace(&mut self.now, before);
        self.block(3);
        self.b.bind(end);
        self.meet(&first);
    }

    /// Goes round a block some times.
    pub(super) fn go_round(&mut self) {
        if self.nested > 2 {
            return;
        }
        let Some(counter) = self.free_kept() else { return };
        let pinned = self.pinned;
        let was_pinned = self.is_stack_pinned;
        let times = match self.random.below(8) {
            0 => 20 + self.random.below(100) as i32,
            _ => 1 + self.random.below(8) as i32,
        };
        self.constant(counter, 0);
        // What the block begins with has to be so in each turn.
        self.now.regs[..6].fill(Kind::Nothing);
        self.now.widen();
        for slot in &mut self.now.stack {
            if matches!(slot, Slot::Value(Kind::Number(_))) {
                *slot = Slot::Data;
            }
        }
        self.pinned[6..].fill(true);
        self.is_stack_pinned = true;
        let (again, out) = (self.b.label(), self.b.label());
        self.b.bind(again);
        let entry = self.now.clone();
        let how = self.random.below(4);
        let step = if self.forgets() { 0 } else { 1 };
        match how {
            0 => {
                self.b.may_goto(out);
            }
            1 => {
                self.b.branch(Cond::Ge, counter, times, out);
            }
            _ => {}
        }
        self.set(counter, Kind::Number(times as u64));
        let test = self.now.clone();
        self.block(3);
        self.pinned = pinned;
        self.is_stack_pinned = was_pinned;
        self.alu(AluOp::Add, counter, step);
        match how {
            0 | 1 => {
                self.b.goto(again).bind(out);
                self.now = test;
            }
            2 => {
                self.b.push_to(
                    Insn::Branch {
                        width: Width::W32,
                        cond: Cond::Ne,
                        dst: counter,
                        src: times.into(),
                        off: 0,
                    },
                    again,
                );
            }
            _ => {
                self.b.branch(Cond::Lt, counter, times, again);
            }
        }
        self.meet(&entry);
        self.set(counter, Kind::Number(u64::MAX));
    }

    /// Tests a pointer that may be null.
    pub(super) fn null_check(&mut self) {
        let Some(pointer) = self.find(|kind| kind.null().is_some()) else { return };
        self.test(pointer);
    }

    /// Tests a pointer; what follows may use it.
    pub(super) fn test(&mut self, pointer: Reg) {
        let Some(id) = self.kind(pointer).null() else { return };
        self.around(
            |writer, out| {
                writer.b.branch(Cond::Eq, pointer, 0, out);
            },
            |writer| writer.now.decide(id, false),
            |writer| writer.now.decide(id, true),
        );
    }

    /// Whether calls may still go deeper.
    pub(super) fn may_go_deeper(&self) -> bool {
        self.depth < 3 && self.nested < 3 && (self.role != Role::Callback || self.depth < 2)
    }
}
