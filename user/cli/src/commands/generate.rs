//! `skep gen`: files that programs are compiled with, or made into.

mod min_btf;
mod object;

use crate::args::{GenCommand, GenVmlinuxArgs};
use crate::commands::btf;
use crate::failure::Failure;
use crate::output::Report;
use crate::types::{self, Source};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::PathBuf;

/// Writes what is wanted.
///
/// # Errors
/// Says what is missing.
pub(crate) fn run(command: &GenCommand) -> Result<Box<dyn Report>, Failure> {
    match command {
        GenCommand::MinBtf(args) => min_btf::run(args),
        GenCommand::Object(args) => object::run(args),
        GenCommand::Vmlinux(args) => vmlinux(args),
    }
}

/// Writes the header of a kernel's types.
fn vmlinux(args: &GenVmlinuxArgs) -> Result<Box<dyn Report>, Failure> {
    let source = match &args.btf {
        Some(path) => Source::File { path, base: None },
        None => Source::Kernel,
    };
    let btf = types::read(&source)?;
    let text = btf::header(&btf, &[])?;
    if let Some(path) = &args.output {
        std::fs::write(path, &text).map_err(|error| Failure::file(path, &error))?;
    }
    Ok(Box::new(Header { types: btf.len() - 1, text, written: args.output.clone() }))
}

/// A header, and where it went.
struct Header {
    types: u32,
    text: String,
    written: Option<PathBuf>,
}

impl Report for Header {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        match self.written {
            Some(_) => Ok(()),
            None => out.write_all(self.text.as_bytes()),
        }
    }

    fn json(&self) -> Value {
        match &self.written {
            Some(path) => json!({ "types": self.types, "output": path.display().to_string() }),
            None => json!({ "types": self.types, "header": self.text }),
        }
    }
}
