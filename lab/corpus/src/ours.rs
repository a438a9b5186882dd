//! Loading by skep.

use crate::load::{Load, Verdict};
use crate::{File, Outcome, Unit, sizes};
use skep::{Autoload, Kernel, Object};
use std::fs;

/// Loads what is asked of one object; `say` gets each answer.
pub(crate) fn load(
    file: &File,
    unit: Unit,
    skip: usize,
    say: &mut dyn FnMut(Load) -> Outcome<()>,
) -> Outcome<()> {
    let bytes = fs::read(&file.path)?;
    let name = file.path.display().to_string();
    let programs: Vec<(String, String)> = match Object::parse(&name, &bytes) {
        Err(error) => {
            let verdict = Verdict::Unread { message: error.to_string() };
            return say(Load { program: None, section: None, verdict });
        }
        Ok(object) => {
            let section = |name: &str| object.program(name).map(|spec| spec.section.clone());
            let named = object.programs().map(|name| Ok((name.to_owned(), section(name)?)));
            named.collect::<skep::Result<_>>()?
        }
    };
    match unit {
        Unit::Object => {
            let verdict = verdict(alone(&name, &bytes, None));
            say(Load { program: None, section: None, verdict })
        }
        Unit::Program => programs.into_iter().skip(skip).try_for_each(|(program, section)| {
            let verdict = verdict(alone(&name, &bytes, Some(&program)));
            say(Load { program: Some(program), section: Some(section), verdict })
        }),
    }
}

/// Loads the whole object, or only one program of it, and lets it go.
fn alone(name: &str, bytes: &[u8], program: Option<&str>) -> skep::Result<()> {
    let mut object = Object::parse(name, bytes)?;
    if let Some(program) = program {
        object.only_program(program)?;
        object.program_mut(program)?.set_autoload(Autoload::Yes);
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
    // A kernel of its own for each: what was found out for one must not help the next.
    object.load(&Kernel::linux()).map(drop)
}

fn verdict(loaded: skep::Result<()>) -> Verdict {
    let Err(error) = loaded else { return Verdict::Loaded };
    let errno =
        error.errno().map(|errno| errno.name().map_or_else(|| errno.raw().to_string(), str::to_owned));
    Verdict::Refused { errno, message: error.to_string() }
}
