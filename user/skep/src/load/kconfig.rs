//! `.kconfig`: variables that hold what the kernel was configured with, and what loaders know of it.
//!
//! The types, the order of the places that are looked at, and the names that stand in no configuration are libbpf's
//! (`bpf_object__resolve_externs`, `find_kcfg_type`, `get_kernel_version`).

use super::externs::Externs;
use super::gzip;
use crate::Kernel;
use crate::error::{Error, ErrorKind, Result};
use skep_abi::Errno;
use skep_btf::{Btf, Def, IntEncoding, TypeId};
use skep_elf::{ExternKind, ExternSpec};
use skep_model::platform::version::Version;
use std::collections::{BTreeMap, BTreeSet};

/// What a variable can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `bool`.
    Flag,
    /// An integer of one byte: `'y'`, `'m'`, `'n'`, or a number.
    Char(Signed),
    /// An integer.
    Int(Signed),
    /// `enum libbpf_tristate`.
    Tristate,
    /// An array of characters.
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signed {
    Yes,
    No,
}

/// The name of the enumeration of `y`, `m` and `n` (`bpf_helpers.h`).
const TRISTATE: &str = "libbpf_tristate";

/// One value of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setting<'t> {
    /// `y`, `m` or `n`.
    Letter(u8),
    /// The text between the quotes.
    Text(&'t str),
    /// A number, as wide as the widest variable.
    Number(u64),
}

impl Externs<'_> {
    /// Gives the contents of the map of configuration values, of `len` bytes. Only a variable at one of the offsets
    /// `used` must have a value.
    pub(super) fn kconfig(&self, len: usize, used: &BTreeSet<u32>) -> Result<Vec<u8>> {
        let Some(btf) = self.object.btf.as_deref() else { return Ok(Vec::new()) };
        let mut bytes = vec![0; len];
        let mut options = Vec::new();
        for spec in &self.object.spec.externs {
            let ExternKind::Kconfig { offset, size } = spec.kind else { continue };
            let fail = |error: Error| error.in_variable(&spec.name);
            if spec.name.starts_with("CONFIG_") {
                options.push((spec, offset, size));
                continue;
            }
            match self.own_value(&spec.name).map_err(fail)? {
                Some(value) => store(btf, spec, Setting::Number(value), &mut bytes, offset, size)?,
                None if spec.weak || !used.contains(&offset) => {}
                None => {
                    let what = "no such value is known; declare it __weak to do without";
                    return Err(fail(Error::new(ErrorKind::Unsupported, what)));
                }
            }
        }
        let mut wanted: BTreeMap<&str, _> =
            options.iter().map(|option| (option.0.name.as_str(), *option)).collect();
        let mut fill = |text: &str, wanted: &mut BTreeMap<&str, (&ExternSpec, u32, u32)>| {
            for line in text.lines().filter(|line| line.starts_with("CONFIG_")) {
                let Some((name, value)) = line.split_once('=') else { continue };
                let Some((spec, offset, size)) = wanted.remove(name) else { continue };
                let setting = Setting::parse(value).ok_or_else(|| {
                    let what = format!("`{value}` is no value of a configuration");
                    Error::new(ErrorKind::Setting, what).in_variable(name)
                })?;
                store(btf, spec, setting, &mut bytes, offset, size)?;
            }
            Ok::<(), Error>(())
        };
        fill(&self.object.kconfig, &mut wanted)?;
        let mut shown = true;
        if let Some(name) =
            options.iter().map(|option| &option.0.name).find(|n| wanted.contains_key(n.as_str()))
        {
            match config(self.kernel).map_err(|error| error.in_variable(name))? {
                Some(text) => fill(&text, &mut wanted)?,
                None => shown = false,
            }
        }
        let is_missed = |option: &&(&ExternSpec, u32, u32)| {
            let (spec, offset, _) = option;
            wanted.contains_key(spec.name.as_str()) && !spec.weak && used.contains(offset)
        };
        match options.iter().find(is_missed) {
            None => Ok(bytes),
            Some((spec, ..)) => {
                let what = match shown {
                    true => "this kernel's configuration does not set it",
                    false => "this kernel shows no configuration (/boot/config-RELEASE, /proc/config.gz)",
                };
                let hint = "declare it __weak to do without, or set it with Object::set_kconfig";
                Err(Error::new(ErrorKind::Unsupported, what).hint(hint).in_variable(&spec.name))
            }
        }
    }

    /// Gives the values that stand in no configuration.
    fn own_value(&self, name: &str) -> Result<Option<u64>> {
        Ok(match name {
            "LINUX_KERNEL_VERSION" => Some(version_code(self.kernel)?.into()),
            // Since Linux 5.15 (7adfc6c9b315).
            "LINUX_HAS_BPF_COOKIE" => Some(u64::from(self.kernel.version()? >= Version::new(5, 15))),
            "LINUX_HAS_SYSCALL_WRAPPER" => Some(u64::from(self.kernel.version()? >= WRAPPED_SINCE)),
            _ => None,
        })
    }
}

