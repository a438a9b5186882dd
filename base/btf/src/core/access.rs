//! The path of a relocation: read in the program's own types, and shown as text.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use super::error::CoreProblem;
use super::{Class, is_enum};
use crate::btf::{Btf, TypeId};
use crate::error::Error;
use crate::ext::CoreRelocKind;
use crate::kind::Kind;
use crate::record::Type;
use crate::types::{Array, Def, EnumWidth, Enumerator, Sign};

/// How many indices a path may have: `BPF_CORE_SPEC_MAX_LEN` of libbpf.
pub const MAX_STEPS: usize = 64;

/// A path in one BTF: from a type to a member, an element or an enumerator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// What was asked for.
    pub kind: CoreRelocKind,
    /// The type that the path starts from.
    pub root: TypeId,
    /// Each index, those of anonymous members among them; empty where the type as a whole is meant.
    pub raw: Vec<u32>,
    /// The steps that have a meaning by themselves: the first index, named members, elements.
    pub points: Vec<Point>,
    /// The offset in bits of where it leads to.
    pub bit_offset: u64,
}

/// A step of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// For a member or an enumerator the type that has it, for an element its own type; without typedefs and qualifiers.
    pub type_id: TypeId,
    /// The index.
    pub index: u32,
    /// What it is an index of.
    pub step: Step,
}

/// What an index counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Elements of an array, or of what a pointer to the root points to.
    Element,
    /// Members.
    Member,
    /// Enumerators.
    Enumerator,
}

impl Spec {
    pub(super) fn new(kind: CoreRelocKind, root: TypeId) -> Spec {
        Spec { kind, root, raw: Vec::new(), points: Vec::new(), bit_offset: 0 }
    }

    /// Reads a path, such as `0:1:3`, in the types of the program.
    pub(super) fn parse(btf: &Btf<'_>, kind: CoreRelocKind, root: TypeId, access: &str) -> Result<Spec, Bad> {
        let mut spec = Spec::new(kind, root);
        let class = Class::of(kind);
        if class == Class::Type {
            btf.ty(root)?;
            return if access == "0" { Ok(spec) } else { Err(CoreProblem::Access.into()) };
        }
        for index in access.split(':') {
            let digits = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
            let index = index.parse::<u32>().ok().filter(|index| digits && *index <= i32::MAX as u32);
            if spec.raw.len() == MAX_STEPS {
                return Err(CoreProblem::TooLong.into());
            }
            spec.raw.push(index.ok_or(CoreProblem::Access)?);
        }
        let &[first, ref rest @ ..] = &spec.raw[..] else { return Err(CoreProblem::Access.into()) };
        let ty = btf.resolve(root)?;
        if class == Class::Enumerator {
            if !rest.is_empty() || enumerator(ty, first).is_none() {
                return Err(CoreProblem::NoStep { at: 0 }.into());
            }
            spec.points.push(Point { type_id: ty.id(), index: first, step: Step::Enumerator });
            return Ok(spec);
        }
        spec.points.push(Point { type_id: ty.id(), index: first, step: Step::Element });
        spec.bit_offset = 8 * u64::from(first) * u64::from(btf.size_of(ty.id())?);
        let mut id = ty.id();
        for at in 1..spec.raw.len() {
            id = spec.step(btf, id, at)?;
        }
        Ok(spec)
    }

    /// Takes the step `at` from the type `id`; gives the type that it leads to.
    fn step(&mut self, btf: &Btf<'_>, id: TypeId, at: usize) -> Result<TypeId, Bad> {
        let no_step = CoreProblem::NoStep { at };
        let (ty, index) = (btf.resolve(id)?, self.raw[at]);
        match ty.def() {
            Def::Struct(composite) | Def::Union(composite) => {
                let member = composite.members.get(index as usize).ok_or(no_step)?;
                self.add_bits(u64::from(member.bit_offset))?;
                if !member.name.is_empty() {
                    self.points.push(Point { type_id: ty.id(), index, step: Step::Member });
                }
                Ok(member.type_id)
            }
            Def::Array(array) => {
                let elem = btf.resolve(array.elem)?.id();
                if index >= array.len && !self.is_flexible(btf, array)? {
                    return Err(no_step.into());
                }
                self.points.push(Point { type_id: elem, index, step: Step::Element });
                self.add_elements(index, btf.size_of(elem)?)?;
                Ok(elem)
            }
            _ => Err(no_step.into()),
        }
    }

    /// Whether an array that the last point leads to has as many elements as there is memory: it has none, and is the
    /// last member.
    pub(super) fn is_flexible(&self, btf: &Btf<'_>, array: Array) -> Result<bool, Error> {
        let Some(Point { type_id, index, step: Step::Member }) = self.points.last() else { return Ok(false) };
        let members = btf.ty(*type_id)?.as_composite()?.members;
        Ok(array.len == 0 && *index as usize + 1 == members.len())
    }

    pub(super) fn add_elements(&mut self, index: u32, size: u32) -> Result<(), CoreProblem> {
        let bits = u64::from(index).checked_mul(u64::from(size)).and_then(|bytes| bytes.checked_mul(8));
        self.add_bits(bits.ok_or(CoreProblem::TooLarge)?)
    }

    /// Offsets in bits have 32 bits, as libbpf counts them; it wraps them, and here is an error.
    pub(super) fn add_bits(&mut self, bits: u64) -> Result<(), CoreProblem> {
        let sum = self.bit_offset.checked_add(bits).filter(|sum| *sum <= u64::from(u32::MAX));
        self.bit_offset = sum.ok_or(CoreProblem::TooLarge)?;
        Ok(())
    }

