//! Running made programs in many ways, and comparing what comes of them with the reference.

use crate::flat::{Flat, Fuel, Function, MAP_HANDLE, Part, Ran, Silent};
use crate::ground::{CodePlot, Ground};
use crate::helpers::{self, FOLLOW, Helpers, MOST_FOLLOW, Seen};
use crate::layout::{AREAS, Area, DEPTH, LATE, PAGE, Placement, Plot, Rights};
use crate::make::{Kind, Made, make};
use crate::ways::Way;
use crate::{corral, signals};
use skep_ir::join::{Joined, can_be_joined, join};
use skep_ir::lower::compile;
use skep_ir::machine::Machine;
use skep_ir::ops::Code;
use skep_ir::{Address, BuildErrorKind, Link, Metering, Region, Source};
use skep_isa::structure::{self, Structure};
use skep_isa::{Addr, InsnIdx, Program as Bytecode};
use skep_lab_filetests::generate::Numbers;
use skep_vm::jit::{JitOptions, JitProgram, TailCalls};
use skep_vm::{Cpu, Program, Regions, Stop, StopKind};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

/// Bounds the instructions of runs without fuel.
const PATIENCE: u64 = 20_000;
/// Bounds the fuel of the run that comes before.
const EARLIER: u64 = 5000;
/// Counts the ways that one program goes.
const WAYS: usize = 4;

/// Counts what came of a campaign.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Counts programs, by kind.
    pub programs: BTreeMap<&'static str, u64>,
    /// Counts runs.
    pub runs: u64,
    /// Counts how they ended.
    pub ends: BTreeMap<&'static str, u64>,
    /// Counts calls of functions by helpers.
    pub back: u64,
    /// Counts programs that went on where another one called for it.
    pub followed: u64,
    /// Counts runs that checked code ended at an access to memory that the pointer does not stem from.
    pub stricter: u64,
    /// Counts what was not compared, by reason.
    pub passed_over: BTreeMap<&'static str, u64>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |counts: &BTreeMap<&'static str, u64>| {
            let words: Vec<_> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
            words.join(", ")
        };
        let programs: u64 = self.programs.values().sum();
        writeln!(f, "{programs} programs: {}", list(&self.programs))?;
        writeln!(f, "{} runs: {}", self.runs, list(&self.ends))?;
        write!(
            f,
            "{} functions called by helpers; {} programs followed others; {} refused by the pointer's origin; not compared: {}",
            self.back,
            self.followed,
            self.stricter,
            list(&self.passed_over)
        )
    }
}

/// Says what is wrong with a program's run.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The number that makes the program.
    pub seed: u64,
    /// The number of the way.
    pub way: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "escape: seed {}, way {} ({:?}): {}", self.seed, self.way, Way::new(self.way), self.what)
    }
}

/// Runs the program of a seed in some of the ways.
///
/// # Errors
/// The first finding.
pub fn try_seed(ground: &Ground, seed: u64, tally: &mut Tally) -> Result<(), Finding> {
    let made = make(seed);
    *tally.programs.entry(kind(made.kind)).or_default() += 1;
    let first = Numbers::new(seed).below(Way::COUNT as u64) as usize;
    for number in 0..WAYS {
        // Coprime to their number, so that all of them come.
        let way = (first + number * 7) % Way::COUNT;
        signals::running(seed, way as u32);
        try_way(ground, &made, way, tally).map_err(|what| Finding { seed, way, what })?;
    }
    Ok(())
}

/// Runs a program in one way.
///
/// # Errors
/// What is wrong.
pub fn try_way(ground: &Ground, made: &Made, way: usize, tally: &mut Tally) -> Result<(), String> {
    let mut programs = Vec::new();
    for slots in [&made.slots].into_iter().chain(&made.more) {
        let bytecode = Bytecode::decode(slots).map_err(|error| error.to_string())?;
        let structure = structure::check(&bytecode).map_err(|error| error.to_string())?;
        programs.push((bytecode, structure));
    }
    Run { ground, made, programs: &programs }.try_way(way, tally)
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Valid => "valid",
        Kind::Digging => "digging",
        Kind::Noise => "noise",
        Kind::Mutated => "mutated",
    }
}

struct Run<'a> {
    ground: &'a Ground,
    made: &'a Made,
    programs: &'a [(Bytecode, Structure)],
}

/// What there is besides the program.
struct Outside<'a>(&'a Made);

