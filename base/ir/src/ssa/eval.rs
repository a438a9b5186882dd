//! Runs a unit as it stands, slowly: the measure of every pass.

use super::{Block, Edge, Function, MemAddr, Node, Rhs, Sum, Term, Unit, Val};
use crate::arith;
use crate::source::Region;
use alloc_crate::vec;
use alloc_crate::vec::Vec;
use skep_isa::{AtomicOp, InsnIdx, PacketSize, Size};

/// Is the surroundings of an evaluation.
pub trait World {
    /// Returns the address just above the stack of the function at a depth; the entered one has depth 0.
    fn frame(&mut self, depth: usize) -> u64;

    /// Says whether an access may happen.
    fn check(&mut self, address: u64, bytes: u32, write: bool, region: Region) -> bool;

    /// Reads memory, zero-extended; nothing where there is none.
    fn load(&mut self, address: u64, size: Size) -> Option<u64>;

    /// Writes the low bytes of a value; nothing where there is no memory.
    fn store(&mut self, address: u64, size: Size, value: u64) -> Option<()>;

    /// Calls a helper; nothing ends the run.
    fn helper(&mut self, id: u32, args: [u64; 5]) -> Option<u64>;

    /// Loads from the packet of a context; nothing ends the run, and no value the function.
    fn packet(&mut self, context: u64, offset: i32, size: PacketSize) -> Option<Option<u64>> {
        let _ = (context, offset, size);
        None
    }
}

/// Says why an evaluation stopped, and on which instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Names the instruction.
    pub at: InsnIdx,
    /// Says why.
    pub kind: StopKind,
}

/// Says why an evaluation stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopKind {
    /// A check failed.
    Check,
    /// An access went where no memory is.
    Memory,
    /// The fuel was spent.
    Fuel,
    /// More functions were active than are allowed.
    Depth,
    /// A helper ended the run, or is not there.
    Helper,
}

/// Bounds the functions that may be active at once (`MAX_CALL_FRAMES` in `include/linux/bpf_verifier.h`).
pub const MAX_DEPTH: usize = 8;

/// Evaluates a unit from its first function on.
///
/// # Errors
///
/// [`Stop`] says where and why there is no result.
pub fn eval(unit: &Unit, world: &mut dyn World, args: [u64; 5], fuel: &mut u64) -> Result<u64, Stop> {
    let mut eval = Eval { unit, world, fuel };
    eval.function(0, args, 0)
}

struct Eval<'e> {
    unit: &'e Unit,
    world: &'e mut dyn World,
    fuel: &'e mut u64,
}

