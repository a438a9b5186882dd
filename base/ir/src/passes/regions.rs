//! Which memory each checked access goes to, as far as the value's origin tells.
//!
//! A pointer keeps its memory through additions and subtractions of numbers, and through parameters that receive it from
//! everywhere. What comes from elsewhere (a load, a call, other arithmetic) may point anywhere.
//!
//! What lies in the function's own stack for certain needs no check.

use super::params::Incoming;
use crate::error::BuildErrorKind;
use crate::source::Region;
use crate::ssa::{Function, Node, Val, filled};
use alloc_crate::vec::Vec;
use skep_isa::{AluOp, Width};

/// Is what is known of a value's origin.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Nothing yet: only itself, by way of a loop.
    Unseen,
    /// A number that is no pointer to memory of the program.
    Number,
    /// A pointer into this.
    Pointer(Region),
    /// May be either.
    Any,
}

impl Origin {
    fn join(self, other: Origin) -> Origin {
        match (self, other) {
            (Origin::Unseen, known) | (known, Origin::Unseen) => known,
            (a, b) if a == b => a,
            _ => Origin::Any,
        }
    }

    /// Gives the origin of a sum.
    fn plus(self, other: Origin) -> Origin {
        match (self, other) {
            (Origin::Unseen, _) | (_, Origin::Unseen) => Origin::Unseen,
            (Origin::Number, Origin::Number) => Origin::Number,
            // What a load gives is mostly a number, and then the pointer's memory is what is meant; where both may be
            // pointers, nothing is known.
            (Origin::Pointer(_), Origin::Pointer(_)) => Origin::Any,
            (Origin::Pointer(region), _) | (_, Origin::Pointer(region)) => Origin::Pointer(region),
            _ => Origin::Any,
        }
    }

    fn minus(self, other: Origin) -> Origin {
        match (self, other) {
            (Origin::Unseen, _) | (_, Origin::Unseen) => Origin::Unseen,
            (Origin::Pointer(_), Origin::Pointer(_)) => Origin::Number,
            (Origin::Pointer(region), Origin::Number | Origin::Any) => Origin::Pointer(region),
            (Origin::Number, Origin::Number) => Origin::Number,
            _ => Origin::Any,
        }
    }
}

/// Sets the region of every check, and returns where each value comes from. `main` says that the function is where the program
/// is entered, and is never called, so that its r1 is the input.
///
/// # Errors
///
/// [`BuildErrorKind::OutOfMemory`].
pub(super) fn infer(
    function: &mut Function,
    main: bool,
    stack_bytes: u32,
) -> Result<Vec<Origin>, BuildErrorKind> {
    let origins = origins(function, main)?;
    for index in 0..function.nodes.len() {
        let Node::Check { addr, bytes, ref mut region, .. } = function.nodes[index] else { continue };
        *region = match origins[addr.base.index()] {
            Origin::Pointer(known) => known,
            _ => Region::Unknown,
        };
        let from = i64::from(addr.off);
        let inside = from >= -i64::from(stack_bytes) && from + i64::from(bytes) <= 0;
        if inside && function.uses_stack && function.node(addr.base) == Node::FramePointer {
            function.nodes[index] = Node::Nop;
        }
    }
    Ok(origins)
}

fn origins(function: &Function, main: bool) -> Result<Vec<Origin>, BuildErrorKind> {
    let incoming = Incoming::new(function)?;
    let mut origins = filled(Origin::Unseen, function.nodes.len())?;
    let entry = function.params_of(&function.blocks[0]);
    for (param, reg) in entry.zip(&function.params) {
        let input = main && *reg == 1;
        origins[param.index()] = if input { Origin::Pointer(Region::INPUT) } else { Origin::Any };
    }
    loop {
        for (number, block) in function.blocks.iter().enumerate() {
            if number != 0 {
                arrive(function, &incoming, number, &mut origins);
            }
            for val in block.nodes() {
                let node = function.nodes[val.index()];
                if !node.is_param() {
                    origins[val.index()] = of(node, &origins);
                }
            }
        }
        // Most of what flows round loops comes from where it came from before.
        let mut numbers = 1..function.blocks.len();
        if !numbers.any(|number| arrive(function, &incoming, number, &mut origins)) {
            return Ok(origins);
        }
    }
}

/// Finds where the parameters of a block come from, and says whether that is not what was known.
fn arrive(function: &Function, incoming: &Incoming, number: usize, origins: &mut [Origin]) -> bool {
    let mut changed = false;
    for (param, position) in function.params_of(&function.blocks[number]).zip(0..) {
        if let Origin::Any = origins[param.index()] {
            continue;
        }
        // From what was known before: where a sum says less of one operand, it may say more of the other, so that what is
        // known anew each time need never stay the same.
        let origin = incoming.of(number).iter().fold(origins[param.index()], |known, list| {
            known.join(origins[super::params::brought(function, *list, position).index()])
        });
        changed |= origins[param.index()] != origin;
        origins[param.index()] = origin;
    }
    changed
}

fn of(node: Node, origins: &[Origin]) -> Origin {
    let origin = |val: Val| origins[val.index()];
    match node {
        Node::FramePointer => Origin::Pointer(Region::Stack),
        Node::Const(_) => Origin::Number,
        Node::Alu { op: AluOp::Add, width: Width::W64, a, b } => origin(a).plus(origin(b)),
        Node::Alu { op: AluOp::Sub, width: Width::W64, a, b } => origin(a).minus(origin(b)),
        Node::AluImm { op: AluOp::Add | AluOp::Sub, width: Width::W64, a, .. } => origin(a),
        Node::Select { then, other, .. } => origin(then).join(origin(other)),
        _ => Origin::Any,
    }
}