impl Link for Outside<'_> {
    fn address(&self, addr: Addr) -> Option<Address> {
        let values = self.0.layout.areas[3];
        match addr {
            Addr::MapValueIndex { off, .. } | Addr::MapValueFd { off, .. } => (u64::from(off) < values.len)
                .then_some(Address { value: values.base + u64::from(off), region: Region::Fixed(3) }),
            Addr::MapFd { .. } | Addr::MapIndex { .. } => {
                Some(Address { value: MAP_HANDLE, region: Region::Unknown })
            }
            _ => None,
        }
    }

    fn helper(&self, id: u32) -> Option<u8> {
        helpers::ALL.contains(&id).then_some(5)
    }

    fn calls_back(&self, id: u32) -> bool {
        id == helpers::EACH
    }

    fn returns(&self, id: u32) -> Region {
        helpers::promised(id).map_or(Region::Unknown, Region::Fixed)
    }
}

impl Run<'_> {
    fn try_way(&self, number: usize, tally: &mut Tally) -> Result<(), String> {
        let way = Way::new(number);
        let mut pass = |why| *tally.passed_over.entry(why).or_default() += 1;
        let target = way.target();
        let machine = target.as_ref().map_or(Machine::INTERPRETER, |target| target.machine());
        let mut codes = Vec::new();
        for (program, structure) in self.programs {
            let source = Source { program, structure, link: &Outside(self.made) };
            match compile(source, &machine, &way.options(self.made.layout.stack_bytes)) {
                Ok(code) => codes.push(code),
                Err(error) => {
                    pass(refusal(error.kind));
                    return Ok(());
                }
            }
        }
        // What cannot be joined, and what is interpreted, goes on in no other program.
        if target.is_none() || !codes.iter().all(can_be_joined) {
            codes.truncate(1);
        }
        let mut parts = Vec::new();
        let joined = match codes.as_slice() {
            [code] => Joined { code: code.clone(), starts: vec![InsnIdx::ZERO] },
            several => join(several).map_err(|error| format!("{error:?}"))?,
        };
        for ((code, start), (program, structure)) in codes.iter().zip(&joined.starts).zip(self.programs) {
            let uses_stack: Vec<bool> = code.functions.iter().map(|function| function.uses_stack).collect();
            let functions = Function::all(program, structure, &uses_stack);
            parts.push(Part { program, structure, functions, start: *start });
        }
        let mut memory = self.made.memory.clone();
        memory[2] = self.ground.frozen(&self.made.layout.areas[2]).to_vec();
        let fuel = match way.metering {
            Metering::Metered => Fuel::Units(self.made.fuel),
            Metering::Free => Fuel::Free(PATIENCE),
        };
        let reference = |refused: Option<Stop>| {
            let layout = &self.made.layout;
            Flat::run(&parts, layout, &memory, fuel, refused)
        };
        let wanted = reference(None);
        // What nobody knows an end of may have none.
        if let (Fuel::Free(_), Err(silent)) = (fuel, &wanted) {
            pass(match silent {
                Silent::Endless => "endless without fuel",
                Silent::Peeked => "peeked into registers",
            });
            return Ok(());
        }
        let found = self.run(&way, &joined.code, fuel)?;
        tally.runs += 1;
        tally.back += found.seen.back;
        let end = found.result.map_or_else(|stop| stop.kind.code(), |_| "returned");
        *tally.ends.entry(end).or_default() += 1;
        let mut strict = false;
        let wanted = match (wanted, found.result) {
            (Ok((wanted, _)), Err(stop)) if wanted != found && is_refusal(stop) => {
                strict = true;
                reference(Some(stop))
            }
            (wanted, _) => wanted,
        };
        match wanted {
            Ok((wanted, followed)) if wanted == found => {
                tally.stricter += u64::from(strict);
                tally.followed += u64::from(followed);
                Ok(())
            }
            Err(Silent::Peeked) => {
                pass("peeked into registers");
                Ok(())
            }
            Err(Silent::Endless) => Err("the reference does not end where it ended before".to_owned()),
            Ok((wanted, _)) => Err(difference(&wanted, &found)),
        }
    }

    /// Puts into the areas what is in them before.
    fn fill(&self) -> Result<(), String> {
        let areas = self.made.layout.areas.iter().enumerate().filter(|(_, area)| area.rights != Rights::Read);
        for (number, area) in areas {
            let filled = self.ground.area(number, area).copy_in(0, &self.made.memory[number]);
            filled.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Lists what a run may touch from its start.
    fn regions(&self, areas: &[Area; AREAS.len()]) -> Result<Regions<'_>, String> {
        let mut regions = Regions::new();
        for (number, area) in areas.iter().enumerate().take(LATE) {
            let bytes = self.ground.area(number, area);
            let added = match area.rights {
                Rights::Read => regions.add_readable(bytes),
                Rights::ReadWrite => regions.add_writable(bytes),
            };
            added.map_err(|error| error.to_string())?;
        }
        Ok(regions)
    }

    fn run(&self, way: &Way, code: &Code, fuel: Fuel) -> Result<Ran, String> {
        let layout = &self.made.layout;
        self.ground.sow();
        self.fill()?;
        let mut regions = self.regions(&layout.areas)?;
        let units = skep_mem::Fuel::new(match fuel {
            Fuel::Units(units) => units,
            Fuel::Free(_) => skep_mem::Fuel::UNLIMITED,
        });
        let args = [layout.areas[0].base, layout.areas[0].len, 0, 0, 0];
        let calls = Helpers {
            areas: &layout.areas,
            late: self.ground.area(LATE, &layout.areas[LATE]),
            seen: Cell::default(),
        };
        // What an earlier run was lent, which was more, must not be there any longer.
        let earlier = skep_mem::Fuel::new(self.made.fuel.min(EARLIER));
        let mut more =
            self.regions(&layout.areas.map(|area| Area { len: area.len.next_multiple_of(PAGE), ..area }))?;
        let has_earlier = way.metering == Metering::Metered && layout.placement == Placement::Start;
        let mut cpu = Cpu::new();
        let stacks = DEPTH * layout.stack_bytes as usize;
        let (result, allotted) = match way.target() {
            Some(target) => {
                let host = CodePlot(layout.placement);
                let tail_calls = TailCalls { ids: &[FOLLOW], most: MOST_FOLLOW };
                let options = JitOptions { tail_calls, ..JitOptions::from(layout.stack_bytes) };
                let program = JitProgram::checked(code, &target, options, host);
                let program = program.map_err(|error| format!("{error}\n{code}"))?;
                corral::open(layout.placement, stacks);
                if has_earlier {
                    let _ = program.run(&mut cpu, &mut more, args, &earlier, &calls);
                    calls.seen.set(Seen::default());
                    self.ground.sow_areas();
                    self.fill()?;
                }
                let result = program.run(&mut cpu, &mut regions, args, &units, &calls);
                (result, corral::close())
            }
            None => {
                let program = Program::checked(code, layout.stack_bytes);
                let program = program.map_err(|error| format!("{error}\n{code}"))?;
                corral::open(layout.placement, stacks);
                let result = program.run(&mut cpu, &mut regions, args, &units, &calls);
                (result, corral::close())
            }
        };
        if let Some(at) = self.ground.trampled(layout, &allotted) {
            return Err(format!("{at:#x} was written, which was nobody's; the run: {result:x?}"));
        }
        let [_, (Plot::Stack, base, bytes)] = allotted else { return Err("no stack".to_owned()) };
        if bytes != 0 && base + bytes != layout.stack_top() {
            return Err(format!("the stack has {bytes} bytes at {base:#x}"));
        }
        let mut left = std::array::from_fn(|_| Vec::new());
        for (number, area) in layout.areas.iter().enumerate() {
            left[number] = vec![0; area.len as usize];
            let bytes = self.ground.area(number, area);
            bytes.copy_out(0, &mut left[number]).map_err(|error| error.to_string())?;
        }
        let left_over = match fuel {
            Fuel::Units(_) => units.left(),
            Fuel::Free(_) => 0,
        };
        Ok(Ran { result, memory: left, left: left_over, seen: calls.seen.get() })
    }
}

