//! `skep prog dump xlated`: instructions after the verifier's rewrites.

use super::code::{Shown, Style, source_json};
use super::program::full_name;
use super::symbols::Symbols;
use crate::commands::disasm::{Line, lines};
use crate::failure::Failure;
use crate::json;
use crate::output::Report;
use crate::render::table::plain;
use serde_json::{Value, json};
use skep::{Btf, Kernel, Program, ProgramCode, ProgramInfo, TypeId};
use skep_isa::text::{Dialect, Names};
use skep_isa::{ByteOrder, InsnIdx, RawInsn, raw};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

/// The opcode of a call, and that of a wide load of an immediate (RFC 9669 §4.3, §5.4).
const CALL: u8 = 0x85;
const LOAD_IMM64: u8 = 0x18;
/// The number of the helper for tail calls, which the kernel leaves in calls of it (`bpf_insn_prepare_dump`).
const TAIL_CALL: u32 = 12;

struct Dumped {
    name: String,
    info: ProgramInfo,
    code: ProgramCode,
    /// As the kernel gives them.
    slots: Vec<RawInsn>,
    lines: Vec<Line>,
}

/// The instructions of programs.
pub(super) struct Xlated {
    programs: Vec<Dumped>,
    style: Style,
}

/// Reads the instructions of programs.
///
/// # Errors
/// Says that the kernel does not show them.
pub(super) fn read(
    kernel: &Kernel,
    programs: Vec<(Program, ProgramInfo)>,
    style: Style,
) -> Result<Xlated, Failure> {
    let mut dumped = Vec::new();
    for (program, info) in programs {
        let code = program.code()?;
        let bytes = code.xlated.as_deref().ok_or_else(|| {
            let what = format!("the kernel does not show the instructions of program {}", info.id);
            Failure::unable("permission", what).help("run it as root")
        })?;
        let slots =
            raw::from_bytes(bytes, ByteOrder::NATIVE).map_err(|error| Failure::bad("instructions", error))?;
        let readable = readable(&slots, &code);
        let names = names(kernel, &readable, &code)?;
        let lines = lines(&readable, Dialect::Linux, &names);
        let name = full_name(&program, &info);
        dumped.push(Dumped { name, info, code, slots, lines });
    }
    Ok(Xlated { programs: dumped, style })
}

/// Puts distances back where machine code has the number of a function instead (`jit_subprogs`,
/// kernel/bpf/verifier.c): calls have the distance in their offset, loads of functions the number in the second slot.
fn readable(slots: &[RawInsn], code: &ProgramCode) -> Vec<RawInsn> {
    let starts = |function: usize| code.functions.get(function)?.insns.as_ref().map(|insns| insns.start);
    let mut readable = slots.to_vec();
    for at in 0..slots.len() {
        let slot = slots[at];
        match (slot.code, slot.src()) {
            (CALL, 1) => {
                let target = InsnIdx(at as u32).relative(slot.off.into());
                if target.is_some() && target.map(|target| target.0) == starts(slot.imm as usize) {
                    readable[at].imm = slot.off.into();
                    readable[at].off = 0;
                }
            }
            (LOAD_IMM64, 4) => {
                if let Some(next) = readable.get_mut(at + 1) {
                    next.imm = 0;
                }
            }
            _ => {}
        }
    }
    readable
}

/// What instructions refer to.
struct XlatedNames {
    calls: HashMap<u32, String>,
    functions: HashMap<InsnIdx, String>,
    remarks: HashMap<InsnIdx, String>,
}

impl Names for XlatedNames {
    fn helper(&self, id: u32) -> Option<&str> {
        self.calls.get(&id).map(String::as_str)
    }

    fn function(&self, start: InsnIdx) -> Option<&str> {
        self.functions.get(&start).map(String::as_str)
    }

    fn remark(&self, at: InsnIdx, out: &mut dyn fmt::Write) -> fmt::Result {
        self.remarks.get(&at).map_or(Ok(()), |remark| out.write_str(remark))
    }
}

