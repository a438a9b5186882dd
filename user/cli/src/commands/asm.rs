//! `skep asm`: text to instructions.

use crate::args::AsmArgs;
use crate::failure::{Failure, Place};
use crate::json;
use crate::names::Helpers;
use crate::object;
use crate::output::Report;
use serde_json::{Value, json};
use skep_isa::RawInsn;
use skep_isa::raw;
use skep_isa::text::{AsmErrorKind, assemble};
use std::io::{self, IsTerminal, Write};

/// What was assembled.
pub(crate) struct Asm {
    bytes: Vec<u8>,
    /// Whether the bytes went to a file.
    written: Written,
}

enum Written {
    ToFile(String),
    No,
}

/// Assembles a file.
///
/// # Errors
/// Names the line and column of what is no instruction.
pub(crate) fn run(args: &AsmArgs) -> Result<Asm, Failure> {
    let place = |line, column| Place { line, column, ..Place::file(&args.file) };
    let source = String::from_utf8(object::read(&args.file)?).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|&&byte| byte == b'\n').count() as u32 + 1;
        Failure::bad("syntax", "wanted UTF-8 text").at(place(Some(line), None))
    })?;
    let assembled = assemble(&source, &Helpers::new()).map_err(|error| {
        let kind = match error.kind {
            AsmErrorKind::OutOfMemory => "memory",
            _ => "syntax",
        };
        Failure::bad(kind, &error.kind).at(place(Some(error.line), Some(error.column)))
    })?;
    let bytes = raw::to_bytes(assembled.slots(), args.order.into())
        .map_err(|error| Failure::bad("memory", error).at(place(None, None)))?;
    let written = match &args.output {
        Some(path) => {
            std::fs::write(path, &bytes).map_err(|error| Failure::file(path, &error))?;
            Written::ToFile(path.display().to_string())
        }
        None => Written::No,
    };
    Ok(Asm { bytes, written })
}

impl Report for Asm {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        match self.written {
            Written::ToFile(_) => Ok(()),
            Written::No if io::stdout().is_terminal() => {
                self.bytes.chunks(RawInsn::BYTES).try_for_each(|slot| writeln!(out, "{}", json::hex(slot)))
            }
            Written::No => out.write_all(&self.bytes),
        }
    }

    fn json(&self) -> Value {
        let mut document = json!({ "insns": self.bytes.len() / RawInsn::BYTES });
        match &self.written {
            Written::ToFile(path) => document["output"] = json!(path),
            Written::No => document["bytes"] = json!(json::hex(&self.bytes)),
        }
        document
    }
}
