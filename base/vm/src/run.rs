//! The interpreter: one loop, one match.

use crate::access::{self, atomic32, atomic64, cmpxchg32, cmpxchg64};
use crate::calls::{CallEnd, Calls, Reach, Waiting};
use crate::cpu::Cpu;
use crate::frame::{Frame, Place};
use crate::insn::{Insn, Passed, Target, with_families};
use crate::program::{Fresh, From, Function, Program};
use crate::regions::Regions;
use crate::stop::{Stop, StopKind};
use core::ptr::NonNull;
use skep_ir::ssa::eval::MAX_DEPTH;
use skep_ir::{arith, handle};
use skep_isa::{AluOp, Cond, LoadKind, Size, Width};
use skep_mem::{Fuel, Meter, Spent};

impl Program {
    /// Runs the program with these values in r1 to r5, and returns r0.
    ///
    /// # Errors
    ///
    /// [`Stop`] says where and why there is no result.
    pub fn run<'m>(
        &self,
        cpu: &mut Cpu,
        regions: &mut Regions<'m>,
        args: [u64; 5],
        fuel: &Fuel,
        calls: &dyn Calls<'m>,
    ) -> Result<u64, Stop> {
        let start = |kind| Stop { at: self.at[0], kind };
        if !cpu.reserve(self.places, self.stack_bytes) {
            return Err(start(StopKind::OutOfMemory));
        }
        let stack_top = cpu.stack() + MAX_DEPTH * self.stack_bytes as usize;
        if regions.set_stack(stack_top, 0).is_err() {
            return Err(start(StopKind::OutOfMemory));
        }
        // SAFETY: `reserve` has made room for eight frames of the largest function, and `cpu` is borrowed for this run; the
        // program's places are below their function's number of places, which `Program` has checked.
        let frame = unsafe { Frame::new(cpu.values()) };
        let at = Waits { pc: self.first(), frame, places: 0 };
        let mut run = Run {
            program: self,
            regions,
            calls,
            meter: Meter::new(fuel),
            stack_top,
            low: stack_top,
            depth: 0,
            at,
            ended: None,
        };
        run.enter(&self.functions[0], frame, args);
        let result = run.go(&self.functions[0], frame);
        run.meter.settle();
        match result {
            Ok(value) | Err(End::Unwound(value)) => Ok(value),
            Err(End::Halted { pc, kind }) => Err(Stop { at: self.at[pc as usize], kind }),
        }
    }

    fn first(&self) -> NonNull<Insn> {
        NonNull::from(self.insns.as_slice()).cast::<Insn>()
    }
}

/// Says how a run ended before its first function returned.
#[derive(Clone, Copy)]
enum End {
    /// On this of the program's own instructions.
    Halted { pc: u32, kind: StopKind },
    /// A helper has ended it with this number.
    Unwound(u64),
}

/// Is where a run waits for a helper.
#[derive(Clone, Copy)]
struct Waits {
    pc: NonNull<Insn>,
    frame: Frame,
    places: u16,
}

/// Is where a function goes on when the one that it has called returns.
#[derive(Clone, Copy)]
struct Return {
    pc: NonNull<Insn>,
    frame: Frame,
    places: u16,
    dst: Place,
    low: usize,
}

struct Run<'r, 'm> {
    program: &'r Program,
    regions: &'r mut Regions<'m>,
    calls: &'r dyn Calls<'m>,
    meter: Meter<'r>,
    /// Holds the address just above the stack of the first function.
    stack_top: usize,
    /// Holds the lowest address of the stacks in use; functions that do not touch theirs have none.
    low: usize,
    depth: usize,
    /// Says where the helper was called that is running.
    at: Waits,
    /// Says how the run has ended inside that helper, if it has.
    ended: Option<End>,
}

/// Says what an access wants.
#[derive(Clone, Copy)]
struct Wanted {
    address: u64,
    bytes: u8,
    write: bool,
}

impl Wanted {
    #[cold]
    fn refused(self) -> StopKind {
        let Wanted { address, bytes, write } = self;
        match write {
            true => StopKind::Write { address, bytes },
            false => StopKind::Read { address, bytes },
        }
    }
}

