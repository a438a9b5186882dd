//! Loading: BTF, maps, the programs with their references filled in, then the slots that refer to them.
//!
//! Whatever has been made is owned by a value that undoes it when it is dropped; only a load that succeeds keeps
//! its pins.

mod arena;
mod btf;
mod contexts;
mod core;
mod externs;
mod gzip;
mod insns;
pub(crate) mod kconfig;
mod maps;
mod modules;
pub(crate) mod names;
mod pins;
mod programs;
mod struct_ops;
mod types;
mod without;

use self::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::object::{Autocreate, Autoload, ProgramSetting};
use crate::{CoreRelocation, Feature, Instead, Kernel, Loaded, Map, Note, Object, Program};
use arena::Arena;
use btf::ObjectBtf;
use externs::Externs;
use pins::Pin;
use skep_abi::flags::BPF_ANY;
use skep_btf::core::RawInsn;
use skep_model::{DataKind, MapId, MapOrigin, ProgramSpec, RelocTarget, SlotTarget};
use skep_sys::MapFd;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use struct_ops::Ops;
use types::KernelTypes;

/// A load under way.
pub(crate) struct Loading<'o> {
    object: &'o Object,
    kernel: &'o Kernel,
    btf: Option<ObjectBtf>,
    /// One for each map of the object, in order; none where it is not made.
    maps: Vec<Option<Arc<MapFd>>>,
    pins: Vec<Pin>,
    types: KernelTypes<'o>,
    arenas: Vec<Arena>,
    externs: Externs<'o>,
    core: Core<'o>,
    /// The instructions of each program, where they were taken out of the object.
    code: Vec<Vec<RawInsn>>,
    /// The structs of functions that are made, or whose programs are asked for.
    ops: Vec<Ops>,
    notes: Vec<Note>,
}

/// Loads an object, and lets it go: no second copy of its instructions is held, and nothing that is for people only.
pub(crate) fn load_once(mut object: Object, kernel: &Kernel) -> Result<Loaded> {
    object.spec.sections = skep_elf::Sections::default();
    let code = object.spec.programs.iter_mut().map(|program| std::mem::take(&mut program.insns)).collect();
    load_with(&object, kernel, code).map_err(|error| error.in_file(object.file()))
}

pub(crate) fn load(object: &Object, kernel: &Kernel) -> Result<Loaded> {
    load_with(object, kernel, Vec::new())
}

fn load_with(object: &Object, kernel: &Kernel, code: Vec<Vec<RawInsn>>) -> Result<Loaded> {
    if !object.spec.is_native() {
        return Err(Error::new(ErrorKind::Object, "is for machines of the other byte order"));
    }
    kernel.insist_on_token()?;
    let mut loading = Loading {
        object,
        kernel,
        btf: None,
        maps: Vec::new(),
        pins: Vec::new(),
        types: KernelTypes::new(object, kernel, wanted(object)),
        arenas: Vec::new(),
        externs: Externs::new(object, kernel),
        core: Core::new(object),
        code,
        ops: Vec::new(),
        notes: Vec::new(),
    };
    loading.prepare_ops()?;
    for (spec, _) in object.spec.programs.iter().zip(&object.programs).filter(|(_, s)| s.lacks_a_type()) {
        let why = format!("its section's name `{}` says no type", spec.section);
        loading.notes.push(Note::new(None, Instead::NoProgram).in_program(&spec.name).because(why));
    }
    let (had_memory, had_token) = (kernel.has_raised_memlock(), kernel.has_token());
    // What cannot be loaded anyway is said before anything is made.
    for (spec, setting) in loading.programs() {
        programs::check(spec, setting).map_err(|error| error.in_program(&spec.name))?;
    }
    for (spec, setting) in object.spec.maps.iter().zip(&object.maps) {
        if setting.autocreate == Autocreate::Yes {
            loading.check_ring(spec).map_err(|error| error.in_map(&spec.name))?;
        }
    }
    let mut made = loading.ops.iter().filter(|ops| ops.autocreate == Autocreate::Yes);
    let needed_by = made.next().map(|ops| ops.name.as_str());
    let programs: Vec<_> =
        loading.programs().filter_map(|(spec, set)| Some((spec, set.prog_type?))).collect();
    loading.btf = btf::load(object, kernel, &programs, needed_by, &mut loading.notes)?;
    drop(programs);
    let used = Used::by(&loading);
    for index in 0..object.spec.maps.len() {
        let map = loading.map(index, &used).map_err(|error| error.in_map(&object.spec.maps[index].name))?;
        loading.maps.push(map);
    }
    loading.fill_maps_of_maps()?;
    let mut loaded = Vec::new();
    for (index, spec, setting) in loading.numbered() {
        let own = loading.code.get_mut(index).map(std::mem::take);
        let program = loading.program(spec, setting, own).map_err(|error| error.in_program(&spec.name))?;
        // It grows by little, as the code that was loaded makes room.
        if loaded.len() == loaded.capacity() {
            loaded.reserve_exact(loaded.len() / 4 + 1);
        }
        loaded.push(program);
    }
    loading.fill_maps_of_programs(&loaded)?;
    if !had_memory && kernel.has_raised_memlock() {
        loading.notes.push(Note::new(Feature::MemcgAccounting, Instead::MoreLockedMemory));
    }
    if !had_token {
        loading.notes.extend(kernel.token_note());
    }
    Ok(loading.finish(loaded))
}