fn names(kernel: &Kernel, slots: &[RawInsn], code: &ProgramCode) -> Result<XlatedNames, Failure> {
    let calls = || slots.iter().filter(|slot| slot.code == CALL);
    let distances: BTreeSet<i32> = calls().filter(|slot| slot.src() == 0).map(|slot| slot.imm).collect();
    let symbols = Symbols::of_calls(kernel, &distances);
    let call = |&distance: &i32| {
        let name = match distance as u32 {
            TAIL_CALL => "bpf_tail_call",
            _ => symbols.call(distance)?,
        };
        Some((distance as u32, name.to_owned()))
    };
    let vmlinux: Option<Arc<Btf<'static>>> = match calls().any(|slot| slot.src() == 2 && slot.off == 0) {
        true => Some(kernel.vmlinux_btf()?),
        false => None,
    };
    let mut remarks = HashMap::new();
    for (at, slot) in slots.iter().enumerate() {
        let at = InsnIdx(at as u32);
        let remark = match (slot.code, slot.src()) {
            // Maps, and places in the value of one.
            (LOAD_IMM64, 1 | 2) => {
                super::map::name(kernel, slot.imm as u32).map(|name| format!("map {}", plain(&name)))
            }
            (CALL, 2) if slot.off == 0 => vmlinux.as_ref().and_then(|btf| {
                let name = btf.get(TypeId(slot.imm as u32))?.name();
                Some(format!("kernel function {name}"))
            }),
            _ => None,
        };
        remarks.extend(remark.map(|remark| (at, remark)));
    }
    let function = |function: &skep::ProgramFunction| {
        Some((InsnIdx(function.insns.as_ref()?.start), function.name.clone()?))
    };
    Ok(XlatedNames {
        calls: distances.iter().filter_map(call).collect(),
        functions: code.functions.iter().filter_map(function).collect(),
        remarks,
    })
}

impl Dumped {
    /// The bytes of an instruction: those up to the next.
    fn bytes(&self, index: usize) -> Vec<u8> {
        let from = self.lines[index].at.index();
        let to = self.lines.get(index + 1).map_or(self.slots.len(), |next| next.at.index());
        self.slots[from..to.max(from)].iter().flat_map(|slot| slot.to_bytes(ByteOrder::NATIVE)).collect()
    }

    fn source(&self, at: InsnIdx) -> Option<&skep::SourceLine> {
        let index = self.code.lines.binary_search_by_key(&at.0, |line| line.insn).ok()?;
        Some(&self.code.lines[index].source)
    }
}

impl Report for Xlated {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        for (index, program) in self.programs.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            writeln!(out, "// program {}: {}", program.info.id, plain(&program.name))?;
            let mut shown = Shown::default();
            for (index, line) in program.lines.iter().enumerate() {
                for label in &line.labels {
                    writeln!(out, "{label}:")?;
                }
                if let Some(source) = program.source(line.at).filter(|_| self.style.source) {
                    shown.write(source, out)?;
                }
                writeln!(out, "{:>6}: {}", line.at.0, line.text)?;
                if self.style.opcodes {
                    let bytes: Vec<String> =
                        program.bytes(index).iter().map(|byte| format!("{byte:02x}")).collect();
                    writeln!(out, "        {}", bytes.join(" "))?;
                }
            }
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let program = |program: &Dumped| {
            let insn = |(index, line): (usize, &Line)| {
                let mut insn = json!({ "insn": line.at.0, "bytes": json::hex(&program.bytes(index)), "text": line.text });
                if !line.labels.is_empty() {
                    insn["labels"] = json!(line.labels);
                }
                if let Some(source) = program.source(line.at) {
                    insn["source"] = source_json(source);
                }
                insn
            };
            let function = |function: &skep::ProgramFunction| {
                let insns = function.insns.clone().unwrap_or_default();
                json!({ "name": function.name, "insn": insns.start, "insns": insns.len(),
                        "tag": function.tag.map(|tag| json::hex(&tag)) })
            };
            json!({
                "id": program.info.id,
                "name": program.name,
                "functions": program.code.functions.iter().map(function).collect::<Vec<_>>(),
                "insns": program.lines.iter().enumerate().map(insn).collect::<Vec<_>>(),
            })
        };
        json!({ "programs": self.programs.iter().map(program).collect::<Vec<_>>() })
    }
}
