//! Symbols of one name become one.

use super::compatible;
use super::input::{Described, File, FileIdx};
use super::layout::{Layout, OutIdx, Share};
use crate::error::{ElfError, Problem};
use crate::image::{Binding, Home, SymIdx, Symbol};
use object::elf::{SHN_ABS, STV_DEFAULT, STV_HIDDEN, STV_INTERNAL, STV_PROTECTED};
use std::collections::HashMap;

/// A symbol of the result.
#[derive(Clone, Debug)]
pub(super) struct OutSymbol<'d> {
    pub(super) name: &'d str,
    pub(super) home: OutHome,
    pub(super) st_type: u8,
    pub(super) binding: Binding,
    /// `STV_*`.
    pub(super) visibility: u8,
    pub(super) value: u64,
    pub(super) size: u64,
}

/// Where a symbol of the result lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutHome {
    Undefined,
    Section(OutIdx),
    Absolute,
}

/// What its own file says a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Declared,
    DefinedWeakly,
    Defined,
}

/// A symbol that all files share.
pub(super) struct Global<'d> {
    pub(super) symbol: OutSymbol<'d>,
    standing: Standing,
    /// The file whose symbol this is: that of the definition, or of the first declaration.
    pub(super) file: FileIdx,
    /// What its BTF has of it.
    pub(super) described: Option<Described>,
}

/// Position in the list of local or of global symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SymRef {
    Local(usize),
    Global(usize),
}

/// The symbols of the result, and what became of those of each file.
pub(super) struct Symbols<'d> {
    pub(super) locals: Vec<OutSymbol<'d>>,
    pub(super) globals: Vec<Global<'d>>,
    by_name: HashMap<&'d str, usize>,
    /// The symbol of each section itself.
    of_section: HashMap<OutIdx, usize>,
    became: Vec<Vec<Option<SymRef>>>,
}

impl<'d> Symbols<'d> {
    pub(super) fn of(files: &[File<'d>], layout: &Layout<'d>) -> Result<Symbols<'d>, ElfError> {
        let mut symbols = Symbols {
            locals: Vec::new(),
            globals: Vec::new(),
            by_name: HashMap::new(),
            of_section: HashMap::new(),
            became: Vec::new(),
        };
        for (index, file) in files.iter().enumerate() {
            let mut became = vec![None];
            for symbol in file.image.symbols().skip(1) {
                let found = symbols.add(files, layout, FileIdx(index), &symbol);
                became.push(found.map_err(|error| error.in_symbol(symbol.name).in_file(file.name))?);
            }
            symbols.became.push(became);
        }
        Ok(symbols)
    }

    /// What became of a symbol of a file; nothing if its section was left out.
    pub(super) fn became(&self, file: FileIdx, symbol: SymIdx) -> Option<SymRef> {
        self.became.get(file.0)?.get(symbol.0 as usize).copied().flatten()
    }

    /// The shared symbol of that name.
    pub(super) fn global(&self, name: &str) -> Option<&Global<'d>> {
        self.by_name.get(name).map(|&index| &self.globals[index])
    }

    fn add(
        &mut self,
        files: &[File<'d>],
        layout: &Layout<'d>,
        file: FileIdx,
        from: &Symbol<'d>,
    ) -> Result<Option<SymRef>, ElfError> {
        let (home, delta, share) = match from.home {
            Home::Undefined => (OutHome::Undefined, 0, Share::Own),
            Home::Nowhere if from.shndx == SHN_ABS => (OutHome::Absolute, 0, Share::Own),
            Home::Nowhere => return Err(Problem::Unsupported("common symbols").into()),
            Home::Section(section) => match layout.part(file, section) {
                Some(part) => (OutHome::Section(part.section), part.delta, part.share),
                None => return Ok(None),
            },
        };
        let value =
            if from.is_section { 0 } else { from.value.checked_add(delta).ok_or(Problem::TooLarge)? };
        let symbol = OutSymbol {
            name: from.name,
            home,
            st_type: from.st_type,
            binding: from.binding,
            visibility: from.st_other & 3,
            value,
            size: from.size,
        };
        match (home, from.binding) {
            (OutHome::Section(section), _) if from.is_section => {
                let index = *self.of_section.entry(section).or_insert_with(|| {
                    self.locals.push(OutSymbol { binding: Binding::Local, ..symbol });
                    self.locals.len() - 1
                });
                Ok(Some(SymRef::Local(index)))
            }
            (OutHome::Undefined, Binding::Local) => Err(Problem::Undefined(from.name.to_owned()).into()),
            // The licence's variable, which is there.
            (_, _) if share == Share::Same => Ok(self.by_name.get(from.name).map(|&at| SymRef::Global(at))),
            (_, Binding::Local) => {
                self.locals.push(symbol);
                Ok(Some(SymRef::Local(self.locals.len() - 1)))
            }
            (_, Binding::Global | Binding::Weak) => self.share(files, file, symbol).map(Some),
        }
    }

    /// Adds a symbol that all files share, or lets it meet the one that is there.
    fn share(
        &mut self,
        files: &[File<'d>],
        file: FileIdx,
        symbol: OutSymbol<'d>,
    ) -> Result<SymRef, ElfError> {
        let described = files[file.0].described.get(symbol.name).copied();
        let standing = match (symbol.home, symbol.binding) {
            (OutHome::Undefined, _) => Standing::Declared,
            (_, Binding::Weak) => Standing::DefinedWeakly,
            _ => Standing::Defined,
        };
        let Some(&index) = self.by_name.get(symbol.name) else {
            self.by_name.insert(symbol.name, self.globals.len());
            self.globals.push(Global { symbol, standing, file, described });
            return Ok(SymRef::Global(self.globals.len() - 1));
        };
        let there = &mut self.globals[index];
        if (standing, there.standing) == (Standing::Defined, Standing::Defined) {
            return Err(Problem::DefinedTwice { other: files[there.file.0].name.to_owned() }.into());
        }
        compatible::check(files, (there.file, there.described), (file, described), symbol.name)?;
        let visibility = stricter(there.symbol.visibility, symbol.visibility);
        let is_weak = [there.symbol.binding, symbol.binding] == [Binding::Weak; 2];
        if standing > there.standing {
            *there = Global { symbol, standing, file, described };
        }
        there.symbol.visibility = visibility;
        there.symbol.binding = if is_weak { Binding::Weak } else { Binding::Global };
        Ok(SymRef::Global(index))
    }
}

/// The more constraining of two visibilities (the ELF specification, "Symbol Table"); one stays that any file asks for.
fn stricter(a: u8, b: u8) -> u8 {
    let order = [STV_INTERNAL, STV_HIDDEN, STV_PROTECTED, STV_DEFAULT];
    order.into_iter().find(|&visibility| a == visibility || b == visibility).unwrap_or(STV_DEFAULT)
}
