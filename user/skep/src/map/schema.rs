//! How types of keys and values differ.

use skep_btf::{Btf, Def, Member, Type, TypeId};
use std::fmt;

/// How deep types are compared: deeper ones do not nest in a kernel either (`MAX_RESOLVE_DEPTH`, kernel/bpf/btf.c).
const DEEPEST: usize = 32;
/// The most members that one comparison looks at, so that arrays of structs of arrays have an end.
const MOST: u32 = 1 << 16;

/// The fields of a Rust type, to be compared with those of C; made by [`fields!`](crate::fields). What has none, as
/// numbers and arrays of them, has an empty list.
pub trait Fields {
    /// The fields.
    const FIELDS: &'static [FieldAt];
}

/// Where a field of a Rust type lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldAt {
    name: &'static str,
    offset: usize,
    size: usize,
}

impl FieldAt {
    /// Describes a field.
    pub const fn new(name: &'static str, offset: usize, size: usize) -> FieldAt {
        FieldAt { name, offset, size }
    }

    /// Gives the name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Gives the offset in bytes.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Gives the size in bytes.
    pub const fn size(&self) -> usize {
        self.size
    }
}

/// Gives the size of the field that a function leads to; for [`fields!`](crate::fields).
#[doc(hidden)]
pub const fn size_behind<T, F>(_: fn(&T) -> *const F) -> usize {
    size_of::<F>()
}

/// Names the fields of a Rust type, so that [`TypedMap::check_fields`](crate::TypedMap::check_fields) can compare them
/// with those of the type in the object. Fields that are left out are not compared, as padding.
///
/// ```
/// #[repr(C)]
/// struct Traffic {
///     packets: u64,
///     bytes: u64,
/// }
/// skep::fields!(Traffic { packets, bytes });
/// ```
#[macro_export]
macro_rules! fields {
    ($type:ty { $($field:ident),* $(,)? }) => {
        impl $crate::Fields for $type {
            const FIELDS: &'static [$crate::FieldAt] = &[$($crate::FieldAt::new(
                stringify!($field),
                ::core::mem::offset_of!($type, $field),
                $crate::size_behind::<$type, _>(|value| &raw const value.$field),
            )),*];
        }
    };
}

macro_rules! no_fields {
    ($($type:ty),*) => {
        $(impl Fields for $type {
            const FIELDS: &'static [FieldAt] = &[];
        })*
    };
}

no_fields!((), bool, u8, i8, u16, i16, u32, i32, u64, i64, u128, i128, usize, isize);

impl<T, const N: usize> Fields for [T; N] {
    const FIELDS: &'static [FieldAt] = &[];
}

impl<const N: usize> Fields for crate::LpmKey<N> {
    const FIELDS: &'static [FieldAt] = &[];
}

impl<V: Fields> Fields for crate::PerCpu<V> {
    const FIELDS: &'static [FieldAt] = V::FIELDS;
}

/// Describes the layout of a type in a line: its name, and each member with its place.
pub(super) fn layout(btf: &Btf<'_>, id: TypeId) -> String {
    let Ok(ty) = btf.resolve(id) else { return "a type that cannot be told".to_owned() };
    let Some(members) = members(ty.def()) else { return describe(btf, id) };
    let part = |member: Member<'_>| {
        format!("{} {} at {}", describe(btf, member.type_id), shown(member.name), place(&member))
    };
    let parts: Vec<String> = members.into_iter().map(part).collect();
    format!("{} {{ {} }}", describe(btf, id), parts.join(", "))
}

/// Compares the fields of a Rust type with the members of a struct, by name.
pub(super) fn compare_fields(btf: &Btf<'_>, id: TypeId, fields: &[FieldAt]) -> Vec<String> {
    let mut found = Vec::new();
    for field in fields {
        let name = field.name.strip_prefix("r#").unwrap_or(field.name);
        let Ok(member) = btf.member(id, name) else {
            found.push(format!("{} has no field {name}", layout(btf, id)));
            continue;
        };
        let size = btf.size_of(member.type_id).map(u64::from).unwrap_or_default();
        let here = (field.offset as u64 * 8, field.size as u64);
        if member.bitfield.is_some() {
            found.push(format!("field {name} is a bitfield in the object"));
        } else if (member.bit_offset, size) != here {
            let at = member.bit_offset / 8;
            found.push(format!(
                "field {name} lies at {at} with {size} bytes in the object, at {} with {} in Rust",
                field.offset, field.size
            ));
        }
    }
    found
}

