//! `skep prog`: programs in the running kernel.

use super::{By, Keepers, Selector, age, code, fields, machine, pick};
use crate::args::{ProgCommand, ProgDump, ProgDumpArgs};
use crate::failure::Failure;
use crate::output::Report;
use crate::render::table::{Table, plain};
use crate::{json, kernel, vocabulary};
use serde_json::{Value, json};
use skep::sys::ObjectKind;
use skep::{Kernel, Program, ProgramInfo, RunStats};
use std::io::{self, Write};

const PICKED_BY: &[By] = &[By::Id, By::Name, By::Tag, By::Pinned];

/// The longest name that the kernel keeps whole.
const KEPT: usize = skep_abi::OBJ_NAME_LEN - 1;

/// Does what is to be done with programs.
///
/// # Errors
/// Says which program is not there, or what the kernel refuses.
pub(crate) fn run(command: &ProgCommand) -> Result<Box<dyn Report>, Failure> {
    let kernel = kernel::linux()?;
    match command {
        ProgCommand::List(_) => Ok(Box::new(Programs::read(kernel, &Selector::All, Form::List)?)),
        ProgCommand::Show(args) => {
            let selector = Selector::parse(&args.which, PICKED_BY)?;
            Ok(Box::new(Programs::read(kernel, &selector, Form::Each)?))
        }
        ProgCommand::Dump { command } => dump(&kernel, command),
    }
}

fn dump(kernel: &Kernel, command: &ProgDump) -> Result<Box<dyn Report>, Failure> {
    let (ProgDump::Xlated(args) | ProgDump::Jited(args)) = command;
    let programs = programs(kernel, &Selector::parse(&args.which, PICKED_BY)?)?;
    let ProgDumpArgs { source, opcodes, .. } = args;
    let style = code::Style { source: *source, opcodes: *opcodes };
    match command {
        ProgDump::Xlated(_) => Ok(Box::new(super::xlated::read(kernel, programs, style)?)),
        ProgDump::Jited(_) => Ok(Box::new(machine::read(programs, style)?)),
    }
}

/// Opens the programs that are meant.
fn programs(kernel: &Kernel, selector: &Selector) -> Result<Vec<(Program, ProgramInfo)>, Failure> {
    let by_id = |id| {
        let program = Program::from_id(kernel, id)?;
        let info = program.details()?;
        Ok((program, info))
    };
    let by_pin = |path: &str| {
        let program = Program::open_pinned(kernel, path)?;
        let info = program.details()?;
        Ok((program, info))
    };
    let passes = |(program, info): &(Program, ProgramInfo)| match selector {
        Selector::Name(name) => called(program, info, name),
        Selector::Tag(tag) => info.tag == *tag,
        _ => true,
    };
    pick(selector, "program", by_id, by_pin, kernel.ids(ObjectKind::Prog), passes)
}

/// Whether a program has a name: the kernel's, which is cut, or its function's.
fn called(program: &Program, info: &ProgramInfo, name: &str) -> bool {
    info.name == name
        || (info.name.len() == KEPT && name.starts_with(&info.name) && full_name(program, info) == name)
}

/// The name of a program's function, as far as it is to be had.
pub(super) fn full_name(program: &Program, info: &ProgramInfo) -> String {
    let full = (info.name.len() >= KEPT).then(|| program.full_name().ok().flatten()).flatten();
    full.filter(|full| full.starts_with(&info.name)).unwrap_or_else(|| info.name.clone())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    List,
    Each,
}

struct Programs {
    kernel: Kernel,
    programs: Vec<(String, ProgramInfo)>,
    keepers: Keepers,
    form: Form,
}

impl Programs {
    fn read(kernel: Kernel, selector: &Selector, form: Form) -> Result<Programs, Failure> {
        let programs = programs(&kernel, selector)?;
        let programs =
            programs.into_iter().map(|(program, info)| (full_name(&program, &info), info)).collect();
        let keepers = Keepers::read(&kernel)?;
        Ok(Programs { kernel, programs, keepers, form })
    }
}

fn average(stats: &RunStats) -> String {
    match stats.run_cnt {
        0 => String::new(),
        count => format!("{count}, {:.1} ns each", stats.run_time_ns as f64 / count as f64),
    }
}

