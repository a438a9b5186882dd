//! What all verdicts come to.

use super::expect::Outcome as Wanted;
use super::verdict::{Judged, Linux, Ours, without_numbers};
use crate::Outcome;
use crate::report::Extent;
use std::collections::{BTreeMap, BTreeSet};

/// Programs that Linux processes so many instructions of are measured apart: below, fixed costs are most of the time.
const MANY: u64 = 1000;
/// A kernel charges memory in portions: below this it says little of one load.
const MUCH: u64 = 2 << 20;
/// Examples of each group.
const EXAMPLES: usize = 3;

/// All verdicts.
#[derive(Default)]
pub(crate) struct Table {
    all: Vec<Judged>,
}

/// Verdicts in groups.
type Groups<'t> = BTreeMap<String, Vec<&'t Judged>>;

impl Table {
    /// Adds one.
    pub(crate) fn add(&mut self, judged: Judged) {
        self.all.push(judged);
    }

    /// Prints what they come to.
    pub(crate) fn print(&self, is_selftests: bool) {
        let asked: Vec<&Judged> = self.all.iter().filter(|judged| judged.ours.is_some()).collect();
        let objects: BTreeSet<&str> = self.all.iter().map(|judged| judged.object.as_str()).collect();
        println!("{} objects, {} programs", objects.len(), self.all.len());
        self.print_unasked();
        verdicts("all programs that Linux's verifier decides", &asked);
        if is_selftests {
            self.print_expected();
        }
        let typed = |judged: &&&Judged| judged.about.as_ref().is_some_and(|about| !about.needs.is_empty());
        let plain: Vec<&Judged> = asked.iter().filter(|judged| !typed(judged)).copied().collect();
        verdicts("of these, programs that need none of the kernel's types", &plain);
        times(&asked);
        memory(&asked);
    }

    /// Programs that no verifier has seen, by reason.
    fn print_unasked(&self) {
        let mut groups = Groups::new();
        for judged in &self.all {
            if let (Linux::Unasked { why }, None) = (&judged.linux, &judged.ours) {
                groups.entry(format!("not loaded: {}", without_names(why))).or_default().push(judged);
            }
        }
        for judged in &self.all {
            if let (Linux::Unasked { why }, Some(_)) = (&judged.linux, &judged.ours) {
                groups.entry(format!("not verified: {why}")).or_default().push(judged);
            }
        }
        let count: usize = groups.values().map(Vec::len).sum();
        println!("\nLinux's verifier does not decide {count}:");
        for (why, group) in by_size(&groups) {
            println!(
                "{:>5}  {why}, as {}",
                group.len(),
                group.first().map_or_else(String::new, |one| one.name())
            );
        }
    }

    /// Verdicts beside what self-tests expect.
    fn print_expected(&self) {
        let mut left_out = Groups::new();
        let (mut successes, mut failures) = (Vec::new(), Vec::new());
        for judged in &self.all {
            match class(judged) {
                Class::Success => successes.push(judged),
                Class::Failure => failures.push(judged),
                Class::LeftOut(why) => left_out.entry(why).or_default().push(judged),
            }
        }
        println!("\nself-tests: left out, by reason:");
        for (why, group) in by_size(&left_out) {
            println!("{:>5}  {why}", group.len());
        }
        let accepted = |judged: &&&Judged| judged.ours.as_ref().is_some_and(Ours::is_accepted);
        let good = successes.iter().filter(accepted).count();
        println!(
            "\nself-tests: {good} of {} expected successes accepted{}",
            successes.len(),
            share(good, successes.len())
        );
        let mut returned = (0, Vec::new());
        for judged in successes.iter().filter(accepted) {
            let wanted = judged.expected.as_ref().and_then(|expected| expected.returns);
            match (&judged.linux, wanted) {
                (Linux::Accepted { returned: Some(Ok(found)), .. }, Some(wanted)) if *found == wanted => {
                    returned.0 += 1;
                }
                (Linux::Accepted { returned: Some(other), .. }, Some(wanted)) => {
                    returned.1.push(format!("{}: wanted {wanted:#x}, found {}", judged.name(), word(other)));
                }
                _ => {}
            }
        }
        println!(
            "       {} of them return on Linux what is expected, {} do not (the tests set up maps that these read)",
            returned.0,
            returned.1.len()
        );
        returned.1.iter().for_each(|line| println!("       {line}"));
        refusals(&successes);
        let refused = failures.len() - failures.iter().filter(accepted).count();
        println!(
            "\nself-tests: {refused} of {} expected failures refused{}",
            failures.len(),
            share(refused, failures.len())
        );
        for judged in failures.iter().filter(accepted) {
            println!("       ACCEPTED: {}: {}", judged.name(), judged.linux.cause());
        }
        places("self-tests", &failures);
    }

