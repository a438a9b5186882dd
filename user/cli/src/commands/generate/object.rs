//! `skep gen object`: several objects become one.

use crate::args::GenObjectArgs;
use crate::failure::Failure;
use crate::object;
use crate::output::Report;
use serde_json::{Value, json};
use skep_elf::Input;
use std::io::{self, Write};

/// Links the objects and writes the result; nothing is written if they do not go together.
///
/// # Errors
/// Says which object is malformed, or which two do not go together.
pub(super) fn run(args: &GenObjectArgs) -> Result<Box<dyn Report>, Failure> {
    let mut files = Vec::new();
    for path in &args.inputs {
        files.push((path.display().to_string(), object::read(path)?));
    }
    let inputs: Vec<_> = files.iter().map(|(file, bytes)| Input { file, bytes }).collect();
    let linked = skep_elf::link(&inputs)?;
    std::fs::write(&args.output, &linked).map_err(|error| Failure::file(&args.output, &error))?;
    Ok(Box::new(Linked {
        output: args.output.display().to_string(),
        bytes: linked.len(),
        inputs: files.into_iter().map(|(file, _)| file).collect(),
    }))
}

/// What was written.
struct Linked {
    output: String,
    bytes: usize,
    inputs: Vec<String>,
}

impl Report for Linked {
    fn human(&self, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn json(&self) -> Value {
        json!({ "output": self.output, "bytes": self.bytes, "inputs": self.inputs })
    }
}
