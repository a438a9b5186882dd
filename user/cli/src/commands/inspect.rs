//! `skep prog`, `skep map`, `skep link`, `skep btf list`: what the running kernel holds, whoever brought it.

mod btf;
mod code;
mod link;
mod machine;
mod map;
mod program;
mod symbols;
mod xlated;

pub(crate) use btf::{list as btf_list, show as btf_show};
pub(crate) use link::run as link;
pub(crate) use map::run as map;
pub(crate) use program::run as prog;

use crate::failure::Failure;
use crate::render::table::plain;
use serde_json::{Value, json};
use skep::sys::ObjectKind;
use skep::{Error, ErrorKind, Holders, Kernel, Pins, Process};
use std::path::{Path, PathBuf};

/// Which objects are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selector {
    All,
    Id(u32),
    Name(String),
    Tag([u8; 8]),
    Pinned(PathBuf),
}

/// What can pick an object of a kind.
#[derive(Clone, Copy)]
pub(crate) enum By {
    Id,
    Name,
    Tag,
    Pinned,
}

impl By {
    const fn word(self) -> &'static str {
        match self {
            By::Id => "id",
            By::Name => "name",
            By::Tag => "tag",
            By::Pinned => "pinned",
        }
    }
}

impl Selector {
    /// Reads `id N`, `name NAME`, `tag TAG`, `pinned PATH`, or a number alone; nothing means all.
    ///
    /// # Errors
    /// Says what was wanted.
    pub(crate) fn parse(words: &[String], allowed: &[By]) -> Result<Selector, Failure> {
        let wanted = || {
            let list: Vec<String> =
                allowed.iter().map(|by| format!("{} {}", by.word(), by.word().to_uppercase())).collect();
            Failure::usage(format_args!("wanted {}, found `{}`", list.join(", "), plain(&words.join(" "))))
        };
        let (word, value) = match words {
            [] => return Ok(Selector::All),
            [id] => ("id", id),
            [word, value] => (word.as_str(), value),
            _ => return Err(wanted()),
        };
        let by = allowed.iter().find(|by| by.word() == word).ok_or_else(wanted)?;
        match by {
            By::Id => value.parse().map(Selector::Id).map_err(|_| wanted()),
            By::Name => Ok(Selector::Name(value.clone())),
            By::Tag => tag(value).map(Selector::Tag).ok_or_else(wanted),
            By::Pinned => Ok(Selector::Pinned(PathBuf::from(value))),
        }
    }

    /// Says that nothing is picked.
    fn nothing(&self, noun: &str) -> Failure {
        Failure::usage(match self {
            Selector::Name(name) => format!("there is no {noun} called {}", plain(name)),
            Selector::Tag(tag) => format!("there is no {noun} with the tag {}", crate::json::hex(tag)),
            _ => format!("there is no such {noun}"),
        })
    }
}

fn tag(text: &str) -> Option<[u8; 8]> {
    if text.len() != 16 || !text.is_ascii() {
        return None;
    }
    u64::from_str_radix(text, 16).ok().map(u64::to_be_bytes)
}

/// A path as the kernel is to be told it: absolute, as every path that crosses the seam.
fn absolute(path: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(path).map_err(|error| Failure::file(path, &error))?;
    absolute
        .into_os_string()
        .into_string()
        .map_err(|_| Failure::usage(format_args!("the path {} is not UTF-8", path.display())))
}