impl Report for Programs {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.form == Form::List {
            let heads =
                &["id", "type", "name", "tag", "xlated", "jited", "maps", "runs", "pinned", "held by"];
            let mut table = Table::new(heads);
            for (name, info) in &self.programs {
                let maps: Vec<String> = info.map_ids.iter().map(u32::to_string).collect();
                table.row([
                    info.id.to_string(),
                    vocabulary::prog_type_name(info.prog_type),
                    name.clone(),
                    json::hex(&info.tag),
                    format!("{} B", info.xlated_len),
                    if info.jited_len == 0 { String::new() } else { format!("{} B", info.jited_len) },
                    maps.join(","),
                    average(&info.stats),
                    self.keepers.pinned(ObjectKind::Prog, info.id),
                    self.keepers.held_by(ObjectKind::Prog, info.id),
                ]);
            }
            return match self.programs.is_empty() {
                true => writeln!(out, "no programs"),
                false => table.write("programs", out),
            };
        }
        for (index, (name, info)) in self.programs.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            writeln!(out, "program {}: {}", info.id, plain(name))?;
            let maps: Vec<String> = info.map_ids.iter().map(|&id| map_in_words(&self.kernel, id)).collect();
            let jited = match info.jited_len {
                0 => "not compiled, or not shown".to_owned(),
                len => format!("jited {len} bytes"),
            };
            let misses = match info.stats.recursion_misses {
                0 => String::new(),
                misses => format!("{misses} runs, for recursion"),
            };
            let loaded = age(&self.kernel, info.load_time_ns).unwrap_or_default();
            fields(
                out,
                &[
                    ("type", vocabulary::prog_type_name(info.prog_type)),
                    ("tag", json::hex(&info.tag)),
                    (
                        "licence",
                        if info.is_gpl_compatible { "GPL-compatible" } else { "not GPL-compatible" }
                            .to_owned(),
                    ),
                    ("loaded", format!("{loaded} by user {}", info.created_by_uid).trim().to_owned()),
                    (
                        "code",
                        format!(
                            "xlated {} bytes, {jited}, {} instructions verified",
                            info.xlated_len, info.verified_insns
                        ),
                    ),
                    ("maps", maps.join(", ")),
                    ("types", info.btf_id.map_or_else(String::new, |id| format!("BTF {id}"))),
                    ("target", target(info)),
                    (
                        "device",
                        if info.ifindex == 0 { String::new() } else { format!("interface {}", info.ifindex) },
                    ),
                    ("runs", average(&info.stats)),
                    ("missed", misses),
                    ("pinned", self.keepers.pinned(ObjectKind::Prog, info.id)),
                    ("held by", self.keepers.held_by(ObjectKind::Prog, info.id)),
                ],
            )?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let each = self.programs.iter().map(|(name, info)| {
            let mut members = json!({
                "id": info.id,
                "type": vocabulary::prog_type_name(info.prog_type),
                "name": name,
                "tag": json::hex(&info.tag),
                "gpl_compatible": info.is_gpl_compatible,
                "load_time_ns": json::integer(info.load_time_ns.into()),
                "uid": info.created_by_uid,
                "xlated_bytes": info.xlated_len,
                "jited_bytes": info.jited_len,
                "verified_insns": info.verified_insns,
                "map_ids": info.map_ids,
                "btf_id": info.btf_id,
                "run_time_ns": json::integer(info.stats.run_time_ns.into()),
                "run_cnt": json::integer(info.stats.run_cnt.into()),
                "recursion_misses": json::integer(info.stats.recursion_misses.into()),
            });
            self.keepers.add_to(&mut members, ObjectKind::Prog, info.id);
            if info.attach_btf_id != 0 {
                members["attach_btf_obj_id"] = json!(info.attach_btf_obj_id);
                members["attach_btf_id"] = json!(info.attach_btf_id);
            }
            if info.ifindex != 0 {
                members["ifindex"] = json!(info.ifindex);
                members["netns"] =
                    json!({ "dev": json::integer(info.netns.0.into()), "ino": json::integer(info.netns.1.into()) });
            }
            members
        });
        json!({ "programs": each.collect::<Vec<_>>() })
    }
}

fn target(info: &ProgramInfo) -> String {
    match info.attach_btf_id {
        0 => String::new(),
        id => format!("type {id} of BTF {}", info.attach_btf_obj_id),
    }
}

fn map_in_words(kernel: &Kernel, id: u32) -> String {
    match super::map::name(kernel, id) {
        Some(name) if !name.is_empty() => format!("{id} {name}"),
        _ => id.to_string(),
    }
}