/// Says of each CO-RE relocation of the programs that are to be loaded what it comes to.
pub(crate) fn core_relocations(object: &Object, kernel: &Kernel) -> Result<Vec<CoreRelocation>> {
    Core::new(object).report(&mut KernelTypes::new(object, kernel, wanted(object)))
}

fn wanted(object: &Object) -> Vec<&ProgramSpec> {
    let all = object.spec.programs.iter().zip(&object.programs);
    all.filter(|(_, setting)| setting.is_loaded(|| true)).map(|(spec, _)| spec).collect()
}

impl<'o> Loading<'o> {
    /// The programs that are to be loaded.
    fn programs(&self) -> impl Iterator<Item = (&'o ProgramSpec, &'o ProgramSetting)> + use<'o> {
        self.numbered().map(|(_, spec, setting)| (spec, setting))
    }

    /// The programs that are to be loaded, each with its place in the object.
    fn numbered(&self) -> impl Iterator<Item = (usize, &'o ProgramSpec, &'o ProgramSetting)> + use<'o> {
        let object = self.object;
        let made = self.ops.iter().filter(|ops| ops.autocreate == Autocreate::Yes);
        let slots = made.flat_map(|ops| &ops.slots);
        let referred: BTreeSet<_> = slots.map(|slot| slot.program.clone()).collect();
        let all = object.spec.programs.iter().zip(&object.programs).enumerate();
        let all = all.map(|(index, (spec, setting))| (index, spec, setting));
        all.filter(move |(_, spec, setting)| setting.is_loaded(|| referred.contains(&spec.name)))
    }

    /// Finds this kernel's form of the structs of functions: of those that are made, and of those that a program is loaded
    /// for because the caller asks for it.
    fn prepare_ops(&mut self) -> Result<()> {
        let object = self.object;
        for (spec, setting) in object.spec.maps.iter().zip(&object.maps) {
            let MapOrigin::StructOps(ops) = &spec.origin else { continue };
            let asked = |name: &String| {
                let found = object.spec.programs.iter().position(|program| program.name == *name);
                found.is_some_and(|at| object.programs[at].autoload == Some(Autoload::Yes))
            };
            if setting.autocreate == Autocreate::Yes || ops.functions.iter().any(|f| asked(&f.program)) {
                let ops = Ops::prepare(&mut self.types, object, spec, ops, setting.autocreate)
                    .map_err(|error| error.in_map(&spec.name))?;
                self.ops.push(ops);
            }
        }
        Ok(())
    }

    /// Gives a map; `None` where it is not made.
    fn map_fd(&self, id: MapId) -> Result<Option<&Arc<MapFd>>> {
        let fd = self.maps.get(id.0 as usize);
        fd.map(Option::as_ref).ok_or_else(|| {
            Error::new(ErrorKind::Object, format!("refers to map {} of {}", id.0, self.maps.len()))
        })
    }

    /// Fills the slots of maps of maps, now that all maps are there.
    fn fill_maps_of_maps(&self) -> Result<()> {
        for (spec, outer) in self.object.spec.maps.iter().zip(&self.maps) {
            let Some(outer) = outer else { continue };
            for slot in &spec.initial {
                let SlotTarget::Map(inner) = &slot.target else { continue };
                let inner = self.map_fd(*inner)?.ok_or_else(|| {
                    let what = format!("slot {} is to hold a map that is not made", slot.index);
                    Error::new(ErrorKind::Setting, what).in_map(&spec.name)
                })?;
                let inner = inner.fd().raw();
                put(outer, slot.index, inner).map_err(|error| error.in_map(&spec.name))?;
            }
        }
        Ok(())
    }

    /// Fills the slots of maps of programs; a program that is left out leaves its slot empty.
    fn fill_maps_of_programs(&self, programs: &[Program]) -> Result<()> {
        for (spec, map) in self.object.spec.maps.iter().zip(&self.maps) {
            let Some(map) = map else { continue };
            for slot in &spec.initial {
                let SlotTarget::Program(name) = &slot.target else { continue };
                let Some(program) = programs.iter().find(|program| program.name() == name) else { continue };
                put(map, slot.index, program.fd().fd().raw())
                    .map_err(|error| error.in_map(&spec.name).in_program(name))?;
            }
        }
        Ok(())
    }

    fn finish(mut self, programs: Vec<Program>) -> Loaded {
        let mut values = BTreeMap::new();
        for ops in std::mem::take(&mut self.ops) {
            let name = ops.name.clone();
            let find = |name: &str| programs.iter().find(|program| program.name() == name);
            values.insert(name, ops.with_programs(|name| Some(find(name)?.fd().fd().raw())));
        }
        for pin in self.pins {
            pin.keep();
        }
        let btf = self.object.btf.clone();
        let mut arenas: BTreeMap<_, _> = self.arenas.into_iter().map(|arena| (arena.map, arena)).collect();
        let maps = self.object.spec.maps.iter().zip(self.maps).zip(0..);
        let made = maps.filter_map(|((spec, fd), index)| Some((spec, fd?, MapId(index))));
        let maps = made.map(|(spec, fd, id)| {
            let map = Map::loaded(self.kernel, spec, fd, btf.clone()).with_ops(values.remove(&spec.name));
            match arenas.remove(&id) {
                Some(arena) => map.with_arena(arena.variables, arena.memory),
                None => map,
            }
        });
        let maps = maps.collect();
        Loaded::new(self.object.file(), self.kernel, btf, maps, programs, self.notes)
    }
}