/// The first Linux whose system calls are reached through `__ARCH_sys_NAME`, which gets the registers alone
/// (`ARCH_HAS_SYSCALL_WRAPPER`); elsewhere none has.
const WRAPPED_SINCE: Version = if cfg!(any(target_arch = "x86_64", target_arch = "x86")) {
    Version::new(4, 17)
} else if cfg!(target_arch = "s390x") {
    Version::new(4, 18)
} else if cfg!(target_arch = "aarch64") {
    Version::new(4, 19)
} else if cfg!(any(target_arch = "powerpc64", target_arch = "powerpc")) {
    Version::new(6, 1)
} else if cfg!(target_arch = "riscv64") {
    Version::new(6, 6)
} else {
    Version::new(u8::MAX, u8::MAX)
};

/// Refuses text that is no configuration: each line is empty, a comment, or `CONFIG_NAME=value`.
pub(crate) fn check(text: &str) -> Result<()> {
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let pair = line.split_once('=').filter(|(name, _)| name.starts_with("CONFIG_"));
        if pair.and_then(|(_, value)| Setting::parse(value)).is_none() {
            let what = format!("wanted lines like CONFIG_NAME=value, found `{line}`");
            return Err(Error::new(ErrorKind::Setting, what));
        }
    }
    Ok(())
}