/// Computes an address.
#[inline(always)]
fn address(frame: Frame, base: Place, off: i32) -> u64 {
    frame.get(base).wrapping_add(i64::from(off) as u64)
}

/// Computes an address that is a sum.
#[inline(always)]
fn total(frame: Frame, base: Place, index: Place, scale: u8, off: i32) -> u64 {
    frame.get(base).wrapping_add(frame.get(index) << (scale & 3)).wrapping_add(i64::from(off) as u64)
}

#[inline(always)]
fn wide(imm: i32) -> u64 {
    i64::from(imm) as u64
}

macro_rules! interpreter {
    (
        alu { $($op:ident: $r64:ident $i64:ident $r32:ident $i32:ident,)* }
        branch { $($cond:ident: $br64:ident $bi64:ident $br32:ident $bi32:ident | $se64:ident $si64:ident $se32:ident $si32:ident,)* }
        load { $($kind:ident: $load:ident $checked_load:ident $load_sum:ident,)* }
        store { $($size:ident: $store:ident $checked_store:ident $store_imm:ident $checked_store_imm:ident $store_sum:ident $store_imm_sum:ident,)* }
    ) => {
        impl Run<'_, '_> {
            /// Executes a function, which was [entered](Run::enter), until it returns.
            fn go(&mut self, function: &Function, entry: Frame) -> Result<u64, End> {
                let program = self.program;
                let code = program.first();
                let mut frame = entry;
                let mut places = function.places;
                let mut returns = [Return { pc: code, frame, places, dst: Place(0), low: self.low }; MAX_DEPTH];
                // What was there before belongs to whoever has called.
                let floor = self.depth;
                // Names the instruction that is executed.
                // SAFETY: functions start at instructions of the program, which `Program` has checked.
                let mut pc = unsafe { code.add(function.start as usize) };
                macro_rules! halt {
                    ($what:expr) => {
                        return Err(End::Halted { pc: Run::index(code, pc), kind: $what })
                    };
                }
                macro_rules! go_to {
                    ($to:expr) => {{
                        let Target(to) = $to;
                        // SAFETY: targets are instructions of the program, which `Program` has checked.
                        pc = unsafe { code.add(to as usize) };
                        continue;
                    }};
                }
                macro_rules! call {
                    ($callee:expr, $dst:expr, $pass:expr) => {{
                        if self.depth + 1 >= MAX_DEPTH {
                            halt!(StopKind::CallDepth);
                        }
                        let callee: &Function = $callee;
                        // SAFETY: room for eight frames of the largest function, and this is at most the eighth; the
                        // places that arguments go to are those of the callee.
                        let fresh = unsafe { Frame::new(frame.after(places)) };
                        $pass(fresh);
                        returns[self.depth] = Return { pc, frame, places, dst: $dst, low: self.low };
                        self.depth += 1;
                        frame = fresh;
                        places = callee.places;
                        if callee.uses_stack {
                            self.fresh_stack();
                        }
                        go_to!(Target(callee.start));
                    }};
                }
                macro_rules! check {
                    ($region:expr, $wanted:expr) => {{
                        let wanted: Wanted = $wanted;
                        let (bytes, write) = (u64::from(wanted.bytes), wanted.write);
                        if !self.regions.allows($region, wanted.address, bytes, write) {
                            halt!(wanted.refused());
                        }
                    }};
                }
                loop {
                    // SAFETY: `pc` is an instruction of the program: a function's first, a target, or the one behind an
                    // instruction that is not the last of its function, for the last ones do not go on.
                    match unsafe { pc.read() } {
                        $(
                            Insn::$r64 { dst, a, b } => {
                                frame.set(dst, arith::alu(Width::W64, AluOp::$op, frame.get(a), frame.get(b)));
                            }
                            Insn::$i64 { dst, a, imm } => {
                                frame.set(dst, arith::alu(Width::W64, AluOp::$op, frame.get(a), wide(imm)));
                            }
                            Insn::$r32 { dst, a, b } => {
                                frame.set(dst, arith::alu(Width::W32, AluOp::$op, frame.get(a), frame.get(b)));
                            }
                            Insn::$i32 { dst, a, imm } => {
                                frame.set(dst, arith::alu(Width::W32, AluOp::$op, frame.get(a), wide(imm)));
                            }
                        )*
                        $(
                            Insn::$br64 { a, b, to } => {
                                if arith::compare(Width::W64, Cond::$cond, frame.get(a), frame.get(b)) {
                                    go_to!(to);
                                }
                            }
                            Insn::$bi64 { a, imm, to } => {
                                if arith::compare(Width::W64, Cond::$cond, frame.get(a), wide(imm)) {
                                    go_to!(to);
                                }
                            }
                            Insn::$br32 { a, b, to } => {
                                if arith::compare(Width::W32, Cond::$cond, frame.get(a), frame.get(b)) {
                                    go_to!(to);
                                }
                            }
                            Insn::$bi32 { a, imm, to } => {
                                if arith::compare(Width::W32, Cond::$cond, frame.get(a), wide(imm)) {
                                    go_to!(to);
                                }
                            }
                        )*
                        $(
                            Insn::$se64 { dst, a, b, then, other } => {
                                let holds = arith::compare(Width::W64, Cond::$cond, frame.get(a), frame.get(b));
                                frame.set(dst, frame.get(if holds { then } else { other }));
                            }
                            Insn::$si64 { dst, a, imm, then, other } => {
                                let holds = arith::compare(Width::W64, Cond::$cond, frame.get(a), wide(imm));
                                frame.set(dst, frame.get(if holds { then } else { other }));
                            }
                            Insn::$se32 { dst, a, b, then, other } => {
                                let holds = arith::compare(Width::W32, Cond::$cond, frame.get(a), frame.get(b));
                                frame.set(dst, frame.get(if holds { then } else { other }));
                            }
                            Insn::$si32 { dst, a, imm, then, other } => {
                                let holds = arith::compare(Width::W32, Cond::$cond, frame.get(a), wide(imm));
                                frame.set(dst, frame.get(if holds { then } else { other }));
                            }
                        )*
                        $(
                            Insn::$load { dst, base, off } => {
                                let address = address(frame, base, off) as usize;
                                // SAFETY: a check has covered it, or who made the program promises it.
                                frame.set(dst, unsafe { access::load(address, LoadKind::$kind) });
                            }
                            Insn::$load_sum { dst, base, index, scale, off } => {
                                let address = total(frame, base, index, scale, off) as usize;
                                // SAFETY: who made the program promises it.
                                frame.set(dst, unsafe { access::load(address, LoadKind::$kind) });
                            }
                            Insn::$checked_load { dst, base, off, region } => {
                                let address = address(frame, base, off);
                                let bytes = LoadKind::$kind.size().bytes() as u8;
                                check!(region, Wanted { address, bytes, write: false });
                                // SAFETY: just checked.
                                frame.set(dst, unsafe { access::load(address as usize, LoadKind::$kind) });
                            }
                        )*
                        $(
                            Insn::$store { base, src, off } => {
                                let address = address(frame, base, off) as usize;
                                // SAFETY: a check has covered it, or who made the program promises it.
                                unsafe { access::store(address, Size::$size, frame.get(src)) };
                            }
                            Insn::$store_sum { base, index, scale, off, src } => {
                                let address = total(frame, base, index, scale, off) as usize;
                                // SAFETY: who made the program promises it.
                                unsafe { access::store(address, Size::$size, frame.get(src)) };
                            }
                            Insn::$store_imm_sum { base, index, scale, off, imm } => {
                                let address = total(frame, base, index, scale, off) as usize;
                                // SAFETY: who made the program promises it.
                                unsafe { access::store(address, Size::$size, wide(imm)) };
                            }
                            Insn::$checked_store { base, src, off, region } => {
                                let address = address(frame, base, off);
                                check!(region, Wanted { address, bytes: Size::$size.bytes() as u8, write: true });
                                // SAFETY: just checked.
                                unsafe { access::store(address as usize, Size::$size, frame.get(src)) };
                            }
                            Insn::$store_imm { base, off, imm } => {
                                let address = address(frame, base, off) as usize;
                                // SAFETY: a check has covered it, or who made the program promises it.
                                unsafe { access::store(address, Size::$size, wide(imm)) };
                            }
                            Insn::$checked_store_imm { base, off, imm, region } => {
                                let address = address(frame, base, off);
                                check!(region, Wanted { address, bytes: Size::$size.bytes() as u8, write: true });
                                // SAFETY: just checked.
                                unsafe { access::store(address as usize, Size::$size, wide(imm)) };
                            }
                        )*
                        Insn::Move { dst, src } => frame.set(dst, frame.get(src)),
                        Insn::Const { dst, value } => frame.set(dst, value),
                        Insn::FramePointer { dst } => frame.set(dst, self.frame_pointer()),
                        Insn::Neg { width, dst, a } => frame.set(dst, arith::neg(width, frame.get(a))),
                        Insn::Sext { kind, dst, a } => frame.set(dst, arith::movsx(kind, frame.get(a))),
                        Insn::TruncB { dst, a } => frame.set(dst, arith::truncate(Size::B, frame.get(a))),
                        Insn::TruncH { dst, a } => frame.set(dst, arith::truncate(Size::H, frame.get(a))),
                        Insn::TruncW { dst, a } => frame.set(dst, arith::truncate(Size::W, frame.get(a))),
                        Insn::Swap { width, dst, a } => frame.set(dst, arith::swap(width, frame.get(a))),
                        Insn::Rotl { width, dst, a, amount } => {
                            frame.set(dst, arith::rotl(width, frame.get(a), u32::from(amount)));
                        }
                        Insn::CheckRead { base, off, bytes, region } => {
                            let address = address(frame, base, off);
                            if !self.regions.allows(region, address, u64::from(bytes), false) {
                                halt!(Wanted { address, bytes: bytes.min(255) as u8, write: false }.refused());
                            }
                        }
                        Insn::CheckWrite { base, off, bytes, region } => {
                            let address = address(frame, base, off);
                            if !self.regions.allows(region, address, u64::from(bytes), true) {
                                halt!(Wanted { address, bytes: bytes.min(255) as u8, write: true }.refused());
                            }
                        }
                        Insn::Atomic { op, width, dst, base, off, src } => {
                            let address = address(frame, base, off);
                            let src = frame.get(src);
                            if let Err(misaligned) = aligned(address, width.size()) {
                                halt!(misaligned);
                            }
                            let old = match width {
                                // SAFETY: aligned; a check has covered it, or who made the program promises it.
                                Width::W32 => unsafe { atomic32(address as usize, op, src as u32) },
                                // SAFETY: as above.
                                Width::W64 => unsafe { atomic64(address as usize, op, src) },
                            };
                            frame.set(dst, old);
                        }
                        Insn::Cmpxchg { width, dst, base, off, expected, src } => {
                            let address = address(frame, base, off);
                            let (expected, src) = (frame.get(expected), frame.get(src));
                            if let Err(misaligned) = aligned(address, width.size()) {
                                halt!(misaligned);
                            }
                            let old = match width {
                                // SAFETY: aligned; a check has covered it, or who made the program promises it.
                                Width::W32 => unsafe { cmpxchg32(address as usize, expected as u32, src as u32) },
                                // SAFETY: as above.
                                Width::W64 => unsafe { cmpxchg64(address as usize, expected, src) },
                            };
                            frame.set(dst, old);
                        }
                        Insn::LoadAcquire { size, dst, base, off } => {
                            let address = address(frame, base, off);
                            if let Err(misaligned) = aligned(address, size) {
                                halt!(misaligned);
                            }
                            // SAFETY: a check has covered it, or who made the program promises it.
                            let value = unsafe { access::load(address as usize, unsigned(size)) };
                            access::acquire();
                            frame.set(dst, value);
                        }
                        Insn::StoreRelease { size, base, off, src } => {
                            let address = address(frame, base, off);
                            if let Err(misaligned) = aligned(address, size) {
                                halt!(misaligned);
                            }
                            access::release();
                            // SAFETY: a check has covered it, or who made the program promises it.
                            unsafe { access::store(address as usize, size, frame.get(src)) };
                        }
                        Insn::Helper { id, dst, passed } => {
                            let args = self.values(frame, passed);
                            frame.set(dst, self.helper(Waits { pc, frame, places }, id, args)?);
                        }
                        Insn::Packet { size, dst, passed } => {
                            let [context, offset] = self.values(frame, passed);
                            match self.calls.packet(context, offset as i32, size) {
                                Ok(Some(value)) => frame.set(dst, value),
                                Ok(None) if self.depth == floor => return Ok(0),
                                Ok(None) => (pc, frame, places) = self.leave(&returns, 0),
                                Err(CallEnd::Unwind(value)) => return Err(End::Unwound(value)),
                                Err(CallEnd::Stop(kind)) => halt!(kind),
                                // Nothing was run that could have ended it.
                                Err(CallEnd::Ended) => halt!(StopKind::OutOfMemory),
                            }
                        }
                        Insn::CallReg { dst, passed } => {
                            let [target, args @ ..]: [u64; 6] = self.values(frame, passed);
                            match self.function(target) {
                                Some(callee) => call!(callee, dst, |fresh| pass(callee, fresh, args)),
                                None => match u32::try_from(target) {
                                    Ok(id) => frame.set(dst, self.helper(Waits { pc, frame, places }, id, args)?),
                                    Err(_) => halt!(StopKind::BadCallTarget { found: target }),
                                },
                            }
                        }
                        Insn::Call { function, dst, passed } => {
                            let callee = &program.functions[usize::from(function)];
                            call!(callee, dst, |fresh: Frame| {
                                for argument in self.arguments(passed) {
                                    fresh.set(argument.to, from(frame, argument.from));
                                }
                            })
                        }
                        Insn::Charge { units } => {
                            if self.meter.charge(u64::from(units)).is_err() {
                                halt!(StopKind::Fuel);
                            }
                        }
                        Insn::Jump { to } => go_to!(to),
                        Insn::Return { src } => {
                            let result = frame.get(src);
                            if self.depth == floor {
                                return Ok(result);
                            }
                            (pc, frame, places) = self.leave(&returns, result);
                        }
                        Insn::ReturnNumber { value } => {
                            if self.depth == floor {
                                return Ok(value);
                            }
                            (pc, frame, places) = self.leave(&returns, value);
                        }
                    }
                    // SAFETY: only instructions that are not the last of their function go on, and calls are none of those.
                    pc = unsafe { pc.add(1) };
                }
            }
        }
    };
}
with_families!(interpreter);

