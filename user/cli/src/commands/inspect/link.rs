//! `skep link`: links in the running kernel.

use super::{By, Keepers, Selector, fields, pick};
use crate::args::LinkCommand;
use crate::failure::Failure;
use crate::output::Report;
use crate::render::table::{Table, plain};
use crate::{json, kernel, vocabulary};
use serde_json::{Map as Members, Value, json};
use skep::sys::ObjectKind;
use skep::{Error, Kernel, Link, LinkTarget, LinkType, PerfEventType, Program};
use std::io::{self, Write};

const PICKED_BY: &[By] = &[By::Id, By::Pinned];

/// Does what is to be done with links.
///
/// # Errors
/// Says which link is not there, or what the kernel refuses.
pub(crate) fn run(command: &LinkCommand) -> Result<Box<dyn Report>, Failure> {
    let kernel = kernel::linux()?;
    let (selector, form) = match command {
        LinkCommand::List(_) => (Selector::All, Form::List),
        LinkCommand::Show(args) => (Selector::parse(&args.which, PICKED_BY)?, Form::Each),
    };
    let read = |link: Link| -> Result<One, Error> {
        let info = link.info()?;
        let target = link.target()?;
        Ok(One { id: info.id, kind: LinkType(info.type_), prog_id: info.prog_id, target })
    };
    let by_id = |id| Link::from_id(&kernel, id).and_then(read);
    let by_pin = |path: &str| Link::open_pinned(&kernel, path).and_then(read);
    let links = pick(&selector, "link", by_id, by_pin, kernel.ids(ObjectKind::Link), |_| true)?;
    let keepers = Keepers::read(&kernel)?;
    Ok(Box::new(Links { kernel, links, keepers, form }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    List,
    Each,
}

struct One {
    id: u32,
    kind: LinkType,
    prog_id: u32,
    target: LinkTarget,
}

struct Links {
    kernel: Kernel,
    links: Vec<One>,
    keepers: Keepers,
    form: Form,
}

/// The word for a kind of link.
fn kind(kind: LinkType) -> String {
    kind.short_name().map_or_else(|| format!("type {}", kind.0), str::to_ascii_lowercase)
}

/// The word for a kind of perf event.
fn event_kind(kind: PerfEventType) -> String {
    kind.short_name().map_or_else(|| format!("type {}", kind.0), str::to_ascii_lowercase)
}

/// What a link is on, member by member.
fn members(target: &LinkTarget) -> Members<String, Value> {
    let big = |number: u64| json::integer(number.into());
    let address = |number: u64| json!(format!("{number:#x}"));
    let attach = |kind| json!(vocabulary::attach_type_name(kind));
    let value = match target {
        LinkTarget::RawTracepoint { name, cookie } => json!({ "tp_name": name, "cookie": big(*cookie) }),
        LinkTarget::Tracing { attach_type, target_obj_id, target_btf_id, cookie } => json!({
            "attach_type": attach(*attach_type), "target_obj_id": target_obj_id,
            "target_btf_id": target_btf_id, "cookie": big(*cookie),
        }),
        LinkTarget::Cgroup { cgroup_id, attach_type } => {
            json!({ "cgroup_id": big(*cgroup_id), "attach_type": attach(*attach_type) })
        }
        LinkTarget::Iter { target, map_id, cgroup_id, order, tid, pid } => {
            let mut members = json!({ "target_name": target });
            if *map_id != 0 {
                members["map_id"] = json!(map_id);
            }
            if *cgroup_id != 0 {
                members["cgroup_id"] = big(*cgroup_id);
                members["order"] = json!(order);
            }
            if *tid != 0 {
                members["tid"] = json!(tid);
            }
            if *pid != 0 {
                members["pid"] = json!(pid);
            }
            members
        }
        LinkTarget::Netns { netns_ino, attach_type } => {
            json!({ "netns_ino": netns_ino, "attach_type": attach(*attach_type) })
        }
        LinkTarget::Xdp { ifindex } => json!({ "ifindex": ifindex }),
        LinkTarget::StructOps { map_id } => json!({ "map_id": map_id }),
        LinkTarget::Netfilter { pf, hooknum, priority, flags } => {
            json!({ "pf": pf, "hooknum": hooknum, "priority": priority, "flags": flags })
        }
        LinkTarget::KprobeMulti { flags, missed, functions } => {
            let each = functions.iter();
            let each = each.map(|place| json!({ "addr": address(place.addr), "cookie": big(place.cookie) }));
            json!({ "flags": flags, "missed": big(*missed), "functions": each.collect::<Vec<_>>() })
        }
        LinkTarget::UprobeMulti { path, flags, pid, offsets } => {
            let each = offsets.iter().map(|place| {
                json!({
                    "offset": big(place.offset), "ref_ctr_offset": big(place.ref_ctr_offset),
                    "cookie": big(place.cookie),
                })
            });
            json!({ "path": path, "flags": flags, "pid": pid, "offsets": each.collect::<Vec<_>>() })
        }
        LinkTarget::Kprobe { kind, function, offset, addr, missed, cookie } => json!({
            "event": event_kind(*kind), "function": function, "offset": offset, "addr": address(*addr),
            "missed": big(*missed), "cookie": big(*cookie),
        }),
        LinkTarget::Uprobe { kind, path, offset, ref_ctr_offset, cookie } => json!({
            "event": event_kind(*kind), "path": path, "offset": offset,
            "ref_ctr_offset": big(*ref_ctr_offset), "cookie": big(*cookie),
        }),
        LinkTarget::Tracepoint { name, cookie } => {
            json!({ "event": "tracepoint", "tp_name": name, "cookie": big(*cookie) })
        }
        LinkTarget::PerfEvent { event_type, config, cookie } => json!({
            "event": "event", "event_type": event_type, "config": big(*config), "cookie": big(*cookie),
        }),
        LinkTarget::Tcx { ifindex, attach_type } | LinkTarget::Netkit { ifindex, attach_type } => {
            json!({ "ifindex": ifindex, "attach_type": attach(*attach_type) })
        }
        LinkTarget::Sockmap { map_id, attach_type } => {
            json!({ "map_id": map_id, "attach_type": attach(*attach_type) })
        }
        _ => json!({}),
    };
    value.as_object().cloned().unwrap_or_default()
}

/// What a link is on, in words: the members that say something.
fn words(target: &LinkTarget) -> String {
    let says = |value: &Value| !matches!(value, Value::Number(number) if number.as_u64() == Some(0));
    let word = |(name, value): (String, Value)| match value {
        Value::String(text) => format!("{} {text}", name.replace('_', " ")),
        Value::Array(list) => format!("{} {}", list.len(), name.replace('_', " ")),
        value => format!("{} {value}", name.replace('_', " ")),
    };
    let parts: Vec<String> = members(target).into_iter().filter(|(_, value)| says(value)).map(word).collect();
    parts.join(", ")
}

impl Links {
    fn program(&self, one: &One) -> String {
        if one.prog_id == 0 {
            return String::new();
        }
        match Program::from_id(&self.kernel, one.prog_id) {
            Ok(program) => format!("{} {}", one.prog_id, program.name()),
            Err(_) => one.prog_id.to_string(),
        }
    }
}

impl Report for Links {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.form == Form::List {
            let mut table = Table::new(&["id", "type", "program", "on", "pinned", "held by"]);
            for one in &self.links {
                table.row([
                    one.id.to_string(),
                    kind(one.kind),
                    self.program(one),
                    words(&one.target),
                    self.keepers.pinned(ObjectKind::Link, one.id),
                    self.keepers.held_by(ObjectKind::Link, one.id),
                ]);
            }
            return match self.links.is_empty() {
                true => writeln!(out, "no links"),
                false => table.write("links", out),
            };
        }
        for (index, one) in self.links.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            writeln!(out, "link {}: {}", one.id, plain(&kind(one.kind)))?;
            let on = members(&one.target).into_iter().filter(|(_, value)| !value.is_array());
            let on: Vec<(String, String)> = on
                .map(|(name, value)| match value {
                    Value::String(text) => (name, text),
                    value => (name, value.to_string()),
                })
                .collect();
            let mut rows = vec![("program", self.program(one))];
            rows.extend(on.iter().map(|(name, value)| (name.as_str(), value.clone())));
            rows.push(("pinned", self.keepers.pinned(ObjectKind::Link, one.id)));
            rows.push(("held by", self.keepers.held_by(ObjectKind::Link, one.id)));
            fields(out, &rows)?;
            match &one.target {
                LinkTarget::KprobeMulti { functions, .. } => {
                    for place in functions {
                        writeln!(out, "  function   {:#x}, cookie {}", place.addr, place.cookie)?;
                    }
                }
                LinkTarget::UprobeMulti { offsets, .. } => {
                    for place in offsets {
                        writeln!(out, "  offset     {:#x}, cookie {}", place.offset, place.cookie)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let each = self.links.iter().map(|one| {
            let mut document = json!({ "id": one.id, "type": kind(one.kind), "prog_id": one.prog_id });
            for (name, value) in members(&one.target) {
                document[name] = value;
            }
            self.keepers.add_to(&mut document, ObjectKind::Link, one.id);
            document
        });
        json!({ "links": each.collect::<Vec<_>>() })
    }
}