impl<'t> Setting<'t> {
    fn parse(value: &'t str) -> Option<Setting<'t>> {
        match value.as_bytes() {
            [letter @ (b'y' | b'm' | b'n')] => Some(Setting::Letter(*letter)),
            [b'"', ..] => Some(Setting::Text(value.strip_prefix('"')?.strip_suffix('"')?)),
            _ => number(value).map(Setting::Number),
        }
    }
}

/// Reads a number as C's `strtoull` does with base 0: decimal, hexadecimal after `0x`, octal after `0`; a negative one
/// in two's complement.
fn number(text: &str) -> Option<u64> {
    let (minus, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    // `from_str_radix` would take a sign of its own.
    let digits = Some(digits).filter(|digits| !digits.starts_with(['+', '-']))?;
    let found = u64::from_str_radix(digits, radix).ok()?;
    Some(if minus { found.wrapping_neg() } else { found })
}

/// Finds what a variable of a type can hold.
fn form(btf: &Btf<'_>, type_id: TypeId) -> Option<Form> {
    let ty = btf.resolve(type_id).ok()?;
    match ty.def() {
        Def::Int(int) if int.encoding == IntEncoding::BOOL => (int.size == 1).then_some(Form::Flag),
        Def::Int(int) => {
            let signed = if int.encoding == IntEncoding::SIGNED { Signed::Yes } else { Signed::No };
            match int.size {
                1 => Some(Form::Char(signed)),
                2 | 4 | 8 => Some(Form::Int(signed)),
                _ => None,
            }
        }
        Def::Enum(_) => (ty.name() == TRISTATE).then_some(Form::Tristate),
        Def::Array(array) if array.len != 0 => {
            matches!(form(btf, array.elem), Some(Form::Char(_))).then_some(Form::Text)
        }
        _ => None,
    }
}

/// Writes a value to the variable's place.
fn store(
    btf: &Btf<'_>,
    spec: &ExternSpec,
    setting: Setting<'_>,
    bytes: &mut [u8],
    offset: u32,
    size: u32,
) -> Result<()> {
    let fail = |kind, what: String| Error::new(kind, what).in_variable(&spec.name);
    let place = bytes.get_mut(offset as usize..offset.saturating_add(size) as usize);
    let place = place.ok_or_else(|| fail(ErrorKind::Object, "lies outside its section".to_owned()))?;
    let form = form(btf, TypeId(spec.type_id.0)).ok_or_else(|| {
        let what = "is neither bool, an integer, enum libbpf_tristate nor an array of char";
        fail(ErrorKind::Object, what.to_owned())
    })?;
    let number = match (form, setting) {
        (Form::Text, Setting::Text(text)) => {
            // Cut where it is too long, and always ended by a NUL.
            let len = text.len().min(place.len().saturating_sub(1));
            place[..len].copy_from_slice(&text.as_bytes()[..len]);
            return Ok(());
        }
        (Form::Flag, Setting::Letter(letter @ (b'y' | b'n'))) => u64::from(letter == b'y'),
        (Form::Tristate, Setting::Letter(letter)) => match letter {
            b'y' => 1,
            b'm' => 2,
            _ => 0,
        },
        (Form::Char(_), Setting::Letter(letter)) => letter.into(),
        (Form::Flag, Setting::Number(number @ (0 | 1))) if spec.name.starts_with("LINUX_") => number,
        (Form::Char(signed) | Form::Int(signed), Setting::Number(number)) if fits(number, size, signed) => {
            number
        }
        (_, setting) => {
            let what = format!("this kernel's configuration says {setting}, which its type cannot hold");
            return Err(fail(ErrorKind::Unsupported, what));
        }
    };
    // Of a number that fits, the low bytes.
    let wide = number.to_ne_bytes();
    let from = if cfg!(target_endian = "big") { 8 - place.len().min(8) } else { 0 };
    for (to, from) in place.iter_mut().zip(&wide[from..]) {
        *to = *from;
    }
    Ok(())
}

/// Tells whether an integer of so many bytes can hold a number.
fn fits(number: u64, size: u32, signed: Signed) -> bool {
    let spare = 64u32.saturating_sub(size * 8);
    match signed {
        Signed::No => number << spare >> spare == number,
        Signed::Yes => (number as i64) << spare >> spare == number as i64,
    }
}

impl std::fmt::Display for Setting<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Setting::Letter(letter) => write!(f, "{}", char::from(*letter)),
            Setting::Text(text) => write!(f, "\"{text}\""),
            Setting::Number(number) => write!(f, "{number}"),
        }
    }
}

/// Reads a file that need not be there, or need not be for everybody.
fn optional(kernel: &Kernel, path: &str) -> Result<Option<Vec<u8>>> {
    match kernel.sys().file_read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if [Errno::ENOENT, Errno::EACCES, Errno::EPERM].contains(&error.errno()) => Ok(None),
        Err(error) => Err(Error::call("read", error).at_path(path)),
    }
}

/// Reads the kernel's configuration, from where the distribution or the kernel itself keeps it; `None` where neither does.
fn config(kernel: &Kernel) -> Result<Option<String>> {
    let release = kernel.read_text("/proc/sys/kernel/osrelease")?;
    let boot = format!("/boot/config-{}", release.trim());
    let mut refused = None;
    for path in [boot.as_str(), "/proc/config.gz"] {
        let bytes = match kernel.sys().file_read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let error = Error::call("read", error).at_path(path);
                match error.errno() {
                    Some(Errno::ENOENT) => {}
                    Some(Errno::EACCES | Errno::EPERM) => refused = refused.or(Some(error)),
                    _ => return Err(error),
                }
                continue;
            }
        };
        let text = if gzip::is_gzip(&bytes) { gzip::gunzip(&bytes) } else { Some(bytes) };
        let text = text.and_then(|text| String::from_utf8(text).ok());
        return match text {
            Some(text) => Ok(Some(text)),
            None => Err(Error::call("read", Errno::EINVAL).at_path(path).hint("it holds no configuration")),
        };
    }
    refused.map_or(Ok(None), Err)
}