/// Refuses an atomic access that is not aligned.
#[inline(always)]
fn aligned(address: u64, size: Size) -> Result<(), StopKind> {
    let bytes = size.bytes() as u8;
    match address % u64::from(bytes) {
        0 => Ok(()),
        _ => Err(StopKind::Misaligned { address, bytes }),
    }
}

fn unsigned(size: Size) -> LoadKind {
    match size {
        Size::B => LoadKind::U8,
        Size::H => LoadKind::U16,
        Size::W => LoadKind::U32,
        Size::Dw => LoadKind::U64,
    }
}

#[inline(always)]
fn from(frame: Frame, from: From) -> u64 {
    match from {
        From::Place(place) => frame.get(place),
        From::Number(number) => number,
    }
}

impl<'r> Run<'r, '_> {
    /// Counts the instructions in front of one.
    fn index(code: NonNull<Insn>, pc: NonNull<Insn>) -> u32 {
        ((pc.addr().get() - code.addr().get()) / size_of::<Insn>()) as u32
    }

    #[inline(always)]
    fn frame_pointer(&self) -> u64 {
        (self.low + self.program.stack_bytes as usize) as u64
    }

    /// Gives the function that is entered a stack of zeroes, and lets it be accessed.
    #[inline(never)]
    fn fresh_stack(&mut self) {
        let bytes = self.program.stack_bytes as usize;
        self.low -= bytes;
        if self.program.fresh == Fresh::Zeroes {
            // SAFETY: one of the eight frames that `reserve` has made room for.
            unsafe { access::zero(self.low, bytes) };
        }
        self.regions.move_stack(self.low, self.stack_top - self.low);
    }

    #[inline(always)]
    fn leave(&mut self, returns: &[Return; MAX_DEPTH], result: u64) -> (NonNull<Insn>, Frame, u16) {
        self.depth -= 1;
        let Return { pc, frame, places, dst, low } = returns[self.depth];
        self.restore_stack(low);
        frame.set(dst, result);
        (pc, frame, places)
    }

    /// Takes the stack of a function that has returned away.
    #[inline(always)]
    fn restore_stack(&mut self, low: usize) {
        if low != self.low {
            self.low = low;
            self.regions.move_stack(low, self.stack_top - low);
        }
    }

    #[inline(always)]
    fn arguments(&self, passed: Passed) -> &[crate::program::Argument] {
        let start = passed.start as usize;
        &self.program.arguments[start..start + usize::from(passed.len)]
    }

    /// Gives a function that nobody has called yet its arguments and its stack.
    fn enter(&mut self, function: &Function, frame: Frame, args: [u64; 5]) {
        pass(function, frame, args);
        if function.uses_stack {
            self.fresh_stack();
        }
    }

    #[inline(never)]
    fn helper(&mut self, at: Waits, id: u32, args: [u64; 5]) -> Result<u64, End> {
        let calls = self.calls;
        let outer = core::mem::replace(&mut self.at, at);
        let result = calls.helper(id, args, &Reach::new(self));
        let halted = self.halted(StopKind::UnknownHelper { id });
        self.at = outer;
        if let Some(end) = self.ended.take() {
            return Err(end);
        }
        result.map_err(|end| match (end, halted) {
            (CallEnd::Unwind(value), _) => End::Unwound(value),
            (CallEnd::Stop(kind), End::Halted { pc, .. }) => End::Halted { pc, kind },
            // Only what is noted has ended.
            (_, halted) => halted,
        })
    }

    /// Says that the run ends where the helper was called.
    fn halted(&self, kind: StopKind) -> End {
        End::Halted { pc: Run::index(self.program.first(), self.at.pc), kind }
    }

    /// Reads what is passed.
    #[inline(always)]
    fn values<const N: usize>(&self, frame: Frame, passed: Passed) -> [u64; N] {
        let mut values = [0; N];
        for (value, argument) in values.iter_mut().zip(self.arguments(passed)) {
            *value = from(frame, argument.from);
        }
        values
    }

    /// Finds the function that a number names.
    #[inline(always)]
    fn function(&self, number: u64) -> Option<&'r Function> {
        let position = usize::try_from(handle::function_of(number)?).ok()?;
        self.program.functions.get(position)
    }
}

