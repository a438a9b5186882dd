//! How much stack functions take that are active at once (`check_max_stack_depth` in `kernel/bpf/verifier.c`).

use crate::explore::{Called, Explorer};
use crate::rejection::{Note, Rejection, Rule, no_memory, words};
use alloc::vec::Vec;
use skep_abi::{AttachType, FuncId, ProgType};
use skep_isa::{Addr, Insn, InsnIdx};

/// A tail call may come after as many bytes of stack (`check_max_stack_depth_subprog`).
const BEFORE_TAIL_CALL: u32 = 256;
/// A function with this much stack has one of its own, in programs that may be interrupted by themselves (`BPF_PRIV_STACK_MIN_SIZE`).
const OWN_STACK: u32 = 64;

/// What is known of one function.
#[derive(Clone, Copy, Default)]
struct Node {
    /// The bytes and functions that are active when it begins, at most.
    bytes: u32,
    frames: u32,
    /// How many calls lead to it that were not gone along.
    calls: u32,
    reached: bool,
    tail_calls: bool,
    /// The call that leads to the most bytes.
    call: Option<Call>,
}

/// A call of a function, and whose it is.
#[derive(Clone, Copy)]
struct Call {
    from: usize,
    at: InsnIdx,
}

/// A call.
#[derive(Clone, Copy)]
struct Edge {
    from: usize,
    to: usize,
    at: InsnIdx,
}

