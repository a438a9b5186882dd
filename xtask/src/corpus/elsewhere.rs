//! The comparison in another kernel, in QEMU.
//!
//! An emulated machine takes a minute where this one takes a second. So an object's answers come out as soon as they are
//! there, and those of the same program are kept: what was interrupted goes on where it was.

use crate::boot::{self, Content, Guest, Kernel};
use crate::cargo;
use crate::objects::Object;
use anyhow::{Context, Result};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Objects a boot.
const OBJECTS: usize = 256;

/// How long a side may take for one program there. Those of the self-tests that are there to take long do not end in hours.
const SECONDS: &str = "120";

/// How long a boot may take; what it has answered by then is kept.
const LIMIT: Duration = Duration::from_secs(3 * 60 * 60);

/// Where the program is in the guest.
const PROGRAM: &str = "/bin/skep-lab-corpus";

/// Compares, and returns the file with the answers, a line for each object.
pub(super) fn compare(
    program: &Path,
    words: &[&str],
    kernel: &Kernel,
    objects: &[Object],
) -> Result<PathBuf> {
    let place = cargo::target_dir().join("corpus").join(format!("linux-{}", kernel.version));
    fs::create_dir_all(&place).with_context(|| place.display().to_string())?;
    let whom = of_whom(program, words)?;
    let kept = place.join(format!("{whom:016x}.lines"));
    // A copy: it takes long, and whoever builds it anew meanwhile must not change it.
    let own = place.join(format!("{whom:016x}"));
    fs::copy(program, &own).with_context(|| own.display().to_string())?;
    let mut answered = parse(&fs::read_to_string(&kept).unwrap_or_default());
    for part in parts(&place, whom)? {
        answered.extend(parse(&String::from_utf8_lossy(&fs::read(&part).unwrap_or_default())));
    }
    loop {
        let is_left = |object: &&Object| !answered.contains_key(&object.name());
        let left: Vec<&Object> = objects.iter().filter(is_left).take(OBJECTS).collect();
        println!("{}: {} of {} objects", kernel.version, known(objects, &answered).len(), objects.len());
        let Some(first) = left.first() else { break };
        let output = place.join(format!("{whom:016x}.{}.part", std::process::id()));
        let ran = boot_with(&own, words, kernel, &left, &output);
        let found = parse(&String::from_utf8_lossy(&fs::read(&output).unwrap_or_default()));
        let _ = fs::remove_file(&output);
        if found.is_empty() {
            return Err(ran.err().unwrap_or_else(|| anyhow::anyhow!("nothing was said")))
                .with_context(|| format!("no answers for {}", first.name()));
        }
        if let Err(error) = ran {
            println!("{}: went on after {} objects: {error:#}", kernel.version, found.len());
        }
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&kept)?;
        for line in found.values() {
            writeln!(file, "{line}")?;
        }
        answered.extend(found);
    }
    let _ = fs::remove_file(&own);
    let wanted = place.join(format!("{whom:016x}.{}.answers", std::process::id()));
    fs::write(&wanted, known(objects, &answered).concat())?;
    Ok(wanted)
}

/// What boots have said that nobody has put to the others yet: of a process that was ended, or that still goes on.
fn parts(place: &Path, whom: u64) -> Result<Vec<PathBuf>> {
    let start = format!("{whom:016x}.");
    let is_part = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.starts_with(&start) && name.ends_with(".part")
    };
    let all = fs::read_dir(place)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    Ok(all.into_iter().filter(is_part).collect())
}

/// The lines of the objects that have answers.
fn known(objects: &[Object], answered: &BTreeMap<String, String>) -> Vec<String> {
    let names: HashSet<String> = objects.iter().map(Object::name).collect();
    let known = answered.iter().filter(|(name, _)| names.contains(*name));
    known.map(|(_, line)| format!("{line}\n")).collect()
}

/// A number for the program and what it is told: answers of another are not kept.
fn of_whom(program: &Path, words: &[&str]) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    fs::read(program).with_context(|| program.display().to_string())?.hash(&mut hasher);
    words.hash(&mut hasher);
    Ok(hasher.finish())
}

/// The whole lines, by the object that each is of; the last one may be cut.
fn parse(lines: &str) -> BTreeMap<String, String> {
    let object = |line: &str| -> Option<String> {
        let value: serde_json::Value = serde_json::from_str(line).ok()?;
        value["object"].as_str().map(str::to_owned)
    };
    lines.lines().filter_map(|line| Some((object(line)?, line.to_owned()))).collect()
}

fn boot_with(
    program: &Path,
    words: &[&str],
    kernel: &Kernel,
    objects: &[&Object],
    output: &Path,
) -> Result<()> {
    let mut guest = Guest::new(LIMIT);
    guest.output = Some(output.to_path_buf());
    guest.send(PROGRAM, Content::File(program.to_path_buf()));
    for object in objects {
        guest.send(&format!("/corpus/{}", object.name()), Content::Bytes(fs::read(&object.file)?));
    }
    let words = [&[PROGRAM], words, &["--limit", SECONDS, "--json", "-", "/corpus"]].concat();
    guest.command = words.into_iter().map(str::to_owned).collect();
    let ran = boot::run_in(kernel, &guest)?;
    let said = String::from_utf8_lossy(&ran.stderr);
    anyhow::ensure!(ran.status == 0, "exit status {}: {said}", ran.status);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_is_no_answer() {
        let lines = "{\"object\":\"p/a.o\",\"pairs\":[]}\n{\"object\":\"p/b.o\",\"pai";
        let found = parse(lines);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["p/a.o"]);
        assert!(parse("").is_empty());
    }
}
