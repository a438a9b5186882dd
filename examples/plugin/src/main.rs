//! Runs a user's rule over records, as machine code between checks: `plugin [RULE]`.
//!
//! The rule is text (see `slow.rule`). It can do nothing but read its record and call the two functions that it is given; it
//! ends when its fuel is spent. A rule that goes wrong is named with the instruction that is to blame.

use skep_embedded::CodePages;
use skep_machine::{Cpu, Engine, Helper, Input, Machine, Param, Setup};
use std::collections::BTreeMap;
use std::error::Error;

/// What rules may spend on a record: about as many instructions.
const FUEL: u64 = 10_000;

/// What rules have said, without any global.
#[derive(Debug, Default, PartialEq)]
struct Report {
    counts: BTreeMap<u64, u64>,
    kept: Vec<String>,
}

/// Lays out a record as rules see it.
fn record(status: u32, millis: u32, path: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&status.to_ne_bytes());
    bytes[4..8].copy_from_slice(&millis.to_ne_bytes());
    let len = path.len().min(24);
    bytes[8..8 + len].copy_from_slice(&path.as_bytes()[..len]);
    bytes
}

/// Compiles a rule once; any number of threads may run it.
fn load(rule: &str) -> Result<Machine<'static, Report>, Box<dyn Error>> {
    let engine = if Engine::Jit.is_here() { Engine::Jit } else { Engine::Interpreter };
    let setup = Setup::new()
        .engine(engine)
        .code(&CodePages)
        .helper(
            1,
            Helper::new("count", &[Param::Int], |report: &mut Report, args| {
                let count = report.counts.entry(args.int(0)).or_default();
                *count += 1;
                Ok(*count)
            }),
        )
        .helper(
            2,
            // Whatever the rule passes here, it arrives only if the rule may read it.
            Helper::new("keep", &[Param::READ, Param::Len], |report: &mut Report, args| {
                let text = args.copy(0)?;
                let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
                report.kept.push(String::from_utf8_lossy(&text[..end]).into_owned());
                Ok(0)
            }),
        );
    let program = setup.assemble(rule)?;
    Ok(setup.load(program)?)
}

/// Runs a rule over all records.
fn run(rule: &str, records: &[[u8; 32]]) -> Result<Report, Box<dyn Error>> {
    let machine = load(rule)?;
    let mut report = Report::default();
    for record in records {
        let mut record = *record;
        let mut cpu = Cpu::new(report).with_fuel(FUEL);
        machine.run(&mut cpu, Input::Memory(&mut record))?;
        report = cpu.into_state();
    }
    Ok(report)
}

fn main() -> Result<(), Box<dyn Error>> {
    let rule = match std::env::args().nth(1) {
        Some(path) => std::fs::read_to_string(path)?,
        None => include_str!("../slow.rule").to_owned(),
    };
    let records = [
        record(200, 12, "/"),
        record(200, 1800, "/search?q=bees"),
        record(503, 4, "/honey"),
        record(404, 7, "/wasps"),
        record(503, 5, "/honey"),
    ];
    let report = run(&rule, &records)?;
    report.kept.iter().for_each(|path| println!("kept {path}"));
    report.counts.iter().for_each(|(status, count)| println!("{status}: {count}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_keeps_what_is_slow_or_failed() {
        let records = [record(200, 1000, "/a"), record(200, 1001, "/b"), record(500, 0, "/c")];
        let report = run(include_str!("../slow.rule"), &records).unwrap();
        assert_eq!(report.kept, ["/b", "/c"]);
        assert_eq!(report.counts, BTreeMap::from([(200, 1), (500, 1)]));
    }

    #[test]
    fn a_rule_that_goes_wrong_is_stopped_where_it_does() {
        let records = [record(200, 1, "/")];
        let why = |rule| run(rule, &records).unwrap_err().to_string();
        assert!(why("r0 = *(u64 *)(r1 + 25)\nexit").contains("instruction 0"), "beyond the record");
        assert!(why("again: goto again\nexit").contains("fuel"), "for ever");
        assert!(why("r1 = 8\nr2 = 4\ncall keep\nexit").contains("keep"), "memory that is not the rule's");
        assert!(why("call shell\nexit").contains("shell"), "a function that was not given");
    }
}
