//! `skep-conformance [MEMORY] [OPTIONS]`: the plug-in of the public conformance suite.
//! `skep-conformance --suite FOLDER...`: its files, or uBPF's, on every engine.

use skep_conformance::{Verdict, plugin, run_folder};
use std::io::BufRead;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.split_first() {
        Some((first, folders)) if first == "--suite" => suite(folders),
        _ => plugin(&args, read_line).map(|answer| println!("{answer}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("skep-conformance: {why}");
            ExitCode::FAILURE
        }
    }
}

fn read_line() -> Result<String, String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|error| error.to_string())?;
    Ok(line)
}

fn suite(folders: &[String]) -> Result<(), String> {
    let mut failed = 0;
    for folder in folders {
        let report = run_folder(Path::new(folder)).map_err(|error| format!("{folder}: {error}"))?;
        println!("{report}");
        failed += report.count(|verdict| matches!(verdict, Verdict::Failed(_)));
    }
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} files failed")),
    }
}
