//! skep's verifier beside the running Linux's, on programs that nobody has written: changed ones, and ones made anew.
//!
//! What Linux accepts and skep refuses is a gap; what skep accepts and Linux refuses is a hole, unless skep knows more; what skep accepts
//! is run step by step on the reference machine, and whatever happens must lie in a state that was looked at.

mod asked;
mod edit;
mod linux;
mod minimise;
mod phrases;
mod report;
mod seeds;

pub use report::{Finding, Tally};

use crate::generate::{Stock, make};
use crate::{Case, Listing, Random, Sent, contain};
use asked::Asked;
use linux::{Linux, Verdict};
use seeds::Seeds;
use signal_hook::consts::{SIGINT, SIGTERM};
use skep::Btf;
use skep_abi::{OBJ_NAME_LEN, ProgLoad};
use skep_isa::{ByteOrder, InsnIdx, raw};
use skep_model::platform::helper::Licence;
use skep_verifier::{Category, Known, Limits, Rejection, Rule, Trace, Verified};
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

type Error = Box<dyn std::error::Error>;

/// Instructions beyond which looking at a program takes long.
const SOON: u32 = 20_000;

/// How words of Linux begin that are explained as long as there are few of them, and how many programs there are to each.
const FEW: &str = "few: ";
const RARE: u64 = 20_000;

/// How long is spent on making one finding small.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is tried.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// How many programs.
    #[arg(long, default_value_t = 3000)]
    pub programs: u64,
    /// The seed of everything.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Runs of each program that skep accepts.
    #[arg(long, default_value_t = 4)]
    pub runs: u64,
    /// Write the programs of findings here, too.
    #[arg(long, value_name = "FILE")]
    pub findings: Option<PathBuf>,
    /// Words of Linux for which skep may accept what Linux refuses: how they begin, one a line. Fail on others.
    #[arg(long, value_name = "FILE")]
    pub explained: Option<PathBuf>,
    /// Fail where skep accepts less of what Linux accepts, in percent.
    #[arg(long, default_value_t = 99.0)]
    pub least: f64,
    /// Only the program of this number, with all that is said of it.
    #[arg(long)]
    pub number: Option<u64>,
    /// Keep what was found so far here, and go on from there.
    #[arg(long, value_name = "FILE")]
    pub keep: Option<PathBuf>,
    /// Linux's phrases, one a line, as the formats of its log have them: say which were not heard.
    #[arg(long, value_name = "FILE")]
    pub phrases: Option<PathBuf>,
    /// Self-tests, of which a tenth of the programs is made by changes.
    #[arg(long, value_name = "OBJECT", num_args = 1..)]
    pub selftests: Vec<PathBuf>,
    /// Objects, of whose programs half of all are made by changes.
    #[arg(required = true)]
    pub objects: Vec<PathBuf>,
}

/// Where a program comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Origin {
    /// One of an object's, changed.
    Object,
    /// One of a self-test's, changed.
    SelfTest,
    /// It was made anew.
    Made,
}

/// A program that both are asked of.
struct Program {
    origin: Origin,
    name: String,
    sent: Sent,
    case: Case,
    listing: Listing,
}

impl Program {
    /// The same with other instructions; `None` where they cannot be written.
    fn with(&self, listing: Listing) -> Option<Program> {
        let (slots, functions) = listing.write()?;
        let mut sent = self.sent.clone();
        sent.insns = raw::to_bytes(&slots, ByteOrder::NATIVE).ok()?;
        let has_types = !self.sent.func_info.is_empty();
        sent.func_info = match has_types {
            true => functions
                .iter()
                .flat_map(|info| [info.insn_off.to_ne_bytes(), info.type_id.0.to_ne_bytes()].concat())
                .collect(),
            false => Vec::new(),
        };
        sent.attr.func_info_rec_size = 8;
        let mut case = self.case.clone();
        case.slots = slots;
        case.functions = if has_types { functions } else { Vec::new() };
        Some(Program { origin: self.origin, name: self.name.clone(), sent, case, listing })
    }
}

/// Everything that programs are made of, and asked by.
struct Oracle {
    linux: Linux,
    stock: Stock,
    objects: Seeds,
    selftests: Seeds,
    /// How words of Linux begin that need no looking at.
    explained: Vec<String>,
    asked: Option<Asked>,
    options: Options,
}

