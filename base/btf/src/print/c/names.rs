//! Which name each type goes by: C wants every tag, and every other name, once.

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;

use super::words::{FLAVOUR, identifier};
use crate::btf::TypeId;

/// What a tag stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TagKind {
    Struct,
    Union,
    Enum,
}

impl TagKind {
    /// The keyword in front of the tag.
    pub(super) fn word(self) -> &'static str {
        match self {
            TagKind::Struct => "struct",
            TagKind::Union => "union",
            TagKind::Enum => "enum",
        }
    }
}

/// Whether a type brings its members along, or only its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Defined,
    Forward,
}

/// The tag that some types share: forward declarations, and the first definition.
struct Tag {
    kind: TagKind,
    form: Form,
    /// The number of the last flavour.
    last: u32,
}

/// The names that are taken.
#[derive(Default)]
pub(super) struct Names<'b> {
    tags: BTreeMap<Cow<'b, str>, Tag>,
    /// Typedefs, enumerators and functions, each with the number of its last flavour.
    idents: BTreeMap<Cow<'b, str>, u32>,
    /// The flavours of types, other than the first.
    flavours: BTreeMap<TypeId, u32>,
    known: BTreeSet<TypeId>,
}

impl<'b> Names<'b> {
    /// The tag of a struct, union or enumeration.
    pub(super) fn tag(&mut self, id: TypeId, name: &'b str, kind: TagKind, form: Form) -> Cow<'b, str> {
        let clean = identifier(name);
        if self.known.insert(id) {
            let flavour = self.claim_tag(clean.clone(), kind, form);
            self.keep(id, flavour);
        }
        self.flavoured(id, clean)
    }

    /// The name of a typedef or of a number that C has no words for.
    pub(super) fn ident(&mut self, id: TypeId, name: &'b str) -> Cow<'b, str> {
        let clean = identifier(name);
        if self.known.insert(id) {
            let flavour = self.claim_ident(clean.clone());
            self.keep(id, flavour);
        }
        self.flavoured(id, clean)
    }

    /// The name of an enumerator, which is another one each time.
    pub(super) fn enumerator(&mut self, name: &'b str) -> Cow<'b, str> {
        let clean = identifier(name);
        match self.claim_ident(clean.clone()) {
            1 => clean,
            flavour => Cow::Owned(with(&clean, flavour)),
        }
    }

    /// Takes a name that has to be that very one; says whether it was free.
    pub(super) fn exact(&mut self, name: &'b str) -> bool {
        identifier(name) == name && self.idents.insert(Cow::Borrowed(name), 1).is_none()
    }

    fn keep(&mut self, id: TypeId, flavour: u32) {
        if flavour != 1 {
            self.flavours.insert(id, flavour);
        }
    }

    fn flavoured(&self, id: TypeId, clean: Cow<'b, str>) -> Cow<'b, str> {
        match self.flavours.get(&id) {
            None => clean,
            Some(&flavour) => Cow::Owned(with(&clean, flavour)),
        }
    }

    fn claim_tag(&mut self, name: Cow<'b, str>, kind: TagKind, form: Form) -> u32 {
        let Some(tag) = self.tags.get_mut(&name) else {
            self.tags.insert(name, Tag { kind, form, last: 1 });
            return 1;
        };
        // A forward declaration is completed by the first definition, or declares it.
        if tag.kind == kind && (form == Form::Forward || tag.form == Form::Forward) {
            if form == Form::Defined {
                tag.form = Form::Defined;
            }
            return 1;
        }
        let mut flavour = tag.last + 1;
        while self.tags.contains_key(with(&name, flavour).as_str()) {
            flavour += 1;
        }
        self.tags.insert(Cow::Owned(with(&name, flavour)), Tag { kind, form: Form::Defined, last: 1 });
        if let Some(tag) = self.tags.get_mut(&name) {
            tag.last = flavour;
        }
        flavour
    }

    fn claim_ident(&mut self, name: Cow<'b, str>) -> u32 {
        let Some(&last) = self.idents.get(&name) else {
            self.idents.insert(name, 1);
            return 1;
        };
        let mut flavour = last + 1;
        while self.idents.contains_key(with(&name, flavour).as_str()) {
            flavour += 1;
        }
        self.idents.insert(Cow::Owned(with(&name, flavour)), 1);
        self.idents.insert(name, flavour);
        flavour
    }
}

fn with(name: &str, flavour: u32) -> String {
    format!("{name}{FLAVOUR}{flavour}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_definition_has_a_tag_of_its_own() {
        let mut names = Names::default();
        let mut tag = |id, kind, form| names.tag(TypeId(id), "foo", kind, form).into_owned();
        assert_eq!(tag(1, TagKind::Struct, Form::Forward), "foo");
        assert_eq!(tag(2, TagKind::Struct, Form::Defined), "foo");
        assert_eq!(tag(3, TagKind::Struct, Form::Defined), "foo___2");
        assert_eq!(tag(4, TagKind::Struct, Form::Forward), "foo");
        assert_eq!(tag(5, TagKind::Union, Form::Forward), "foo___3");
        assert_eq!(tag(6, TagKind::Enum, Form::Defined), "foo___4");
        assert_eq!(tag(3, TagKind::Struct, Form::Defined), "foo___2");
    }

    #[test]
    fn flavours_avoid_names_that_exist() {
        let mut names = Names::default();
        assert_eq!(names.enumerator("A___2"), "A___2");
        assert_eq!(names.enumerator("A"), "A");
        assert_eq!(names.enumerator("A"), "A___3");
        assert_eq!(names.ident(TypeId(1), "A"), "A___4");
        assert_eq!(names.ident(TypeId(1), "A"), "A___4");
        assert!(!names.exact("A") && names.exact("B") && !names.exact("int"));
    }
}