    /// Whether the path leads to a member, an element or an enumerator, and not to the type itself.
    pub fn is_path(&self) -> bool {
        !self.points.is_empty()
    }

    /// Shows it as libbpf's log does: `<byte_off> [7] struct task_struct.pid (0:45 @ offset 1234)`.
    pub fn text(&self, btf: &Btf<'_>) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = self.write(btf, &mut text);
        text
    }

    fn write(&self, btf: &Btf<'_>, out: &mut String) -> core::fmt::Result {
        let root = btf.get(self.root);
        let kind = root.and_then(|ty| ty.kind()).map_or("unknown", Kind::name);
        let name = root.map(|ty| ty.name()).filter(|name| !name.is_empty()).unwrap_or("<anon>");
        write!(out, "<{}> [{}] {kind} {name}", self.kind.name(), self.root.0)?;
        match Class::of(self.kind) {
            Class::Type => Ok(()),
            Class::Enumerator => match self.enumerator(btf) {
                Some(item) => write!(out, "::{} = {}", item.name, item.value),
                None => Ok(()),
            },
            Class::Field => {
                self.write_points(btf, out)?;
                out.push_str(" (");
                for (at, index) in self.raw.iter().enumerate() {
                    write!(out, "{}{index}", if at == 0 { "" } else { ":" })?;
                }
                write!(out, " @ offset {}", self.bit_offset / 8)?;
                match self.bit_offset % 8 {
                    0 => out.push(')'),
                    bits => write!(out, ".{bits})")?,
                }
                Ok(())
            }
        }
    }

    fn write_points(&self, btf: &Btf<'_>, out: &mut String) -> core::fmt::Result {
        for (at, point) in self.points.iter().enumerate() {
            match member_name(btf, *point) {
                Some(name) => write!(out, ".{name}")?,
                None if at > 0 || point.index > 0 => write!(out, "[{}]", point.index)?,
                None => {}
            }
        }
        Ok(())
    }

    /// Shows it as C would say it: `task_struct->mm.pgd`, `enum bpf_map_type: BPF_MAP_TYPE_HASH`, `struct sock`.
    pub fn access(&self, btf: &Btf<'_>) -> String {
        let mut out = String::new();
        let Some(root) = btf.get(self.root) else { return out };
        let name = if root.name().is_empty() { "(anonymous)" } else { root.name() };
        let mut points = String::new();
        // Writing into a string does not fail.
        let _ = self.write_points(btf, &mut points);
        match (Class::of(self.kind), self.enumerator(btf)) {
            (Class::Field, _) => {
                out.push_str(name);
                match points.strip_prefix('.') {
                    Some(rest) => {
                        out.push_str("->");
                        out.push_str(rest);
                    }
                    None => out.push_str(&points),
                }
            }
            (Class::Enumerator, Some(item)) => {
                let _ = write!(out, "{} {name}: {}", word(root), item.name);
            }
            _ => {
                let _ = write!(out, "{} {name}", word(root));
            }
        }
        String::from(out.trim_start())
    }

    /// The enumerator that it leads to.
    pub(super) fn enumerator<'b>(&self, btf: &'b Btf<'b>) -> Option<Enumerator<'b>> {
        let point = self.points.first().filter(|point| point.step == Step::Enumerator)?;
        enumerator(btf.get(point.type_id)?, point.index)
    }
}

/// What C calls the kind of a type before its name.
fn word(ty: Type<'_>) -> &'static str {
    match ty.kind() {
        Some(Kind::Struct) => "struct",
        Some(Kind::Union) => "union",
        Some(Kind::Enum | Kind::Enum64) => "enum",
        _ => "",
    }
}

/// The name of the member that a point leads to.
pub(super) fn member_name<'b>(btf: &'b Btf<'b>, point: Point) -> Option<&'b str> {
    match point.step {
        Step::Member => {
            let members = btf.get(point.type_id)?.as_composite().ok()?.members;
            members.get(point.index as usize).map(|member| member.name)
        }
        Step::Element | Step::Enumerator => None,
    }
}

/// The enumerator at an index.
pub(super) fn enumerator(ty: Type<'_>, index: u32) -> Option<Enumerator<'_>> {
    match ty.def() {
        Def::Enum(item) if is_enum(ty) => item.value(index as usize),
        _ => None,
    }
}

/// The bits that an instruction gets for an enumerator: those of 32 bits are sign-extended, whatever their sign, because
/// the field that holds them is a signed one (`struct btf_enum`, include/uapi/linux/btf.h).
pub(super) fn enumerator_bits(ty: Type<'_>, index: u32) -> Option<u64> {
    let value = enumerator(ty, index)?.value;
    match ty.def() {
        Def::Enum(item) if (item.width, item.sign) == (EnumWidth::Bits32, Sign::Unsigned) => {
            Some(i64::from(value as u32 as i32) as u64)
        }
        _ => Some(value as u64),
    }
}

/// What stops a path from being followed.
pub(super) enum Bad {
    /// The BTF.
    Btf(Error),
    /// The path.
    Core(CoreProblem),
}

impl From<Error> for Bad {
    fn from(error: Error) -> Bad {
        Bad::Btf(error)
    }
}

impl From<CoreProblem> for Bad {
    fn from(problem: CoreProblem) -> Bad {
        Bad::Core(problem)
    }
}