/// Compares two types member by member: names, places and what numbers they are. Pointers are all alike. Gives the first
/// difference, with both sides: of the first type, then of the second.
pub(crate) fn difference(first: (&Btf<'_>, TypeId), second: (&Btf<'_>, TypeId)) -> Option<Difference> {
    let mut comparison = Comparison { first: first.0, second: second.0, path: Vec::new(), left: MOST };
    comparison.types(first.1, second.1, 0).err()
}

/// What is not the same in two types.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    path: String,
    first: String,
    second: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "field {}: ", self.path)?;
        }
        write!(f, "{}, wanted {}", self.first, self.second)
    }
}

struct Comparison<'a, 'b> {
    first: &'a Btf<'a>,
    second: &'b Btf<'b>,
    path: Vec<String>,
    left: u32,
}

impl Comparison<'_, '_> {
    fn differ(&self, first: String, second: String) -> Result<(), Difference> {
        Err(Difference { path: self.path.join("."), first, second })
    }

    fn types(&mut self, first: TypeId, second: TypeId, depth: usize) -> Result<(), Difference> {
        let (a, b) = (self.first, self.second);
        let (Ok(one), Ok(other)) = (a.resolve(first), b.resolve(second)) else { return Ok(()) };
        self.left = self.left.saturating_sub(1);
        if depth >= DEEPEST || self.left == 0 {
            return Ok(());
        }
        let told = || (describe(a, first), describe(b, second));
        let alike = match (one.def(), other.def()) {
            (Def::Int(one), Def::Int(other)) => {
                (one.size, one.bits, one.encoding.is_signed())
                    == (other.size, other.bits, other.encoding.is_signed())
            }
            (Def::Ptr(_), Def::Ptr(_)) => true,
            (Def::Float(one), Def::Float(other)) => one == other,
            (Def::Enum(one), Def::Enum(other)) => one.size == other.size,
            (Def::Array(one), Def::Array(other)) if one.len == other.len => {
                return self.types(one.elem, other.elem, depth + 1);
            }
            (Def::Struct(_), Def::Struct(_)) | (Def::Union(_), Def::Union(_)) => {
                return self.members(&one, &other, depth);
            }
            // What a kernel did not know was replaced when the types were loaded ([`Btf::sanitize`]).
            (Def::Enum(_) | Def::Float(_), Def::Struct(_) | Def::Union(_) | Def::Int(_))
            | (Def::Struct(_) | Def::Union(_) | Def::Int(_), Def::Enum(_) | Def::Float(_)) => {
                a.size_of(first).ok() == b.size_of(second).ok()
            }
            (
                Def::Int(_)
                | Def::Ptr(_)
                | Def::Float(_)
                | Def::Enum(_)
                | Def::Array(_)
                | Def::Struct(_)
                | Def::Union(_),
                _,
            ) => false,
            // Sections, whose size has been compared.
            _ => true,
        };
        let (one, other) = told();
        if alike { Ok(()) } else { self.differ(one, other) }
    }

    fn members(&mut self, one: &Type<'_>, other: &Type<'_>, depth: usize) -> Result<(), Difference> {
        let mut first = members(one.def()).unwrap_or_default().into_iter();
        let mut second = members(other.def()).unwrap_or_default().into_iter();
        loop {
            let (a, b) = (first.next(), second.next());
            let told = |btf: &Btf<'_>, member: Option<Member<'_>>| match member {
                None => "no such field".to_owned(),
                Some(member) => {
                    let name = shown(member.name);
                    format!("{} {name} at {}", describe(btf, member.type_id), place(&member))
                }
            };
            let (Some(x), Some(y)) = (a, b) else {
                if a.is_none() && b.is_none() {
                    return Ok(());
                }
                self.path.push(shown(a.or(b).map_or("", |member| member.name)).to_owned());
                return self.differ(told(self.first, a), told(self.second, b));
            };
            let same = x.name == y.name && x.bit_offset == y.bit_offset && x.bitfield == y.bitfield;
            self.path.push(shown(x.name).to_owned());
            if !same {
                return self.differ(told(self.first, a), told(self.second, b));
            }
            self.types(x.type_id, y.type_id, depth + 1)?;
            self.path.pop();
        }
    }
}

