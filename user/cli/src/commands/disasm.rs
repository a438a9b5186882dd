//! `skep disasm`: instructions to text that assembles to the same bytes.

use crate::args::{DialectName, DisasmArgs};
use crate::failure::{Failure, Place};
use crate::json;
use crate::names::{Helpers, ProgramNames};
use crate::object;
use crate::output::Report;
use crate::source::{Lines, Source};
use serde_json::{Value, json};
use skep_elf::ObjectSpec;
use skep_isa::text::{Dialect, Labels, Names, disassemble};
use skep_isa::{ByteOrder, InsnIdx, RawInsn, insns, raw};
use skep_model::ProgramSpec;
use std::io::{self, Write};
use std::path::Path;

/// What was disassembled.
pub(crate) enum Disasm {
    /// Programs of an object.
    Object { object: Box<ObjectSpec>, picked: Vec<usize>, dialect: DialectName, style: Style },
    /// Bare instructions.
    Raw { slots: Vec<RawInsn>, order: ByteOrder, dialect: DialectName },
}

/// What stands between the instructions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    WithSource,
}

/// One instruction's text.
pub(crate) struct Line {
    pub(crate) at: InsnIdx,
    pub(crate) labels: Vec<String>,
    pub(crate) text: String,
}

/// Reads what is to be disassembled.
///
/// # Errors
/// Says which file is at fault, and where; names the programs where the wanted one is not there.
pub(crate) fn run(args: &DisasmArgs) -> Result<Disasm, Failure> {
    let dialect = args.dialect;
    match (&args.raw, &args.object) {
        (Some(path), _) => bare(path, args.order.into(), dialect),
        (None, Some(path)) => {
            let object = Box::new(object::open(path)?);
            let picked = match &args.program {
                Some(name) => {
                    let wanted = object::program(&object, name)?;
                    let is_wanted = |program: &ProgramSpec| std::ptr::eq(program, wanted);
                    object.programs.iter().position(is_wanted).into_iter().collect()
                }
                None => (0..object.programs.len()).collect(),
            };
            let style = if args.source { Style::WithSource } else { Style::Plain };
            Ok(Disasm::Object { object, picked, dialect, style })
        }
        (None, None) => Err(Failure::usage("wanted an object, or --raw")),
    }
}

fn bare(path: &Path, order: ByteOrder, dialect: DialectName) -> Result<Disasm, Failure> {
    let bytes = object::read(path)?;
    let slots = raw::from_bytes(&bytes, order).map_err(|error| {
        let offset = (bytes.len() - bytes.len() % RawInsn::BYTES) as u64;
        Failure::bad("instructions", error).at(Place { offset: Some(offset), ..Place::file(path) })
    })?;
    Ok(Disasm::Raw { slots, order, dialect })
}

/// Disassembles slots into lines, in order. Labels that jumps need belong to the line that follows them.
pub(crate) fn lines(slots: &[RawInsn], dialect: Dialect, names: &dyn Names) -> Vec<Line> {
    let Ok(labels) = Labels::find(slots, names) else { return Vec::new() };
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = disassemble(slots, dialect, &labels, names, &mut text);
    let mut places = insns(slots).map(|insn| insn.map_or_else(|error| error.at, |(at, _)| at));
    let mut pending = Vec::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("    ") {
            Some(insn) => {
                let Some(at) = places.next() else { break };
                lines.push(Line { at, labels: std::mem::take(&mut pending), text: insn.to_owned() });
            }
            None => pending.push(line.trim_end_matches(':').to_owned()),
        }
    }
    lines
}

