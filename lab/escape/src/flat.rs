//! The reference: executes instructions one by one on numbers, with a memory that is a few lists of bytes at the addresses of
//! the layout. It shares nothing with the compiler and the engines but the arithmetic of two numbers.
//!
//! It knows what an engine knows of a value's history: which memory a pointer stems from. Checked code may refuse an access
//! through a pointer to *other* memory than it stems from, even if the program may touch that; see [`Flat::run`].

use crate::helpers::{self, FOLLOW, MOST_FOLLOW, Seen, World};
use crate::layout::{AREAS, DEPTH, LATE, Layout, Rights};
use skep_ir::arith;
use skep_isa::structure::Structure;
use skep_isa::{Addr, AluOp, AtomicOp, Endian, Insn, InsnIdx, Operand, Program, Reg, Size, SwapWidth, Width};
use skep_model::fuel::{self, WINDOW};
use skep_model::handle;
use skep_vm::{CallEnd, Stop, StopKind};
use std::cell::Cell;
use std::rc::Rc;

/// How often `may_goto` goes on (`BPF_MAX_LOOPS` in `include/linux/bpf.h`).
const MAX_LOOPS: u32 = 8 << 20;
/// Is what a wide load of a map gives.
pub const MAP_HANDLE: u64 = 0x4_4444_4444;

/// Says whether fuel is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fuel {
    /// There is so much.
    Units(u64),
    /// It is not; after so many instructions nobody waits any longer.
    Free(u64),
}

/// What comes of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Is what the program returns, or why it does not.
    pub result: Result<u64, Stop>,
    /// Is what the areas hold.
    pub memory: [Vec<u8>; AREAS.len()],
    /// Counts the fuel that is left.
    pub left: u64,
    /// Remembers the calls of helpers.
    pub seen: Seen,
}

/// Says why the reference has nothing to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silent {
    /// The run takes too long without fuel.
    Endless,
    /// The program looks at a function's stack which the compiler may keep in registers, from another function.
    Peeked,
}

/// Names where a pointer stems from: an area, or the stack behind them.
type Root = u8;
const STACK: Root = AREAS.len() as Root;

/// Is a value of a register.
#[derive(Clone, Copy, Debug, Default)]
struct Value {
    number: u64,
    /// Names the memory it stems from, if that can be told.
    root: Option<Root>,
}

impl Value {
    const fn number(number: u64) -> Value {
        Value { number, root: None }
    }
}

/// Is one of the programs that may follow one another in a run.
#[derive(Debug)]
pub struct Part<'p> {
    /// Is its bytecode.
    pub program: &'p Program,
    /// Says where its functions are.
    pub structure: &'p Structure,
    /// Says what is known of them.
    pub functions: Vec<Function>,
    /// Is the number of its first instruction in stops: they are numbered on from one program to the next.
    pub start: InsnIdx,
}

/// What is known of a function.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Says whether it has a stack in memory; the compiler decides.
    pub uses_stack: bool,
    /// Says whether it uses r10 for anything but to load and store through it.
    escapes: bool,
}

impl Function {
    /// Looks at a program's functions; the compiler has said which have a stack.
    pub fn all(program: &Program, structure: &Structure, uses_stack: &[bool]) -> Vec<Function> {
        let functions = structure.subprograms().iter().zip(uses_stack);
        let look = |(function, uses_stack): (&skep_isa::structure::Subprogram, &bool)| {
            let slots = function.start.0..function.end.0;
            let insns = slots.filter_map(|slot| program.at(InsnIdx(slot)));
            Function { uses_stack: *uses_stack, escapes: insns.into_iter().any(escapes) }
        };
        functions.map(look).collect()
    }
}

fn escapes(insn: Insn) -> bool {
    match insn {
        Insn::Load { base: Reg::FP, .. } => false,
        Insn::Store { base: Reg::FP, src, .. } => src.reg() == Some(Reg::FP),
        insn => insn.reads().contains(Reg::FP),
    }
}

struct Frame {
    function: usize,
    /// Holds the lowest address of its stack; none where that is not memory.
    base: Option<u64>,
    /// Is its stack where that is not memory.
    own: Vec<u8>,
    back: u32,
    saved: [Value; 4],
    loops: u32,
}