/// Compares programs, and says what was found.
///
/// # Errors
/// Where the kernel refuses what programs refer to, or what is kept cannot be read.
pub fn run(
    kernel: &skep::Kernel,
    types: Option<&Arc<Btf<'static>>>,
    options: &Options,
) -> Result<Tally, Error> {
    let start = Instant::now();
    let gather = |files: &[PathBuf]| {
        let mut seeds = Seeds::default();
        for path in files {
            if let Err(error) = seeds.add(kernel, types, path) {
                eprintln!("left out: {error}");
            }
        }
        seeds
    };
    let explained = match &options.explained {
        Some(path) => std::fs::read_to_string(path)?,
        None => String::new(),
    };
    let is_phrase = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let mut oracle = Oracle {
        explained: explained.lines().filter(is_phrase).map(str::to_owned).collect(),
        linux: Linux::impatient(kernel.sys().clone())?,
        stock: Stock::new(kernel.sys(), types.cloned())?,
        objects: gather(&options.objects),
        selftests: gather(&options.selftests),
        asked: None,
        options: options.clone(),
    };
    let mut tally = match &options.keep {
        Some(path) if path.exists() => Tally::read(path, options.seed)?,
        _ => Tally::new(options.seed),
    };
    tally.seeds = (oracle.objects.all.len() + oracle.selftests.all.len()) as u64;
    tally.left_out = (oracle.objects.left_out + oracle.selftests.left_out) as u64;
    eprintln!(
        "{} programs of objects and {} of self-tests to begin with ({} left out), after {} s",
        oracle.objects.all.len(),
        oracle.selftests.all.len(),
        tally.left_out,
        start.elapsed().as_secs()
    );
    if let Some(number) = options.number {
        oracle.explain(number, &tally);
        return Ok(tally);
    }
    if let Some(path) = &options.keep {
        let (asked, last) = Asked::open(path)?;
        oracle.asked = Some(asked);
        if let Some(number) = last.filter(|number| *number >= tally.next) {
            eprintln!("the process ended when Linux was asked of program {number}: it is left out");
            tally.deadly.push(number);
            tally.write(path)?;
        }
    }
    keep_quiet();
    // Who is interrupted keeps what was found, and is no victim of the program that Linux is being asked of.
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    let (start, before) = (Instant::now(), tally.seconds);
    while tally.next < options.programs && !interrupted.load(Ordering::Relaxed) {
        let number = tally.next;
        tally.next += 1;
        oracle.compare(number, &mut tally)?;
        tally.seconds = before + start.elapsed().as_secs_f64();
        if tally.next % 2000 == 0 {
            eprintln!("{}", tally.line());
            if let Some(path) = &options.keep {
                tally.write(path)?;
            }
        }
    }
    if let Some(path) = &options.keep {
        tally.write(path)?;
    }
    if let Some(asked) = oracle.asked.take() {
        asked.close()?;
    }
    if let Some(path) = &options.findings {
        std::fs::write(path, tally.findings())?;
    }
    let most = 1 + tally.programs / RARE;
    let is_open = |kind: &str, count| !oracle.is_explained(kind) && (count > most || !oracle.is_rare(kind));
    let extras = tally.extras.0.iter().filter(|(kind, finding)| is_open(kind, finding.count));
    tally.unexplained = extras.map(|(kind, _)| kind.clone()).collect();
    if let Some(path) = &options.phrases {
        tally.phrases = phrases::heard(&std::fs::read_to_string(path)?, &tally.causes);
    }
    Ok(tally)
}

/// Panics of the verifier are findings, not noise.
fn keep_quiet() {
    panic::set_hook(Box::new(|_| {}));
}

impl Oracle {
    fn is_explained(&self, kind: &str) -> bool {
        self.explained.iter().any(|known| kind.starts_with(known))
    }

    /// Whether a few of it are explained.
    fn is_rare(&self, kind: &str) -> bool {
        self.explained.iter().filter_map(|known| known.strip_prefix(FEW)).any(|known| kind.starts_with(known))
    }