/// Picks objects: one by its id or pin, or all that pass.
///
/// # Errors
/// Says that nothing is picked, or what the kernel refuses.
fn pick<T>(
    selector: &Selector,
    noun: &str,
    by_id: impl Fn(u32) -> Result<T, Error>,
    by_pin: impl Fn(&str) -> Result<T, Error>,
    ids: impl Iterator<Item = Result<u32, Error>>,
    passes: impl Fn(&T) -> bool,
) -> Result<Vec<T>, Failure> {
    match selector {
        Selector::Id(id) => return Ok(vec![by_id(*id)?]),
        Selector::Pinned(path) => return Ok(vec![by_pin(&absolute(path)?)?]),
        _ => {}
    }
    let mut picked = Vec::new();
    for id in ids {
        match by_id(id?) {
            Ok(object) if passes(&object) => picked.push(object),
            Ok(_) => {}
            // It has gone in the meantime.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    if picked.is_empty() && *selector != Selector::All {
        return Err(selector.nothing(noun));
    }
    Ok(picked)
}

/// What keeps objects there: processes with descriptors, and pins.
struct Keepers {
    holders: Holders,
    pins: Pins,
}

impl Keepers {
    fn read(kernel: &Kernel) -> Result<Keepers, Failure> {
        Ok(Keepers { holders: kernel.holders()?, pins: kernel.pins()? })
    }

    /// Adds the processes and the pins of an object to its members.
    fn add_to(&self, members: &mut Value, kind: ObjectKind, id: u32) {
        members["pinned"] = json!(self.pins.of(kind, id));
        members["pids"] = processes(&self.holders, kind, id);
    }

    /// The processes in words.
    fn held_by(&self, kind: ObjectKind, id: u32) -> String {
        held_by(&self.holders, kind, id)
    }

    /// The pins in words.
    fn pinned(&self, kind: ObjectKind, id: u32) -> String {
        self.pins.of(kind, id).join(", ")
    }
}

/// The processes that hold an object, as JSON.
fn processes(holders: &Holders, kind: ObjectKind, id: u32) -> Value {
    holders.of(kind, id).iter().map(|process| json!({ "pid": process.pid, "comm": process.comm })).collect()
}

/// The same in words.
fn held_by(holders: &Holders, kind: ObjectKind, id: u32) -> String {
    let one = |process: &Process| format!("{} ({})", process.comm, process.pid);
    let list: Vec<String> = holders.of(kind, id).iter().map(one).collect();
    list.join(", ")
}

/// Says how long ago something was, of times since the boot in nanoseconds.
fn age(kernel: &Kernel, then_ns: u64) -> Option<String> {
    let text = kernel.sys().file_read("/proc/uptime").ok()?;
    let uptime: f64 = std::str::from_utf8(&text).ok()?.split_whitespace().next()?.parse().ok()?;
    let seconds = (uptime - then_ns as f64 / 1e9).max(0.0) as u64;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    Some(match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s ago"),
        (0, 0, _) => format!("{minutes} min ago"),
        (0, ..) => format!("{hours} h {minutes} min ago"),
        _ => format!("{days} d {hours} h ago"),
    })
}

/// Writes `name  value` lines, of those that have a value.
fn fields(out: &mut dyn std::io::Write, fields: &[(&str, String)]) -> std::io::Result<()> {
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        writeln!(out, "  {name:<10} {}", plain(value))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_read_or_refused() {
        let parse = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            Selector::parse(&words, &[By::Id, By::Name, By::Tag, By::Pinned])
        };
        assert_eq!(parse(&[]).unwrap(), Selector::All);
        assert_eq!(parse(&["7"]).unwrap(), Selector::Id(7));
        assert_eq!(parse(&["id", "7"]).unwrap(), Selector::Id(7));
        assert_eq!(parse(&["name", "7"]).unwrap(), Selector::Name("7".to_owned()));
        assert_eq!(parse(&["tag", "00000000000000ff"]).unwrap(), Selector::Tag([0, 0, 0, 0, 0, 0, 0, 255]));
        assert_eq!(parse(&["pinned", "/x"]).unwrap(), Selector::Pinned("/x".into()));
        for bad in [
            &["x"][..],
            &["id", "x"],
            &["id", "-1"],
            &["tag", "ff"],
            &["tag", "é0000000000000f"],
            &["by", "1"],
        ] {
            assert!(parse(bad).unwrap_err().message.starts_with("wanted id ID"), "{bad:?}");
        }
        assert!(Selector::parse(&["name".to_owned(), "x".to_owned()], &[By::Id]).is_err());
    }
}
