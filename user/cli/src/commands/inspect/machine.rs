//! `skep prog dump jited`: machine code.

use super::code::{Shown, Style, source_json};
use super::program::full_name;
use crate::failure::Failure;
use crate::json;
use crate::output::Report;
use crate::render::table::plain;
use serde_json::{Value, json};
use skep::{Program, ProgramCode, ProgramFunction, ProgramInfo, ProgramLine};
use std::io::{self, Write};
use std::ops::Range;

/// One instruction of the machine.
struct Insn {
    bytes: Range<usize>,
    /// `None` where this build has no words for this machine.
    text: Option<String>,
}

struct Dumped {
    name: String,
    info: ProgramInfo,
    code: ProgramCode,
    jited: Vec<u8>,
    /// Of each function.
    insns: Vec<Vec<Insn>>,
}

/// The machine code of programs.
pub(super) struct Jited {
    programs: Vec<Dumped>,
    style: Style,
}

/// Reads the machine code of programs.
///
/// # Errors
/// Says that there is none, or that the kernel does not show it.
pub(super) fn read(programs: Vec<(Program, ProgramInfo)>, style: Style) -> Result<Jited, Failure> {
    let mut dumped = Vec::new();
    for (program, info) in programs {
        let mut code = program.code()?;
        let Some(jited) = code.jited.take() else {
            let what = format!("program {} has no machine code, or the kernel does not show it", info.id);
            return Err(Failure::unable("unsupported", what)
                .help("the sysctl net.core.bpf_jit_enable turns the compiler on"));
        };
        if code.functions.iter().all(|function| function.jited.is_none()) {
            // Without the lengths of functions it is one.
            code.functions.truncate(1);
            if let Some(first) = code.functions.first_mut() {
                first.jited = Some(0..jited.len());
            }
        }
        let insns = code.functions.iter().map(|function| disassemble(&jited, function)).collect();
        let name = full_name(&program, &info);
        dumped.push(Dumped { name, info, code, jited, insns });
    }
    Ok(Jited { programs: dumped, style })
}

/// The bytes of a function, as far as they are there.
fn range(jited: &[u8], function: &ProgramFunction) -> Range<usize> {
    function.jited.clone().filter(|range| range.end <= jited.len()).unwrap_or_default()
}

#[cfg(target_arch = "x86_64")]
fn disassemble(jited: &[u8], function: &ProgramFunction) -> Vec<Insn> {
    use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};
    let range = range(jited, function);
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_space_after_operand_separator(true);
    options.set_branch_leading_zeros(false);
    let bytes = &jited[range.clone()];
    let mut decoder = Decoder::with_ip(64, bytes, function.address.unwrap_or(0), DecoderOptions::NONE);
    let mut insns = Vec::new();
    while decoder.can_decode() {
        let start = decoder.position();
        let insn = decoder.decode();
        let mut text = String::new();
        formatter.format(&insn, &mut text);
        let end = decoder.position();
        insns.push(Insn { bytes: range.start + start..range.start + end, text: Some(text) });
    }
    insns
}

/// Bytes, sixteen at a time.
#[cfg(not(target_arch = "x86_64"))]
fn disassemble(jited: &[u8], function: &ProgramFunction) -> Vec<Insn> {
    let range = range(jited, function);
    let row = |start: usize| Insn { bytes: start..(start + 16).min(range.end), text: None };
    range.clone().step_by(16).map(row).collect()
}

impl Dumped {
    /// The line that begins at an instruction.
    fn source(&self, insn: &Insn) -> Option<&ProgramLine> {
        self.code.lines.iter().find(|line| line.jited.is_some_and(|at| insn.bytes.contains(&at)))
    }
}

impl Report for Jited {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        for (index, program) in self.programs.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            writeln!(out, "// program {}: {}", program.info.id, plain(&program.name))?;
            for (function, insns) in program.code.functions.iter().zip(&program.insns) {
                let name = function.name.as_deref().unwrap_or("?");
                let address = function.address.map_or_else(String::new, |at| format!(" at {at:#x}"));
                let bytes = range(&program.jited, function);
                writeln!(out, "{}:  // {} bytes{address}", plain(name), bytes.len())?;
                let mut shown = Shown::default();
                for insn in insns {
                    if let Some(line) = program.source(insn).filter(|_| self.style.source) {
                        shown.write(&line.source, out)?;
                    }
                    let hex = json::hex(&program.jited[insn.bytes.clone()]);
                    let at = insn.bytes.start - bytes.start;
                    match &insn.text {
                        Some(text) => writeln!(out, "{at:>6x}: {text}")?,
                        None => writeln!(out, "{at:>6x}: {hex}")?,
                    }
                    if self.style.opcodes && insn.text.is_some() {
                        writeln!(out, "        {hex}")?;
                    }
                }
            }
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let program = |program: &Dumped| {
            let functions = program.code.functions.iter().zip(&program.insns).map(|(function, insns)| {
                let bytes = range(&program.jited, function);
                let insn = |insn: &Insn| {
                    let mut members = json!({
                        "offset": insn.bytes.start - bytes.start,
                        "bytes": json::hex(&program.jited[insn.bytes.clone()]),
                    });
                    if let Some(text) = &insn.text {
                        members["text"] = json!(text);
                    }
                    if let Some(line) = program.source(insn) {
                        members["source"] = source_json(&line.source);
                    }
                    members
                };
                json!({
                    "name": function.name,
                    "address": function.address.map(|at| format!("{at:#x}")),
                    "bytes": bytes.len(),
                    "code": insns.iter().map(insn).collect::<Vec<_>>(),
                })
            });
            json!({
                "id": program.info.id,
                "name": program.name,
                "arch": std::env::consts::ARCH,
                "functions": functions.collect::<Vec<_>>(),
            })
        };
        json!({ "programs": self.programs.iter().map(program).collect::<Vec<_>>() })
    }
}
