//! What of a map's value is not the program's own, found in the value's type.
//!
//! As the kernel finds it: `btf_parse_fields` and what it calls, in `kernel/bpf/btf.c`, for the fields that `map_check_btf` in
//! `kernel/bpf/syscall.c` asks for. Where that ends in an error, the kernel makes the map all the same, and no program can use
//! the fields: their bytes are plain ones.

use crate::subject::{KptrTrust, Special, SpecialKind};
use alloc::vec::Vec;
use core::fmt;
use skep_btf::{Btf, Def, Kind, TagStyle, Type, TypeId};

/// The most fields of a value (`BTF_FIELDS_MAX`).
const MOST: usize = 11;
/// How deep structs and arrays may nest (`MAX_RESOLVE_DEPTH`).
const DEPTH: u32 = 32;
/// The members that are looked at, those of nested structs as often as these are found.
const STEPS: u32 = 1 << 17;

/// A struct that the kernel keeps for itself, by its name.
struct Known {
    name: &'static str,
    kind: SpecialKind,
    size: u32,
    align: u32,
    often: Often,
}

/// How often a struct may have a field of a kind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Often {
    /// Once.
    Once,
    /// As often as it likes, and not in arrays.
    Single,
    /// As often as it likes.
    Any,
}

/// `btf_get_field_type`, `btf_field_type_size` and `btf_field_type_align`.
const KNOWN: &[Known] = &[
    Known { name: "bpf_spin_lock", kind: SpecialKind::SpinLock, size: 4, align: 4, often: Often::Once },
    Known {
        name: "bpf_res_spin_lock",
        kind: SpecialKind::ResSpinLock,
        size: 4,
        align: 4,
        often: Often::Once,
    },
    Known { name: "bpf_timer", kind: SpecialKind::Timer, size: 16, align: 8, often: Often::Once },
    Known { name: "bpf_wq", kind: SpecialKind::Workqueue, size: 16, align: 8, often: Often::Once },
    Known { name: "bpf_task_work", kind: SpecialKind::Other, size: 8, align: 8, often: Often::Once },
    Known { name: "bpf_list_head", kind: SpecialKind::Other, size: 16, align: 8, often: Often::Any },
    Known { name: "bpf_rb_root", kind: SpecialKind::Other, size: 16, align: 8, often: Often::Any },
    Known { name: "bpf_refcount", kind: SpecialKind::Other, size: 4, align: 4, often: Often::Single },
];

/// The bytes of a pointer in a value, whatever the machine.
const POINTER: u32 = 8;

/// Why a value's fields cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecialError {
    /// The types cannot be read.
    Types(skep_btf::Error),
    /// The value is neither a struct nor a section's variables.
    NoStruct,
    /// There are more fields than the kernel counts, two of which it wants one, or the types nest too deep.
    TooMany,
    /// A field lies on another.
    Overlap,
    /// A field lies where none can be, or is of a type that none can have.
    Misplaced {
        /// The field's first byte in the value.
        offset: u32,
    },
    /// A list or tree is in a value without a lock.
    Unlocked,
    /// There is no memory for the answer.
    Memory,
}

impl fmt::Display for SpecialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpecialError::Types(error) => write!(f, "{error}"),
            SpecialError::NoStruct => f.write_str("wanted a struct or a section's variables"),
            SpecialError::TooMany => write!(f, "wanted at most {MOST} special fields, and one of a kind"),
            SpecialError::Overlap => f.write_str("a special field lies on another"),
            SpecialError::Misplaced { offset } => {
                write!(f, "no special field can be at byte {offset} of the value")
            }
            SpecialError::Unlocked => f.write_str("a list or a tree wants a lock in the same value"),
            SpecialError::Memory => f.write_str("out of memory"),
        }
    }
}

impl core::error::Error for SpecialError {}

impl From<skep_btf::Error> for SpecialError {
    fn from(error: skep_btf::Error) -> Self {
        SpecialError::Types(error)
    }
}