impl Explorer<'_> {
    /// Refuses functions that call one another too deep, or that use too much stack together.
    pub(crate) fn check_depths(&self) -> Result<(), Rejection> {
        let mut nodes: Vec<Node> = Vec::new();
        let mut edges: Vec<Edge> = Vec::new();
        nodes.try_reserve_exact(self.depths.len()).map_err(|_| no_memory())?;
        nodes.resize(self.depths.len(), Node::default());
        for (at, insn) in self.program.iter() {
            let Some(from) = self.structure.subprogram_of(at) else { continue };
            if let Insn::CallHelper { id } = insn {
                if let Some(node) = nodes.get_mut(from).filter(|_| FuncId(id) == FuncId::TAIL_CALL) {
                    node.tail_calls = true;
                }
            }
            let Some(to) = insn.call_target(at).and_then(|start| self.structure.subprogram_at(start)) else {
                continue;
            };
            let named = matches!(insn, Insn::LoadAddr { addr: Addr::Code { .. }, .. });
            // What is called later is called when nothing else is active.
            if named && self.later.contains(&to) {
                continue;
            }
            edges.try_reserve(1).map_err(|_| no_memory())?;
            edges.push(Edge { from, to, at });
        }
        self.reach(&mut nodes, &edges)?;
        let mut ready: Vec<usize> = Vec::new();
        ready.try_reserve(nodes.len()).map_err(|_| no_memory())?;
        ready.extend((0..nodes.len()).filter(|&node| nodes[node].reached && nodes[node].calls == 0));
        let mut left = nodes.iter().filter(|node| node.reached).count();
        while let Some(from) = ready.pop() {
            left -= 1;
            let node = nodes[from];
            let own = self.bytes_of(from);
            let bytes = if self.has_own_stack(from, &node) { node.bytes } else { node.bytes + own };
            if bytes > self.limits.stack || own > self.limits.stack {
                let call = node.call.filter(|_| own <= self.limits.stack);
                let start = self.structure.subprograms().get(from).map(|sub| sub.start);
                let rejection = Rule::StackDepth.broken(
                    call.map(|call| call.at).or(start),
                    format_args!(
                        "wanted at most {} bytes of stack for {} functions that are active at once, found {bytes}",
                        self.limits.stack,
                        node.frames + 1
                    ),
                )
                .says(format_args!("combined stack size of {} calls is {bytes}. Too large", node.frames + 1));
                return Err(self.with_stacks(rejection, [call.map(|call| call.from), Some(from)]));
            }
            for edge in edges.iter().filter(|edge| edge.from == from) {
                let to = &mut nodes[edge.to];
                if bytes > to.bytes {
                    to.call = Some(Call { from, at: edge.at });
                }
                to.bytes = to.bytes.max(bytes);
                to.frames = to.frames.max(node.frames + 1);
                to.calls -= 1;
                if to.frames >= self.limits.frames {
                    return Err(Rule::Frames
                        .broken(
                            edge.at,
                            format_args!(
                                "more than {} functions would be active at once",
                                self.limits.frames
                            ),
                        )
                        .says(format_args!("the call stack of {} frames is too deep !", to.frames)));
                }
                if to.tail_calls && bytes >= BEFORE_TAIL_CALL {
                    return Err(Rule::StackDepth.broken(
                        edge.at,
                        format_args!(
                            "wanted less than {BEFORE_TAIL_CALL} bytes of stack before a function with a tail call, found {bytes}"
                        ),
                    )
                    .says(format_args!(
                        "tail_calls are not allowed when call stack of previous frames is {bytes} bytes. Too large"
                    )));
                }
                if to.calls == 0 {
                    ready.push(edge.to);
                }
            }
        }
        if left == 0 {
            return Ok(());
        }
        let again = edges.iter().find(|edge| nodes[edge.to].reached && nodes[edge.to].calls > 0);
        Err(Rule::Frames.broken(
            again.map(|edge| edge.at),
            format_args!("functions call one another in a circle, so there is no end of active ones"),
        ))
    }

    /// Adds to a rejection how much stack functions take.
    fn with_stacks(&self, mut rejection: Rejection, functions: [Option<usize>; 2]) -> Rejection {
        for function in functions.into_iter().flatten() {
            let Some(start) = self.structure.subprograms().get(function).map(|sub| sub.start) else {
                continue;
            };
            let message =
                words(format_args!("this function takes {} bytes of stack", self.bytes_of(function)));
            let (Some(message), Ok(())) = (message, rejection.notes.try_reserve(1)) else {
                return no_memory();
            };
            rejection.notes.push(Note { insn: start, message, is_mistake: false });
        }
        rejection
    }

    /// Counts the calls of what can be called at all.
    fn reach(&self, nodes: &mut [Node], edges: &[Edge]) -> Result<(), Rejection> {
        let mut pending: Vec<usize> = Vec::new();
        pending.try_reserve(nodes.len()).map_err(|_| no_memory())?;
        let alone = |function: &usize| self.by_type.get(*function) == Some(&Called::AloneAndUsed);
        pending.extend(
            (0..nodes.len())
                .filter(|function| *function == 0 || alone(function) || self.later.contains(function)),
        );
        for &function in &pending {
            nodes[function].reached = true;
        }
        while let Some(from) = pending.pop() {
            for edge in edges.iter().filter(|edge| edge.from == from) {
                let to = &mut nodes[edge.to];
                to.calls += 1;
                if !to.reached {
                    to.reached = true;
                    pending.push(edge.to);
                }
            }
        }
        Ok(())
    }

    /// The bytes that a function takes: as compiled code has it, in steps of 16.
    fn bytes_of(&self, function: usize) -> u32 {
        self.depths.get(function).map_or(0, |depth| depth.next_multiple_of(16))
    }

    /// Whether a function has a stack of its own (`bpf_enable_priv_stack`).
    fn has_own_stack(&self, function: usize, node: &Node) -> bool {
        let interrupted = match self.subject.kind {
            ProgType::KPROBE | ProgType::TRACEPOINT | ProgType::PERF_EVENT | ProgType::RAW_TRACEPOINT => true,
            ProgType::TRACING => self.subject.attach != AttachType::TRACE_ITER,
            _ => false,
        };
        interrupted && !node.tail_calls && self.bytes_of(function) >= OWN_STACK
    }
}
