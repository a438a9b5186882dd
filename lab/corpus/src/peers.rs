//! Loading whole objects by other Rust crates, for measurements.

use crate::{File, Outcome, sizes};
use aya::programs::Program;
use aya::{Btf, EbpfLoader};
use skep_abi::MapType;

/// Loads by libbpf-rs, and tells `loaded` while the object is there.
pub(crate) fn libbpf_rs(file: &File, loaded: &mut dyn FnMut()) -> Outcome<()> {
    libbpf_rs::set_print(None);
    let mut object = libbpf_rs::ObjectBuilder::default().open_file(&file.path)?;
    for mut map in object.maps_mut() {
        let kind = MapType(map.map_type() as u32);
        if let Some(entries) = sizes::entries(kind, map.max_entries()) {
            map.set_max_entries(entries)?;
        }
    }
    let _object = object.load()?;
    loaded();
    Ok(())
}

/// Loads by aya, and tells `loaded` while the object is there.
pub(crate) fn aya(file: &File, loaded: &mut dyn FnMut()) -> Outcome<()> {
    let bytes = std::fs::read(&file.path)?;
    let mut object = EbpfLoader::new().load(&bytes)?;
    let mut types = None;
    for (name, program) in object.programs_mut() {
        match program {
            Program::KProbe(program) => program.load()?,
            Program::UProbe(program) => program.load()?,
            Program::TracePoint(program) => program.load()?,
            Program::RawTracePoint(program) => program.load()?,
            Program::PerfEvent(program) => program.load()?,
            Program::SocketFilter(program) => program.load()?,
            Program::SchedClassifier(program) => program.load()?,
            Program::CgroupSkb(program) => program.load()?,
            Program::Xdp(program) => program.load()?,
            Program::BtfTracePoint(program) => {
                if types.is_none() {
                    types = Some(Btf::from_sys_fs()?);
                }
                // libbpf's tools name such programs after the tracepoint.
                if let Some(types) = &types {
                    program.load(name, types)?;
                }
            }
            _ => return Err(format!("{name} is of a type that is not measured").into()),
        }
    }
    loaded();
    Ok(())
}
