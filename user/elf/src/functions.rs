//! Functions: where each starts and ends, and which of them are programs.

use crate::error::{ElfError, Problem};
use crate::image::{Binding, Image, SecIdx, SectionKind};
use skep_btf::Visibility;
use skep_isa::RawInsn;
use skep_model::Linkage;

/// One function of a code section.
#[derive(Debug)]
pub(crate) struct Function<'d> {
    pub(crate) name: &'d str,
    pub(crate) section: SecIdx,
    /// First slot in the section.
    pub(crate) start: usize,
    /// Number of slots.
    pub(crate) slots: usize,
    pub(crate) linkage: Linkage,
    /// Whether it is an entry.
    pub(crate) role: Role,
}

/// Whether a function can be loaded by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// An entry: a global function outside `.text`.
    Program,
    /// Called only.
    Subprogram,
}

/// The functions of an object, by section and start.
#[derive(Debug)]
pub(crate) struct Functions<'d> {
    list: Vec<Function<'d>>,
}

/// Position in the list of functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FnIdx(pub(crate) usize);

impl<'d> Functions<'d> {
    pub(crate) fn find(image: &Image<'d>) -> Result<Functions<'d>, ElfError> {
        let mut list = Vec::new();
        for section in image.sections() {
            let len = section.size;
            if section.kind != SectionKind::Code || len == 0 {
                continue;
            }
            if len % RawInsn::BYTES as u64 != 0 {
                let found = len;
                return Err(ElfError::from(Problem::OddSize { unit: 8, found }).in_section(section.name));
            }
            let mut symbols: Vec<_> =
                image.symbols_in(section.index).filter(|symbol| symbol.is_func).collect();
            symbols.sort_by_key(|symbol| (symbol.value, symbol.binding == Binding::Local));
            // Two names for one function are aliases: the first (global) one stands.
            symbols.dedup_by_key(|symbol| symbol.value);
            for (i, symbol) in symbols.iter().enumerate() {
                let fail = |problem: Problem| {
                    ElfError::from(problem).in_section(section.name).in_symbol(symbol.name)
                };
                let end = symbols.get(i + 1).map_or(len, |next| next.value);
                let size = if symbol.size == 0 { end.saturating_sub(symbol.value) } else { symbol.size };
                if symbol.value % 8 != 0 || size % 8 != 0 || size == 0 {
                    return Err(fail(Problem::OddSize { unit: 8, found: size }).at_byte(symbol.value));
                }
                if symbol.value.checked_add(size).is_none_or(|end| end > len) {
                    return Err(fail(Problem::OutsideSection { start: symbol.value, size, section: len }));
                }
                if symbol.value + size > end {
                    return Err(fail(Problem::Overlap(symbols[i + 1].name.to_owned())));
                }
                let local = symbol.binding == Binding::Local;
                // A hidden function is the file's own, so it is verified with each call, as libbpf has it.
                let unseen = local || symbol.visibility == Visibility::Hidden;
                list.push(Function {
                    name: symbol.name,
                    section: section.index,
                    start: (symbol.value / 8) as usize,
                    slots: (size / 8) as usize,
                    linkage: if unseen { Linkage::Static } else { Linkage::Global },
                    role: match section.name {
                        ".text" => Role::Subprogram,
                        _ if local => Role::Subprogram,
                        _ => Role::Program,
                    },
                });
            }
        }
        list.sort_by_key(|function| (function.section, function.start));
        list.shrink_to_fit();
        Ok(Functions { list })
    }

    pub(crate) fn get(&self, index: FnIdx) -> &Function<'d> {
        &self.list[index.0]
    }

    /// The function that starts at a slot of a section.
    pub(crate) fn at(&self, section: SecIdx, start: usize) -> Option<FnIdx> {
        self.list.binary_search_by_key(&(section, start), |f| (f.section, f.start)).ok().map(FnIdx)
    }

    /// All functions, in the order of the file.
    pub(crate) fn all(&self) -> impl Iterator<Item = FnIdx> + '_ {
        (0..self.list.len()).map(FnIdx)
    }

    /// The functions that can be loaded, in the order of the file.
    pub(crate) fn programs(&self) -> impl Iterator<Item = FnIdx> + '_ {
        self.all().filter(|index| self.get(*index).role == Role::Program)
    }
}
