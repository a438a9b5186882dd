//! What compilers leave open in BTF, filled in from the object: section sizes, variable offsets, what is hidden.
//!
//! The rules are libbpf's (`btf_fixup_datasec`): clang writes zero as the size of every section and as the offset of
//! every global variable, and the offsets of static ones itself; a static linker has filled in all of it.

use alloc::vec::Vec;

use super::Builder;
use crate::btf::{Btf, RECORD, TypeId};
use crate::error::{Error, Problem};
use crate::header;
use crate::kind::Kind;
use crate::record::Type;
use crate::types::{Datasec, Def, FuncLinkage, SecInfo, VarLinkage};

/// How far a symbol is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Outside its object too (`STV_DEFAULT`, `STV_PROTECTED`).
    Default,
    /// Within its object (`STV_HIDDEN`, `STV_INTERNAL`); its variable counts as static.
    Hidden,
}

/// A symbol of an object file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Symbol {
    /// The offset in its section, in bytes.
    pub offset: u32,
    /// How far it is seen.
    pub visibility: Visibility,
}

/// Answers what BTF cannot know about its object file.
pub trait ObjectLayout {
    /// The size of the section of that name, in bytes.
    fn section_size(&self, section: &str) -> Option<u32>;

    /// The global or weak symbol of a variable in that section.
    fn symbol(&self, section: &str, name: &str) -> Option<Symbol>;

    /// Whether the function of that name is seen within its object only; a global one then counts as static, which a kernel
    /// verifies with each call.
    fn hides_function(&self, name: &str) -> bool {
        let _ = name;
        false
    }
}

/// A word to be written: where in the type section, and what.
type Write = (usize, u32);

impl Btf<'_> {
    /// The same BTF with section sizes and variable offsets filled in, hidden variables and functions made static, and the
    /// variables of each section in the order of their offsets.
    ///
    /// Sections `.kconfig` and `.ksyms`, whose variables are defined elsewhere, are only put in order.
    ///
    /// # Errors
    ///
    /// [`Problem::NoSection`] or [`Problem::NoSymbol`] if the object has no such section or symbol, and
    /// [`Problem::WrongKind`] if something in a section is no variable.
    pub fn fix_up(&self, object: &impl ObjectLayout) -> Result<Vec<u8>, Error> {
        let writes = self.left_open(object)?;
        let mut bytes = Builder::from_btf(self).finish()?;
        if let Some(types) = bytes.get_mut(header::SIZE..) {
            writes.into_iter().for_each(|(at, word)| self.endian().put(types, at, word));
        }
        Ok(bytes)
    }

    /// What is to be written where.
    fn left_open(&self, object: &impl ObjectLayout) -> Result<Vec<Write>, Error> {
        let mut writes = Vec::new();
        for ty in self.own_types() {
            match ty.kind() {
                Some(Kind::Datasec) => {
                    if let Def::Datasec(datasec) = ty.def() {
                        self.fix_up_section(&mut writes, ty, datasec, object)?;
                    }
                }
                Some(Kind::Func) => match ty.def() {
                    Def::Func(func)
                        if func.linkage == FuncLinkage::Global && object.hides_function(ty.name()) =>
                    {
                        let info = u32::from(Kind::Func.number()) << 24 | FuncLinkage::Static.number();
                        writes.push((self.record_offset(ty.id()) + 4, info));
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        Ok(writes)
    }

    fn fix_up_section(
        &self,
        writes: &mut Vec<Write>,
        ty: Type<'_>,
        datasec: Datasec<'_>,
        object: &impl ObjectLayout,
    ) -> Result<(), Error> {
        let at = self.record_offset(ty.id());
        let mut vars: Vec<SecInfo> = datasec.vars.iter().collect();
        if !matches!(ty.name(), ".kconfig" | ".ksyms") {
            let offsets = match datasec.size {
                0 => Offsets::Open,
                _ => Offsets::Final,
            };
            if offsets == Offsets::Open {
                let size = object.section_size(ty.name()).filter(|&size| size != 0);
                writes.push((at + 8, size.ok_or_else(|| ty.error(Problem::NoSection))?));
            }
            for info in &mut vars {
                self.fix_up_var(writes, ty.name(), info, offsets, object)?;
            }
        }
        vars.sort_by_key(|var| var.offset);
        for (index, (var, before)) in vars.into_iter().zip(datasec.vars).enumerate() {
            if var != before {
                let elem = at + RECORD + index * Kind::Datasec.elem_size();
                writes.extend([(elem, var.type_id.0), (elem + 4, var.offset), (elem + 8, var.size)]);
            }
        }
        Ok(())
    }

    fn fix_up_var(
        &self,
        writes: &mut Vec<Write>,
        section: &str,
        info: &mut SecInfo,
        offsets: Offsets,
        object: &impl ObjectLayout,
    ) -> Result<(), Error> {
        let ty = self.ty(info.type_id)?;
        let Def::Var(var) = ty.def() else { return Err(ty.wrong_kind("var")) };
        if matches!(var.linkage, VarLinkage::Static | VarLinkage::Extern) {
            return Ok(());
        }
        let symbol = object.symbol(section, ty.name()).ok_or_else(|| ty.error(Problem::NoSymbol))?;
        if offsets == Offsets::Open {
            info.offset = symbol.offset;
        }
        // A variable of a base is not this BTF's to change.
        if symbol.visibility == Visibility::Hidden && self.is_own(info.type_id) {
            writes.push((self.record_offset(info.type_id) + RECORD, VarLinkage::Static.number()));
        }
        Ok(())
    }

    fn is_own(&self, id: TypeId) -> bool {
        id >= self.first_own()
    }
}

impl Btf<'static> {
    /// Reads and checks the BTF of an object file, and fills in what compilers leave open, as [`Btf::fix_up`] does, in the
    /// bytes that are given.
    ///
    /// # Errors
    ///
    /// As [`Btf::parse`] and [`Btf::fix_up`].
    pub fn from_object(bytes: Vec<u8>, object: &impl ObjectLayout) -> Result<Btf<'static>, Error> {
        let mut btf = Btf::from_vec(bytes)?;
        // A kernel takes nothing between the sections and behind them, and most know no layout.
        if !btf.header().is_plain(btf.bytes().len()) {
            btf = Btf::from_vec(Builder::from_btf(&btf).finish()?)?;
        }
        // Sizes, offsets and linkages; references change places only. So what was checked stays good.
        let writes = btf.left_open(object)?;
        btf.write(&writes);
        Ok(btf)
    }
}

/// Whether the offsets of global variables are still to be filled in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Offsets {
    Open,
    Final,
}
