//! BTF for kernels that do not know all of it: each record that a kernel would refuse becomes an older one of the same
//! length.
//!
//! The replacements are libbpf's (`bpf_object__sanitize_btf`), with three differences: names that need other characters
//! are added beside the old ones, which others may share; a prototype's nameless parameters get names, which
//! enumerators must have; and a section without variables, for which libbpf does without BTF, becomes a struct as others do
//! on older kernels.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Builder;
use crate::btf::{Btf, RECORD, TypeId, vlen};
use crate::error::Error;
use crate::kind::{Kind, Since};
use crate::record::Type;
use crate::types::{FuncLinkage, Int, IntEncoding};

/// Something that kernels learnt after they learnt BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Feature {
    /// Functions and their prototypes.
    Func,
    /// Variables and their sections.
    Datasec,
    /// Functions with a linkage other than static.
    FuncLinkage,
    /// Sections without variables, which LLVM writes for those that hold nothing but literals; or of no size.
    EmptyDatasec,
    /// Floating-point numbers.
    Float,
    /// Tags on declarations.
    DeclTag,
    /// Tags on types.
    TypeTag,
    /// Enumerations of 64 bits, and signed ones.
    Enum64,
    /// Sections whose name has characters other than letters, digits, `_` and `.`: a `?` before what may be missing, the `/` of
    /// `maps/NAME`.
    OptionalSection,
}

/// Each feature with the first kernel that has it.
static FEATURES: [(Feature, Since); 9] = [
    (Feature::Func, Since(5, 0)),
    (Feature::Datasec, Since(5, 2)),
    (Feature::FuncLinkage, Since(5, 6)),
    // 13ca51d5eb35, "bpf: Permit size-0 datasec".
    (Feature::EmptyDatasec, Since(5, 12)),
    (Feature::Float, Since(5, 13)),
    (Feature::DeclTag, Since(5, 16)),
    (Feature::TypeTag, Since(5, 17)),
    (Feature::Enum64, Since(6, 0)),
    // bd70a8fb7ca4, "bpf: Allow all printable characters in BTF DATASEC names".
    (Feature::OptionalSection, Since(6, 9)),
];

impl Feature {
    /// All features, oldest first.
    pub fn all() -> impl ExactSizeIterator<Item = Feature> {
        FEATURES.iter().map(|&(feature, _)| feature)
    }

    /// The first kernel release that has it. Distributions carry features back, so asking the kernel is better.
    pub fn since(self) -> Since {
        FEATURES[self as usize].1
    }
}

/// The features that a kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Support(u16);

impl Support {
    /// None: Linux 4.18.
    pub const NONE: Support = Support(0);
    /// All that this crate knows.
    pub const ALL: Support = Support(0x1ff);

    /// Those of a kernel release.
    pub fn of_release(release: Since) -> Support {
        let has = |feature: &Feature| feature.since() <= release;
        Feature::all().filter(has).fold(Support::NONE, Support::with)
    }

    /// These and that one.
    #[must_use]
    pub const fn with(self, feature: Feature) -> Support {
        Support(self.0 | 1 << feature as u8)
    }

    /// These without that one.
    #[must_use]
    pub const fn without(self, feature: Feature) -> Support {
        Support(self.0 & !(1 << feature as u8))
    }

    /// Whether that one is among them.
    pub const fn has(self, feature: Feature) -> bool {
        self.0 & 1 << feature as u8 != 0
    }
}

impl Btf<'_> {
    /// This BTF as a kernel with these features accepts it. Identifiers stay as they are; a header that is longer
    /// than Linux 4.18's, and a layout section, are left out.
    ///
    /// # Errors
    ///
    /// Only if new names do not fit.
    pub fn sanitize(&self, support: Support) -> Result<Vec<u8>, Error> {
        let mut rewrite = Rewrite { builder: Builder::from_btf(self), support, placeholder: None };
        for ty in self.own_types() {
            rewrite.record(self, ty)?;
        }
        rewrite.builder.finish()
    }
}

/// A name with `_` for what may not stand in one (`__btf_name_valid` of the kernel's `kernel/bpf/btf.c`), but for `more`.
fn identifier(name: &str, more: fn(char) -> bool) -> String {
    let fits = |(at, c): (usize, char)| {
        let is_valid = c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit()) || more(c);
        if is_valid { c } else { '_' }
    };
    name.chars().enumerate().map(fits).collect()
}

struct Rewrite {
    builder: Builder,
    support: Support,
    /// The type of the members that stand for enumerators of 64 bits.
    placeholder: Option<TypeId>,
}

