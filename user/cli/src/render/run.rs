//! What a run did, for people.

use super::diagnostic;
use crate::shapes::run::{NsPerRun, RunReport};
use serde_json::Value;
use std::io::{self, Write};

/// Lines of a list that are shown; the document has all.
const SHOWN: usize = 20;

/// Writes the answer.
///
/// # Errors
/// Those of `out`.
pub(crate) fn write(report: &RunReport, out: &mut dyn Write) -> io::Result<()> {
    head(report, out)?;
    verdicts(report, out)?;
    if let Some(times) = report.ns_per_run {
        let NsPerRun { min, median, max } = times;
        let unit = report.text.unit;
        let range =
            if min == max { String::new() } else { format!(" median, {} to {}", time(min), time(max)) };
        writeln!(out, "time per {unit}: {}{range}", time(median))?;
    }
    for map in &report.text.maps {
        let count = map.entries.len();
        writeln!(out, "\nmap {} ({count} {}):", map.name, plural("entry", "entries", count))?;
        let width = map.entries.iter().take(SHOWN).map(|(key, _)| key.chars().count()).max().unwrap_or(0);
        for (key, value) in map.entries.iter().take(SHOWN) {
            let line = if key.is_empty() { format!("  {value}") } else { format!("  {key:width$}  {value}") };
            writeln!(out, "{line}")?;
        }
        more(count, out)?;
    }
    if !report.text.globals.is_empty() {
        writeln!(out, "\nglobals:")?;
        for (name, value) in &report.text.globals {
            writeln!(out, "  {name} = {value}")?;
        }
    }
    events(report, out)?;
    if let Some(lines) = report.printk.as_ref().filter(|lines| !lines.is_empty()) {
        writeln!(out, "\nprinted:")?;
        lines.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
    }
    for note in &report.notes {
        writeln!(out, "note: {note}")?;
    }
    if let Some(error) = &report.error {
        let place = error.insn.map_or_else(String::new, |insn| format!(" at instruction {insn}"));
        let program = error.program.as_ref().map_or_else(String::new, |name| format!(" of {name}"));
        writeln!(out, "\nstopped{place}{program}: {} ({})", error.message, error.kind)?;
        if let Some(source) = &error.source {
            diagnostic::source(source, out)?;
        }
    }
    Ok(())
}

fn head(report: &RunReport, out: &mut dyn Write) -> io::Result<()> {
    let RunReport { program, kind, on, engine, checks, runs, .. } = report;
    if !program.is_empty() {
        write!(out, "{program} ({}), ", kind.as_deref().unwrap_or("unknown type"))?;
    }
    let checked = if *checks { ", every access checked" } else { "" };
    write!(out, "on {on}, engine {engine}{checked}")?;
    match report.text.unit {
        "" => writeln!(out),
        unit => writeln!(out, ": {runs} {unit}{}", if *runs == 1 { "" } else { "s" }),
    }
}

fn verdicts(report: &RunReport, out: &mut dyn Write) -> io::Result<()> {
    if report.returns.is_empty() {
        return match &report.returned {
            Some(value) => writeln!(out, "returned {value}"),
            None => Ok(()),
        };
    }
    writeln!(out)?;
    let width = report.returns.keys().map(String::len).max().unwrap_or(0);
    for (name, count) in &report.returns {
        let count = count.as_u64().unwrap_or(0);
        let share = count as f64 * 100.0 / report.runs.max(1) as f64;
        writeln!(out, "  {name:width$}  {count:8}  {share:5.1} %")?;
    }
    writeln!(out)
}

fn events(report: &RunReport, out: &mut dyn Write) -> io::Result<()> {
    let Some(events) = &report.events else { return Ok(()) };
    let lost = report.lost_events.unwrap_or(0);
    if events.is_empty() && lost == 0 {
        return Ok(());
    }
    writeln!(out, "\nevents ({}, {lost} lost):", events.len())?;
    for event in events.iter().take(SHOWN) {
        let cpu = event.cpu.map_or_else(String::new, |cpu| format!("CPU {cpu}: "));
        let untyped = if let Value::String(_) = event.data { " (no type says what this is)" } else { "" };
        writeln!(out, "  {}  {cpu}{}{untyped}", event.map, event.text)?;
    }
    more(events.len(), out)
}

fn more(count: usize, out: &mut dyn Write) -> io::Result<()> {
    match count.checked_sub(SHOWN) {
        None | Some(0) => Ok(()),
        Some(left) => writeln!(out, "  … and {left} more; --json has all"),
    }
}

fn plural(one: &'static str, many: &'static str, count: usize) -> &'static str {
    if count == 1 { one } else { many }
}

/// A time in the unit that reads best.
fn time(ns: f64) -> String {
    match ns {
        ..1e4 => format!("{ns:.0} ns"),
        1e4..1e7 => format!("{:.1} µs", ns / 1e3),
        1e7..1e10 => format!("{:.1} ms", ns / 1e6),
        _ => format!("{:.1} s", ns / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn times_have_the_unit_that_reads_best() {
        let all = [31.4, 9999.0, 12_345.0, 12_345_678.0, 2e10].map(time);
        assert_eq!(all, ["31 ns", "9999 ns", "12.3 µs", "12.3 ms", "20.0 s"]);
    }
}
