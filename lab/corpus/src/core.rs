//! CO-RE against another kernel's types: each relocation by skep and by libbpf, without that kernel.
//!
//! libbpf says in its log what it makes of each ([`log`]). A relocation is known by its function and the instruction in it, which are
//! the same on both sides wherever the function ends up.

mod log;
mod weak;

use crate::{File, Outcome, libbpf};
use log::Heard;
use skep::{Autoload, CoreOutcome, CoreRelocation, Kernel, Object};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// libbpf shows at most so many bytes of a path (`spec_buf`, src/relo_core.c).
const SHOWN: usize = 255;

/// Whose types, and which objects.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The file with the types.
    #[arg(long)]
    btf: PathBuf,
    /// Show every relocation, and not only those that differ.
    #[arg(long)]
    all: bool,
    /// The objects.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Where a relocation is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    function: String,
    /// The instruction slot in the function.
    insn: u32,
}

/// What became of a relocation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    /// The path in the object's own types; nothing is said of it where it has failed.
    local: Option<String>,
    /// The path in the first candidate that has it.
    target: Option<String>,
    /// How many have it.
    matching: usize,
    ending: Ending,
}

/// What became of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Patched { from: u64, to: u64, resized: Option<(u32, u32)> },
    Poisoned,
    Failed,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Patched { from, to, resized: None } => write!(f, "{from} -> {to}"),
            Self::Patched { from, to, resized: Some((bytes, there)) } => {
                write!(f, "{from} -> {to}, {bytes} bytes -> {there}")
            }
            Self::Poisoned => f.write_str("poisoned"),
            Self::Failed => f.write_str("failed"),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "nothing".to_owned());
        write!(f, "{}: {} to {} of {}", self.ending, text(&self.local), text(&self.target), self.matching)
    }
}

type Answers = BTreeMap<Place, Answer>;

/// How many relocations came to what.
#[derive(Debug, Default)]
struct Count {
    objects: usize,
    same: usize,
    patched: usize,
    poisoned: usize,
    failed: usize,
    /// In objects that libbpf does not read.
    unread: usize,
    /// In functions that no program calls: libbpf answers them, and skep does not link them.
    uncalled: usize,
    faults: Vec<String>,
}

/// Compares, and prints what differs.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let btf = fs::read(&options.btf)?;
    let mut count = Count::default();
    for path in &options.files {
        let file = File { path: path.clone() };
        object(&file, &btf, options, &mut count).map_err(|error| format!("{}: {error}", file.name()))?;
    }
    let Count { objects, same, patched, poisoned, failed, unread, uncalled, faults } = count;
    faults.iter().for_each(|fault| println!("{fault}"));
    println!("{objects} objects with CO-RE, {} relocations", same + faults.len());
    println!("{same:>5}  the same: {patched} patched, {poisoned} poisoned, {failed} failed");
    println!("{uncalled:>5}  besides, in functions that no program calls");
    println!("{unread:>5}  besides, in objects that libbpf does not read");
    println!("{:>5}  not the same", faults.len());
    if objects == 0 || !faults.is_empty() {
        return Err(format!("{} relocations differ in {objects} objects", faults.len()).into());
    }
    Ok(())
}

fn object(file: &File, btf: &[u8], options: &Options, count: &mut Count) -> Outcome<()> {
    let Ours { unread, answers: ours, functions, programs } = ours(file, btf)?;
    let theirs = theirs(file, options, &ours, &programs)?;
    match unread {
        Some(_) if theirs.answers.is_empty() => return Ok(()),
        Some(why) => {
            count.faults.push(format!("{}: skep cannot read it: {why}", file.name()));
            return Ok(());
        }
        None => {}
    }
    if ours.is_empty() && theirs.answers.is_empty() {
        return Ok(());
    }
    if let Some(why) = theirs.unread {
        // It would say the same of each.
        println!("{}: {} relocations, and libbpf does not read it: {why}", file.name(), ours.len());
        count.unread += ours.len();
        return Ok(());
    }
    count.objects += 1;
    let places: BTreeSet<&Place> = ours.keys().chain(theirs.answers.keys()).collect();
    for place in places {
        let name = format!("{} {} instruction {}", file.name(), place.function, place.insn);
        match (ours.get(place), theirs.answers.get(place)) {
            (Some(ours), Some(theirs)) if is_same(ours, theirs) => {
                if options.all {
                    println!("{name}: {ours}");
                }
                count.same += 1;
                *match ours.ending {
                    Ending::Patched { .. } => &mut count.patched,
                    Ending::Poisoned => &mut count.poisoned,
                    Ending::Failed => &mut count.failed,
                } += 1;
            }
            (Some(ours), Some(theirs)) => {
                count.faults.push(format!("{name}:\n  skep    {ours}\n  libbpf  {theirs}"));
            }
            (Some(ours), None) => {
                let why = &theirs.last;
                count.faults.push(format!("{name}: libbpf does not get there ({why}):\n  skep    {ours}"));
            }
            (None, Some(_)) if !functions.contains(&place.function) => count.uncalled += 1,
            (None, Some(theirs)) => {
                count.faults.push(format!("{name}: skep has none:\n  libbpf  {theirs}"));
            }
            (None, None) => {}
        }
    }
    Ok(())
}

