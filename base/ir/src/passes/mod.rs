//! What makes a function better without changing what it does.
//!
//! Each pass walks the function a fixed number of times. None duplicates, invents, drops or reorders an access to memory.

pub mod dead;
pub mod indexed;
pub mod ladders;
pub mod params;
pub mod regions;
pub mod rooms;
pub mod selects;
pub(crate) mod simplify;
pub mod widths;

use crate::error::BuildErrorKind;
use crate::machine::Machine;
use crate::source::{Level, Options};
use crate::ssa::{Function, Node, Renaming, Rhs, Term, Unit, Val, filled};
use alloc_crate::vec::Vec;
use skep_isa::{Size, Width};

/// Runs the passes that a level asks for and that pay on a machine.
///
/// # Errors
///
/// [`BuildErrorKind::OutOfMemory`]; the unit must not be used then.
pub fn run(unit: &mut Unit, machine: &Machine, options: &Options) -> Result<(), BuildErrorKind> {
    run_watched(unit, machine, options, |_, _| {})
}

/// Runs the passes as [`run`] does, and shows the unit after each with its name.
///
/// # Errors
///
/// [`BuildErrorKind::OutOfMemory`]; the unit must not be used then.
pub fn run_watched(
    unit: &mut Unit,
    machine: &Machine,
    options: &Options,
    mut watch: impl FnMut(&'static str, &Unit),
) -> Result<(), BuildErrorKind> {
    let calls_entry = unit.calls_entry();
    for number in 0..unit.functions.len() {
        let mut pass = |name, pass: Pass<'_>| {
            pass(&mut unit.functions[number])?;
            watch(name, unit);
            Ok(())
        };
        if options.level == Level::O {
            // What reads no copy is as simple as it was built.
            let mut copied = false;
            pass("params", &mut |function| {
                copied = params::remove_copies(function)?;
                Ok(())
            })?;
            if copied {
                pass("simplify", &mut simplify_all)?;
                pass("params", &mut |function| params::remove_copies(function).map(drop))?;
            }
            pass("widths", &mut widths::shorten)?;
            pass("selects", &mut |function| selects::choose(function, machine))?;
            pass("ladders", &mut ladders::merge)?;
            if options.access == crate::Access::Unchecked {
                pass("indexed", &mut indexed::fuse)?;
            }
        }
        pass("dead", &mut dead::remove)?;
        if options.access == crate::Access::Checked {
            let main = number == 0 && !calls_entry;
            let mut origins = Vec::new();
            pass("regions", &mut |function| {
                origins = regions::infer(function, main, options.stack_bytes)?;
                Ok(())
            })?;
            if options.level == Level::O && machine.rooms {
                let mut changed = false;
                pass("rooms", &mut |function| {
                    changed = rooms::measure(function, &origins)?;
                    Ok(())
                })?;
                if changed {
                    pass("dead", &mut dead::remove)?;
                }
            }
        }
    }
    Ok(())
}

/// Changes a function.
type Pass<'p> = &'p mut dyn FnMut(&mut Function) -> Result<(), BuildErrorKind>;

/// Counts the readers of each value.
pub(crate) fn uses(function: &Function) -> Result<Vec<u32>, BuildErrorKind> {
    let mut uses = filled(0u32, function.nodes.len())?;
    for node in &function.nodes {
        node.each_operand(|val| uses[val.index()] += 1);
        for val in node.args().map_or(&[][..], |list| function.list(list)) {
            uses[val.index()] += 1;
        }
    }
    for block in &function.blocks {
        for val in block.term.operands() {
            uses[val.index()] += 1;
        }
        for edge in block.term.edges() {
            for val in function.list(edge.args) {
                uses[val.index()] += 1;
            }
        }
    }
    Ok(uses)
}

/// Lets every reader of a value read what the value turned out to be.
pub(crate) fn rename(function: &mut Function, becomes: &Renaming) {
    for node in &mut function.nodes {
        node.map_operands(|val| becomes.of(val));
    }
    for val in &mut function.pool {
        *val = becomes.of(*val);
    }
    for block in &mut function.blocks {
        block.term.map_operands(|val| becomes.of(val));
    }
}

/// Simplifies every node again, now that it is known which parameters are copies.
fn simplify_all(function: &mut Function) -> Result<(), BuildErrorKind> {
    let Function { nodes, blocks, pool, .. } = function;
    // What a node turned out to be; only ever an earlier value, except through parameters, which stay.
    let mut becomes = Renaming::default();
    for index in 0..nodes.len() {
        let mut node = nodes[index];
        node.map_operands(|val| becomes.of(val));
        if let Some(list) = node.args() {
            for val in &mut pool[list.range()] {
                *val = becomes.of(*val);
            }
        }
        match simplify::again(nodes, node) {
            simplify::Simple::Val(val) => {
                becomes.set(Val(index as u32), val)?;
                nodes[index] = Node::Nop;
            }
            simplify::Simple::Node(node) => nodes[index] = node,
        }
    }
    for block in blocks {
        let narrow = |val| simplify::strip(nodes, Size::W, val);
        match &mut block.term {
            Term::Branch { a, b, width, .. } => {
                *a = becomes.of(*a);
                if let Rhs::Val(val) = b {
                    *val = becomes.of(*val);
                    if let Node::Const(number) = nodes[val.index()] {
                        if let Some(imm) = crate::build::as_imm(number) {
                            *b = Rhs::Imm(imm);
                        }
                    }
                }
                if *width == Width::W32 {
                    *a = narrow(*a);
                    if let Rhs::Val(val) = b {
                        *val = narrow(*val);
                    }
                }
            }
            Term::Return(val) => *val = becomes.of(*val),
            Term::Jump(_) => {}
        }
        for edge in block.term.edges() {
            for val in &mut pool[edge.args.range()] {
                *val = becomes.of(*val);
            }
        }
    }
    Ok(())
}
