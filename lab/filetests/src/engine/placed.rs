//! The interpreter on code for a machine with registers: what that machine would do to its registers is written out.

use super::Ran;
use super::compiled::{Backend, FIRST, Given, Place, agree, not_here, options, run};
use crate::Case;
use skep_ir::machine::{Machine, RegMask};
use skep_ir::ops::{Code, Loc, Op, OpIdx};
use skep_ir::{Access, Level, Metering, Options};
use skep_vm::{Cpu, Program, Regions, Stop};

/// Stands in registers that an operation has destroyed.
const DESTROYED: u64 = 0xdead_dead_dead_dead;

/// Runs code that was made for a machine.
#[derive(Clone, Copy, Debug)]
pub struct Placed(pub Machine);

impl Placed {
    /// Runs a case with the passes and without, checked, which must come to the same.
    ///
    /// # Errors
    /// How the two ways differ, or why it could not be run at all.
    pub fn run_all(&self, case: &Case) -> Result<Ran, String> {
        let Some(mut place) = Place::new(case)? else { return Ok(not_here()) };
        let first = run(self, case, &mut place, &FIRST)?;
        let plain = options(Level::O0, Access::Checked, Metering::Metered);
        agree(&first, "without passes", &plain, &run(self, case, &mut place, &plain)?)?;
        Ok(first)
    }
}

impl Backend for Placed {
    fn machine(&self) -> Machine {
        self.0
    }

    fn run<'m>(
        &self,
        code: &Code,
        options: &Options,
        cpu: &mut Cpu,
        regions: &mut Regions<'m>,
        given: &Given<'_, 'm>,
    ) -> Result<Result<u64, Stop>, String> {
        let program = Program::checked(&act(code, &self.0), options.stack_bytes);
        let program = program.map_err(|error| error.to_string())?;
        Ok(program.run(cpu, regions, given.args, given.fuel, given.helpers))
    }
}

/// Writes out what the machine does: the first operand is put where the result goes, and afterwards nothing is left of what
/// the operation destroys.
fn act(code: &Code, machine: &Machine) -> Code {
    let mut acted = code.clone();
    acted.ops.clear();
    acted.at.clear();
    let mut starts = Vec::new();
    for (op, at) in code.ops.iter().zip(&code.at) {
        starts.push(acted.ops.len() as u32);
        let result = op.result();
        let mut put = |op| {
            acted.ops.push(op);
            acted.at.push(*at);
        };
        let destroyed = machine.destroyed(op);
        let destroy = (0..u16::from(machine.registers)).filter(|reg| destroyed.contains(*reg)).map(Loc);
        let first =
            machine.destroys_first && !matches!(op, Op::Helper { .. } | Op::Call { .. } | Op::CallReg { .. });
        if first && destroyed != RegMask(0) {
            let (early, late) = parted(*op);
            early.into_iter().for_each(&mut put);
            destroy.for_each(|dst| put(Op::Const { dst, value: DESTROYED }));
            put(late);
            continue;
        }
        match (*op, result) {
            (Op::Alu { op, width, a, b, .. }, Some(dst)) if machine.two_address => {
                put(Op::Move { dst, src: a });
                // An operand that is both stands where it was put.
                let b = if a == b { dst } else { b };
                put(Op::Alu { op, width, dst, a: dst, b });
            }
            (op, _) => put(op),
        }
        destroy.filter(|dst| result != Some(*dst)).for_each(|dst| put(Op::Const { dst, value: DESTROYED }));
    }
    for op in &mut acted.ops {
        if let Op::Jump { to } | Op::Branch { to, .. } | Op::BranchImm { to, .. } = op {
            *to = OpIdx(starts[to.0 as usize]);
        }
    }
    starts.push(acted.ops.len() as u32);
    for function in &mut acted.functions {
        function.ops = starts[function.ops.start as usize]..starts[function.ops.end as usize];
        // What is destroyed need not have been in use.
        function.locs = function.locs.max(u16::from(machine.registers));
    }
    acted
}

/// Parts an operation into what it reads before it destroys anything, and the rest.
fn parted(op: Op) -> (Option<Op>, Op) {
    let dst = Loc::SCRATCH;
    match op {
        Op::Alu { op, width, dst: to, a, b } => {
            (Some(Op::Move { dst, src: a }), Op::Alu { op, width, dst: to, a: dst, b })
        }
        Op::AluImm { op, width, dst: to, a, imm } => {
            (Some(Op::Move { dst, src: a }), Op::AluImm { op, width, dst: to, a: dst, imm })
        }
        Op::Cmpxchg { width, dst: to, base, off, expected, src } => {
            let late = Op::Cmpxchg { width, dst: to, base, off, expected: dst, src };
            (Some(Op::Move { dst, src: expected }), late)
        }
        op => (None, op),
    }
}
