//! The committed cases, and their programs as the verifier wants them.

use super::{RuleCase, Which, parse_rules, starts};
use skep_isa::InsnIdx;
use skep_lab_world::{Among, MAPS, functions, kernel};
use skep_model::platform::Platform;
use skep_verifier::Subject;
use std::fs;
use std::path::{Path, PathBuf};

/// The cases in `rules/`, by file.
///
/// # Panics
/// On a file that cannot be read, or makes no sense.
pub fn committed() -> Vec<RuleCase> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let read = |path: &PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"));
        parse_rules(&name, &text).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    files.iter().flat_map(read).collect()
}

/// Shows one of a case's programs, in a world of its own, and the instruction that is marked.
///
/// # Panics
/// On a program that makes no sense.
pub fn on_subject<R>(
    case: &RuleCase,
    which: Which,
    look: impl FnOnce(&Subject<'_>, Option<InsnIdx>) -> R,
) -> R {
    let types = |name: &str| kernel().find(name).map(|id| id.0);
    let written = case.program(which, &types).unwrap_or_else(|error| panic!("{}: {error}", case.name));
    let kind = case.kind(which);
    let specials: Vec<_> = case.values.iter().map(|value| value.special().unwrap_or_default()).collect();
    let own = case.values.iter().zip(&specials).map(|(value, special)| value.map(special));
    let maps: Vec<_> = MAPS.iter().copied().chain(own).collect();
    let among = Among(&maps);
    let mut subject = Subject::new(&written.slots, &Platform::LINUX_6_18, kind, &among);
    subject.attach = case.attach;
    subject.licence = case.licence;
    subject.sleep = case.sleep;
    subject.alignment = case.alignment;
    subject.maps = &maps;
    subject.kernel = Some(&kernel().types);
    subject.target = case.target(which).and_then(|name| kernel().find(name));
    let made = functions(kind, &case.functions(which));
    let infos = made.at(&starts(&written.slots).unwrap_or_default());
    if !infos.is_empty() {
        subject.types = Some(&made.types);
        subject.functions = &infos;
    }
    look(&subject, written.marked)
}