/// Finds what of a map's value is not the program's own, by ascending offset.
///
/// `types` are the types that the map was made with, `value` is its value's there. Pointers to objects of the kernel have a type of
/// `kernel`; those to what that does not have are [`SpecialKind::Other`]. Whether the kernel can destroy an object, and so takes
/// an owning pointer to it, its types do not say; what a list or a tree contains is not looked at.
///
/// # Errors
///
/// Why the kernel finds no field that can be used. It makes such a map, and its bytes are plain ones.
pub fn special_fields(
    types: &Btf<'_>,
    value: TypeId,
    kernel: Option<&Btf<'_>>,
) -> Result<Vec<Special>, SpecialError> {
    let mut search = Search { types, kernel, steps: STEPS, found: Vec::new(), has_graph: false };
    search.found.try_reserve_exact(MOST).map_err(|_| SpecialError::Memory)?;
    let value = types.resolve(value)?;
    let size = match value.def() {
        Def::Struct(of) | Def::Union(of) => {
            search.members(value, 0, 0)?;
            of.size
        }
        Def::Datasec(of) => {
            search.variables(value)?;
            of.size
        }
        _ => return Err(SpecialError::NoStruct),
    };
    let Search { found, has_graph, .. } = search;
    let mut end = 0;
    for Found { field, .. } in &found {
        let next = field.offset.checked_add(field.size).filter(|next| *next <= size);
        let next = next.ok_or(SpecialError::Misplaced { offset: field.offset })?;
        if field.offset < end {
            return Err(SpecialError::Overlap);
        }
        end = next;
    }
    let is_lock =
        |found: &Found| matches!(found.field.kind, SpecialKind::SpinLock | SpecialKind::ResSpinLock);
    if has_graph && !found.iter().any(is_lock) {
        return Err(SpecialError::Unlocked);
    }
    let mut fields = Vec::new();
    fields.try_reserve_exact(found.len()).map_err(|_| SpecialError::Memory)?;
    fields.extend(found.iter().map(|found| found.field));
    fields.sort_unstable_by_key(|field| field.offset);
    Ok(fields)
}

/// A field that was found.
#[derive(Clone, Copy)]
struct Found {
    field: Special,
    often: Often,
}

struct Search<'b> {
    types: &'b Btf<'b>,
    kernel: Option<&'b Btf<'b>>,
    /// Members that may still be looked at.
    steps: u32,
    found: Vec<Found>,
    /// A list or tree is among them.
    has_graph: bool,
}

/// A field that is to be looked at.
struct Place<'b> {
    ty: Type<'b>,
    offset: u32,
    /// Of a section's variable, its bytes.
    wanted: Option<u32>,
    depth: u32,
}

impl<'b> Search<'b> {
    /// Looks at a struct's members (`btf_find_struct_field`), at an offset of the value.
    fn members(&mut self, ty: Type<'b>, base: u32, depth: u32) -> Result<(), SpecialError> {
        let mut seen = Seen::default();
        for member in ty.as_composite()?.members {
            let misplaced = SpecialError::Misplaced { offset: base };
            if member.bit_offset % 8 != 0 {
                // Bit-fields are members like others to the kernel, which then finds no field in the value at all.
                return Err(misplaced);
            }
            let offset = base.checked_add(member.bit_offset / 8).ok_or(misplaced)?;
            let place = Place { ty: self.types.ty(member.type_id)?, offset, wanted: None, depth };
            self.field(place, &mut seen)?;
        }
        Ok(())
    }

    /// Looks at a section's variables (`btf_find_datasec_var`).
    fn variables(&mut self, ty: Type<'b>) -> Result<(), SpecialError> {
        let mut seen = Seen::default();
        for info in ty.as_datasec()?.vars {
            let Def::Var(var) = self.types.ty(info.type_id)?.def() else {
                return Err(SpecialError::Misplaced { offset: info.offset });
            };
            let ty = self.types.ty(var.type_id)?;
            // A size of none is none that is wanted.
            let wanted = Some(info.size).filter(|&size| size != 0);
            self.field(Place { ty, offset: info.offset, wanted, depth: 0 }, &mut seen)?;
        }
        Ok(())
    }