    /// Makes the program of a number; `None` where what came out is none.
    fn program(&self, number: u64) -> Option<(Program, Random)> {
        let seed = self.options.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ number.wrapping_mul(0xd134_2543_de82_ef95);
        let mut random = Random::new(seed);
        random.word();
        let pick = random.below(100);
        let (origin, seeds) = match pick {
            0..=52 => (Origin::Object, &self.objects),
            53..=62 => (Origin::SelfTest, &self.selftests),
            _ => return self.made(random),
        };
        if seeds.all.is_empty() {
            return self.made(random);
        }
        let seed = seeds.all.get(random.below(seeds.all.len() as u64) as usize)?;
        let mut listing = seed.listing.clone();
        let edits = match random.below(10) {
            0..=5 => 1,
            6 | 7 => 2,
            8 => 3,
            _ => 4 + random.below(8),
        };
        for _ in 0..edits {
            edit::edit(&mut listing, &mut random);
        }
        let base = Program {
            origin,
            name: seed.name.clone(),
            sent: seed.sent.clone(),
            case: seed.case.clone(),
            listing: Listing { lines: Vec::new(), functions: Vec::new() },
        };
        Some((base.with(listing)?, random))
    }

    fn made(&self, mut random: Random) -> Option<(Program, Random)> {
        let made = make(&self.stock, &mut random)?;
        let mut listing = Listing::of(&made.slots, &made.functions)?;
        if random.once_in(5) {
            for _ in 0..1 + random.below(2) {
                edit::edit(&mut listing, &mut random);
            }
        }
        let is_typed = !made.functions.is_empty();
        let mut attr = ProgLoad {
            prog_type: made.kind.0,
            expected_attach_type: made.attach.0,
            prog_name: [0; OBJ_NAME_LEN],
            ..ProgLoad::default()
        };
        if is_typed {
            attr.prog_btf_fd = self.stock.types_fd as u32;
        }
        let license = if made.licence == Licence::Gpl { "GPL" } else { "none" };
        let sent = Sent {
            attr,
            insns: Vec::new(),
            license: license.as_bytes().to_vec(),
            fd_array: Vec::new(),
            func_info: vec![0; usize::from(is_typed) * 8],
            line_info: Vec::new(),
            core_relos: Vec::new(),
        };
        let mut case = self.stock.case.clone();
        case.kind = made.kind;
        case.attach = made.attach;
        case.licence = made.licence;
        if !is_typed {
            case.types = None;
        }
        let name = format!("made, {}", made.kind);
        let base = Program {
            origin: Origin::Made,
            name,
            sent,
            case,
            listing: Listing { lines: Vec::new(), functions: Vec::new() },
        };
        Some((base.with(listing)?, random))
    }

