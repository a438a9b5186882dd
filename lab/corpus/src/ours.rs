//! Loading by skep.

use crate::load::{Load, Task, Verdict};
use crate::{File, Outcome, sizes};
use skep::{Autoload, Kernel, Object};
use std::fs;

/// Loads what is asked of one object.
pub(crate) fn load(mut task: Task<'_>) -> Outcome<()> {
    let bytes = fs::read(&task.file.path)?;
    let name = task.file.path.display().to_string();
    let programs: Vec<(String, String)> = match Object::parse(&name, &bytes) {
        Err(error) => return (task.say)(Load::unread(error.to_string())),
        Ok(object) => {
            let section = |name: &str| object.program(name).map(|spec| spec.section.clone());
            let named = object.programs().map(|name| Ok((name.to_owned(), section(name)?)));
            named.collect::<skep::Result<_>>()?
        }
    };
    let names: Vec<String> = programs.iter().map(|(name, _)| name.clone()).collect();
    task.go(programs, |index| verdict(alone(&name, &bytes, index.map(|index| names[index].as_str()))))
}

/// Reads and loads a whole object, and tells `loaded` while it is there.
pub(crate) fn whole(file: &File, loaded: &mut dyn FnMut()) -> Outcome<()> {
    // As libbpf does, which loads an object once, keeps what is of use later and frees what a load alone needs.
    let _loaded = set_up(Object::open(&file.path)?, None, 0)?.load_once(&Kernel::linux())?;
    loaded();
    Ok(())
}

/// Loads the whole object, or only one program of it, and lets it go.
fn alone(name: &str, bytes: &[u8], program: Option<&str>) -> skep::Result<()> {
    // A kernel of its own for each: what was found out for one must not help the next.
    only(name, bytes, program, 0)?.load(&Kernel::linux()).map(drop)
}

/// Makes the whole object ready, or only one program of it, with `BPF_F_…` that its section does not ask for.
pub(crate) fn only(name: &str, bytes: &[u8], program: Option<&str>, flags: u32) -> skep::Result<Object> {
    set_up(Object::parse(name, bytes)?, program, flags)
}

/// Sets what a tool would set.
fn set_up(mut object: Object, program: Option<&str>, flags: u32) -> skep::Result<Object> {
    if let Some(program) = program {
        object.only_program(program)?;
        object.program_mut(program)?.set_autoload(Autoload::Yes).add_flags(flags);
    }
    let programs: Vec<String> = object.programs().map(str::to_owned).collect();
    for program in programs {
        let spec = object.program(&program)?;
        if let (None, Some(prog_type)) = (&spec.attach, sizes::prog_type(&spec.section)) {
            object.program_mut(&program)?.set_type(prog_type);
        }
    }
    let maps: Vec<String> = object.maps().map(str::to_owned).collect();
    for map in maps {
        let mut map = object.map_mut(&map)?;
        map.do_not_pin();
        let (kind, entries, value) = (map.spec().map_type, map.spec().max_entries, map.spec().value_size);
        if let Some(entries) = sizes::entries(kind, entries) {
            map.set_max_entries(entries)?;
        }
        if let Some(bytes) = sizes::value_size(kind, value) {
            map.set_value_size(bytes)?;
        }
    }
    Ok(object)
}

fn verdict(loaded: skep::Result<()>) -> Verdict {
    let Err(error) = loaded else { return Verdict::Loaded };
    let errno =
        error.errno().map(|errno| errno.name().map_or_else(|| errno.raw().to_string(), str::to_owned));
    Verdict::Refused { errno, message: error.to_string() }
}
