//! The machine: one run of one program.

mod args;
mod arith;
mod call;
mod frame;
mod invoke;
mod memory;

use crate::object::{Object, Objects};
use crate::observe::Nobody;
use crate::program::Op;
use crate::{Entry, Fault, FaultKind, Fuel, ObjectId, Observer, Program, Region, Rights};
use crate::{Pointers, Stack, Step, UninitRegisters, Value, World};
use alloc::vec::Vec;
use frame::{Caller, Frame};
use skep_isa::{AluOp, Insn, InsnIdx, Reg, Width};
use skep_mem::{Meter, Spent};
use skep_model::fuel;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What the program returned, or what stopped it.
    pub result: Result<u64, Fault>,
    /// Instructions executed.
    pub executed: u64,
    /// Units of fuel taken, by the [rule of every engine](skep_model::fuel) and by helpers.
    pub charged: u64,
}

/// Runs a program.
pub fn run<'m>(
    program: &'m Program,
    world: &dyn World<'m>,
    stack: &'m Stack,
    entry: Entry<'m>,
    fuel: &Fuel,
) -> Outcome {
    run_observed(program, world, stack, entry, fuel, &mut Nobody)
}

/// Runs a program while somebody looks on.
pub fn run_observed<'m, O: Observer>(
    program: &'m Program,
    world: &dyn World<'m>,
    stack: &'m Stack,
    entry: Entry<'m>,
    fuel: &Fuel,
    observer: &mut O,
) -> Outcome {
    let mut machine = Machine::new(program, world, stack, fuel, observer);
    let result = match machine.enter(entry) {
        Ok(()) => machine.execute(0),
        Err(Trap::Ended(end)) => Err(end),
        Err(Trap::Fault(kind)) => Err(machine.end(kind)),
    };
    let result = match result {
        Ok(value) => machine.finish(value),
        Err(End::Unwound(number)) => Ok(number),
        Err(End::Fault(fault)) => Err(fault),
    };
    machine.meter.settle();
    Outcome { result, executed: machine.executed, charged: machine.meter.taken() }
}

/// Why execution stopped before its function returned.
#[derive(Clone, Copy, Debug)]
enum End {
    Fault(Fault),
    /// A helper has ended the run with this number.
    Unwound(u64),
}

/// Why an instruction did not complete.
enum Trap {
    Fault(FaultKind),
    /// The run has already ended, inside a callback or by a helper.
    Ended(End),
}

impl From<FaultKind> for Trap {
    fn from(kind: FaultKind) -> Trap {
        Trap::Fault(kind)
    }
}

impl From<Spent> for Trap {
    fn from(_: Spent) -> Trap {
        Trap::Fault(FaultKind::Fuel)
    }
}

/// What an instruction did to the flow of control.
enum Flow {
    /// The next one follows.
    Next,
    /// The function returned to the host with this value.
    Returned(Value),
}

/// The state of one run.
struct Machine<'m, 'r, O> {
    world: &'r dyn World<'m>,
    stack: &'m Stack,
    observer: &'r mut O,
    meter: Meter<'r>,
    /// The instructions executed so far.
    executed: u64,
    program: &'m Program,
    /// The instruction being executed.
    at: usize,
    /// The one after it.
    next: usize,
    regs: [Value; 11],
    /// Frames ever used; those up to `depth` are active.
    frames: Vec<Frame<'m>>,
    depth: usize,
    objects: Objects<'m>,
    /// The packet's object, until a helper changes the packet.
    packet: Option<ObjectId>,
    /// The objects of the values that wide loads point into, by map.
    values: Vec<Option<ObjectId>>,
    /// The arguments of the helpers that are running.
    pending: Vec<[Value; 5]>,
    tail_calls: u32,
}

impl<'m, 'r, O: Observer> Machine<'m, 'r, O> {
    fn new(
        program: &'m Program,
        world: &'r dyn World<'m>,
        stack: &'m Stack,
        fuel: &'r Fuel,
        observer: &'r mut O,
    ) -> Self {
        Machine {
            world,
            stack,
            observer,
            meter: Meter::new(fuel),
            executed: 0,
            program,
            at: 0,
            next: 0,
            regs: [Value::Uninit; 11],
            frames: Vec::new(),
            depth: 0,
            objects: Objects::new(),
            packet: None,
            values: Vec::new(),
            pending: Vec::new(),
            tail_calls: 0,
        }
    }

    /// Makes the first frame and sets the entry's registers.
    fn enter(&mut self, entry: Entry<'m>) -> Result<(), Trap> {
        self.push_frame(Caller::Host)?;
        match entry {
            Entry::Context => self.regs[1] = Value::Context(0),
            Entry::Nothing => self.regs[1..3].fill(Value::NULL),
            Entry::Memory(bytes) => {
                let object = self.create(Object::new(Region::Memory, Rights::ReadWrite, bytes))?;
                self.regs[1] = Value::Pointer { object, offset: 0 };
                self.regs[2] = Value::Scalar(bytes.len() as u64);
            }
        }
        self.charge_entry()
    }