impl Rewrite {
    fn record(&mut self, btf: &Btf<'_>, ty: Type<'_>) -> Result<(), Error> {
        let at = self.builder.record_at(ty.id())?;
        let lacks = |feature| !self.support.has(feature);
        match ty.kind() {
            Some(Kind::Var) if lacks(Feature::Datasec) => self.stand_in(at),
            Some(Kind::DeclTag) if lacks(Feature::DeclTag) => self.stand_in(at),
            Some(Kind::Datasec) if lacks(Feature::Datasec) => self.datasec_to_struct(btf, ty, at),
            Some(Kind::Datasec) if lacks(Feature::EmptyDatasec) && self.is_empty_section(at) => {
                self.datasec_to_struct(btf, ty, at);
            }
            Some(Kind::Datasec) if lacks(Feature::OptionalSection) => {
                let name = identifier(ty.name(), |c| c == '.');
                if name != ty.name() {
                    self.rename(at, &name);
                }
            }
            Some(Kind::FuncProto) if lacks(Feature::Func) => self.proto_to_enum(at),
            Some(Kind::Func) if lacks(Feature::Func) => self.retype(at, Kind::Typedef, 0),
            Some(Kind::Func) if lacks(Feature::FuncLinkage) => {
                self.retype(at, Kind::Func, FuncLinkage::Static.number());
            }
            Some(Kind::Float) if lacks(Feature::Float) => {
                // `float` is no name for a struct.
                self.builder.put(at, 0);
                self.retype(at, Kind::Struct, 0);
            }
            Some(Kind::TypeTag) if lacks(Feature::TypeTag) => {
                self.builder.put(at, 0);
                self.retype(at, Kind::Const, 0);
            }
            // Signedness came with the wider enumerations.
            Some(Kind::Enum) if lacks(Feature::Enum64) => self.retype(at, Kind::Enum, self.vlen(at)),
            Some(Kind::Enum64) if lacks(Feature::Enum64) => self.enum64_to_union(at),
            _ => {}
        }
        Ok(())
    }

    /// Makes it an integer of one byte, which is never more than the variable takes.
    fn stand_in(&mut self, at: usize) {
        self.retype(at, Kind::Int, 0);
        self.builder.put(at + 8, 1);
        self.builder.put(at + RECORD, 8);
    }

    fn datasec_to_struct(&mut self, btf: &Btf<'_>, ty: Type<'_>, at: usize) {
        self.rename(at, &identifier(ty.name(), |_| false));
        let count = self.vlen(at);
        self.retype(at, Kind::Struct, count);
        for elem in elems(at, Kind::Datasec, count) {
            let (var, offset) = (self.builder.word(elem), self.builder.word(elem + 4));
            let name = btf.get(TypeId(var)).map_or(0, |var| var.name_off().0);
            self.builder.put(elem, name);
            self.builder.put(elem + 4, var);
            // An offset whose bits do not fit is past any section that a kernel takes.
            self.builder.put(elem + 8, offset.saturating_mul(8));
        }
    }

    fn proto_to_enum(&mut self, at: usize) {
        let count = self.vlen(at);
        self.retype(at, Kind::Enum, count);
        self.builder.put(at + 8, 4);
        for (index, elem) in elems(at, Kind::FuncProto, count).enumerate() {
            if self.builder.name_at(elem).0 == 0 {
                self.rename(elem, &format!("param_{index}"));
            }
        }
    }

    fn enum64_to_union(&mut self, at: usize) {
        let placeholder = match self.placeholder {
            Some(id) => id,
            None => {
                let byte = Int { size: 1, bits: 8, offset: 0, encoding: IntEncoding::UNSIGNED };
                let id = self.builder.int("enum64_placeholder", byte);
                self.placeholder = Some(id);
                id
            }
        };
        let count = self.vlen(at);
        self.retype(at, Kind::Union, count);
        for elem in elems(at, Kind::Enum64, count) {
            self.builder.put(elem + 4, placeholder.0);
            self.builder.put(elem + 8, 0);
        }
    }

    fn retype(&mut self, at: usize, kind: Kind, vlen: u32) {
        self.builder.put(at + 4, u32::from(kind.number()) << 24 | vlen);
    }

    fn rename(&mut self, at: usize, name: &str) {
        let name = self.builder.name(name);
        self.builder.put(at, name);
    }

    /// Tells whether a section is of no size or has no variables (`btf_datasec_check_meta` before Linux 5.12).
    fn is_empty_section(&self, at: usize) -> bool {
        self.vlen(at) == 0 || self.builder.word(at + 8) == 0
    }

    fn vlen(&self, at: usize) -> u32 {
        vlen(self.builder.word(at + 4))
    }
}

/// Where the elements of the record at byte `at` start.
fn elems(at: usize, kind: Kind, count: u32) -> impl Iterator<Item = usize> {
    (0..count as usize).map(move |index| at + RECORD + index * kind.elem_size())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_features_are_all() {
        assert_eq!(Feature::all().fold(Support::NONE, Support::with), Support::ALL);
    }

    #[test]
    fn table_is_in_the_order_of_the_features() {
        for (index, (feature, _)) in FEATURES.iter().enumerate() {
            assert_eq!(*feature as usize, index);
        }
        assert!(FEATURES.is_sorted_by_key(|(_, since)| *since));
    }
}