    /// Holds expected failures that are accepted against a list.
    ///
    /// # Errors
    /// Where one is not in the list, or the list has one in vain.
    pub(crate) fn hold_against(&self, known: &str, extent: Extent) -> Outcome<()> {
        let lines = known.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut known: BTreeSet<&str> = lines.collect();
        let mut unknown = 0;
        for judged in self.all.iter().filter(|judged| class(judged) == Class::Failure) {
            let name = format!("{} {}", judged.object, judged.program);
            if judged.ours.as_ref().is_some_and(Ours::is_accepted) && !known.remove(name.as_str()) {
                eprintln!("accepted, and no reason is known: {name}");
                unknown += 1;
            }
        }
        if extent == Extent::Some {
            known.clear();
        }
        known.iter().for_each(|name| eprintln!("known, and not found any more: {name}"));
        match unknown + known.len() {
            0 => Ok(()),
            count => Err(format!("{count} differences that are not known").into()),
        }
    }
}

/// The last reason of several, without the names that differ from program to program.
fn without_names(why: &str) -> String {
    let last = without_numbers(why.rsplit(": ").next().unwrap_or(why));
    for (start, end) in [
        ("this kernel has no symbol ", ""),
        ("this kernel has no ", " that such a program could be attached to"),
        ("this kernel calls no struct ", " of programs"),
    ] {
        if last.starts_with(start) && last.ends_with(end) {
            return format!("{start}…{end}");
        }
    }
    last
}

/// What a run has returned, in a word.
fn word(returned: &Result<u32, String>) -> String {
    match returned {
        Ok(value) => format!("{value:#x}"),
        Err(why) => why.clone(),
    }
}

/// What a self-test is held against.
#[derive(Debug, PartialEq, Eq)]
enum Class {
    /// It is to be accepted.
    Success,
    /// It is to be refused.
    Failure,
    /// Nothing, for this reason.
    LeftOut(String),
}

fn class(judged: &Judged) -> Class {
    let left_out = |why: &str| Class::LeftOut(why.to_owned());
    let Some(expected) = &judged.expected else {
        return left_out("no tags: another test has other plans with it");
    };
    match expected.outcome {
        Wanted::Auxiliary => return left_out("no test itself"),
        Wanted::Unprivileged => return left_out("for users without rights only"),
        Wanted::OtherMachine => return left_out("for another machine"),
        Wanted::Success | Wanted::Failure => {}
    }
    let (Some(about), false) = (&judged.about, matches!(judged.linux, Linux::Unasked { .. })) else {
        return left_out("Linux's verifier does not decide it here");
    };
    if let Some(need) = about.needs.first() {
        return left_out(&format!("needs {need}"));
    }
    match (expected.outcome, judged.linux.is_accepted()) {
        (Wanted::Success, true) => Class::Success,
        (Wanted::Success, false) => left_out("success is expected, and Linux here refuses it"),
        (_, true) => left_out("failure is expected, and Linux here accepts it"),
        (_, false) => Class::Failure,
    }
}