    /// Looks at one field (`btf_find_field_one`).
    fn field(&mut self, place: Place<'b>, seen: &mut Seen) -> Result<(), SpecialError> {
        let Place { mut ty, offset, wanted, depth } = place;
        self.steps = self.steps.checked_sub(1).ok_or(SpecialError::TooMany)?;
        let (mut count, mut levels) = (1u32, 0);
        while let Def::Array(array) = ty.def() {
            levels += 1;
            if levels == DEPTH {
                return Err(SpecialError::TooMany);
            }
            count = count.checked_mul(array.len).ok_or(SpecialError::Misplaced { offset })?;
            ty = self.types.ty(array.elem)?;
        }
        let fits = |size: u32| wanted.is_none_or(|wanted| size.checked_mul(count) == Some(wanted));
        if count == 0 {
            return Ok(());
        }
        let composite = match ty.def() {
            Def::Struct(composite) | Def::Union(composite) => Some(composite),
            _ => None,
        };
        let known = KNOWN.iter().enumerate().find(|(_, known)| known.name == ty.name());
        let Some((index, known)) = known else {
            return match composite {
                Some(_) if depth + 1 >= DEPTH => Err(SpecialError::TooMany),
                Some(composite) if fits(composite.size) => {
                    let before = self.found.len();
                    self.members(ty, offset, depth + 1)?;
                    self.repeat(before, count, composite.size)
                }
                None if fits(POINTER) && offset % POINTER == 0 => {
                    let before = self.found.len();
                    self.pointer(ty, offset)?;
                    self.repeat(before, count, POINTER)
                }
                _ => Ok(()),
            };
        };
        if known.often == Often::Once && core::mem::replace(&mut seen.0[index], true) {
            return Err(SpecialError::TooMany);
        }
        // What is only called so is nothing special (`btf_find_struct`).
        let is_it = composite.is_some_and(|composite| composite.size == known.size);
        if !is_it || !fits(known.size) || offset % known.align != 0 {
            return Ok(());
        }
        self.has_graph |= known.often == Often::Any;
        let before = self.found.len();
        self.add(Found {
            field: Special { kind: known.kind, offset, size: known.size },
            often: known.often,
        })?;
        self.repeat(before, count, known.size)
    }

    /// Looks at what may be a pointer to an object of the kernel (`btf_find_kptr`, `btf_parse_kptr`).
    fn pointer(&mut self, ty: Type<'b>, offset: u32) -> Result<(), SpecialError> {
        let misplaced = SpecialError::Misplaced { offset };
        let mut ty = ty;
        if let Def::Volatile(target) = ty.def() {
            ty = self.types.ty(target)?;
        }
        let Def::Ptr(target) = ty.def() else { return Ok(()) };
        let tagged = self.types.ty(target)?;
        let target = match tagged.def() {
            Def::TypeTag(tag) if tag.style == TagStyle::Tag => tag.target,
            _ => return Ok(()),
        };
        if self.types.ty(target)?.kind() == Some(Kind::TypeTag) {
            return Err(misplaced);
        }
        let trust = match tagged.name() {
            "kptr_untrusted" => Some(KptrTrust::Untrusted),
            "kptr" => Some(KptrTrust::Referenced),
            "percpu_kptr" => Some(KptrTrust::PerCpu),
            "uptr" => None,
            _ => return Err(misplaced),
        };
        let object = self.types.resolve(target)?;
        let kind = match object.kind() {
            Some(kind @ (Kind::Struct | Kind::Union)) => kind,
            _ => return Err(misplaced),
        };
        let in_kernel = self.kernel.and_then(|kernel| kernel.find(object.name(), kind));
        let kind = match (trust, in_kernel) {
            (Some(trust), Some(type_id)) => SpecialKind::Kptr { type_id, trust },
            _ => SpecialKind::Other,
        };
        self.add(Found { field: Special { kind, offset, size: POINTER }, often: Often::Any })
    }

    /// Finds again, in the further elements of an array, what was found in the first (`btf_repeat_fields`).
    fn repeat(&mut self, before: usize, count: u32, stride: u32) -> Result<(), SpecialError> {
        let fields = self.found.len() - before;
        if fields == 0 || count == 1 {
            return Ok(());
        }
        let last = before + fields;
        for element in 1..count {
            for index in before..last {
                let Some(found) = self.found.get(index).copied() else { continue };
                let misplaced = SpecialError::Misplaced { offset: found.field.offset };
                let offset = stride.checked_mul(element).and_then(|by| by.checked_add(found.field.offset));
                let Some(offset) = offset.filter(|_| found.often == Often::Any) else {
                    return Err(misplaced);
                };
                self.add(Found { field: Special { offset, ..found.field }, ..found })?;
            }
        }
        Ok(())
    }

    fn add(&mut self, found: Found) -> Result<(), SpecialError> {
        if self.found.len() == MOST {
            return Err(SpecialError::TooMany);
        }
        self.found.push(found);
        Ok(())
    }
}

/// Which kinds a struct has had, by their place in the table.
#[derive(Default)]
struct Seen([bool; KNOWN.len()]);
