//! Names for addresses of the kernel.

use skep::Kernel;
use std::collections::{BTreeSet, HashMap};

/// Functions of the kernel by their addresses.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    names: HashMap<u64, String>,
    /// Where calls of helpers are counted from (`__bpf_call_base`, kernel/bpf/core.c).
    base: Option<u64>,
}

impl Symbols {
    /// Reads the names of those functions that calls lie at these distances from `__bpf_call_base`. Where addresses are
    /// not shown there are no names.
    pub(super) fn of_calls(kernel: &Kernel, distances: &BTreeSet<i32>) -> Symbols {
        let none = Symbols::default();
        if distances.is_empty() {
            return none;
        }
        let Ok(bytes) = kernel.sys().file_read("/proc/kallsyms") else { return none };
        let text = String::from_utf8_lossy(&bytes);
        let base = lines(&text).find(|(_, name)| *name == "__bpf_call_base").map(|(address, _)| address);
        let Some(base) = base.filter(|&base| base != 0) else { return none };
        let wanted: BTreeSet<u64> =
            distances.iter().map(|&distance| base.wrapping_add_signed(distance.into())).collect();
        let mut names = HashMap::new();
        for (address, name) in lines(&text).filter(|(address, _)| wanted.contains(address)) {
            // Of several names of one address, the first.
            names.entry(address).or_insert_with(|| name.to_owned());
        }
        Symbols { names, base: Some(base) }
    }

    /// The function that a call leads to.
    pub(super) fn call(&self, distance: i32) -> Option<&str> {
        let address = self.base?.wrapping_add_signed(distance.into());
        self.names.get(&address).map(String::as_str)
    }
}

/// `ADDRESS TYPE NAME [MODULE]`.
fn lines(text: &str) -> impl Iterator<Item = (u64, &str)> {
    text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let address = u64::from_str_radix(words.next()?, 16).ok()?;
        Some((address, words.nth(1)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let text = "ffffffff81000000 T _text\nnonsense\nffffffff81000010 t helper [mod]\n";
        let found: Vec<_> = lines(text).collect();
        assert_eq!(found, [(0xffff_ffff_8100_0000, "_text"), (0xffff_ffff_8100_0010, "helper")]);
    }
}
