//! Counts the operations that a run executes, without a counter in the interpreter: fuel does it.
//!
//! In code that counts no fuel, a charge stands before everything that is entered otherwise than from the operation before:
//! as many units as there are operations from there up to the next such place. What the run has taken is the count.

use super::engine::Task;
use super::interpreter::{compiled, loaded};
use crate::memory::Memory;
use skep_ir::ops::{Code, Op, OpIdx};
use skep_ir::{Metering, Options};
use skep_mem::{Bytes, Fuel};
use skep_vm::{Cpu, NoCalls, Regions};

/// More than any program takes.
const ENOUGH: u64 = 1 << 48;

/// Counts the operations of one run, with the checks of accesses or without.
pub(super) fn count(task: &Task, options: &Options) -> Result<u64, String> {
    let options = Options { metering: Metering::Free, ..*options };
    let mut code = compiled(&task.bytecode, &options)?;
    charge(&mut code);
    let program = loaded(&code, &options)?;
    let mut memory = Memory::new(&task.program.memory());
    let bytes = Bytes::from_mut(memory.bytes_mut());
    let args = [bytes.addr() as u64, bytes.len() as u64, 0, 0, 0];
    let mut regions = Regions::new();
    regions.add_writable(bytes).map_err(|error| error.to_string())?;
    let fuel = Fuel::new(ENOUGH);
    let result = program.run(&mut Cpu::new(), &mut regions, args, &fuel, &mut NoCalls);
    let result = result.map_err(|stop| stop.to_string())?;
    match result == task.expected.result {
        true => Ok(ENOUGH - fuel.left()),
        false => Err(format!("wrong result {result:#x} while operations were counted")),
    }
}

/// Puts the charges in.
fn charge(code: &mut Code) {
    let starts = starts(code);
    let ends = starts.iter().skip(1).copied().chain([code.ops.len()]);
    let mut moved = vec![0; code.ops.len() + 1];
    let (mut ops, mut at) = (Vec::new(), Vec::new());
    for (start, end) in starts.iter().copied().zip(ends) {
        moved[start] = ops.len() as u32;
        ops.push(Op::Charge { units: (end - start) as u32 });
        at.push(code.at[start]);
        ops.extend_from_slice(&code.ops[start..end]);
        at.extend_from_slice(&code.at[start..end]);
    }
    moved[code.ops.len()] = ops.len() as u32;
    for target in ops.iter_mut().filter_map(target) {
        target.0 = moved[target.0 as usize];
    }
    for function in &mut code.functions {
        function.ops = moved[function.ops.start as usize]..moved[function.ops.end as usize];
    }
    (code.ops, code.at) = (ops, at);
}

/// Lists where operations are that are entered otherwise than from the one before, or behind one that may leave.
fn starts(code: &mut Code) -> Vec<usize> {
    let mut is_start = vec![false; code.ops.len() + 1];
    for function in &code.functions {
        is_start[function.ops.start as usize] = true;
        is_start[function.ops.end as usize] = true;
    }
    for (index, op) in code.ops.iter_mut().enumerate() {
        if let Some(target) = target(op) {
            is_start[target.0 as usize] = true;
            is_start[index + 1] = true;
        }
    }
    (0..code.ops.len()).filter(|index| is_start[*index]).collect()
}

fn target(op: &mut Op) -> Option<&mut OpIdx> {
    match op {
        Op::Jump { to } | Op::Branch { to, .. } | Op::BranchImm { to, .. } => Some(to),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::interpreter::options;
    use skep_ir::Access;
    use skep_lab_programs::Cpu as Level;

    fn task(name: &str) -> Task {
        let programs = skep_lab_programs::all().unwrap();
        Task::new(programs.into_iter().find(|program| program.name == name).unwrap(), Level::V3).unwrap()
    }

    #[test]
    fn a_call_is_what_it_is_made_of() {
        // Its result is its second argument: one operation leaves with it.
        assert_eq!(count(&task("call"), &options(Access::Unchecked, Metering::Free)), Ok(1));
    }

    #[test]
    fn checks_are_operations_and_fuel_is_none() {
        let task = task("fnv1a");
        let unchecked = count(&task, &options(Access::Unchecked, Metering::Free)).unwrap();
        let checked = count(&task, &options(Access::Checked, Metering::Metered)).unwrap();
        // A byte of the 2,048 is at least loaded, mixed, multiplied and counted.
        assert!((2_048 * 4..task.executed).contains(&unchecked), "{unchecked} of {}", task.executed);
        assert!(checked > unchecked, "{checked}");
    }
}
