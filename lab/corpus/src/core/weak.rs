//! An object whose externs may be missing: the running kernel need not have them for its types to be of no interest.
//!
//! libbpf looks for externs before it answers relocations, and ends where one is missing that the object does not call weak.

/// Where things are in ELF64 (`Elf64_Ehdr`, `Elf64_Shdr`, `Elf64_Sym`, elf(5)), in the order of the machine: others do not load.
const SECTIONS_AT: usize = 40;
const SECTION_COUNT_AT: usize = 60;
const SECTION: usize = 64;
const SYMBOL: usize = 24;
const SHT_SYMTAB: u64 = 2;
const GLOBAL: u8 = 1;
const WEAK: u8 = 2;

/// Calls all symbols weak that are defined elsewhere. What cannot be read stays as it is: that is libbpf's to say.
pub(super) fn with_weak_externs(mut elf: Vec<u8>) -> Vec<u8> {
    for at in externs(&elf).unwrap_or_default() {
        // The upper half is the binding.
        elf[at] = elf[at] & 0xf | WEAK << 4;
    }
    elf
}

/// Where the bindings of global symbols are that have no section.
fn externs(elf: &[u8]) -> Option<Vec<usize>> {
    let mut found = Vec::new();
    let table = number(elf, SECTIONS_AT, 8)?;
    for index in 0..number(elf, SECTION_COUNT_AT, 2)? {
        let header = table.checked_add(index * SECTION)?;
        if number(elf, header.checked_add(4)?, 4)? as u64 != SHT_SYMTAB {
            continue;
        }
        let (from, size) = (number(elf, header + 24, 8)?, number(elf, header + 32, 8)?);
        let symbols = elf.get(from..from.checked_add(size)?)?;
        for (at, symbol) in symbols.chunks_exact(SYMBOL).enumerate() {
            if symbol[4] >> 4 == GLOBAL && symbol[6..8] == [0, 0] {
                found.push(from + at * SYMBOL + 4);
            }
        }
    }
    Some(found)
}

fn number(elf: &[u8], at: usize, len: usize) -> Option<usize> {
    let bytes = elf.get(at..at.checked_add(len)?)?;
    let value = bytes.iter().rev().fold(0, |value: u64, byte| value << 8 | u64::from(*byte));
    usize::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn externs_become_weak_and_nothing_else() {
        let mut elf = vec![0; 64 + 64 + 3 * SYMBOL];
        elf[SECTIONS_AT] = 64;
        elf[SECTION_COUNT_AT] = 1;
        elf[64 + 4] = SHT_SYMTAB as u8;
        elf[64 + 24] = 128;
        elf[64 + 32] = 3 * SYMBOL as u8;
        let info = |symbol: usize| 128 + symbol * SYMBOL + 4;
        elf[info(1)] = GLOBAL << 4 | 2;
        elf[info(1) + 2] = 1;
        elf[info(2)] = GLOBAL << 4;
        let mut wanted = elf.clone();
        wanted[info(2)] = WEAK << 4;
        assert_eq!(with_weak_externs(elf.clone()), wanted);
        for len in 0..elf.len() {
            assert_eq!(with_weak_externs(elf[..len].to_vec()), elf[..len]);
        }
    }
}