fn share(part: usize, of: usize) -> String {
    if of == 0 { String::new() } else { format!(" ({:.1} %)", part as f64 * 100.0 / of as f64) }
}

/// The groups, the largest first.
fn by_size<'g, 't>(groups: &'g Groups<'t>) -> Vec<(&'g String, &'g Vec<&'t Judged>)> {
    let mut groups: Vec<_> = groups.iter().collect();
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.len()));
    groups
}

/// Both sides' verdicts on some programs.
fn verdicts(what: &str, of: &[&Judged]) {
    let accepted: Vec<&Judged> = of.iter().filter(|one| one.linux.is_accepted()).copied().collect();
    let refused: Vec<&Judged> = of.iter().filter(|one| one.linux.is_refused()).copied().collect();
    println!("\n{what}: {}", accepted.len() + refused.len());
    let ours = |of: &[&Judged], is_it: fn(&Ours) -> bool| {
        of.iter().filter(|one| one.ours.as_ref().is_some_and(is_it)).count()
    };
    let kinds: [fn(&Ours) -> bool; 4] = [
        Ours::is_accepted,
        |ours| matches!(ours, Ours::Refused { .. }),
        |ours| matches!(ours, Ours::Unmodelled { .. }),
        |ours| matches!(ours, Ours::Died { .. }),
    ];
    for (word, of) in [("accepts", &accepted), ("refuses", &refused)] {
        let [good, bad, unmodelled, died] = kinds.map(|is_it| ours(of, is_it));
        println!(
            "Linux {word} {}: skep accepts {good}{}, refuses {bad}, does not model {unmodelled}, dies of {died}",
            of.len(),
            share(good, of.len())
        );
    }
    refusals(&accepted);
    for judged in refused.iter().filter(|one| one.ours.as_ref().is_some_and(Ours::is_accepted)) {
        println!("  ONLY SKEP ACCEPTS: {}: {}", judged.name(), judged.linux.cause());
    }
    for judged in &refused {
        if let Some(Ours::Died { how }) = &judged.ours {
            println!("  SKEP HAS NO ANSWER: {}: {how}: {}", judged.name(), judged.linux.cause());
        }
    }
    places("where both refuse", &refused);
}

/// What skep says of programs that it should accept, by its words.
fn refusals(of: &[&Judged]) {
    let mut groups = Groups::new();
    for judged in of {
        match &judged.ours {
            Some(ours) if !ours.is_accepted() => groups.entry(ours.kind()).or_default().push(judged),
            _ => {}
        }
    }
    for (kind, group) in by_size(&groups) {
        println!("{:>5}  {kind}", group.len());
        for judged in group.iter().take(EXAMPLES) {
            let at = judged.ours.as_ref().and_then(Ours::insn);
            let at = at.map_or_else(String::new, |insn| format!(" at {insn}"));
            println!("         {}{at}", judged.name());
        }
    }
}

/// Of programs that both refuse, how many at the same instruction.
fn places(what: &str, of: &[&Judged]) {
    let (mut same, mut all) = (0, 0);
    let mut others = Groups::new();
    for judged in of {
        let Some(Ours::Refused { insn, .. }) = &judged.ours else { continue };
        all += 1;
        if *insn == judged.linux.insn() {
            same += 1;
        } else {
            let kind = judged.ours.as_ref().map_or_else(String::new, Ours::kind);
            others
                .entry(format!("{kind} / {}", without_numbers(judged.linux.cause())))
                .or_default()
                .push(judged);
        }
    }
    println!("{what}: {same} of {all} at the instruction that Linux names{}", share(same, all));
    for (kind, group) in by_size(&others) {
        let one = group.first();
        let at = |insn: Option<u32>| insn.map_or_else(|| "nowhere".to_owned(), |insn| insn.to_string());
        let example = one.map_or_else(String::new, |one| {
            let ours = one.ours.as_ref().and_then(Ours::insn);
            format!("{}: skep at {}, Linux at {}", one.name(), at(ours), at(one.linux.insn()))
        });
        println!("{:>5}  {kind}\n         {example}", group.len());
    }
}

