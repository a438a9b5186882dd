//! Names for what instructions have as numbers: helpers, functions, and what relocations refer to.

use crate::json;
use crate::render::table::plain;
use skep_abi::FuncId;
use skep_btf::{Btf, TypeId};
use skep_elf::ObjectSpec;
use skep_isa::InsnIdx;
use skep_isa::text::{Names, Symbols};
use skep_model::platform::helpers::HELPERS;
use skep_model::{CoreTarget, MapOrigin, ProgramSpec, RelocTarget, Relocation};
use std::collections::HashMap;
use std::fmt;

/// The helpers of the platform, by number and by name.
pub(crate) struct Helpers {
    by_id: HashMap<u32, String>,
    by_name: HashMap<String, u32>,
}

impl Helpers {
    /// Reads the platform's table; a name is known with and without its `bpf_`.
    pub(crate) fn new() -> Helpers {
        let full = || HELPERS.iter().map(|helper| (helper.id.0, format!("bpf_{}", helper.name)));
        let short = HELPERS.iter().map(|helper| (helper.name.to_owned(), helper.id.0));
        Helpers {
            by_id: full().collect(),
            by_name: full().map(|(id, name)| (name, id)).chain(short).collect(),
        }
    }

    /// The name of a helper, as C programs write it.
    pub(crate) fn name(&self, id: FuncId) -> Option<&str> {
        self.by_id.get(&id.0).map(String::as_str)
    }
}

impl Names for Helpers {
    fn helper(&self, id: u32) -> Option<&str> {
        self.name(FuncId(id))
    }
}

impl Symbols for Helpers {
    fn helper(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }
}

/// The names within some programs of an object, which stand one after another.
pub(crate) struct ProgramNames<'a> {
    helpers: &'a Helpers,
    object: &'a ObjectSpec,
    functions: HashMap<InsnIdx, &'a str>,
    relocations: HashMap<InsnIdx, &'a Relocation>,
}

impl<'a> ProgramNames<'a> {
    /// Takes the names of programs, each with the slot that it starts at.
    pub(crate) fn new(
        helpers: &'a Helpers,
        object: &'a ObjectSpec,
        programs: impl Iterator<Item = (u32, &'a ProgramSpec)> + Clone,
    ) -> ProgramNames<'a> {
        let functions = programs.clone().flat_map(|(start, program)| {
            let each = program.functions.iter();
            each.map(move |function| (InsnIdx(start + function.start.0), function.name.as_str()))
        });
        let relocations = programs.flat_map(|(start, program)| {
            let each = program.relocations.iter();
            each.map(move |relocation| (InsnIdx(start + relocation.insn.0), relocation))
        });
        ProgramNames { helpers, object, functions: functions.collect(), relocations: relocations.collect() }
    }

    /// The relocation of an instruction, in words.
    pub(crate) fn reference(&self, at: InsnIdx) -> Option<String> {
        self.relocations.get(&at).map(|relocation| plain(&describe(self.object, &relocation.target)))
    }
}

impl Names for ProgramNames<'_> {
    fn helper(&self, id: u32) -> Option<&str> {
        self.helpers.name(FuncId(id))
    }

    fn function(&self, start: InsnIdx) -> Option<&str> {
        self.functions.get(&start).copied()
    }

    fn remark(&self, at: InsnIdx, out: &mut dyn fmt::Write) -> fmt::Result {
        match self.reference(at) {
            Some(text) => out.write_str(&text),
            None => Ok(()),
        }
    }
}

/// Says in words what a relocation refers to.
pub(crate) fn describe(object: &ObjectSpec, target: &RelocTarget) -> String {
    let strength = |weak: bool| if weak { "weak " } else { "" };
    match target {
        RelocTarget::Map(id) => match object.maps.get(id.0 as usize) {
            Some(map) => format!("map {}", map.name),
            None => format!("map {}", id.0),
        },
        RelocTarget::MapValue { map, offset } => {
            let Some(spec) = object.maps.get(map.0 as usize) else {
                return format!("map {}+{offset}", map.0);
            };
            let section = match &spec.origin {
                MapOrigin::Data(data) | MapOrigin::Arena(data) => data.section.as_str(),
                _ => spec.name.as_str(),
            };
            match object.btf.as_ref().and_then(|btf| variable_at(btf, section, *offset)) {
                Some(variable) => format!("{variable} in {section}"),
                None => format!("{section}+{offset}"),
            }
        }
        RelocTarget::Ksym(symbol) => format!("{}kernel variable {}", strength(symbol.weak), symbol.name),
        RelocTarget::Kfunc(symbol) => format!("{}kernel function {}", strength(symbol.weak), symbol.name),
        RelocTarget::Core(core) => {
            let CoreTarget { type_id, access, kind } = &**core;
            let kind = json::core_kind(*kind);
            let ty = match &object.btf {
                Some(btf) => crate::ctype::name(btf, TypeId(type_id.0)),
                None => format!("type {}", type_id.0),
            };
            format!("CO-RE {kind} {ty} {access}")
        }
    }
}

/// The variable that covers a byte of a section, with the distance from its start.
fn variable_at(btf: &Btf<'_>, section: &str, offset: u32) -> Option<String> {
    let (_, datasec) = btf.datasec(section)?;
    let variable = btf.variables(datasec).find(|variable| {
        let end = u64::from(variable.offset) + u64::from(variable.size);
        variable.offset <= offset && u64::from(offset) < end
    })?;
    Some(match offset - variable.offset {
        0 => variable.name.to_owned(),
        distance => format!("{}+{distance}", variable.name),
    })
}
