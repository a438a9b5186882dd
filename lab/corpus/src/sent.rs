//! What a load has sent to the kernel, with names where descriptors were, so that two loaders can be held beside each other.
//!
//! Addresses and ids of the kernel stay as they are: both sides ask the same kernel in the same boot.

use crate::areas::number;
use crate::seam::{Bpf, Call};
use serde::{Deserialize, Serialize};
use skep_abi::{BtfLoad, Cmd, MapCreate, MapElem, MapFreeze, OBJ_NAME_LEN, ProgLoad};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::mem::offset_of;

/// All that is compared, each with the name of what kind of thing it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// By program or map, then by field.
    pub(crate) things: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    /// How often `bpf(2)` was called, for whatever.
    pub(crate) calls: usize,
}

/// A number of the attributes that is compared as it is: its name, where it is, its bytes.
type Field = (&'static str, usize, usize);

const PROGRAM: &[Field] = &[
    ("prog_type", offset_of!(ProgLoad, prog_type), 4),
    ("kern_version", offset_of!(ProgLoad, kern_version), 4),
    ("prog_flags", offset_of!(ProgLoad, prog_flags), 4),
    ("prog_ifindex", offset_of!(ProgLoad, prog_ifindex), 4),
    ("expected_attach_type", offset_of!(ProgLoad, expected_attach_type), 4),
    ("attach_btf_id", offset_of!(ProgLoad, attach_btf_id), 4),
];

const MAP: &[Field] = &[
    ("map_type", offset_of!(MapCreate, map_type), 4),
    ("key_size", offset_of!(MapCreate, key_size), 4),
    ("value_size", offset_of!(MapCreate, value_size), 4),
    ("max_entries", offset_of!(MapCreate, max_entries), 4),
    ("map_flags", offset_of!(MapCreate, map_flags), 4),
    ("numa_node", offset_of!(MapCreate, numa_node), 4),
    ("map_ifindex", offset_of!(MapCreate, map_ifindex), 4),
    ("btf_key_type_id", offset_of!(MapCreate, btf_key_type_id), 4),
    ("btf_value_type_id", offset_of!(MapCreate, btf_value_type_id), 4),
    ("btf_vmlinux_value_type_id", offset_of!(MapCreate, btf_vmlinux_value_type_id), 4),
    ("map_extra", offset_of!(MapCreate, map_extra), 8),
];

/// What a descriptor stands for.
#[derive(Debug, Clone)]
enum Named {
    Map(String),
    /// The position of the call that made it.
    Btf(usize),
    Program(String),
    /// BTF of the kernel's own, by id.
    KernelBtf(u64),
}

/// Puts together what the calls have sent for these programs.
pub(crate) fn of(calls: &[Call], programs: &[String]) -> Sent {
    let mut state = State { calls, ..State::default() };
    let wanted: Vec<String> = programs.iter().map(|name| kernel_name(name)).collect();
    for (index, call) in calls.iter().enumerate() {
        match call {
            Call::Dup { from, to } => {
                if let Some(named) = state.fds.get(&i64::from(*from)).cloned() {
                    state.fds.insert(i64::from(*to), named);
                }
            }
            Call::Bpf(call) => state.take(index, call, &wanted),
        }
    }
    let is_bpf = |call: &&Call| matches!(call, Call::Bpf(_));
    Sent { things: state.things, calls: calls.iter().filter(is_bpf).count() }
}

#[derive(Default)]
struct State<'c> {
    calls: &'c [Call],
    fds: BTreeMap<i64, Named>,
    things: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

impl State<'_> {
    fn take(&mut self, index: usize, call: &Bpf, programs: &[String]) {
        let is_done = call.result >= 0;
        match Cmd(call.cmd) {
            Cmd::MAP_CREATE if is_done => self.map(call),
            Cmd::BTF_LOAD if is_done => {
                self.fds.insert(call.result, Named::Btf(index));
            }
            Cmd::BTF_GET_FD_BY_ID if is_done => {
                self.fds.insert(call.result, Named::KernelBtf(number(&call.attr, 0, 4)));
            }
            Cmd::PROG_LOAD if is_done => {
                let name = name_at(&call.attr, offset_of!(ProgLoad, prog_name));
                self.fds.insert(call.result, Named::Program(name.clone()));
                if programs.contains(&name) {
                    let program = self.program(call);
                    self.things.insert(format!("program {name}"), program);
                }
            }
            Cmd::MAP_UPDATE_ELEM if is_done => self.update(call),
            Cmd::MAP_FREEZE if is_done => {
                self.add_to_map(
                    number(&call.attr, offset_of!(MapFreeze, map_fd), 4),
                    "frozen",
                    "yes".to_owned(),
                );
            }
            _ => {}
        }
    }

    fn map(&mut self, call: &Bpf) {
        let name = name_at(&call.attr, offset_of!(MapCreate, map_name));
        let mut fields = numbers(&call.attr, MAP);
        let fd = |at| number(&call.attr, at, 4);
        fields.insert("inner_map".to_owned(), vec![self.fd(fd(offset_of!(MapCreate, inner_map_fd)))]);
        fields.insert("btf".to_owned(), vec![self.fd(fd(offset_of!(MapCreate, btf_fd)))]);
        // A number that is taken again was closed meanwhile: what stood for it was a probe, or an inner map's pattern.
        self.fds.insert(call.result, Named::Map(name.clone()));
        self.things.insert(format!("map {name}"), fields);
    }

    fn update(&mut self, call: &Bpf) {
        let fd = number(&call.attr, offset_of!(MapElem, map_fd), 4);
        let (key, value) = (offset_of!(MapElem, key), offset_of!(MapElem, value));
        let mut text = format!("{} =", hex(call.area(key)));
        let value = call.area(value);
        match <[u8; 4]>::try_from(value).map(u32::from_le_bytes).map(|fd| self.fds.get(&i64::from(fd))) {
            Ok(Some(Named::Map(name))) if self.is_of_fds(fd) => text += &format!(" map {name}"),
            Ok(Some(Named::Program(name))) if self.is_of_fds(fd) => text += &format!(" program {name}"),
            _ => text += &format!(" {}", hex(value)),
        }
        self.add_to_map(fd, "contents", text);
    }

    /// Whether a map's values are descriptors: of programs or of maps.
    fn is_of_fds(&self, fd: u64) -> bool {
        let Some(Named::Map(name)) = self.fds.get(&(fd as i64)) else { return false };
        let kind = self.things.get(&format!("map {name}")).and_then(|fields| fields.get("map_type"));
        kind.is_some_and(|kind| ["3", "12", "13"].iter().any(|of_fds| kind[0] == *of_fds))
    }

    fn add_to_map(&mut self, fd: u64, field: &str, text: String) {
        if let Some(Named::Map(name)) = self.fds.get(&(fd as i64)) {
            let fields = self.things.entry(format!("map {name}")).or_default();
            fields.entry(field.to_owned()).or_default().push(text);
        }
    }

    fn program(&self, call: &Bpf) -> BTreeMap<String, Vec<String>> {
        let mut fields = numbers(&call.attr, PROGRAM);
        let fd = |at| number(&call.attr, at, 4);
        let one = |text: String| vec![text];
        let license = call.area(offset_of!(ProgLoad, license));
        fields.insert("license".to_owned(), one(String::from_utf8_lossy(license).into_owned()));
        let target = self.fd(fd(offset_of!(ProgLoad, attach_prog_fd)));
        fields.insert("attach_target".to_owned(), one(target));
        for (name, field, each) in [
            ("func_info", offset_of!(ProgLoad, func_info), offset_of!(ProgLoad, func_info_rec_size)),
            ("line_info", offset_of!(ProgLoad, line_info), offset_of!(ProgLoad, line_info_rec_size)),
        ] {
            let each = number(&call.attr, each, 4) as usize;
            let records = call.area(field).chunks(each.max(1)).map(hex).collect();
            fields.insert(name.to_owned(), records);
        }
        let has_records = ["func_info", "line_info"].iter().any(|name| !fields[*name].is_empty());
        if has_records {
            fields.insert("btf".to_owned(), self.btf(fd(offset_of!(ProgLoad, prog_btf_fd))));
        }
        fields.insert("insns".to_owned(), self.insns(call));
        fields
    }

    /// The types that a program came with, in lines of their bytes.
    fn btf(&self, fd: u64) -> Vec<String> {
        let Some(Named::Btf(index)) = self.fds.get(&(fd as i64)) else { return vec![self.fd(fd)] };
        let Some(Call::Bpf(call)) = self.calls.get(*index) else { return Vec::new() };
        call.area(offset_of!(BtfLoad, btf)).chunks(16).map(hex).collect()
    }

    /// The instructions, one text for each slot, with names for descriptors.
    fn insns(&self, call: &Bpf) -> Vec<String> {
        const LDDW: u8 = 0x18;
        const CALL: u8 = 0x85;
        let array = call.area(offset_of!(ProgLoad, fd_array));
        let in_array = |index: u64| match index {
            0 if array.is_empty() => "vmlinux".to_owned(),
            index => self.fd(number(array, index as usize * 4, 4)),
        };
        let slots: Vec<&[u8]> = call.area(offset_of!(ProgLoad, insns)).chunks_exact(8).collect();
        let mut out = Vec::with_capacity(slots.len());
        let mut at = 0;
        while let Some(slot) = slots.get(at) {
            let imm = number(slot, 4, 4);
            let (kind, head) = (slot[1] >> 4, hex(&slot[..4]));
            let second = slots.get(at + 1).filter(|_| slot[0] == LDDW);
            match (slot[0], kind) {
                (LDDW, 1 | 2) => out.push(format!("{head} {}", self.fd(imm))),
                (LDDW, 5 | 6) => out.push(format!("{head} {}", in_array(imm))),
                (CALL, 2) => {
                    let place = number(slot, 2, 2);
                    let from = if place == 0 { "vmlinux".to_owned() } else { in_array(place) };
                    out.push(format!("{} {from} {imm:#x}", hex(&slot[..2])));
                }
                _ => out.push(hex(slot)),
            }
            if let Some(second) = second {
                out.push(match kind {
                    // The upper half says whose BTF it is.
                    3 => format!("{} {}", hex(&second[..4]), self.fd(number(second, 4, 4))),
                    _ => hex(second),
                });
                at += 1;
            }
            at += 1;
        }
        out
    }

    fn fd(&self, fd: u64) -> String {
        match self.fds.get(&(fd as i64)) {
            _ if fd == 0 => "none".to_owned(),
            Some(Named::Map(name)) => format!("map {name}"),
            Some(Named::Btf(_)) => "btf".to_owned(),
            Some(Named::Program(name)) => format!("program {name}"),
            Some(Named::KernelBtf(id)) => format!("kernel btf {id}"),
            None => format!("number {fd}"),
        }
    }
}

fn numbers(attr: &[u8], fields: &[Field]) -> BTreeMap<String, Vec<String>> {
    let read = |(name, at, len): &Field| ((*name).to_owned(), vec![number(attr, *at, *len).to_string()]);
    fields.iter().map(read).collect()
}

fn name_at(attr: &[u8], at: usize) -> String {
    let name = attr.get(at..at + OBJ_NAME_LEN).unwrap_or_default();
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..end]).into_owned()
}

/// The name that the kernel gets: the first bytes.
fn kernel_name(name: &str) -> String {
    name.chars().take(OBJ_NAME_LEN - 1).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
