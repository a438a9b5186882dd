//! Runs of accepted programs, step by step: whatever a register or a slot holds lies in a state that the verifier looked at there.
//!
//! A state that happens and was not looked at is a hole in the verifier, though nothing goes wrong in that run.

use crate::{Case, Ran, Random, Stage, World, each_case};
use skep::Btf;
use skep_exact::{Fault, Slot, Stack, Step, Value};
use skep_isa::{InsnIdx, Reg};
use skep_verifier::{Category, Holds, Known, Limits, Points, Pruning, Rejection, Target, Trace};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// States at one instruction beyond which nothing is said of it.
const MOST_STATES: usize = 2000;
/// Slots of a stack that are looked at.
const SLOTS: i64 = 64;

/// What was tried.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Programs that the verifier accepts and the machine runs, be it not to the end.
    pub programs: usize,
    /// Programs that it does not accept, or that the machine does not run.
    pub left_out: usize,
    /// Steps that lie in a state.
    pub steps: u64,
    /// Steps at instructions with too many states.
    pub unsaid: u64,
    /// States that happen and were not looked at.
    pub misses: Vec<Miss>,
    /// Runs of accepted programs that the machine stopped.
    pub stopped: Vec<Stop>,
    /// Why programs are refused where less is pruned, and are accepted else.
    pub unlike: Vec<Rejection>,
}

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Runs of each program.
    pub runs: u64,
    /// The seed of all inputs.
    pub seed: u64,
    /// Instructions that the verifier may process.
    pub insns: u32,
    /// Instructions that a run may take.
    pub fuel: u64,
}

/// A run of an accepted program that the machine stopped.
#[derive(Clone, Debug)]
pub struct Stop {
    /// The object and the program.
    pub program: String,
    /// What stopped it.
    pub fault: Fault,
    /// The seed of the run.
    pub seed: u64,
}

impl Stop {
    /// What it is counted by.
    pub fn what(&self) -> String {
        let text = format!("{:?}", self.fault.kind);
        text.split([' ', '(']).next().unwrap_or_default().to_owned()
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: accepted, and stopped: {} (seed {})", self.program, self.fault, self.seed)
    }
}

/// A state that happens and was not looked at.
#[derive(Clone, Debug)]
pub struct Miss {
    /// The object and the program.
    pub program: String,
    /// The instruction.
    pub at: InsnIdx,
    /// The seed of the run.
    pub seed: u64,
    /// Of the state that comes nearest, what does not fit: nothing where none was looked at with so many active functions.
    pub why: Option<Misfit>,
}

/// What does not fit.
#[derive(Clone, Copy, Debug)]
pub struct Misfit {
    /// The register, or the slot by its offset from the frame pointer.
    pub place: Place,
    /// What happens.
    pub happens: Value,
    /// What was known.
    pub known: Holds,
}

/// A register or a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A register.
    Register(Reg),
    /// Eight bytes of the running function's stack.
    Slot(i64),
}

impl Miss {
    /// What it is counted by.
    pub fn what(&self) -> String {
        match &self.why {
            None => "no state".to_owned(),
            Some(Misfit { happens, known, .. }) => {
                let word = |text: String| text.split([' ', '(']).next().unwrap_or_default().to_owned();
                format!("{} in {}", word(format!("{happens:?}")), word(format!("{known:?}")))
            }
        }
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: instruction {} (seed {}): ", self.program, self.at, self.seed)?;
        match &self.why {
            None => f.write_str("no state was looked at with so many active functions"),
            Some(Misfit { place, happens, known }) => {
                write!(f, "{place:?} holds {happens:?}, known was {known:?}")
            }
        }
    }
}

/// What was known in one state.
#[derive(Clone, PartialEq)]
struct State {
    frames: usize,
    /// Those that called the first of them are not known.
    more: bool,
    regs: [Holds; 11],
    slots: Vec<(i64, Holds)>,
}

/// All states by instruction.
struct States(Vec<Vec<State>>);

impl Trace for States {
    fn looks_at(&mut self, at: InsnIdx, known: &Known<'_>) {
        let Some(list) = self.0.get_mut(at.index()).filter(|list| list.len() <= MOST_STATES) else { return };
        let top = known.frames() - 1;
        let regs = Reg::ALL.map(|reg| known.register(top, reg));
        let slots = (1..=SLOTS).map(|slot| (slot * -8, known.stack(top, slot * -8)));
        let slots = slots.filter(|(_, holds)| *holds != Holds::Anything).collect();
        let state = State { frames: top + 1, more: known.is_of_callee(), regs, slots };
        if !list.contains(&state) {
            list.push(state);
        }
    }
}

/// Runs each program of an object that a kernel is asked to load, and looks at every step.
///
/// # Errors
/// Where the object cannot be read.
pub fn of_object(
    kernel: &skep::Kernel,
    types: Option<&Arc<Btf<'static>>>,
    path: &Path,
    effort: Effort,
    tally: &mut Tally,
) -> Result<(), Box<dyn std::error::Error>> {
    each_case(kernel, types, path, tally, move |program, _, case, tally| {
        of_case(program, &case, effort, tally);
    })
}

