//! A shape beside a kernel: its programs, and its maps attached to a machine.

use crate::table::Shape;
use skep_elf::ObjectSpec;
use skep_isa::InsnIdx;
use skep_machine::{Host, Machine, Map, Program, Setup};
use skep_maps::{MapDef, create};
use skep_mem::{Block, OnCpu};
use skep_model::{MapSpec, ProgramSpec, RelocTarget};
use std::fmt;
use std::sync::Arc;

/// The number of Linux's `bpf_tail_call`.
const TAIL_CALL: u32 = 12;
/// The kind of a wide load that names a map by its position (`BPF_PSEUDO_MAP_IDX`).
const BY_POSITION: u8 = 5;

/// A shape's programs and maps.
pub struct Attached {
    host: Arc<dyn Host>,
    maps: Vec<(String, Box<dyn Map>)>,
    programs: Vec<Program>,
    shape: Shape,
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached")
            .field("shape", &self.shape)
            .field("maps", &self.maps)
            .finish_non_exhaustive()
    }
}

impl Attached {
    /// Makes the maps, and fills them.
    ///
    /// # Errors
    /// Says what the object has that is not to be had here.
    pub fn new(shape: &Shape, host: Arc<dyn Host>) -> Result<Attached, String> {
        let object = ObjectSpec::parse(shape.name, shape.machine).map_err(|error| error.to_string())?;
        let maps = object.maps.iter().map(|spec| Ok((spec.name.clone(), map(&host, spec)?)));
        let maps = maps.collect::<Result<Vec<_>, String>>()?;
        let programs = object.programs.iter().map(linked).collect::<Result<_, _>>()?;
        let attached = Attached { host, maps, programs, shape: *shape };
        for (name, key, value) in shape.filled {
            let on = OnCpu::enter(attached.host.cpus());
            let (key, value) = (block(key)?, block(value)?);
            let stored = attached.map(name)?.sys_update(&on, key.bytes(), value.bytes(), 0);
            stored.map_err(|error| format!("{name}: {error}"))?;
        }
        Ok(attached)
    }

    /// Makes a machine of a setup; its first program is the shape's.
    ///
    /// # Errors
    /// Says why it cannot be run.
    pub fn machine<'m>(&'m self, setup: Setup<'m, ()>) -> Result<Machine<'m, ()>, String> {
        let mut setup = setup.host(&*self.host).tail_calls(TAIL_CALL);
        for (fd, (_, map)) in (0..).zip(&self.maps) {
            setup = setup.map(fd, &**map);
        }
        setup.load_all(self.programs.iter().cloned()).map_err(|error| error.to_string())
    }

    /// Gives the runs that were counted, if the shape counts them.
    ///
    /// # Errors
    /// Says why the counter cannot be read.
    pub fn counted(&self) -> Result<Option<u64>, String> {
        let Some(counter) = self.shape.counter else { return Ok(None) };
        let map = self.map(counter.map)?;
        let on = OnCpu::enter(self.host.cpus());
        let (key, value) = (block(counter.key)?, block(&vec![0; map.sys_value_size()])?);
        map.sys_lookup(&on, key.bytes(), value.bytes(), 0).map_err(|error| error.to_string())?;
        let mut bytes = vec![0; map.sys_value_size()];
        value.bytes().copy_out(0, &mut bytes).map_err(|error| error.to_string())?;
        let stride = (map.def().value_size as usize).next_multiple_of(8);
        Ok(Some(bytes.chunks(stride).map(first_number).sum()))
    }

    fn map(&self, name: &str) -> Result<&dyn Map, String> {
        let found = self.maps.iter().find(|(known, _)| known == name);
        found.map(|(_, map)| &**map).ok_or_else(|| format!("there is no map `{name}`"))
    }
}

/// Gives the number of 64 bits at the start of a value.
pub(crate) fn first_number(value: &[u8]) -> u64 {
    value.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

fn block(bytes: &[u8]) -> Result<Block, String> {
    Block::copy_of(bytes).map_err(|error| error.to_string())
}

fn map(host: &Arc<dyn Host>, spec: &MapSpec) -> Result<Box<dyn Map>, String> {
    let def = MapDef {
        map_type: spec.map_type,
        key_size: spec.key_size,
        value_size: spec.value_size,
        max_entries: spec.max_entries,
        flags: spec.flags,
        extra: spec.extra,
        numa_node: 0,
    };
    create(host, &def).map_err(|error| format!("{}: {error}", spec.name))
}

/// Fills the maps in, by their positions.
fn linked(spec: &ProgramSpec) -> Result<Program, String> {
    let mut slots = spec.insns.clone();
    for relocation in &spec.relocations {
        let InsnIdx(at) = relocation.insn;
        let slot = slots.get_mut(at as usize);
        match (&relocation.target, slot) {
            (RelocTarget::Map(map), Some(slot)) => {
                slot.regs = slot.regs & 0xf | BY_POSITION << 4;
                slot.imm = i32::try_from(map.0).map_err(|error| error.to_string())?;
            }
            _ => return Err(format!("{}: instruction {at} wants what only a kernel has", spec.name)),
        }
    }
    Program::from_slots(&slots).map_err(|error| format!("{}: {error}", spec.name))
}