    /// Asks both of one program.
    fn compare(&mut self, number: u64, tally: &mut Tally) -> std::io::Result<()> {
        if tally.deadly.contains(&number) {
            return Ok(());
        }
        let Some((program, mut random)) = self.program(number) else {
            tally.not_made += 1;
            return Ok(());
        };
        // Of programs that take long a few will do: a million of them is a week.
        if takes_long(&program.case) && !random.once_in(32) {
            tally.long += 1;
            return Ok(());
        }
        if let Some(asked) = &self.asked {
            asked.of(number)?;
        }
        let start = Instant::now();
        let verdict = self.linux.ask(&program.sent);
        tally.spent.linux += start.elapsed().as_secs_f64();
        if let Verdict::Unasked(errno) = verdict {
            tally.unasked(errno);
            return Ok(());
        }
        tally.count(program.origin, program.listing.lines.len());
        let start = Instant::now();
        let ours = verify(&program.case);
        tally.spent.skep += start.elapsed().as_secs_f64();
        let ours = match ours {
            Ok(ours) => ours,
            Err(words) => {
                tally.panicked.add(words, || about(number, &program));
                return Ok(());
            }
        };
        match (&verdict, &ours) {
            (Verdict::Accepted, Ok(_)) => tally.both_accept += 1,
            (Verdict::Accepted, Err(rejection)) => {
                tally.gap(rejection);
                let kind = kind_of(rejection);
                if tally.gaps.wants(&kind) {
                    let small = self.smallest(&program, |oracle, smaller| {
                        matches!(verify(&smaller.case), Ok(Err(why)) if kind_of(&why) == kind)
                            && oracle.linux.accepts(&smaller.sent)
                    });
                    let why = verify(&small.case).ok().and_then(Result::err);
                    let words = why.map_or_else(String::new, |why| why.to_string());
                    tally.gaps.add(kind, || format!("{}\nskep: {words}", about(number, &small)));
                } else {
                    tally.gaps.count(kind);
                }
            }
            (Verdict::Refused(cause), Ok(_)) => {
                tally.refused(cause);
                let kind = phrases::without_numbers(cause);
                tally.skep_only += 1;
                if !self.is_explained(&kind) {
                    let known = match () {
                        () if self.is_unreached(&program) => Some(&mut tally.unreached),
                        () if self.is_of_elements(&program) => Some(&mut tally.of_elements),
                        () => None,
                    };
                    if let Some(count) = known {
                        *count += 1;
                        self.run_it(number, &program, &mut random, tally);
                        return Ok(());
                    }
                }
                let is_new = !self.is_explained(&kind) || tally.extras.is_empty_of(&kind);
                if is_new && tally.extras.wants(&kind) {
                    let small = self.smallest(&program, |oracle, smaller| {
                        matches!(oracle.linux.ask(&smaller.sent), Verdict::Refused(other) if phrases::without_numbers(&other) == kind)
                            && matches!(verify(&smaller.case), Ok(Ok(_)))
                    });
                    let log = self.linux.log_end(&small.sent, 16).join("\n  | ");
                    tally.extras.add(kind, || format!("{}\nLinux:\n  | {log}", about(number, &small)));
                } else {
                    tally.extras.count(kind);
                }
            }
            (Verdict::Refused(cause), Err(rejection)) => {
                tally.refused(cause);
                tally.both_refuse(rejection);
                if rejection.category() != Category::Unsupported && random.once_in(8) {
                    if let Some(at) = self.linux.refused_at(&program.sent) {
                        let same = rejection.insn.is_some_and(|insn| insn.0 == at);
                        tally.place(same, cause, rejection);
                    }
                }
            }
            (Verdict::Unasked(_), _) => {}
        }
        if ours.is_ok() {
            self.run_it(number, &program, &mut random, tally);
        }
        Ok(())
    }

    /// Whether Linux refuses the program on an instruction that none comes to, for all that skep knows.
    fn is_unreached(&mut self, program: &Program) -> bool {
        let Some(at) = self.linux.refused_at(&program.sent) else { return false };
        let mut reached = Reached(vec![false; program.case.slots.len()]);
        let slots = &program.case.slots;
        let is_accepted = program.case.verify_traced(slots, &Limits::LINUX, &mut reached).is_ok();
        is_accepted && reached.0.get(at as usize) == Some(&false)
    }

    /// Whether skep refuses the program where Linux does as soon as it does not know that elements of arrays under constant keys are there.
    fn is_of_elements(&mut self, program: &Program) -> bool {
        let Some(at) = self.linux.refused_at(&program.sent) else { return false };
        // Arrays of one element have none, or only the longer ones, as an instruction may name the address of an only one.
        [1, 2].into_iter().any(|least| {
            let mut case = program.case.clone();
            for (map, _) in case.maps.iter_mut().filter(|(map, _)| map.info.max_entries >= least) {
                map.info.max_entries = 0;
            }
            matches!(verify(&case), Ok(Err(rejection)) if rejection.insn.is_some_and(|insn| insn.0 == at))
        })
    }

    /// Runs what skep accepts.
    fn run_it(&self, number: u64, program: &Program, random: &mut Random, tally: &mut Tally) {
        let start = Instant::now();
        self.contain(number, program, random, tally);
        tally.spent.runs += start.elapsed().as_secs_f64();
    }

    /// Runs what skep accepts, and looks at every step.
    fn contain(&self, number: u64, program: &Program, random: &mut Random, tally: &mut Tally) {
        let mut contained = contain::Tally::default();
        let effort =
            contain::Effort { runs: self.options.runs, seed: random.word(), insns: 10_000, fuel: 6_000 };
        contain::of_case(&program.name, &program.case, effort, &mut contained);
        tally.contained.add(&contained);
        for miss in &contained.misses {
            tally.misses.add(miss.what(), || format!("{}\n{miss}", about(number, program)));
        }
        for stop in &contained.stopped {
            tally.stopped.add(stop.what(), || format!("{}\n{stop}", about(number, program)));
        }
        for why in &contained.unlike {
            tally.unlike.add(why.id().to_owned(), || format!("{}\n{why}", about(number, program)));
        }
    }