/// Runs one program, and looks at every step.
pub fn of_case(name: &str, case: &Case, effort: Effort, tally: &mut Tally) {
    let mut states = States(vec![Vec::new(); case.slots.len()]);
    let limits = Limits { pruning: Pruning::Within, insns: effort.insns, ..Limits::LINUX };
    if let Err(rejection) = case.verify_traced(&case.slots, &limits, &mut states) {
        tally.left_out += 1;
        // More may have to be looked at than there is time for.
        let is_long = rejection.category() == Category::Limit;
        if !is_long && case.verify(&case.slots).is_ok() {
            tally.unlike.push(rejection);
        }
        return;
    }
    let (Ok(program), Ok(stack)) = (World::link(case, &case.slots), Stack::new()) else {
        tally.left_out += 1;
        return;
    };
    let mut returned = 0;
    let before = tally.steps;
    for run in 0..effort.runs {
        let seed = effort.seed.wrapping_mul(1_000_003).wrapping_add(run);
        let Ok(stage) = Stage::new(case, &mut Random::new(!seed)) else { break };
        let mut seen = Seen { states: &states, steps: 0, unsaid: 0, miss: None };
        let ran = World::watch(case, &program, &stage, &stack, (seed, effort.fuel), |step, data| {
            seen.step(step, data);
        });
        tally.steps += seen.steps;
        tally.unsaid += seen.unsaid;
        returned += u64::from(matches!(ran, Ran::Returned(_)));
        if let Some((at, why)) = seen.miss {
            tally.misses.push(Miss { program: name.to_owned(), at, seed, why });
            break;
        }
        if let Ran::Stopped(fault) = ran {
            tally.stopped.push(Stop { program: name.to_owned(), fault, seed });
            break;
        }
        if returned == 0 && run >= 8 {
            break;
        }
    }
    if tally.steps == before {
        tally.left_out += 1;
    } else {
        tally.programs += 1;
    }
}

/// One run that is looked at.
struct Seen<'s> {
    states: &'s States,
    steps: u64,
    unsaid: u64,
    miss: Option<(InsnIdx, Option<Misfit>)>,
}

impl Seen<'_> {
    fn step(&mut self, step: &Step<'_>, data: usize) {
        if self.miss.is_some() {
            return;
        }
        let Some(list) = self.states.0.get(step.at.index()) else { return };
        if list.len() > MOST_STATES {
            self.unsaid += 1;
            return;
        }
        let mut nearest: Option<(usize, Misfit)> = None;
        let active = step.depth + 1;
        let as_many = |state: &&State| state.frames == active || (state.more && state.frames <= active);
        for state in list.iter().filter(as_many) {
            match misfit(state, step, data) {
                None => {
                    self.steps += 1;
                    return;
                }
                Some((fitted, misfit)) => {
                    if nearest.is_none_or(|(most, _)| fitted > most) {
                        nearest = Some((fitted, misfit));
                    }
                }
            }
        }
        self.miss = Some((step.at, nearest.map(|(_, misfit)| misfit)));
    }
}

/// What of a step does not lie in a state, and how much did before it.
fn misfit(state: &State, step: &Step<'_>, data: usize) -> Option<(usize, Misfit)> {
    let mut fitted = 0;
    let top = step.frame(step.depth)?;
    let around = Around { stack: top.len() as i64, data: data as i64, more: state.more };
    for (reg, (known, happens)) in Reg::ALL.into_iter().zip(state.regs.iter().zip(step.regs)) {
        if reg != Reg::FP && !lies_in(known, *happens, &around) {
            return Some((fitted, Misfit { place: Place::Register(reg), happens: *happens, known: *known }));
        }
        fitted += 1;
    }
    for (offset, known) in &state.slots {
        let happens = match top.slot(*offset) {
            Some(Slot::Pointer(value)) => value,
            Some(Slot::Data { bits, .. }) => Value::Scalar(bits),
            None => continue,
        };
        if !lies_in(known, happens, &around) {
            return Some((fitted, Misfit { place: Place::Slot(*offset), happens, known: *known }));
        }
        fitted += 1;
    }
    None
}

/// Where offsets count from.
struct Around {
    /// The bytes of a stack.
    stack: i64,
    /// Where the packet's data begin.
    data: i64,
    /// Whether memory may be a part of something of a caller's that is not known.
    more: bool,
}

/// Whether a value is one of those that were known.
fn lies_in(known: &Holds, happens: Value, around: &Around) -> bool {
    match (known, happens) {
        (Holds::Anything, _) => true,
        // A pointer is a number to root.
        (Holds::Number(numbers), _) => happens.bits().is_some_and(|bits| numbers.contains(bits)),
        (Holds::Pointer(Points { null, .. }), Value::Scalar(0)) => *null,
        (Holds::Pointer(points), Value::Pointer { offset, .. }) => {
            let start = match points.to {
                Target::Stack(_) => around.stack,
                Target::Packet => around.data,
                Target::Memory(_) if around.more => return true,
                Target::PacketMeta
                | Target::MapValue(_)
                | Target::MapKey(_)
                | Target::Record(_)
                | Target::Memory(_) => 0,
                // Where it ends, the run knows.
                Target::PacketEnd | Target::Other => return true,

                Target::Context | Target::Map(_) | Target::Socket(_) | Target::Function(_) => return false,
            };
            (points.offset.0..=points.offset.1).contains(&(offset - start))
        }
        (Holds::Pointer(points), Value::Context(offset)) => {
            points.to == Target::Context && (points.offset.0..=points.offset.1).contains(&offset)
        }
        (Holds::Pointer(points), Value::Map(map)) => points.to == Target::Map(map.0 as usize),
        (Holds::Pointer(points), Value::Func(_)) => matches!(points.to, Target::Function(_)),
        (Holds::Pointer(_), _) => false,
    }
}
