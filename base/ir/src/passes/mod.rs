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
use crate::ssa::{Function, Node, Renaming, Rhs, Term, Unit, Val, filled, grow};
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
            let mut readers = None;
            pass("params", &mut |function| {
                readers = params::remove_copies(function)?;
                Ok(())
            })?;
            if let Some(readers) = readers {
                let mut renamed = false;
                pass("simplify", &mut |function| {
                    renamed = simplify_from(function, &readers)?;
                    Ok(())
                })?;
                if renamed {
                    pass("params", &mut |function| params::remove_copies(function).map(drop))?;
                }
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
    rename_lists(function, becomes);
}

/// Does the same where the first value that is another one now is known, and returns the nodes that have read any of them.
pub(crate) fn rename_from(
    function: &mut Function,
    first: Val,
    becomes: &Renaming,
) -> Result<Vec<Val>, BuildErrorKind> {
    let mut readers = Vec::new();
    // Who reads a value stands behind it, but for what flows round a loop.
    for (node, number) in function.nodes.iter_mut().zip(0..).skip(first.index()) {
        let mut reads = false;
        node.map_operands(|val| {
            let now = becomes.of(val);
            reads |= now != val;
            now
        });
        if reads {
            grow(&mut readers, Val(number))?;
        }
    }
    rename_lists(function, becomes);
    Ok(readers)
}

/// Renames what lists and ends of blocks read.
fn rename_lists(function: &mut Function, becomes: &Renaming) {
    for val in &mut function.pool {
        *val = becomes.of(*val);
    }
    for block in &mut function.blocks {
        block.term.map_operands(|val| becomes.of(val));
    }
}

/// Simplifies again what reads something else than it was built for, and whatever reads that. Says whether any value turned
/// out to be another one.
fn simplify_from(function: &mut Function, readers: &[Val]) -> Result<bool, BuildErrorKind> {
    let Function { nodes, blocks, pool, .. } = function;
    // What a node turned out to be; only ever an earlier value, except through parameters, which stay.
    let mut becomes = Renaming::default();
    let mut renamed = false;
    let mut is_new = filled(false, nodes.len())?;
    readers.iter().for_each(|val| is_new[val.index()] = true);
    for index in readers.first().map_or(nodes.len(), |val| val.index())..nodes.len() {
        let mut node = nodes[index];
        let mut again = is_new[index];
        node.each_operand(|val| again |= is_new[val.index()]);
        if !again {
            continue;
        }
        is_new[index] = true;
        node.map_operands(|val| becomes.of(val));
        match simplify::again(nodes, node) {
            simplify::Simple::Val(val) => {
                becomes.set(Val(index as u32), val)?;
                nodes[index] = Node::Nop;
                renamed = true;
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
    }
    if renamed {
        for val in pool {
            *val = becomes.of(*val);
        }
    }
    Ok(renamed)
}
