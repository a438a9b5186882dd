//! What was measured of shapes, as a table for people and as JSON.

use super::Measured;
use super::sides::{SIDES, Side};
use serde_json::{Value, json};
use skep_lab_shapes::Shape;

/// Prints the table: nanoseconds of a run, and for all sides but the first how many times the first's.
pub(super) fn print(shapes: &[&Shape], measured: &[Vec<Measured>]) {
    print!("{:<9} {:>12}", "shape, ns", SIDES[0].name);
    SIDES.iter().skip(1).for_each(|side| print!(" {:>12} {:>7}", side.name, "x linux"));
    println!();
    for (shape, row) in shapes.iter().zip(measured) {
        let base = row[0].as_ref().ok();
        print!("{:<9} {:>12}", shape.name, number(base.copied(), 1));
        for cell in row.iter().skip(1) {
            let time = cell.as_ref().ok();
            let ratio = time.zip(base).map(|(time, base)| time / base);
            print!(" {:>12} {:>7}", number(time.copied(), 1), number(ratio, 2));
        }
        println!("  {}", shape.about);
    }
    println!();
    for (shape, row) in shapes.iter().zip(measured) {
        for (side, cell) in SIDES.iter().zip(row) {
            if let Err(why) = cell {
                println!("skipped: {} on {}: {why}", shape.name, side.name);
            }
        }
    }
    SIDES.iter().for_each(|side| println!("{:<12} {}", side.name, side.about));
}

/// Writes everything down.
pub(super) fn json(shapes: &[&Shape], measured: &[Vec<Measured>], rounds: u32) -> String {
    let of_cell = |(side, cell): (&Side, &Measured)| match cell {
        Ok(time) => json!({ "side": side.name, "run_ns": time }),
        Err(why) => json!({ "side": side.name, "skipped": why }),
    };
    let of_shape = |(shape, row): (&&Shape, &Vec<Measured>)| {
        let sides: Vec<Value> = SIDES.iter().zip(row).map(of_cell).collect();
        json!({ "name": shape.name, "about": shape.about, "sides": sides })
    };
    let of_side = |side: &Side| json!({ "name": side.name, "about": side.about });
    let document = json!({
        "rounds": rounds,
        "sides": SIDES.iter().map(of_side).collect::<Vec<Value>>(),
        "shapes": shapes.iter().zip(measured).map(of_shape).collect::<Vec<Value>>(),
    });
    format!("{document:#}\n")
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}
