//! Which sizes and flags each map kind takes.

use super::ask::{Asker, Wanted, needs_btf};
use anyhow::{Result, bail};
use skep_abi::{MapType as M, flags};
use std::collections::BTreeMap;
use std::fmt::Write;

const HEAD: &str = "\
# Made by `cargo xtask platform`: what Linux 6.18 (x86-64, root) answers to BPF_MAP_CREATE: errno, 0 for success.
# base TYPE key value entries flags: what the lines of that type vary. key/value/entries/flag TYPE answer numbers.
";

const KEYS: &[u32] = &[0, 1, 2, 4, 5, 8, 16, 260, 261, 512, 513];
const VALUES: &[u32] = &[0, 1, 3, 4, 5, 7, 8, 12, 16, 1016, 1024, 4096, 32768, 32769];
const ENTRIES: &[u32] = &[0, 1, 3, 4095, 4096, 8192];

/// A map that each kind makes.
fn base(kind: M) -> Option<Wanted> {
    let (key, value, entries, flags) = match kind {
        // Registered for a kernel struct only.
        M::UNSPEC | M::STRUCT_OPS => return None,
        // Later than this kernel.
        M::INSN_ARRAY => return None,
        M::RINGBUF | M::USER_RINGBUF => (0, 0, 4096, 0),
        M::QUEUE | M::STACK | M::BLOOM_FILTER => (0, 8, 8, 0),
        M::ARENA => (0, 0, 4, flags::BPF_F_MMAPABLE),
        M::LPM_TRIE => (8, 8, 8, flags::BPF_F_NO_PREALLOC),
        M::CGROUP_STORAGE | M::PERCPU_CGROUP_STORAGE => (8, 8, 0, 0),
        M::STACK_TRACE => (4, 64, 8, 0),
        kind if needs_btf(kind) => (4, 4, 0, flags::BPF_F_NO_PREALLOC),
        M::HASH | M::ARRAY | M::PERCPU_HASH | M::PERCPU_ARRAY | M::LRU_HASH | M::LRU_PERCPU_HASH => {
            (4, 8, 8, 0)
        }
        _ => (4, 4, 8, 0),
    };
    Some(Wanted { kind, key, value, entries, flags })
}

/// Makes the file of answers.
pub(super) fn creations(asker: &Asker) -> Result<String> {
    let mut text = HEAD.to_owned();
    for &kind in M::ALL {
        let Some(base) = base(kind) else { continue };
        let name = kind.short_name().unwrap_or("?");
        if let Err(errno) = asker.create(base) {
            bail!("{kind} as the base: {errno}");
        }
        writeln!(text, "base {name} {} {} {} {}", base.key, base.value, base.entries, base.flags)?;
        let mut ask = |what: &str, numbers: &[u32], with: &dyn Fn(u32) -> Wanted| -> Result<()> {
            let mut by_answer = BTreeMap::<i32, Vec<u32>>::new();
            for &number in numbers {
                let answer = asker.create(with(number)).err().map_or(0, |errno| errno.raw());
                by_answer.entry(answer).or_default().push(number);
            }
            for (answer, numbers) in by_answer {
                write!(text, "{what} {name} {answer}")?;
                for number in numbers {
                    write!(text, " {number}")?;
                }
                text.push('\n');
            }
            Ok(())
        };
        ask("key", KEYS, &|key| Wanted { key, ..base })?;
        // The size of a value with BTF is the type's.
        if !needs_btf(kind) {
            ask("value", VALUES, &|value| Wanted { value, ..base })?;
        }
        // A map of CPUs has no more elements than the machine could have.
        if kind != M::CPUMAP {
            ask("entries", ENTRIES, &|entries| Wanted { entries, ..base })?;
        }
        // What needs a descriptor besides is not asked.
        let bits: Vec<u32> = (0..20)
            .map(|bit| 1 << bit)
            .filter(|&flag| flag != flags::BPF_F_VTYPE_BTF_OBJ_FD && flag != flags::BPF_F_TOKEN_FD)
            .collect();
        ask("flag", &bits, &|flag| Wanted { flags: base.flags ^ flag, ..base })?;
    }
    Ok(text)
}