    /// Leaves out of a program whatever can be, as long as something holds.
    fn smallest(&mut self, program: &Program, holds: impl Fn(&mut Oracle, &Program) -> bool) -> Program {
        let start = Instant::now();
        let shortest = minimise::shortest(&program.listing, &mut |listing| {
            start.elapsed() < PATIENCE
                && program.with(listing.clone()).is_some_and(|smaller| holds(self, &smaller))
        });
        program.with(shortest).unwrap_or_else(|| Program {
            origin: program.origin,
            name: program.name.clone(),
            sent: program.sent.clone(),
            case: program.case.clone(),
            listing: program.listing.clone(),
        })
    }

    /// Says all of one program.
    fn explain(&mut self, number: u64, tally: &Tally) {
        let Some((program, _)) = self.program(number) else {
            println!("{number}: none");
            return;
        };
        println!("{}", about(number, &program));
        if tally.deadly.contains(&number) {
            println!("Linux: it ended the process that asked");
        } else {
            match self.linux.ask(&program.sent) {
                Verdict::Accepted => println!("Linux: accepted"),
                Verdict::Refused(cause) => {
                    println!("Linux: {cause}");
                    for line in self.linux.log_end(&program.sent, 60) {
                        println!("  | {line}");
                    }
                }
                Verdict::Unasked(errno) => println!("Linux: not asked: {errno}"),
            }
        }
        match verify(&program.case) {
            Ok(Ok(_)) => println!("skep: accepted"),
            Ok(Err(rejection)) => {
                println!("skep: {}: {rejection}", rejection.id());
                for note in &rejection.notes {
                    println!("  {}: {}", note.insn, note.message);
                }
            }
            Err(words) => println!("skep: panicked: {words}"),
        }
    }
}

/// Which instructions were looked at.
struct Reached(Vec<bool>);

impl Trace for Reached {
    fn looks_at(&mut self, at: InsnIdx, _: &Known<'_>) {
        if let Some(reached) = self.0.get_mut(at.index()) {
            *reached = true;
        }
    }
}

/// Has skep's verifier look at a program; the words of its panic, if it does.
fn verify(case: &Case) -> Result<Result<Verified, Rejection>, String> {
    panic::catch_unwind(AssertUnwindSafe(|| case.verify(&case.slots))).map_err(|words| {
        let text = words.downcast_ref::<String>().cloned();
        text.or_else(|| words.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}

/// Whether looking at it takes more than [`SOON`] instructions.
fn takes_long(case: &Case) -> bool {
    let limits = Limits { insns: SOON, ..Limits::LINUX };
    let verdict = panic::catch_unwind(AssertUnwindSafe(|| case.verify_within(&case.slots, &limits)));
    matches!(verdict, Ok(Err(rejection)) if rejection.rule == Rule::Processed)
}

/// What refusals are counted by.
fn kind_of(rejection: &Rejection) -> String {
    format!("{}: {}", rejection.id(), phrases::without_numbers(&rejection.message))
}

/// A program in words.
fn about(number: u64, program: &Program) -> String {
    use std::fmt::Write;
    let sent = &program.sent.attr;
    let mut text = format!(
        "program {number}: {} (type {}, attach type {}, flags {:#x})",
        program.name, program.case.kind, sent.expected_attach_type, sent.prog_flags
    );
    for (line, _) in &program.listing.functions {
        let _ = write!(text, "; function at line {line}");
    }
    let insns = program.case.program();
    for (at, insn) in insns.iter().flat_map(skep_isa::Program::iter).take(400) {
        let mut words = insn.to_string();
        if let skep_isa::Insn::LoadAddr { addr, .. } = insn {
            if let Some((map, _)) = program.case.map_at(addr).and_then(|map| program.case.maps.get(map)) {
                let _ = write!(
                    words,
                    " // {}, key {}, value {}",
                    skep_abi::MapType(map.info.type_),
                    map.info.key_size,
                    map.info.value_size
                );
            }
        }
        if let skep_isa::Insn::CallHelper { id } = insn {
            let _ = write!(words, " // {}", skep_abi::FuncId(id));
        }
        let _ = write!(text, "\n  {at}: {words}");
    }
    text
}