fn refusal(kind: BuildErrorKind) -> &'static str {
    match kind {
        BuildErrorKind::UnknownHelper { .. } => "unknown helper",
        BuildErrorKind::UnknownAddress => "unknown address",
        BuildErrorKind::FramePointer => "r10 is written",
        BuildErrorKind::Unsupported { what } => what,
        _ => "not compiled",
    }
}

fn is_refusal(stop: Stop) -> bool {
    matches!(stop.kind, StopKind::Read { .. } | StopKind::Write { .. })
}

fn difference(wanted: &Ran, found: &Ran) -> String {
    let mut text = String::new();
    if wanted.result != found.result {
        text += &format!("wanted {:x?}, found {:x?}; ", wanted.result, found.result);
    }
    for (number, plot) in AREAS.iter().enumerate() {
        let (wanted, found) = (&wanted.memory[number], &found.memory[number]);
        if let Some(at) = wanted.iter().zip(found).position(|(wanted, found)| wanted != found) {
            text += &format!("{plot:?} differs at {at}: {:#x}, found {:#x}; ", wanted[at], found[at]);
        }
    }
    if wanted.left != found.left {
        text += &format!("fuel left {}, found {}; ", wanted.left, found.left);
    }
    if wanted.seen != found.seen {
        text += &format!("calls {:x?}, found {:x?}; ", wanted.seen, found.seen);
    }
    text
}
