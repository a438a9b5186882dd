//! Objects loaded into the running kernel, by skep and by libbpf: skep has to load whatever libbpf loads.

use super::Object;
use crate::tools;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// What libbpf loads and skep does not yet, and why. The list may only shrink: an entry that loads is a fault.
const KNOWN: &[(&str, &str)] = &[];

/// The loads so far.
pub(super) struct Loads {
    /// Why there are none, if so.
    missing: Option<String>,
    kernel: skep::Kernel,
    /// What libbpf loaded, and what skep said of it.
    by_libbpf: Vec<(String, Result<(), String>)>,
    /// How many it did not load.
    refused: usize,
}

impl Loads {
    /// Finds out whether anything can be loaded here.
    pub(super) fn begin() -> Self {
        let missing = match tools::is_root() {
            true => ["bpftool", "unshare"].iter().find_map(|program| tools::need(program).err()),
            false => Some("needs root".to_owned()),
        };
        Self { missing, kernel: skep::Kernel::linux(), by_libbpf: Vec::new(), refused: 0 }
    }

    /// Loads an object by libbpf, and by skep if libbpf did.
    pub(super) fn object(&mut self, object: &Object) -> Result<()> {
        if self.missing.is_some() {
            return Ok(());
        }
        if by_libbpf(&object.file)? {
            let ours = self.by_skep(&object.file).map_err(|error| error.to_string());
            self.by_libbpf.push((object.name(), ours));
        } else {
            self.refused += 1;
        }
        Ok(())
    }

    /// Loads an object without leaving pins, and lets it go.
    fn by_skep(&self, file: &Path) -> skep::Result<()> {
        let mut object = skep::Object::open(file)?;
        let maps: Vec<String> = object.maps().map(str::to_owned).collect();
        for map in maps {
            object.map_mut(&map)?.do_not_pin();
        }
        object.load(&self.kernel).map(drop)
    }
}

/// Whether libbpf loads an object. Its pins are in a file system of their own, which ends with the command.
fn by_libbpf(file: &Path) -> Result<bool> {
    let script = "mount -t bpf bpf /sys/fs/bpf && exec bpftool prog loadall \"$1\" /sys/fs/bpf/programs";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--", "sh", "-c", script, "sh"]).arg(file);
    Ok(command.output().context("cannot run unshare")?.status.success())
}

/// Adds what is wrong to `faults`, and says what was loaded.
pub(super) fn finish(loads: Loads, faults: &mut Vec<String>) -> String {
    let Loads { missing, by_libbpf, refused, .. } = loads;
    if let Some(reason) = missing {
        println!("skipped: loads beside libbpf: {reason}");
        return "none loaded".to_owned();
    }
    let total = by_libbpf.len();
    let both = by_libbpf.iter().filter(|(_, ours)| ours.is_ok()).count();
    judge(by_libbpf, KNOWN, faults);
    format!("skep loads {both} of the {total} that libbpf loads; libbpf refuses {refused}")
}

/// Holds the answers beside the list.
fn judge(by_libbpf: Vec<(String, Result<(), String>)>, known: &[(&str, &str)], faults: &mut Vec<String>) {
    for (name, ours) in by_libbpf {
        let entry = known.iter().find(|(known, _)| *known == name);
        match (ours, entry) {
            (Ok(()), None) => {}
            (Ok(()), Some(_)) => faults.push(format!("{name}: loads now; take it off the list")),
            (Err(_), Some((_, reason))) => println!("known: {name}: {reason}"),
            (Err(error), None) => faults.push(format!("{name}: libbpf loads it, skep does not: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_may_only_shrink() {
        let faults = |ours: Result<(), String>, known: &[(&str, &str)]| {
            let mut faults = Vec::new();
            judge(vec![("p/a.o".to_owned(), ours)], known, &mut faults);
            faults.len()
        };
        let known = [("p/a.o", "why")];
        assert_eq!((faults(Ok(()), &[]), faults(Err(String::new()), &known)), (0, 0));
        assert_eq!((faults(Ok(()), &known), faults(Err(String::new()), &[])), (1, 1));
    }
}