/// How long both take, where both accept.
fn times(of: &[&Judged]) {
    let mut few = Vec::new();
    let mut many = Vec::new();
    for judged in of {
        let (Linux::Accepted { took: linux, .. }, Some(Ours::Accepted { took: ours })) =
            (&judged.linux, &judged.ours)
        else {
            continue;
        };
        // Linux counts microseconds.
        if linux.time == 0 {
            continue;
        }
        let ratio = ours.time as f64 / linux.time as f64;
        let list = if linux.insns.unwrap_or(0) >= MANY { &mut many } else { &mut few };
        list.push((ratio, *judged, *linux, *ours));
    }
    println!("\ntimes, where both accept:");
    for (what, list) in [("fewer than 1,000 instructions processed", &mut few), ("1,000 and more", &mut many)]
    {
        list.sort_by(|one, other| one.0.total_cmp(&other.0));
        let Some((worst, judged, linux, ours)) = list.last() else { continue };
        let mean = (list.iter().map(|(ratio, ..)| ratio.ln()).sum::<f64>() / list.len() as f64).exp();
        let median = list[list.len() / 2].0;
        let total = |time: fn(&(f64, &Judged, super::verdict::Took, super::verdict::Took)) -> u64| {
            list.iter().map(time).sum::<u64>() as f64 / 1e6
        };
        println!(
            "{what}: {} programs, skep / Linux: median {median:.3}, geometric mean {mean:.3}, worst {worst:.2} ({}, {} insns, Linux {:.1} µs, skep {:.1} µs)",
            list.len(),
            judged.name(),
            linux.insns.unwrap_or(0),
            linux.time as f64 / 1e3,
            ours.time as f64 / 1e3,
        );
        println!(
            "    together: Linux {:.1} ms, skep {:.1} ms; instructions Linux {}, skep {}",
            total(|(_, _, linux, _)| linux.time),
            total(|(_, _, _, ours)| ours.time),
            list.iter().map(|(_, _, linux, _)| linux.insns.unwrap_or(0)).sum::<u64>(),
            list.iter().map(|(_, _, _, ours)| ours.insns.unwrap_or(0)).sum::<u64>(),
        );
        for (ratio, judged, linux, ours) in list.iter().rev().take(EXAMPLES) {
            println!(
                "    {ratio:.2}: {}: Linux {:.1} µs for {}, skep {:.1} µs for {}",
                judged.name(),
                linux.time as f64 / 1e3,
                linux.insns.unwrap_or(0),
                ours.time as f64 / 1e3,
                ours.insns.unwrap_or(0),
            );
        }
    }
}

/// What both take of memory, where it was measured and is much.
fn memory(of: &[&Judged]) {
    let measured: Vec<_> =
        of.iter().filter_map(|judged| judged.memory.map(|peaks| (peaks, *judged))).collect();
    if measured.is_empty() {
        return;
    }
    let ratio = |peaks: &super::verdict::Peaks| peaks.ours as f64 / peaks.linux as f64;
    let mut much: Vec<_> = measured.iter().filter(|(peaks, _)| peaks.linux > MUCH).collect();
    much.sort_by(|(one, _), (other, _)| ratio(one).total_cmp(&ratio(other)));
    println!(
        "\npeak memory: measured for {} programs, {} of which take Linux more than {} MiB",
        measured.len(),
        much.len(),
        MUCH >> 20
    );
    let Some((middle, _)) = much.get(much.len() / 2) else { return };
    println!("    skep's heap / Linux's charge: median {:.2}", ratio(middle));
    for (peaks, judged) in much.iter().rev().take(EXAMPLES) {
        println!(
            "    {:.2}: {}: Linux {} KiB, skep {} KiB",
            ratio(peaks),
            judged.name(),
            peaks.linux >> 10,
            peaks.ours >> 10
        );
    }
}