    /// Takes what entering the function costs whose first instruction is next.
    fn charge_entry(&mut self) -> Result<(), Trap> {
        self.at = self.next;
        let function = self.program.subprogram_of(InsnIdx(self.at as u32)).ok_or(FaultKind::NoInstruction)?;
        Ok(self.meter.charge(u64::from(fuel::entry(function)))?)
    }

    /// Takes what going on with the next instruction of the same function costs.
    #[inline(always)]
    fn charge_edge(&mut self) -> Result<(), Trap> {
        // What goes forward costs only in a function that is longer than one charge pays for.
        if self.next > self.at && self.program.ops.len() <= fuel::WINDOW as usize {
            return Ok(());
        }
        let (from, to) = (InsnIdx(self.at as u32), InsnIdx(self.next as u32));
        let function = self.program.subprogram_of(from).ok_or(FaultKind::NoInstruction)?;
        Ok(self.meter.charge(u64::from(fuel::edge(function, from, to)))?)
    }

    /// Checks what must hold when the program has returned.
    fn finish(&mut self, value: Value) -> Result<u64, Fault> {
        let fault = |kind| self.fault(kind);
        if let Some(record) = self.objects.open_record() {
            if let Region::Record(map) = record.region {
                return Err(fault(FaultKind::LeakedReference { map, reserved_at: record.born }));
            }
        }
        let value = match value {
            Value::Uninit => self.unwritten(Reg::R0).map_err(fault)?,
            value => value,
        };
        let number = value.bits().unwrap_or(0);
        let rules = &self.program.rules;
        match rules.prog.and_then(|prog| prog.returns.range(rules.attach)) {
            Some((min, max)) => within(value, min, max).map_err(fault),
            None => Ok(number),
        }
    }

    /// Runs until the function at depth `floor` returns, and gives its r0.
    fn execute(&mut self, floor: usize) -> Result<Value, End> {
        loop {
            self.at = self.next;
            match self.step(floor) {
                Ok(Flow::Next) => {}
                Ok(Flow::Returned(value)) => return Ok(value),
                Err(Trap::Ended(end)) => return Err(end),
                Err(Trap::Fault(kind)) => return Err(self.end(kind)),
            }
        }
    }

    #[inline(always)]
    fn step(&mut self, floor: usize) -> Result<Flow, Trap> {
        // By reference: a copy would be written and read again in other widths, which stalls.
        let program = self.program;
        let op = program.ops.get(self.at).ok_or(FaultKind::NoInstruction)?;
        self.executed += 1;
        if O::ACTIVE {
            let frames = frame::View { frames: &self.frames, stack: self.stack };
            self.observer.step(&Step {
                program: self.program.tag(),
                at: InsnIdx(self.at as u32),
                depth: self.depth,
                regs: &self.regs,
                frames: &frames,
            });
        }
        self.next = self.at + 1;
        match *op {
            Op::Insn(Insn::Exit) => return self.exit(floor),
            Op::Insn(ref insn) => return self.insn(insn, floor),
            Op::Map { dst, map } => self.wide(dst, Value::Map(map)),
            Op::Func { dst, func } => self.wide(dst, Value::Func(func)),
            Op::MapValue { dst, map, off } => {
                let object = self.direct_value(map)?;
                self.wide(dst, Value::Pointer { object, offset: i64::from(off) });
            }
            Op::Plain { id } => self.call_plain(id)?,
            Op::Helper { helper, prototype } => self.call_helper(helper, prototype)?,
            Op::TailCall { helper, prototype } => {
                self.tail_call(helper, prototype)?;
                return Ok(Flow::Next);
            }
            Op::Second => return Err(FaultKind::NoInstruction.into()),
        }
        self.charge_edge()?;
        Ok(Flow::Next)
    }

    /// Completes a wide load.
    fn wide(&mut self, dst: Reg, value: Value) {
        self.regs[dst.index()] = value;
        self.next = self.at + 2;
    }