/// Gives the number of `KERNEL_VERSION(a, b, c)`. Ubuntu and Debian build kernels of a stable version under the name of
/// its first, and say elsewhere which it is.
fn version_code(kernel: &Kernel) -> Result<u32> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let ubuntu = optional(kernel, "/proc/version_signature")?.map(text);
    let found = ubuntu.as_deref().and_then(|text| code(text.split_ascii_whitespace().nth(2)?));
    if let Some(found) = found {
        return Ok(found);
    }
    let build = optional(kernel, "/proc/sys/kernel/version")?.map(text);
    let found = build.as_deref().and_then(|text| code(text.split_once("Debian ")?.1));
    if let Some(found) = found {
        return Ok(found);
    }
    const PATH: &str = "/proc/sys/kernel/osrelease";
    code(&kernel.read_text(PATH)?)
        .ok_or_else(|| Error::call("read", Errno::EINVAL).at_path(PATH).hint("it holds no version"))
}

/// Packs the version that a text such as `6.12.9-amd64` begins with.
fn code(text: &str) -> Option<u32> {
    let numbers = text.split(|c: char| !c.is_ascii_digit()).take(3);
    let mut parts = numbers.map(|number| number.parse::<u32>().ok());
    let (major, minor) = (parts.next()??, parts.next()??);
    let patch = parts.next().flatten().unwrap_or(0);
    // The patch level has eight bits and stays at the top of them (`LINUX_VERSION_CODE`, since Linux 5.10.9).
    Some(major.min(0xffff) << 16 | minor.min(255) << 8 | patch.min(255))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_packed() {
        assert_eq!(code("6.12.9-amd64\n"), Some(0x06_0c_09));
        assert_eq!(code("5.10.300"), Some(0x05_0a_ff));
        assert_eq!(code("6.18-rc1"), Some(0x06_12_00));
        assert_eq!(code("5.10.3-1 (2021-01-01)"), Some(0x05_0a_03));
        assert_eq!(code("x"), None);
    }

    #[test]
    fn values_are_read_as_c_does() {
        let number = |text| match Setting::parse(text) {
            Some(Setting::Number(number)) => Some(number as i64),
            _ => None,
        };
        assert_eq!(number("1000"), Some(1000));
        assert_eq!(number("0x1f"), Some(31));
        assert_eq!(number("017"), Some(15));
        assert_eq!(number("0"), Some(0));
        assert_eq!(number("-3"), Some(-3));
        for bad in ["", "-", "0x", "--1", "-+1", "+1", "1k", "yes", "\"open", "99999999999999999999"] {
            assert_eq!(Setting::parse(bad), None, "{bad}");
        }
        assert_eq!(Setting::parse("m"), Some(Setting::Letter(b'm')));
        assert_eq!(Setting::parse("\"(none)\""), Some(Setting::Text("(none)")));
    }

    #[test]
    fn numbers_fit_or_not() {
        assert!(fits(255, 1, Signed::No) && !fits(256, 1, Signed::No));
        assert!(fits(127, 1, Signed::Yes) && !fits(128, 1, Signed::Yes));
        assert!(fits(-128i64 as u64, 1, Signed::Yes) && !fits(-129i64 as u64, 1, Signed::Yes));
        assert!(fits(u64::MAX, 8, Signed::No) && fits(u64::MAX, 8, Signed::Yes));
        assert!(!fits(u64::MAX, 4, Signed::No) && fits(u64::MAX, 4, Signed::Yes));
    }
}
