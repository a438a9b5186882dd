//! Every program of the objects that it is given, by aya and by skep: a table of what only one of them loads.
//!
//! Both load on the running kernel, as root. aya is asked as its users ask it: the object at once, then each program by the
//! method of its kind. Objects whose maps are pinned are left out: aya would leave the pins behind.

mod theirs;

use skep::{Autoload, Kernel, Object};
use skep_model::Pinning;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

/// How each program loads, by name; the reason where it does not.
type Verdicts = BTreeMap<String, Result<(), String>>;

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let mut table = Table::default();
    for file in &files {
        match std::fs::read(file) {
            Ok(bytes) => compare(file, &bytes, &mut table),
            Err(error) => {
                eprintln!("aya: {file}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    table.print();
    if table.by_aya_only > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What became of all programs.
#[derive(Default)]
struct Table {
    rows: Vec<String>,
    both: usize,
    neither: usize,
    by_skep_only: usize,
    by_aya_only: usize,
    left_out: usize,
}

impl Table {
    fn add(&mut self, program: &str, aya: &Result<(), String>, skep: &Result<(), String>) {
        let (who, why) = match (aya, skep) {
            (Ok(()), Ok(())) => return self.both += 1,
            (Err(_), Err(_)) => return self.neither += 1,
            (Err(why), Ok(())) => {
                self.by_skep_only += 1;
                ("skep only", why)
            }
            (Ok(()), Err(why)) => {
                self.by_aya_only += 1;
                ("aya only ", why)
            }
        };
        let why = why.lines().next().unwrap_or_default();
        self.rows.push(format!("{who}  {program}: {why}"));
    }

    fn print(&self) {
        self.rows.iter().for_each(|row| println!("{row}"));
        println!(
            "programs that load: by both {}, by neither {}, by skep only {}, by aya only {}; {} objects left out for pins",
            self.both, self.neither, self.by_skep_only, self.by_aya_only, self.left_out
        );
    }
}

fn compare(file: &str, bytes: &[u8], table: &mut Table) {
    let parts: Vec<_> = Path::new(file).iter().map(|part| part.to_string_lossy()).collect();
    let name = parts[parts.len().saturating_sub(2)..].join("/");
    let object = match Object::parse(file, bytes) {
        Ok(object) => object,
        // Without the names of the programs: whether aya loads any.
        Err(error) => {
            let theirs = theirs::load(bytes, &BTreeMap::new());
            let loaded = theirs.values().any(Result::is_ok);
            let aya = if loaded { Ok(()) } else { Err("refused".to_owned()) };
            return table.add(&name, &aya, &Err(error.to_string()));
        }
    };
    if object.maps().any(|map| object.map(map).is_ok_and(|map| map.pinning != Pinning::None)) {
        table.left_out += 1;
        return;
    }
    let target = |program: &str| object.program(program).ok()?.attach.as_ref()?.target.clone();
    let targets = object.programs().filter_map(|name| Some((name.to_owned(), target(name)?))).collect();
    let theirs = theirs::load(bytes, &targets);
    for program in object.programs() {
        let ours = alone(file, bytes, program).map_err(|error| error.to_string());
        let missing =
            Err(theirs.get("").and_then(|all| all.clone().err()).unwrap_or_else(|| "not found".to_owned()));
        table.add(&format!("{name} {program}"), theirs.get(program).unwrap_or(&missing), &ours);
    }
}

/// Loads one program, as if it were alone in its object.
fn alone(file: &str, bytes: &[u8], program: &str) -> skep::Result<()> {
    let mut object = Object::parse(file, bytes)?;
    object.only_program(program)?;
    object.program_mut(program)?.set_autoload(Autoload::Yes);
    object.load(&Kernel::linux()).map(drop)
}
