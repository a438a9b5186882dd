//! Loading: BTF, maps, the programs with their references filled in, then the slots that refer to them.
//!
//! Whatever has been made is owned by a value that undoes it when it is dropped; only a load that succeeds keeps
//! its pins.

mod btf;
mod externs;
mod insns;
mod maps;
mod names;
mod pins;
mod programs;

use crate::error::{Error, ErrorKind, Result};
use crate::{Kernel, Loaded, Map, Object, Program};
use btf::ObjectBtf;
use externs::Externs;
use pins::Pin;
use skep_abi::flags::BPF_ANY;
use skep_model::{MapId, SlotTarget};
use skep_sys::MapFd;
use std::sync::Arc;

/// A load under way.
pub(crate) struct Loading<'o> {
    object: &'o Object,
    kernel: &'o Kernel,
    btf: Option<ObjectBtf>,
    /// One for each map of the object, in order.
    maps: Vec<Arc<MapFd>>,
    pins: Vec<Pin>,
    externs: Externs<'o>,
    notes: Vec<String>,
}

pub(crate) fn load(object: &Object, kernel: &Kernel) -> Result<Loaded> {
    if !object.spec.is_native() {
        return Err(Error::new(ErrorKind::Object, "is for machines of the other byte order"));
    }
    let mut loading = Loading {
        object,
        kernel,
        btf: None,
        maps: Vec::new(),
        pins: Vec::new(),
        externs: Externs::new(object, kernel),
        notes: Vec::new(),
    };
    // What cannot be loaded anyway is said before anything is made.
    for (spec, setting) in loading.programs() {
        programs::check(spec, setting).map_err(|error| error.in_program(&spec.name))?;
    }
    loading.btf = btf::load(object, kernel, &mut loading.notes)?;
    for index in 0..object.spec.maps.len() {
        let map = loading.map(index).map_err(|error| error.in_map(&object.spec.maps[index].name))?;
        loading.maps.push(map);
    }
    loading.fill_maps_of_maps()?;
    let mut loaded = Vec::new();
    for (spec, setting) in loading.programs() {
        let program = loading.program(spec, setting).map_err(|error| error.in_program(&spec.name))?;
        loaded.push(program);
    }
    loading.fill_maps_of_programs(&loaded)?;
    Ok(loading.finish(loaded))
}

impl<'o> Loading<'o> {
    /// The programs that are to be loaded.
    fn programs(
        &self,
    ) -> impl Iterator<Item = (&'o skep_model::ProgramSpec, &'o crate::object::ProgramSetting)> + use<'o>
    {
        let object = self.object;
        object.spec.programs.iter().zip(&object.programs).filter(|(_, setting)| setting.autoload)
    }

    fn map_fd(&self, id: MapId) -> Result<&Arc<MapFd>> {
        let fd = self.maps.get(id.0 as usize);
        fd.ok_or_else(|| {
            Error::new(ErrorKind::Object, format!("refers to map {} of {}", id.0, self.maps.len()))
        })
    }

    /// Fills the slots of maps of maps, now that all maps are there.
    fn fill_maps_of_maps(&self) -> Result<()> {
        for (spec, outer) in self.object.spec.maps.iter().zip(&self.maps) {
            for slot in &spec.initial {
                let SlotTarget::Map(inner) = &slot.target else { continue };
                let inner = self.map_fd(*inner)?.fd().raw();
                put(outer, slot.index, inner).map_err(|error| error.in_map(&spec.name))?;
            }
        }
        Ok(())
    }

    /// Fills the slots of maps of programs; a program that is left out leaves its slot empty.
    fn fill_maps_of_programs(&self, programs: &[Program]) -> Result<()> {
        for (spec, map) in self.object.spec.maps.iter().zip(&self.maps) {
            for slot in &spec.initial {
                let SlotTarget::Program(name) = &slot.target else { continue };
                let Some(program) = programs.iter().find(|program| program.name() == name) else { continue };
                put(map, slot.index, program.fd().fd().raw())
                    .map_err(|error| error.in_map(&spec.name).in_program(name))?;
            }
        }
        Ok(())
    }

    fn finish(self, programs: Vec<Program>) -> Loaded {
        for pin in self.pins {
            pin.keep();
        }
        let btf = self.object.btf.clone();
        let maps = self.object.spec.maps.iter().zip(self.maps);
        let maps = maps.map(|(spec, fd)| Map::loaded(self.kernel, spec, fd, btf.clone())).collect();
        Loaded::new(self.object.file(), self.kernel, btf, maps, programs, self.notes)
    }
}

/// Stores a descriptor in a slot.
fn put(map: &MapFd, index: u32, fd: u32) -> Result<()> {
    map.update(&index.to_ne_bytes(), &fd.to_ne_bytes(), BPF_ANY)
        .map_err(|error| Error::call("BPF_MAP_UPDATE_ELEM", error).hint(&format!("slot {index}")))
}