/// Lists the members of a struct or union.
fn members(def: Def<'_>) -> Option<Vec<Member<'_>>> {
    match def {
        Def::Struct(composite) | Def::Union(composite) => Some(composite.members.into_iter().collect()),
        _ => None,
    }
}

fn shown(name: &str) -> &str {
    if name.is_empty() { "(anonymous)" } else { name }
}

/// Gives the offset of a member in bytes, and in bits behind that where it is a bitfield.
fn place(member: &Member<'_>) -> String {
    match member.bitfield {
        None => (member.bit_offset / 8).to_string(),
        Some(width) => format!("bit {} ({width} wide)", member.bit_offset),
    }
}

/// Names a type as C does, in short.
fn describe(btf: &Btf<'_>, id: TypeId) -> String {
    let mut suffix = String::new();
    let mut ty = btf.ty(id);
    for _ in 0..DEEPEST {
        let Ok(here) = ty else { break };
        let next = match here.def() {
            Def::Typedef(_) if !here.name().is_empty() => return format!("{}{suffix}", here.name()),
            Def::Ptr(to) => {
                suffix.insert(0, '*');
                to
            }
            Def::Array(array) => {
                suffix += &format!("[{}]", array.len);
                array.elem
            }
            Def::Void => return format!("void{suffix}"),
            Def::Struct(_) => return format!("struct {}{suffix}", shown(here.name())),
            Def::Union(_) => return format!("union {}{suffix}", shown(here.name())),
            Def::Enum(_) => return format!("enum {}{suffix}", shown(here.name())),
            _ => match here.modified() {
                Some(next) => next,
                None => return format!("{}{suffix}", shown(here.name())),
            },
        };
        ty = btf.ty(next);
    }
    format!("a type{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Types(Btf<'static>);

    impl Types {
        /// Types as clang makes them of the C in `lab/vectors/maps/kinds.bpf.c`, or of a like one.
        fn of(members: &[(&str, u32, u32)]) -> Types {
            let mut strings = b"\0value\0u32\0u64\0".to_vec();
            let mut words: Vec<u32> = Vec::new();
            // 1: u32; 2: u64.
            words.extend([7, 0x0100_0000, 4, 32]);
            words.extend([11, 0x0100_0000, 8, 64]);
            words.extend([1, 0x0400_0000 | members.len() as u32, 16]);
            for (name, type_id, offset) in members {
                let at = strings.len() as u32;
                strings.extend(name.bytes().chain([0]));
                words.extend([at, *type_id, offset * 8]);
            }
            let types: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            let mut bytes = 0xeb9f_u16.to_ne_bytes().to_vec();
            bytes.extend([1, 0]);
            for word in [24, 0, types.len(), types.len(), strings.len()] {
                bytes.extend((word as u32).to_ne_bytes());
            }
            bytes.extend(types.into_iter().chain(strings));
            Types(Btf::from_vec(bytes).unwrap())
        }

        fn against(&self, other: &Types) -> Option<String> {
            difference((&self.0, TypeId(3)), (&other.0, TypeId(3))).map(|difference| difference.to_string())
        }
    }

    #[test]
    fn what_differs_is_told_with_both_sides() {
        let here = Types::of(&[("packets", 2, 0), ("bytes", 2, 8)]);
        assert_eq!(here.against(&here), None);
        for (members, told) in [
            (&[("packets", 2, 0), ("drops", 2, 8)][..], "field bytes: u64 bytes at 8, wanted u64 drops at 8"),
            (&[("packets", 2, 0), ("bytes", 1, 8)][..], "field bytes: u64, wanted u32"),
            (&[("packets", 2, 0)][..], "field bytes: u64 bytes at 8, wanted no such field"),
            (&[("packets", 2, 0), ("bytes", 1, 8), ("pad", 1, 12)][..], "field bytes: u64, wanted u32"),
        ] {
            assert_eq!(here.against(&Types::of(members)).as_deref(), Some(told));
        }
        assert_eq!(layout(&here.0, TypeId(3)), "struct value { u64 packets at 0, u64 bytes at 8 }");
    }

    #[test]
    fn fields_of_rust_are_compared_by_name() {
        let types = Types::of(&[("packets", 2, 0), ("bytes", 2, 8)]);
        let told = |fields: &[FieldAt]| compare_fields(&types.0, TypeId(3), fields).join("; ");
        assert_eq!(told(&[FieldAt::new("bytes", 8, 8), FieldAt::new("r#packets", 0, 8)]), "");
        assert_eq!(
            told(&[FieldAt::new("bytes", 0, 4)]),
            "field bytes lies at 8 with 8 bytes in the object, at 0 with 4 in Rust"
        );
        assert!(told(&[FieldAt::new("drops", 0, 8)]).ends_with("has no field drops"));
    }
}