/// Is one run.
pub struct Flat<'p> {
    parts: &'p [Part<'p>],
    /// Is the position of the program that runs.
    current: usize,
    /// Counts how many programs may still follow.
    follow: u32,
    layout: &'p Layout,
    memory: [Vec<u8>; AREAS.len()],
    /// Holds all stacks, the first function's at the end.
    stack: Vec<u8>,
    /// Holds the lowest address of the stacks in use.
    low: u64,
    /// Counts how often the memory is lent that is not lent from the start.
    late: u64,
    fuel: Fuel,
    left: u64,
    charged: u64,
    executed: u64,
    regs: [Value; 11],
    frames: Vec<Frame>,
    /// Counts the frames that wait for a helper.
    waiting: usize,
    seen: Rc<Cell<Seen>>,
    /// Is where the engine has refused an access.
    refused: Option<Stop>,
}

#[derive(Clone, Copy)]
enum End {
    /// The function has returned that was called from outside.
    Returned(u64),
    /// A helper has ended the run.
    Unwound(u64),
    Stop(Stop),
    Silent(Silent),
}

impl From<Silent> for End {
    fn from(silent: Silent) -> End {
        End::Silent(silent)
    }
}

/// Where an access goes.
#[derive(Clone, Copy)]
enum Place {
    Area(usize, usize),
    Stack(usize),
    /// The stack of the function that runs, where it is not memory.
    Own(usize),
}

impl Place {
    fn root(self) -> Root {
        match self {
            Place::Area(area, _) => area as Root,
            Place::Stack(_) | Place::Own(_) => STACK,
        }
    }
}