    #[inline(always)]
    fn insn(&mut self, insn: &Insn, floor: usize) -> Result<Flow, Trap> {
        match *insn {
            Insn::Alu { width, op, dst, src } => {
                let b = self.operand(src)?;
                let value = match op {
                    AluOp::Mov => arith::copy(width, b),
                    _ => {
                        let a = self.reg(dst)?;
                        match arith::alu(width, op, a, b, &self.objects) {
                            Ok(value) => value,
                            Err(refused) => self.on_numbers(width, op, a, b).ok_or(refused)?,
                        }
                    }
                };
                self.regs[dst.index()] = value;
            }
            Insn::Neg { width, dst } => self.unary(dst, dst, |a| crate::alu::neg(width, a))?,
            Insn::Movsx { kind, dst, src } => self.unary(dst, src, |a| crate::alu::movsx(kind, a))?,
            Insn::ByteSwap { op, width, dst } => {
                self.unary(dst, dst, |a| crate::alu::swap(op, width, a))?;
            }
            Insn::LoadImm64 { dst, value } => self.wide(dst, Value::Scalar(value)),
            Insn::Load { kind, dst, base, off } => {
                self.regs[dst.index()] = self.load(kind, base, off)?;
            }
            Insn::Store { size, base, off, src } => {
                let value = self.operand(src)?;
                self.store(size, base, off, value)?;
            }
            Insn::Atomic { width, op, base, off, src } => self.atomic(width, op, base, off, src)?,
            Insn::LoadAcquire { size, dst, base, off } => {
                self.regs[dst.index()] = self.load_acquire(size, base, off)?;
            }
            Insn::StoreRelease { size, base, off, src } => self.store_release(size, base, off, src)?,
            Insn::Branch { width, cond, dst, src, off } => {
                let (a, b) = (self.reg(dst)?, self.operand(src)?);
                if arith::compare(width, cond, a, b, &self.objects) {
                    self.jump(i32::from(off));
                }
            }
            Insn::Goto { off } => self.jump(i32::from(off)),
            Insn::Gotol { off } => self.jump(off),
            Insn::MayGoto { off } => {
                if self.loop_is_over() {
                    self.jump(i32::from(off));
                }
            }
            Insn::CallLocal { off } => {
                let target = InsnIdx(self.at as u32).relative(off).ok_or(FaultKind::NoInstruction)?;
                self.call_local(target)?;
                return Ok(Flow::Next);
            }
            Insn::CallReg { reg } => {
                self.call_reg(reg)?;
                return Ok(Flow::Next);
            }
            Insn::LoadAbs { size, off } => return self.packet_load(size, off, 0, floor),
            Insn::LoadInd { size, src, off } => {
                let moved = self.reg(src)?.bits().unwrap_or(0);
                return self.packet_load(size, off, moved as u32, floor);
            }
            // Linking has turned these into other operations, or refused them.
            Insn::Exit
            | Insn::LoadAddr { .. }
            | Insn::CallHelper { .. }
            | Insn::CallKfunc { .. }
            | Insn::Gotox { .. }
            | Insn::AddrSpaceCast { .. } => return Err(FaultKind::NoInstruction.into()),
        }
        self.charge_edge()?;
        Ok(Flow::Next)
    }

    /// Goes on `off` slots after the next.
    fn jump(&mut self, off: i32) {
        self.next = self.next.wrapping_add_signed(off as isize);
    }

    /// Reads a register that must hold something.
    #[inline(always)]
    fn reg(&self, reg: Reg) -> Result<Value, FaultKind> {
        match self.regs[reg.index()] {
            Value::Uninit => self.unwritten(reg),
            value => Ok(value),
        }
    }

    /// Says what a register holds that nobody has written.
    #[cold]
    fn unwritten(&self, reg: Reg) -> Result<Value, FaultKind> {
        match self.program.rules.uninit_registers {
            UninitRegisters::Fault => Err(FaultKind::UninitRegister { reg }),
            UninitRegisters::Zero => Ok(Value::NULL),
        }
    }

    #[inline(always)]
    fn operand(&self, operand: skep_isa::Operand) -> Result<Value, FaultKind> {
        match operand {
            skep_isa::Operand::Imm(imm) => Ok(Value::Scalar(i64::from(imm) as u64)),
            skep_isa::Operand::Reg(reg) => self.reg(reg),
        }
    }

    /// Computes on the numbers of pointers, where the rules allow that.
    #[cold]
    fn on_numbers(&self, width: Width, op: AluOp, a: Value, b: Value) -> Option<Value> {
        let (a, b) = a.bits().zip(b.bits()).filter(|_| self.program.rules.pointers == Pointers::Numbers)?;
        Some(Value::Scalar(crate::alu::alu(width, op, a, b)))
    }

    /// Computes with one register as a number.
    fn unary(&mut self, dst: Reg, src: Reg, compute: impl FnOnce(u64) -> u64) -> Result<(), FaultKind> {
        let number = self.reg(src)?.bits().unwrap_or(0);
        self.regs[dst.index()] = Value::Scalar(compute(number));
        Ok(())
    }

    fn fault(&self, kind: FaultKind) -> Fault {
        let at = InsnIdx(self.at as u32);
        Fault { kind, at, func: self.program.function_of(at), program: self.program.tag() }
    }

    fn end(&self, kind: FaultKind) -> End {
        End::Fault(self.fault(kind))
    }
}

/// Checks that a value is a number from `min` to `max`.
fn within(value: Value, min: i32, max: i32) -> Result<u64, FaultKind> {
    let (min, max) = (i64::from(min), i64::from(max));
    match value {
        Value::Scalar(number) if (min..=max).contains(&(number as i64)) => Ok(number),
        found => Err(FaultKind::BadReturn { found, min, max }),
    }
}
