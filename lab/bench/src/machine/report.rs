//! What was measured, as a table for people and as JSON.

use super::engine::{Engine, Task};
use super::rounds::{Measured, Times};
use serde_json::{Value, json};
use skep_lab_programs::Cpu;

/// The program whose time is that of a call.
const CALL: &str = "call";

/// One engine over all programs, `call` apart.
struct Summary {
    /// Programs that it ran.
    programs: usize,
    /// Geometric mean of its times by those of the first engine.
    ratio: Option<f64>,
    /// Geometric mean of nanoseconds by executed instruction.
    per_executed: Option<f64>,
    /// Geometric mean of executed operations by executed instruction, where it runs operations one by one.
    operations_per_instruction: Option<f64>,
    /// Geometric mean of nanoseconds by executed operation, likewise.
    per_operation: Option<f64>,
    /// Nanoseconds of getting ready, by slot, over all programs together.
    compile_per_slot: Option<f64>,
    /// Nanoseconds of a call.
    call: Option<f64>,
}

/// Prints the table, what was left out, and the means.
pub(super) fn print(tasks: &[Task], engines: &[&dyn Engine], measured: &[Vec<Measured>]) {
    print!("{:<11} {:>6} {:>8} {:>10}", "program", "slots", "executed", "native ns");
    engines.iter().skip(1).for_each(|engine| print!(" {:>10}", engine.name()));
    println!();
    for (task, row) in tasks.iter().zip(measured) {
        let base = times(&row[0]).map(|times| times.run);
        print!("{:<11} {:>6} {:>8} {}", task.name(), task.slots(), task.executed, cell(base, 1));
        for cell_of in row.iter().skip(1) {
            let ratio = times(cell_of).zip(base).map(|(times, base)| times.run / base);
            print!(" {}", cell(ratio, 2));
        }
        println!();
    }
    println!();
    for (task, row) in tasks.iter().zip(measured) {
        for (engine, cell) in engines.iter().zip(row) {
            if let Measured::Not(why) = cell {
                println!("skipped: {} on {}: {why}", task.name(), engine.name());
            }
        }
    }
    println!(
        "\n{:<11} {:>8} {:>10} {:>14} {:>11} {:>8} {:>15} {:>8}",
        "engine", "programs", "x native", "ns an executed", "ops an", "ns an", "compile, ns a", "ns a"
    );
    println!(
        "{:<11} {:>8} {:>10} {:>14} {:>11} {:>8} {:>15} {:>8}",
        "", "", "(geomean)", "instruction", "instruction", "op", "slot", "call"
    );
    for (index, engine) in engines.iter().enumerate() {
        let summary = summarise(tasks, measured, index);
        println!(
            "{:<11} {:>8} {} {:>14} {:>11} {:>8} {:>15} {:>8}  {}",
            engine.name(),
            summary.programs,
            cell(summary.ratio, 2),
            number(summary.per_executed, 3),
            number(summary.operations_per_instruction, 3),
            number(summary.per_operation, 3),
            number(summary.compile_per_slot, 0),
            number(summary.call, 1),
            engine.about()
        );
    }
}

/// Writes everything down.
pub(super) fn json(
    tasks: &[Task],
    engines: &[&dyn Engine],
    measured: &[Vec<Measured>],
    rounds: u32,
    cpu: Cpu,
) -> String {
    let of_engine = |(index, engine): (usize, &&dyn Engine)| {
        let summary = summarise(tasks, measured, index);
        json!({
            "name": engine.name(),
            "about": engine.about(),
            "programs": summary.programs,
            "ratio_geomean": summary.ratio,
            "ns_per_executed_geomean": summary.per_executed,
            "ops_per_instruction_geomean": summary.operations_per_instruction,
            "ns_per_op_geomean": summary.per_operation,
            "compile_ns_per_slot": summary.compile_per_slot,
            "call_ns": summary.call,
        })
    };
    let of_cell = |(engine, cell): (&&dyn Engine, &Measured)| match cell {
        Measured::Times(times) => {
            json!({
                "engine": engine.name(),
                "run_ns": times.run,
                "compile_ns": times.compile,
                "ops_executed": times.operations,
            })
        }
        Measured::Not(why) => json!({ "engine": engine.name(), "skipped": why }),
    };
    let of_task = |(task, row): (&Task, &Vec<Measured>)| {
        json!({
            "name": task.name(),
            "about": task.program.about,
            "slots": task.slots(),
            "executed": task.executed,
            "engines": engines.iter().zip(row).map(of_cell).collect::<Vec<Value>>(),
        })
    };
    let document = json!({
        "rounds": rounds,
        "cpu": cpu.name(),
        "engines": engines.iter().enumerate().map(of_engine).collect::<Vec<Value>>(),
        "programs": tasks.iter().zip(measured).map(of_task).collect::<Vec<Value>>(),
    });
    format!("{document:#}\n")
}

fn summarise(tasks: &[Task], measured: &[Vec<Measured>], engine: usize) -> Summary {
    let rows = tasks.iter().zip(measured);
    let call = rows.clone().find(|(task, _)| task.name() == CALL);
    let ran: Vec<(&Task, &Times, Option<f64>)> = rows
        .filter(|(task, _)| task.name() != CALL)
        .filter_map(|(task, row)| Some((task, times(&row[engine])?, times(&row[0]).map(|base| base.run))))
        .collect();
    let compiles: Option<f64> = ran.iter().map(|(_, times, _)| times.compile).sum();
    let counted = || ran.iter().filter_map(|(task, times, _)| Some((task, times, times.operations? as f64)));
    let slots: usize = ran.iter().map(|(task, ..)| task.slots()).sum();
    Summary {
        programs: ran.len(),
        ratio: geomean(ran.iter().filter_map(|(_, times, base)| Some(times.run / (*base)?))),
        per_executed: geomean(ran.iter().map(|(task, times, _)| times.run / task.executed as f64)),
        operations_per_instruction: geomean(counted().map(|(task, _, ops)| ops / task.executed as f64)),
        per_operation: geomean(counted().map(|(_, times, ops)| times.run / ops)),
        compile_per_slot: compiles.filter(|_| slots > 0).map(|sum| sum / slots as f64),
        call: call.and_then(|(_, row)| times(&row[engine])).map(|times| times.run),
    }
}

fn times(cell: &Measured) -> Option<&Times> {
    match cell {
        Measured::Times(times) => Some(times),
        Measured::Not(_) => None,
    }
}

/// The geometric mean, where there is anything to take it of.
fn geomean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let logs: Vec<f64> = values.map(f64::ln).collect();
    (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
}

/// A number in ten columns.
fn cell(value: Option<f64>, digits: usize) -> String {
    format!("{:>10}", number(value, digits))
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometric_means_are_of_ratios() {
        let mean = geomean([2.0, 8.0].into_iter()).unwrap();
        assert!((mean - 4.0).abs() < 1e-12);
        assert!(geomean(std::iter::empty()).is_none());
    }
}
