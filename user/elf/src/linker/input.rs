//! One object to be linked: its ELF tables and its types, read but not judged.

use super::Input;
use crate::error::{ElfError, Problem};
use crate::image::{Image, Keep, Section};
use crate::source::Source;
use skep_btf::{Btf, Def, Ext, FuncLinkage, Type, TypeId, VarLinkage};
use std::collections::HashMap;

/// Position in the list of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileIdx(pub(super) usize);

/// One object.
pub(super) struct File<'d> {
    pub(super) name: &'d str,
    pub(super) image: Image<'d>,
    pub(super) btf: Option<Btf<'d>>,
    pub(super) ext: Option<Ext<'d>>,
    /// What BTF has of each name that is not the file's own.
    pub(super) described: HashMap<String, Described>,
}

/// What BTF has of a global or extern symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Described {
    /// The VAR or FUNC.
    pub(super) id: TypeId,
    /// The DATASEC that lists it; functions and externs without a section have none.
    pub(super) datasec: Option<TypeId>,
}

impl<'d> File<'d> {
    pub(super) fn read(input: Input<'d>) -> Result<File<'d>, ElfError> {
        let image = Image::parse(Source::Whole(input.bytes), Keep::Everything)?;
        let in_section = |section: Section<'d>, error| ElfError::from(error).in_section(section.name);
        let filled = |name: &str| image.named(name).filter(|section| !section.data.is_empty());
        let btf = filled(".BTF").map(|section| Btf::parse(section.data).map_err(|e| in_section(section, e)));
        let btf = btf.transpose()?;
        let ext = match (filled(".BTF.ext"), &btf) {
            (Some(section), Some(btf)) => {
                Some(Ext::parse(section.data, btf).map_err(|e| in_section(section, e))?)
            }
            (Some(section), None) => return Err(ElfError::from(Problem::NoBtf).in_section(section.name)),
            (None, _) => None,
        };
        let described = match &btf {
            Some(btf) => describe(btf).map_err(|error| error.in_section(".BTF"))?,
            None => HashMap::new(),
        };
        Ok(File { name: input.file, image, btf, ext, described })
    }

    /// The name of the section of the object that a DATASEC describes.
    pub(super) fn datasec_name(&self, id: TypeId) -> Option<&str> {
        self.btf.as_ref()?.get(id).map(|ty| ty.name())
    }
}

/// Whether it can be referred to from other files.
pub(super) fn is_shared(ty: &Type<'_>) -> bool {
    match ty.def() {
        Def::Var(var) => var.linkage != VarLinkage::Static,
        Def::Func(func) => func.linkage != FuncLinkage::Static,
        _ => false,
    }
}

fn describe(btf: &Btf<'_>) -> Result<HashMap<String, Described>, ElfError> {
    let mut described = HashMap::new();
    for ty in btf.types().filter(is_shared) {
        described.insert(ty.name().to_owned(), Described { id: ty.id(), datasec: None });
    }
    for section in btf.types() {
        let Def::Datasec(datasec) = section.def() else { continue };
        for info in datasec.vars {
            let ty = btf.ty(info.type_id)?;
            if !is_shared(&ty) {
                continue;
            }
            let found = Described { id: ty.id(), datasec: Some(section.id()) };
            match described.insert(ty.name().to_owned(), found) {
                Some(before) if before.id != ty.id() || before.datasec.is_some() => {
                    return Err(ElfError::from(Problem::Twice(ty.name().to_owned())).in_symbol(ty.name()));
                }
                _ => {}
            }
        }
    }
    Ok(described)
}