impl Eval<'_> {
    fn function(&mut self, number: usize, args: [u64; 5], depth: usize) -> Result<u64, Stop> {
        let function = &self.unit.functions[number];
        let mut values = vec![0u64; function.nodes.len()];
        for (param, reg) in function.params_of(&function.blocks[0]).zip(&function.params) {
            values[param.index()] = args[usize::from(*reg) - 1];
        }
        let mut block = Block::ENTRY;
        loop {
            let data = &function.blocks[block.index()];
            for val in data.nodes() {
                let at = function.at[val.index()];
                if let Node::Packet { size, args } = function.nodes[val.index()] {
                    let [context, offset] = registers(function.list(args), |val| values[val.index()]);
                    let loaded = self.world.packet(context, offset as i32, size);
                    match loaded.ok_or(Stop { at, kind: StopKind::Memory })? {
                        Some(value) => values[val.index()] = value,
                        None => return Ok(0),
                    }
                    continue;
                }
                if let Some(value) = self.node(function, val, &values, depth, at)? {
                    values[val.index()] = value;
                }
            }
            let edge = match data.term {
                Term::Return(val) => return Ok(values[val.index()]),
                Term::Jump(edge) => edge,
                Term::Branch { cond, width, a, b, then, other } => {
                    let b = match b {
                        Rhs::Val(b) => values[b.index()],
                        Rhs::Imm(imm) => i64::from(imm) as u64,
                    };
                    if arith::compare(width, cond, values[a.index()], b) { then } else { other }
                }
            };
            self.charge(edge.charge, data.at)?;
            follow(function, &edge, &mut values);
            block = edge.to;
        }
    }

    fn call(&mut self, number: usize, args: [u64; 5], depth: usize, at: InsnIdx) -> Result<u64, Stop> {
        if depth + 1 >= MAX_DEPTH {
            return Err(Stop { at, kind: StopKind::Depth });
        }
        self.function(number, args, depth + 1)
    }

    fn charge(&mut self, units: u32, at: InsnIdx) -> Result<(), Stop> {
        match self.fuel.checked_sub(u64::from(units)) {
            Some(left) => {
                *self.fuel = left;
                Ok(())
            }
            None => Err(Stop { at, kind: StopKind::Fuel }),
        }
    }

    fn node(
        &mut self,
        function: &Function,
        val: Val,
        values: &[u64],
        depth: usize,
        at: InsnIdx,
    ) -> Result<Option<u64>, Stop> {
        let of = |val: Val| values[val.index()];
        let right = |b: Rhs| match b {
            Rhs::Val(b) => of(b),
            Rhs::Imm(imm) => i64::from(imm) as u64,
        };
        let address = |addr: MemAddr| of(addr.base).wrapping_add_signed(i64::from(addr.off));
        let total = |sum: Sum| {
            let index = of(sum.index) << sum.scale;
            of(sum.base).wrapping_add(index).wrapping_add_signed(i64::from(sum.off))
        };
        let stop = |kind| Stop { at, kind };
        let memory = stop(StopKind::Memory);
        let value = match function.nodes[val.index()] {
            // Loads from packets may end the function, which does them itself.
            Node::Nop | Node::Param | Node::Packet { .. } => return Ok(None),
            Node::Const(number) => number,
            Node::FramePointer => self.world.frame(depth),
            Node::Alu { op, width, a, b } => arith::alu(width, op, of(a), of(b)),
            Node::AluImm { op, width, a, imm } => arith::alu(width, op, of(a), i64::from(imm) as u64),
            Node::Neg { width, a } => arith::neg(width, of(a)),
            Node::Sext { kind, a } => arith::movsx(kind, of(a)),
            Node::Trunc { size, a } => arith::truncate(size, of(a)),
            Node::Swap { width, a } => arith::swap(width, of(a)),
            Node::Rotl { width, a, amount } => arith::rotl(width, of(a), u32::from(amount)),
            Node::Set { cond, width, a, b } => u64::from(arith::compare(width, cond, of(a), right(b))),
            Node::Select { cond, width, a, b, then, other } => {
                if arith::compare(width, cond, of(a), right(b)) { of(then) } else { of(other) }
            }
            Node::Check { addr, bytes, write, region } => {
                if !self.world.check(address(addr), bytes, write, region) {
                    return Err(stop(StopKind::Check));
                }
                return Ok(None);
            }
            // How much room there is matters to nobody but the checks, and these look themselves.
            Node::Room { .. } => 0,
            Node::CheckRoom { addr, size, write, region, .. } => {
                if !self.world.check(address(addr), size.bytes(), write, region) {
                    return Err(stop(StopKind::Check));
                }
                return Ok(None);
            }
            Node::CheckSum { base, index, off, what, region, .. } => {
                let address = total(Sum { base, index, off, scale: what.scale() });
                if !self.world.check(address, what.size().bytes(), what.write(), region) {
                    return Err(stop(StopKind::Check));
                }
                return Ok(None);
            }
            Node::Load { kind, addr } => {
                let raw = self.world.load(address(addr), kind.size()).ok_or(memory)?;
                arith::extend(kind, raw)
            }
            Node::LoadSum { kind, sum } => {
                let raw = self.world.load(total(sum), kind.size()).ok_or(memory)?;
                arith::extend(kind, raw)
            }
            Node::StoreSum { size, sum, value } => {
                self.world.store(total(sum), size, of(value)).ok_or(memory)?;
                return Ok(None);
            }
            Node::StoreImmSum { size, sum, imm } => {
                self.world.store(total(sum), size, i64::from(imm) as u64).ok_or(memory)?;
                return Ok(None);
            }
            Node::LoadAcquire { size, addr } => self.world.load(address(addr), size).ok_or(memory)?,
            Node::Store { size, addr, value } | Node::StoreRelease { size, addr, value } => {
                self.world.store(address(addr), size, of(value)).ok_or(memory)?;
                return Ok(None);
            }
            Node::StoreImm { size, addr, imm } => {
                self.world.store(address(addr), size, i64::from(imm) as u64).ok_or(memory)?;
                return Ok(None);
            }
            Node::Atomic { op, width, addr, src } => {
                let old = self.world.load(address(addr), width.size()).ok_or(memory)?;
                let new = atomic(op, old, of(src));
                self.world.store(address(addr), width.size(), new).ok_or(memory)?;
                old
            }
            Node::Cmpxchg { width, addr, expected, src } => {
                let old = self.world.load(address(addr), width.size()).ok_or(memory)?;
                if arith::compare(width, skep_isa::Cond::Eq, old, of(expected)) {
                    self.world.store(address(addr), width.size(), of(src)).ok_or(memory)?;
                }
                old
            }
            Node::Helper { id, args } => {
                let args = registers(function.list(args), of);
                self.world.helper(id, args).ok_or(stop(StopKind::Helper))?
            }
            Node::CallReg { args } => {
                let [target, args @ ..] = function.list(args) else { return Err(stop(StopKind::Helper)) };
                let args = registers(args, of);
                let named = crate::handle::function_of(of(*target)).map(|number| number as usize);
                match named.filter(|number| *number < self.unit.functions.len()) {
                    Some(callee) => self.call(callee, args, depth, at)?,
                    None => {
                        let id = u32::try_from(of(*target)).map_err(|_| stop(StopKind::Helper))?;
                        self.world.helper(id, args).ok_or(stop(StopKind::Helper))?
                    }
                }
            }
            Node::Call { function: callee, args } => {
                let mut passed = [0; 5];
                let takes = &self.unit.functions[callee as usize].params;
                for (arg, reg) in function.list(args).iter().zip(takes) {
                    passed[usize::from(*reg) - 1] = of(*arg);
                }
                self.call(callee as usize, passed, depth, at)?
            }
            Node::Charge(units) => {
                self.charge(units, at)?;
                return Ok(None);
            }
        };
        Ok(Some(value))
    }
}

fn follow(function: &Function, edge: &Edge, values: &mut [u64]) {
    let args: Vec<u64> = function.list(edge.args).iter().map(|arg| values[arg.index()]).collect();
    let target = &function.blocks[edge.to.index()];
    let params: Vec<Val> = function.params_of(target).collect();
    for (param, arg) in params.into_iter().zip(args) {
        values[param.index()] = arg;
    }
}

fn registers<const N: usize>(list: &[Val], of: impl Fn(Val) -> u64) -> [u64; N] {
    let mut args = [0; N];
    for (arg, val) in args.iter_mut().zip(list) {
        *arg = of(*val);
    }
    args
}

/// Computes what an atomic operation leaves in memory; a store of 32 bits takes the low half.
pub fn atomic(op: AtomicOp, old: u64, src: u64) -> u64 {
    match op {
        AtomicOp::Add | AtomicOp::FetchAdd => old.wrapping_add(src),
        AtomicOp::Or | AtomicOp::FetchOr => old | src,
        AtomicOp::And | AtomicOp::FetchAnd => old & src,
        AtomicOp::Xor | AtomicOp::FetchXor => old ^ src,
        AtomicOp::Xchg | AtomicOp::Cmpxchg => src,
    }
}