impl<'p> Flat<'p> {
    /// Runs the first of the programs on this memory, and says how many have followed it.
    ///
    /// `refused` is where an engine has refused an access. Where the program may touch that memory, but the pointer stems
    /// from other memory, or from nowhere that can be told, the run ends there as the engine's did.
    ///
    /// # Errors
    /// Why there is nothing to compare with.
    pub fn run(
        parts: &'p [Part<'p>],
        layout: &'p Layout,
        memory: &[Vec<u8>; AREAS.len()],
        fuel: Fuel,
        refused: Option<Stop>,
    ) -> Result<(Ran, u32), Silent> {
        let left = match fuel {
            Fuel::Units(units) => units,
            Fuel::Free(_) => 0,
        };
        let mut flat = Flat {
            parts,
            current: 0,
            follow: MOST_FOLLOW,
            layout,
            memory: memory.clone(),
            stack: vec![0; DEPTH * layout.stack_bytes as usize],
            low: layout.stack_top(),
            late: 0,
            fuel,
            left,
            charged: 0,
            executed: 0,
            regs: [Value::default(); 11],
            frames: Vec::new(),
            waiting: 0,
            seen: Rc::default(),
            refused,
        };
        flat.point_to_input();
        let result = match flat.go(0, InsnIdx(0)) {
            End::Returned(number) | End::Unwound(number) => Ok(number),
            End::Stop(stop) => Err(stop),
            End::Silent(silent) => return Err(silent),
        };
        assert!(flat.executed <= flat.charged + u64::from(WINDOW) || matches!(fuel, Fuel::Free(_)));
        let followed = MOST_FOLLOW - flat.follow;
        Ok((Ran { result, memory: flat.memory, left: flat.left, seen: flat.seen.get() }, followed))
    }

    fn part(&self) -> &'p Part<'p> {
        &self.parts[self.current]
    }

    fn point_to_input(&mut self) {
        let input = self.layout.areas[0];
        self.regs[1] = Value { number: input.base, root: Some(0) };
        self.regs[2] = Value::number(input.len);
    }

    /// Says where a stop at an instruction of the program that runs is.
    fn place(&self, at: InsnIdx) -> InsnIdx {
        InsnIdx(self.part().start.0 + at.0)
    }

    /// Runs a function that is called from outside, at an instruction.
    fn go(&mut self, function: usize, at: InsnIdx) -> End {
        let mut at = match self.enter(function, 0, at) {
            Ok(start) => start,
            Err(end) => return end,
        };
        loop {
            self.executed += 1;
            if matches!(self.fuel, Fuel::Free(most) if self.executed > most) {
                return End::Silent(Silent::Endless);
            }
            match self.step(at) {
                Ok(next) => at = next,
                Err(end) => return end,
            }
        }
    }

    fn stop(&self, at: InsnIdx, kind: StopKind) -> End {
        End::Stop(Stop { at: self.place(at), kind })
    }

    fn charge(&mut self, at: InsnIdx, units: u64) -> Result<(), End> {
        match self.take(units) {
            true => Ok(()),
            false => Err(self.stop(at, StopKind::Fuel)),
        }
    }

    fn take(&mut self, units: u64) -> bool {
        if let Fuel::Units(_) = self.fuel {
            let enough = units <= self.left;
            self.left = self.left.saturating_sub(units);
            self.charged += units;
            return enough;
        }
        true
    }

    /// Goes on with another instruction of the same function.
    fn edge(&mut self, from: InsnIdx, to: InsnIdx) -> Result<InsnIdx, End> {
        let function = self.part().structure.subprograms()[self.frame().function];
        self.charge(from, u64::from(fuel::edge(function, from, to)))?;
        Ok(to)
    }

    fn frame(&self) -> &Frame {
        self.frames.last().expect("a function is active")
    }

    /// Enters a function.
    fn enter(&mut self, function: usize, back: u32, from: InsnIdx) -> Result<InsnIdx, End> {
        if self.frames.len() >= DEPTH {
            return Err(self.stop(from, StopKind::CallDepth));
        }
        let bytes = self.layout.stack_bytes;
        let [.., r6, r7, r8, r9, _] = self.regs;
        let base = self.part().functions[function].uses_stack.then(|| self.low - u64::from(bytes));
        let mut own = Vec::new();
        match base {
            Some(base) => {
                self.low = base;
                let from = self.stack_offset(base);
                self.stack[from..from + bytes as usize].fill(0);
            }
            None => own.resize(bytes as usize, 0),
        }
        self.frames.push(Frame { function, base, own, back, saved: [r6, r7, r8, r9], loops: MAX_LOOPS });
        self.regs[0] = Value::default();
        self.regs[6..10].fill(Value::default());
        self.point_to_frame();
        let function = self.part().structure.subprograms()[function];
        self.charge(function.start, u64::from(fuel::entry(function)))?;
        Ok(function.start)
    }

    /// Goes on in another program, if there is one and not too many have followed.
    fn follow(&mut self, at: InsnIdx, next: InsnIdx) -> Result<InsnIdx, End> {
        let position = self.get(Reg::R3) as u32 as usize;
        self.regs[1..6].fill(Value::default());
        if position >= self.parts.len() || self.follow == 0 {
            self.set(Reg::R0, helpers::NO_PROGRAM);
            return self.edge(at, next);
        }
        self.follow -= 1;
        self.current = position;
        self.frames.clear();
        self.low = self.layout.stack_top();
        self.point_to_input();
        self.enter(0, 0, at)
    }

    fn point_to_frame(&mut self) {
        let base = self.frame().base.unwrap_or(0);
        let number = base.wrapping_add(u64::from(self.layout.stack_bytes));
        self.regs[10] = Value { number, root: Some(STACK) };
    }

    fn stack_offset(&self, address: u64) -> usize {
        let bottom = self.layout.stack_top() - self.stack.len() as u64;
        (address - bottom) as usize
    }

    fn exit(&mut self) -> Result<InsnIdx, End> {
        let result = self.regs[0];
        let Some(frame) = self.frames.pop() else { return Err(End::Returned(result.number)) };
        if let Some(base) = frame.base {
            self.low = base + u64::from(self.layout.stack_bytes);
        }
        self.regs[1..6].fill(Value::default());
        self.regs[6..10].copy_from_slice(&frame.saved);
        if !self.frames.is_empty() {
            self.point_to_frame();
        }
        if self.frames.len() == self.waiting {
            return Err(End::Returned(result.number));
        }
        self.edge(InsnIdx(frame.back - 1), InsnIdx(frame.back))
    }

    fn get(&self, reg: Reg) -> u64 {
        self.regs[reg.index()].number
    }

    fn set(&mut self, reg: Reg, number: u64) {
        self.regs[reg.index()] = Value::number(number);
    }

    fn operand(&self, src: Operand) -> Value {
        match src {
            Operand::Imm(imm) => Value::number(i64::from(imm) as u64),
            Operand::Reg(reg) => self.regs[reg.index()],
        }
    }

    fn step(&mut self, at: InsnIdx) -> Result<InsnIdx, End> {
        let insn = self.part().program.at(at).expect("jumps lead to instructions");
        let next = InsnIdx(at.0 + insn.slots());
        let mut to = next;
        match insn {
            Insn::Alu { width, op, dst, src } => {
                let (a, b) = (self.regs[dst.index()], self.operand(src));
                let number = arith::alu(width, op, a.number, b.number);
                let root = match (width, op) {
                    (Width::W64, AluOp::Mov) => b.root,
                    (Width::W64, AluOp::Add) if a.root.is_none() || b.root.is_none() => a.root.or(b.root),
                    (Width::W64, AluOp::Sub) if b.root.is_none() => a.root,
                    _ => None,
                };
                self.regs[dst.index()] = Value { number, root };
            }
            Insn::Neg { width, dst } => self.set(dst, arith::neg(width, self.get(dst))),
            Insn::Movsx { kind, dst, src } => self.set(dst, arith::movsx(kind, self.get(src))),
            Insn::ByteSwap { op, width, dst } => self.set(dst, swap(op, width, self.get(dst))),
            Insn::LoadImm64 { dst, value } => self.set(dst, value),
            Insn::LoadAddr { dst, addr } => self.regs[dst.index()] = self.address_of(at, addr),
            Insn::Load { kind, dst, base, off } => {
                let place = self.access(at, base, off, kind.size(), Rights::Read)?;
                let number = arith::extend(kind, self.read(place, kind.size()));
                self.set(dst, number);
            }
            Insn::Store { size, base, off, src } => {
                let place = self.access(at, base, off, size, Rights::ReadWrite)?;
                self.write(place, size, self.operand(src).number);
            }
            Insn::LoadAcquire { size, dst, base, off } => {
                let place = self.access(at, base, off, size, Rights::Read)?;
                self.aligned(at, base, off, size)?;
                let number = self.read(place, size);
                self.set(dst, number);
            }
            Insn::StoreRelease { size, base, off, src } => {
                let place = self.access(at, base, off, size, Rights::ReadWrite)?;
                self.aligned(at, base, off, size)?;
                self.write(place, size, self.get(src));
            }
            Insn::Atomic { width, op, base, off, src } => {
                let place = self.access(at, base, off, width.size(), Rights::ReadWrite)?;
                self.aligned(at, base, off, width.size())?;
                self.atomic(place, width, op, src);
            }
            Insn::Goto { .. } | Insn::Gotol { .. } => to = self.target(insn, at),
            Insn::Branch { width, cond, dst, src, .. } => {
                if arith::compare(width, cond, self.get(dst), self.operand(src).number) {
                    to = self.target(insn, at);
                }
            }
            Insn::MayGoto { .. } => {
                let frame = self.frames.last_mut().expect("a function is active");
                match frame.loops.checked_sub(1) {
                    Some(left) => frame.loops = left,
                    None => to = self.target(insn, at),
                }
            }
            // The main function of one of several; all others call the helper.
            Insn::CallHelper { id: FOLLOW } if self.parts.len() > 1 && self.frames.len() == 1 => {
                return self.follow(at, next);
            }
            Insn::CallHelper { id } => self.help(at, id)?,
            Insn::CallReg { reg } => {
                let found = self.get(reg);
                let position = handle::function_of(found).map(|position| position as usize);
                if let Some(function) = position.filter(|position| *position < self.part().functions.len()) {
                    return self.enter(function, next.0, at);
                }
                match u32::try_from(found) {
                    Ok(id) => self.help(at, id)?,
                    Err(_) => return Err(self.stop(at, StopKind::BadCallTarget { found })),
                }
            }
            Insn::CallLocal { .. } => {
                let start = insn.call_target(at).expect("calls lead to functions");
                let function = self.part().structure.subprogram_at(start).expect("calls lead to functions");
                return self.enter(function, next.0, at);
            }
            Insn::Exit => return self.exit(),
            Insn::CallKfunc { .. }
            | Insn::Gotox { .. }
            | Insn::AddrSpaceCast { .. }
            | Insn::LoadAbs { .. }
            | Insn::LoadInd { .. } => unreachable!("the compiler refuses these"),
        }
        self.edge(at, to)
    }

    fn target(&self, insn: Insn, at: InsnIdx) -> InsnIdx {
        insn.jump_target(at).expect("jumps lead to instructions")
    }

    fn address_of(&self, at: InsnIdx, addr: Addr) -> Value {
        match addr {
            Addr::Code { .. } => {
                let start = Insn::LoadAddr { dst: Reg::R0, addr }.call_target(at);
                let function = start.and_then(|start| self.part().structure.subprogram_at(start));
                Value::number(handle::function(function.expect("addresses are of functions") as u32))
            }
            Addr::MapValueFd { off, .. } | Addr::MapValueIndex { off, .. } => {
                Value { number: self.layout.areas[3].base + u64::from(off), root: Some(3) }
            }
            _ => Value::number(MAP_HANDLE),
        }
    }

    fn help(&mut self, at: InsnIdx, id: u32) -> Result<(), End> {
        let args = std::array::from_fn(|number| self.regs[number + 1].number);
        let seen = Rc::clone(&self.seen);
        let areas = self.layout.areas;
        let mut hands = Hands { flat: self, at, ended: None };
        let result = helpers::call(id, args, &areas, &seen, &mut hands);
        if let Some(end) = hands.ended {
            return Err(end);
        }
        self.regs[1..6].fill(Value::default());
        match result {
            Ok(number) => {
                let root = helpers::promised(id).map(|area| area as Root);
                self.regs[0] = Value { number, root };
                Ok(())
            }
            Err(CallEnd::Unwind(number)) => Err(End::Unwound(number)),
            Err(CallEnd::Stop(kind)) => Err(self.stop(at, kind)),
            // Nothing else ends a run by a helper's work here.
            Err(CallEnd::Ended) => Err(self.stop(at, StopKind::Fuel)),
        }
    }

    /// Finds memory; an error says that the compiler may keep it in registers.
    fn find(&self, address: u64, bytes: u64, rights: Rights) -> Result<Option<Place>, Silent> {
        let bottom = self.low;
        let end = u128::from(address) + u128::from(bytes);
        if address >= bottom && end <= u128::from(self.layout.stack_top()) {
            for frame in self.frames.iter().filter(|frame| !self.part().functions[frame.function].escapes) {
                let Some(base) = frame.base else { continue };
                let above = base + u64::from(self.layout.stack_bytes);
                if u128::from(base) < end && address < above {
                    return Err(Silent::Peeked);
                }
            }
            return Ok(Some(Place::Stack(self.stack_offset(address))));
        }
        let found = self.layout.areas.iter().enumerate().find_map(|(number, area)| {
            let lent = number != LATE || self.late > 0;
            let may = lent && (area.rights == Rights::ReadWrite || rights == Rights::Read);
            Some(Place::Area(number, area.offset(address, bytes).filter(|_| may)?))
        });
        Ok(found)
    }

    fn access(&self, at: InsnIdx, base: Reg, off: i16, size: Size, rights: Rights) -> Result<Place, End> {
        let pointer = self.regs[base.index()];
        let address = pointer.number.wrapping_add(i64::from(off) as u64);
        let bytes = size.bytes() as u8;
        if base == Reg::FP {
            if let Some(place) = self.own(off, size) {
                return Ok(place);
            }
        }
        let refusal = match rights {
            Rights::Read => StopKind::Read { address, bytes },
            Rights::ReadWrite => StopKind::Write { address, bytes },
        };
        let Some(place) = self.find(address, u64::from(bytes), rights)? else {
            return Err(self.stop(at, refusal));
        };
        let elsewhere = pointer.root != Some(place.root());
        if elsewhere && self.refused == Some(Stop { at: self.place(at), kind: refusal }) {
            return Err(self.stop(at, refusal));
        }
        Ok(place)
    }

    /// Finds what a function's own r10 reaches of its own stack, in memory or not.
    fn own(&self, off: i16, size: Size) -> Option<Place> {
        let frame = self.frame();
        let bytes = i64::from(self.layout.stack_bytes);
        let offset = bytes + i64::from(off);
        if offset < 0 || offset + i64::from(size.bytes()) > bytes {
            return None;
        }
        Some(match frame.base {
            Some(base) => Place::Stack(self.stack_offset(base) + offset as usize),
            None => Place::Own(offset as usize),
        })
    }

    fn aligned(&self, at: InsnIdx, base: Reg, off: i16, size: Size) -> Result<(), End> {
        let address = self.get(base).wrapping_add(i64::from(off) as u64);
        let bytes = size.bytes() as u8;
        match address % u64::from(bytes) {
            0 => Ok(()),
            _ => Err(self.stop(at, StopKind::Misaligned { address, bytes })),
        }
    }

    fn bytes(&mut self, place: Place, len: usize) -> &mut [u8] {
        match place {
            Place::Area(area, offset) => &mut self.memory[area][offset..offset + len],
            Place::Stack(offset) => &mut self.stack[offset..offset + len],
            Place::Own(offset) => {
                let frame = self.frames.last_mut().expect("a function is active");
                &mut frame.own[offset..offset + len]
            }
        }
    }

    fn read(&mut self, place: Place, size: Size) -> u64 {
        let mut word = [0; 8];
        let len = size.bytes() as usize;
        word[..len].copy_from_slice(self.bytes(place, len));
        u64::from_le_bytes(word)
    }

    fn write(&mut self, place: Place, size: Size, number: u64) {
        let len = size.bytes() as usize;
        self.bytes(place, len).copy_from_slice(&number.to_le_bytes()[..len]);
    }

    fn atomic(&mut self, place: Place, width: Width, op: AtomicOp, src: Reg) {
        let size = width.size();
        let (old, operand) = (self.read(place, size), arith::truncate(size, self.get(src)));
        let simple = |op| arith::alu(width, op, old, operand);
        let new = match op {
            AtomicOp::Add | AtomicOp::FetchAdd => simple(AluOp::Add),
            AtomicOp::Or | AtomicOp::FetchOr => simple(AluOp::Or),
            AtomicOp::And | AtomicOp::FetchAnd => simple(AluOp::And),
            AtomicOp::Xor | AtomicOp::FetchXor => simple(AluOp::Xor),
            AtomicOp::Xchg => operand,
            AtomicOp::Cmpxchg if old == arith::truncate(size, self.get(Reg::R0)) => operand,
            AtomicOp::Cmpxchg => old,
        };
        self.write(place, size, new);
        match op {
            AtomicOp::Cmpxchg => self.set(Reg::R0, old),
            op if op.fetches() => self.set(src, old),
            _ => {}
        }
    }
}

