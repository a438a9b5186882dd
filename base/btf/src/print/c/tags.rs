//! The tags on declarations, by what carries them.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::btf::{Btf, TypeId};
use crate::types::{Def, TagStyle};

use super::declare::attribute;

/// A tag's text, and where it came from.
type Tag<'b> = (&'b str, TagStyle);

/// The tags, each with the type and the member or parameter that carries it.
pub(super) struct Tags<'b> {
    of: BTreeMap<(TypeId, Option<u32>), Vec<Tag<'b>>>,
}

impl<'b> Tags<'b> {
    pub(super) fn new(btf: &'b Btf<'b>) -> Tags<'b> {
        let mut of: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for ty in btf.types() {
            if let Def::DeclTag(tag) = ty.def() {
                of.entry((tag.target, tag.component)).or_default().push((ty.name(), tag.style));
            }
        }
        Tags { of }
    }

    /// Whether it carries that tag.
    pub(super) fn has(&self, id: TypeId, name: &str) -> bool {
        self.all(id, None).iter().any(|(tag, style)| *tag == name && *style == TagStyle::Tag)
    }

    /// The attributes that say so, each with a space before it.
    pub(super) fn attributes(&self, id: TypeId, component: Option<u32>) -> String {
        let each = self.all(id, component).iter();
        each.map(|&(name, style)| attribute("btf_decl_tag", name, style)).collect()
    }

    fn all(&self, id: TypeId, component: Option<u32>) -> &[Tag<'b>] {
        self.of.get(&(id, component)).map_or(&[], Vec::as_slice)
    }
}