impl Report for Disasm {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let helpers = Helpers::new();
        match self {
            Disasm::Raw { slots, dialect, .. } => {
                lines(slots, (*dialect).into(), &helpers).iter().try_for_each(|line| line.write(out))
            }
            Disasm::Object { object, picked, dialect, style } => {
                // All programs are one text, so that their labels differ and the whole assembles again.
                let starts = starts(object, picked);
                let slots: Vec<RawInsn> =
                    starts.iter().flat_map(|(_, program)| program.insns.clone()).collect();
                let names = ProgramNames::new(&helpers, object, starts.iter().copied());
                let mut all = lines(&slots, (*dialect).into(), &names).into_iter().peekable();
                for (i, (start, program)) in starts.iter().enumerate() {
                    if i > 0 {
                        writeln!(out)?;
                    }
                    writeln!(out, "// program {}, section {}", program.name, program.section)?;
                    let end = start + program.insns.len() as u32;
                    let sources = Lines::of(object.btf.as_ref(), program);
                    let mut shown = None;
                    while let Some(line) = all.next_if(|line| line.at.0 < end) {
                        let source = sources.at(InsnIdx(line.at.0 - start));
                        if let (Style::WithSource, Some(Source { file, line, text, .. })) = (style, source) {
                            // Columns apart, a line says the same as the one before.
                            let text = format!("// {file}:{line}: {text}");
                            if shown.as_ref() != Some(&text) {
                                writeln!(out, "{text}")?;
                            }
                            shown = Some(text);
                        }
                        line.write(out)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn json(&self) -> Value {
        let helpers = Helpers::new();
        match self {
            Disasm::Raw { slots, order, dialect } => {
                let insns: Vec<Value> = lines(slots, (*dialect).into(), &helpers)
                    .iter()
                    .map(|line| line.json(slots, *order))
                    .collect();
                json!({ "dialect": dialect.name(), "insns": insns })
            }
            Disasm::Object { object, picked, dialect, .. } => {
                let program = |&index: &usize| {
                    let program = object.programs.get(index)?;
                    Some(program_json(object, program, &helpers, (*dialect).into()))
                };
                let programs: Vec<Value> = picked.iter().filter_map(program).collect();
                json!({ "path": object.file, "dialect": dialect.name(), "programs": programs })
            }
        }
    }
}

/// Pairs the picked programs with the slots that they start at in the common text.
fn starts<'o>(object: &'o ObjectSpec, picked: &[usize]) -> Vec<(u32, &'o ProgramSpec)> {
    let mut next = 0;
    let mut starts = Vec::new();
    for program in picked.iter().filter_map(|&index| object.programs.get(index)) {
        starts.push((next, program));
        next += program.insns.len() as u32;
    }
    starts
}

/// Names without remarks, which stand in a member of their own.
struct Bare<'a>(&'a ProgramNames<'a>);

impl Names for Bare<'_> {
    fn helper(&self, id: u32) -> Option<&str> {
        self.0.helper(id)
    }

    fn function(&self, start: InsnIdx) -> Option<&str> {
        self.0.function(start)
    }
}

fn program_json(object: &ObjectSpec, program: &ProgramSpec, helpers: &Helpers, dialect: Dialect) -> Value {
    let names = ProgramNames::new(helpers, object, std::iter::once((0, program)));
    let sources = Lines::of(object.btf.as_ref(), program);
    let insn = |line: &Line| {
        let mut insn = line.json(&program.insns, object.order);
        if let Some(reference) = names.reference(line.at) {
            insn["refers_to"] = json!(reference);
        }
        if let Some(source) = sources.at(line.at) {
            insn["source"] = json!(source);
        }
        insn
    };
    let insns: Vec<Value> = lines(&program.insns, dialect, &Bare(&names)).iter().map(insn).collect();
    json!({
        "name": program.name,
        "section": program.section,
        "type": crate::vocabulary::prog_type(program),
        "insns": insns,
    })
}

impl Line {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for label in &self.labels {
            writeln!(out, "{label}:")?;
        }
        writeln!(out, "    {}", self.text)
    }

    fn json(&self, slots: &[RawInsn], order: ByteOrder) -> Value {
        let from = self.at.index();
        let wide = matches!(insns(&slots[from..]).next(), Some(Ok((_, insn))) if insn.slots() == 2);
        let own = slots.iter().skip(from).take(if wide { 2 } else { 1 });
        let bytes: Vec<u8> = own.flat_map(|slot| slot.to_bytes(order)).collect();
        let mut insn = json!({ "insn": self.at.0, "bytes": json::hex(&bytes), "text": self.text });
        if !self.labels.is_empty() {
            insn["labels"] = json!(self.labels);
        }
        insn
    }
}