/// Puts arguments where a function has them.
#[inline(always)]
fn pass(function: &Function, frame: Frame, args: [u64; 5]) {
    for (param, arg) in function.params.iter().zip(args) {
        if let Some(param) = param {
            frame.set(*param, arg);
        }
    }
}

impl<'m> Waiting<'m> for Run<'_, 'm> {
    fn charge(&mut self, units: u64) -> Result<(), Spent> {
        self.meter.charge(units)
    }

    fn regions(&mut self) -> &mut Regions<'m> {
        self.regions
    }

    fn call_back(&mut self, function: u32, args: [u64; 5]) -> Result<u64, CallEnd> {
        if self.ended.is_some() {
            return Err(CallEnd::Ended);
        }
        let Some(callee) = self.function(handle::function(function)) else {
            return Err(CallEnd::Stop(StopKind::BadCallTarget { found: handle::function(function) }));
        };
        if self.depth + 1 >= MAX_DEPTH {
            self.end_here(StopKind::CallDepth);
            return Err(CallEnd::Ended);
        }
        let Waits { frame, places, .. } = self.at;
        // SAFETY: room for eight frames of the largest function, and this is at most the eighth, behind that of the function
        // that waits; the places that are used with it are those of the callee.
        let fresh = unsafe { Frame::new(frame.after(places)) };
        let low = self.low;
        self.depth += 1;
        self.enter(callee, fresh, args);
        match self.go(callee, fresh) {
            Ok(value) => {
                self.depth -= 1;
                self.restore_stack(low);
                Ok(value)
            }
            Err(end) => {
                self.ended = Some(end);
                Err(CallEnd::Ended)
            }
        }
    }

    fn end_here(&mut self, kind: StopKind) {
        self.ended = Some(self.halted(kind));
    }
}