/// Whether both say the same. Where a relocation has failed nothing else is said of it.
fn is_same(ours: &Answer, theirs: &Answer) -> bool {
    let cut = |text: &Option<String>| text.as_ref().map(|text| text.bytes().take(SHOWN).collect::<Vec<_>>());
    let paths = |answer: &Answer| (cut(&answer.local), cut(&answer.target), answer.matching);
    ours.ending == theirs.ending && (ours.ending == Ending::Failed || paths(ours) == paths(theirs))
}

/// skep's side.
#[derive(Default)]
struct Ours {
    /// Why the object cannot be read.
    unread: Option<String>,
    answers: Answers,
    /// All functions of all programs.
    functions: BTreeSet<String>,
    /// The programs that have relocations in a function.
    programs: BTreeMap<String, BTreeSet<Place>>,
}

fn ours(file: &File, btf: &[u8]) -> Outcome<Ours> {
    let mut ours = Ours::default();
    let mut object = match Object::parse(&file.name(), &fs::read(&file.path)?) {
        Ok(object) => object,
        Err(error) => {
            ours.unread = Some(error.to_string());
            return Ok(ours);
        }
    };
    let names: Vec<String> = object.programs().map(str::to_owned).collect();
    for name in &names {
        object.program_mut(name)?.set_autoload(Autoload::Yes);
    }
    object.set_target_btf_bytes("target", btf.to_vec())?;
    for name in &names {
        let functions = &object.program(name)?.functions;
        ours.functions.extend(functions.iter().map(|function| function.name.clone()));
    }
    for relocation in object.core_relocations(&Kernel::linux())? {
        let functions = &object.program(&relocation.program)?.functions;
        let function = functions.iter().rfind(|function| function.start.0 <= relocation.insn);
        let function = function.ok_or("a relocation outside of all functions")?;
        let place = Place { function: function.name.clone(), insn: relocation.insn - function.start.0 };
        ours.programs.entry(relocation.program.clone()).or_default().insert(place.clone());
        let answer = answer(relocation);
        let known = ours.answers.entry(place.clone()).or_insert_with(|| answer.clone());
        if *known != answer {
            return Err(format!("{place:?} is answered as {known} and as {answer}").into());
        }
    }
    Ok(ours)
}

fn answer(relocation: CoreRelocation) -> Answer {
    let ending = match relocation.outcome {
        CoreOutcome::Patched { from, to, resized } => Ending::Patched { from, to, resized },
        CoreOutcome::Poisoned => Ending::Poisoned,
        _ => Ending::Failed,
    };
    let local = (!relocation.local.is_empty()).then_some(relocation.local);
    Answer { local, target: relocation.target, matching: relocation.matching, ending }
}

/// libbpf's side: of the whole object, and where that ends early of each program that is left.
fn theirs(
    file: &File,
    options: &Options,
    ours: &Answers,
    programs: &BTreeMap<String, BTreeSet<Place>>,
) -> Outcome<Heard> {
    let elf = weak::with_weak_externs(fs::read(&file.path)?);
    let btf = CString::new(options.btf.as_os_str().as_bytes())?;
    let mut heard = Heard::default();
    match libbpf::relocate(&elf, &btf, None) {
        Ok(log) => heard.listen(&log, ours)?,
        Err(why) => heard.unread = Some(why),
    }
    for (program, places) in programs {
        if heard.unread.is_none() && places.iter().any(|place| !heard.answers.contains_key(place)) {
            heard.listen(&libbpf::relocate(&elf, &btf, Some(program))?, ours)?;
        }
    }
    Ok(heard)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(ending: Ending, local: &str) -> Answer {
        Answer { local: Some(local.to_owned()), target: None, matching: 0, ending }
    }

    #[test]
    fn answers_are_the_same_as_far_as_libbpf_shows_them() {
        let long = "x".repeat(SHOWN);
        let poisoned = |text: &str| answer(Ending::Poisoned, text);
        assert!(is_same(&poisoned(&format!("{long}y")), &poisoned(&long)));
        assert!(!is_same(&poisoned("x"), &poisoned("y")));
        assert!(!is_same(&poisoned("x"), &answer(Ending::Failed, "x")));
        assert!(is_same(&answer(Ending::Failed, "x"), &answer(Ending::Failed, "y")));
        let to = |to, resized| answer(Ending::Patched { from: 0, to, resized }, "x");
        assert!(is_same(&to(1, None), &to(1, None)));
        assert!(!is_same(&to(1, None), &to(2, None)));
        assert!(!is_same(&to(1, None), &to(1, Some((4, 8)))));
    }
}
