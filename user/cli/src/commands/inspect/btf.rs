//! `skep btf list`, `skep btf show`: types in the running kernel.

use super::{By, Selector, fields, held_by, pick, processes};
use crate::args::{ListArgs, ShowOneArgs};
use crate::failure::Failure;
use crate::kernel;
use crate::output::Report;
use crate::render::table::{Table, plain};
use serde_json::{Value, json};
use skep::sys::{ObjectKind, ProgFd};
use skep::{BtfObject, Holders, Kernel};
use std::collections::HashMap;
use std::io::{self, Write};

const PICKED_BY: &[By] = &[By::Id, By::Name];

/// Lists types.
///
/// # Errors
/// Says what the kernel refuses.
pub(crate) fn list(_: &ListArgs) -> Result<Box<dyn Report>, Failure> {
    read(&Selector::All, Form::List)
}

/// Shows types.
///
/// # Errors
/// Says that they are not there, or what the kernel refuses.
pub(crate) fn show(args: &ShowOneArgs) -> Result<Box<dyn Report>, Failure> {
    read(&Selector::parse(&args.which, PICKED_BY)?, Form::Each)
}

fn read(selector: &Selector, form: Form) -> Result<Box<dyn Report>, Failure> {
    let kernel = kernel::linux()?;
    let by_id = |id| BtfObject::from_id(&kernel, id);
    let passes = |object: &BtfObject| match selector {
        Selector::Name(name) => object.name() == name,
        _ => true,
    };
    // Types cannot be pinned: no selector says a path.
    let objects = pick(selector, "BTF", by_id, |_| by_id(0), kernel.ids(ObjectKind::Btf), passes)?;
    let users = Users::read(&kernel)?;
    Ok(Box::new(Types { objects, users, holders: kernel.holders()?, form }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    List,
    Each,
}

/// Which programs and maps have which types.
#[derive(Default)]
struct Users {
    programs: HashMap<u32, Vec<u32>>,
    maps: HashMap<u32, Vec<u32>>,
}

impl Users {
    fn read(kernel: &Kernel) -> Result<Users, Failure> {
        let mut users = Users::default();
        for id in kernel.ids(ObjectKind::Prog) {
            let id = id?;
            let handle = kernel.sys().fd_by_id(ObjectKind::Prog, id, 0);
            // What has gone in the meantime uses nothing.
            let Ok(info) = handle.map(ProgFd::from_handle).and_then(|prog| prog.info()) else { continue };
            if info.btf_id != 0 {
                users.programs.entry(info.btf_id).or_default().push(id);
            }
        }
        for id in kernel.ids(ObjectKind::Map) {
            let id = id?;
            let Ok(info) = kernel.sys().map_by_id(id, 0).and_then(|map| map.info()) else { continue };
            if info.btf_id != 0 {
                users.maps.entry(info.btf_id).or_default().push(id);
            }
        }
        Ok(users)
    }
}

struct Types {
    objects: Vec<BtfObject>,
    users: Users,
    holders: Holders,
    form: Form,
}

fn numbers(of: &HashMap<u32, Vec<u32>>, id: u32) -> &[u32] {
    of.get(&id).map_or(&[], Vec::as_slice)
}

fn joined(ids: &[u32]) -> String {
    let words: Vec<String> = ids.iter().map(u32::to_string).collect();
    words.join(",")
}

impl Report for Types {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.form == Form::List {
            let mut table = Table::new(&["id", "name", "of", "size", "programs", "maps", "held by"]);
            for object in &self.objects {
                let id = object.id();
                table.row([
                    id.to_string(),
                    object.name().to_owned(),
                    if object.is_kernel() { "kernel" } else { "user" }.to_owned(),
                    format!("{} B", object.size()),
                    joined(numbers(&self.users.programs, id)),
                    joined(numbers(&self.users.maps, id)),
                    held_by(&self.holders, ObjectKind::Btf, id),
                ]);
            }
            return match self.objects.is_empty() {
                true => writeln!(out, "no types"),
                false => table.write("types", out),
            };
        }
        for (index, object) in self.objects.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            let id = object.id();
            writeln!(out, "BTF {id}: {}", plain(object.name()))?;
            fields(
                out,
                &[
                    (
                        "of",
                        if object.is_kernel() { "the kernel or a module" } else { "a program" }.to_owned(),
                    ),
                    ("size", format!("{} bytes", object.size())),
                    ("programs", joined(numbers(&self.users.programs, id))),
                    ("maps", joined(numbers(&self.users.maps, id))),
                    ("held by", held_by(&self.holders, ObjectKind::Btf, id)),
                ],
            )?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let each = self.objects.iter().map(|object| {
            let id = object.id();
            json!({
                "id": id,
                "name": object.name(),
                "kernel": object.is_kernel(),
                "bytes": object.size(),
                "prog_ids": numbers(&self.users.programs, id),
                "map_ids": numbers(&self.users.maps, id),
                "pids": processes(&self.holders, ObjectKind::Btf, id),
            })
        });
        json!({ "btf": each.collect::<Vec<_>>() })
    }
}