/// Swaps bytes, on a machine whose own order is the little one.
fn swap(op: Endian, width: SwapWidth, a: u64) -> u64 {
    let size = match width {
        SwapWidth::W16 => Size::H,
        SwapWidth::W32 => Size::W,
        SwapWidth::W64 => Size::Dw,
    };
    match op {
        Endian::ToLe => arith::truncate(size, a),
        Endian::ToBe | Endian::Swap => arith::swap(width, a),
    }
}

/// What a helper may use of the reference's run.
struct Hands<'a, 'p> {
    flat: &'a mut Flat<'p>,
    /// Is where the helper is called.
    at: InsnIdx,
    /// Is how the run has ended meanwhile.
    ended: Option<End>,
}

impl Hands<'_, '_> {
    fn find(&mut self, address: u64, len: u64, rights: Rights) -> Option<Place> {
        let found = self.flat.find(address, len, rights);
        found.unwrap_or_else(|silent| {
            self.ended.get_or_insert(silent.into());
            None
        })
    }
}

impl World for Hands<'_, '_> {
    fn charge(&mut self, units: u64) -> Result<(), CallEnd> {
        self.flat.take(units).then_some(()).ok_or(CallEnd::Ended)
    }

    fn fill(&mut self, address: u64, len: u64, byte: u8) -> bool {
        let place = self.find(address, len, Rights::ReadWrite);
        place.map(|place| self.flat.bytes(place, len as usize).fill(byte)).is_some()
    }

    fn open(&mut self) -> Result<(), CallEnd> {
        self.flat.late += 1;
        Ok(())
    }

    fn close(&mut self) {
        self.flat.late = self.flat.late.saturating_sub(1);
    }

    fn call_back(&mut self, function: u32, args: [u64; 5]) -> Result<u64, CallEnd> {
        let flat = &mut *self.flat;
        if function as usize >= flat.part().functions.len() {
            return Err(CallEnd::Stop(StopKind::BadCallTarget { found: handle::function(function) }));
        }
        let waiting = std::mem::replace(&mut flat.waiting, flat.frames.len());
        flat.regs[1..6].copy_from_slice(&args.map(Value::number));
        let end = flat.go(function as usize, self.at);
        flat.waiting = waiting;
        match end {
            End::Returned(number) => Ok(number),
            end => {
                self.ended = Some(end);
                Err(CallEnd::Ended)
            }
        }
    }

    fn sum(&mut self, address: u64, len: u64) -> Option<u64> {
        let place = self.find(address, len, Rights::Read)?;
        Some(self.flat.bytes(place, len as usize).iter().map(|byte| u64::from(*byte)).sum())
    }
}