/// What the programs that are loaded refer to.
struct Used {
    maps: BTreeSet<MapId>,
    /// Offsets in the map of configuration values.
    settings: BTreeSet<u32>,
}

impl Used {
    fn by(loading: &Loading<'_>) -> Used {
        let maps = &loading.object.spec.maps;
        let is_kconfig = |id: &MapId| match maps.get(id.0 as usize).map(|map| &map.origin) {
            Some(MapOrigin::Data(data)) => data.kind == DataKind::Kconfig,
            _ => false,
        };
        let mut used = Used { maps: BTreeSet::new(), settings: BTreeSet::new() };
        let targets = loading.programs().flat_map(|(spec, _)| &spec.relocations).map(|found| &found.target);
        for target in targets {
            match target {
                RelocTarget::Map(map) => _ = used.maps.insert(*map),
                RelocTarget::MapValue { map, offset } => {
                    used.maps.insert(*map);
                    if is_kconfig(map) {
                        used.settings.insert(*offset);
                    }
                }
                _ => {}
            }
        }
        for slot in maps.iter().flat_map(|map| &map.initial) {
            if let SlotTarget::Map(map) = slot.target {
                used.maps.insert(map);
            }
        }
        used
    }
}

/// Stores a descriptor in a slot.
fn put(map: &MapFd, index: u32, fd: u32) -> Result<()> {
    map.update(&index.to_ne_bytes(), &fd.to_ne_bytes(), BPF_ANY)
        .map_err(|error| Error::call("BPF_MAP_UPDATE_ELEM", error).hint(&format!("slot {index}")))
}
