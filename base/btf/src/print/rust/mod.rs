//! Rust: `#[repr(C)]` types with the layouts that BTF has.
//!
//! Every byte of a type has a field, so that nothing is left to the compiler: gaps and bitfields are arrays of bytes. A type
//! whose members would be aligned otherwise is packed.

mod fields;
mod names;

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use crate::btf::{Btf, TypeId};
use crate::error::{Error, Problem};
use crate::layout::MAX_DEPTH;
use crate::record::Type;
use crate::types::{Def, Enum, FwdKind, Int, Sign};

use self::fields::{Field, Form, Shapes};
use self::names::{Names, identifier};
use super::{FREE_STEPS, PrintError, STEPS_PER_BYTE};

/// Writes types as Rust, each once, with what it refers to.
///
/// Structs and unions have `#[repr(C)]`, the size and the offsets that BTF says, and a field for every byte: `__padN` for a
/// gap at byte N, `__bitsN` for the bitfields there, with a line that tells them. Enumerations are numbers with named values,
/// as any number may stand in memory; so is `bool`, as a `u8`. Pointers to functions are pointers to `c_void`. Types without a
/// name get that of the member that has them (`task_struct__thread`).
///
/// The alignment of a type may be less than C's, where bitfields or attributes raise that.
pub struct RustPrinter<'b> {
    btf: &'b Btf<'b>,
    shapes: Shapes<'b>,
    names: Names,
    /// The definitions that forward declarations stand for.
    defined: BTreeMap<(&'b str, FwdKindKey), TypeId>,
    is_queued: Vec<bool>,
    queue: Vec<TypeId>,
    /// Structs and unions that are written.
    written: Vec<TypeId>,
    text: String,
    steps: u64,
}

/// Whether a tag is a union's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum FwdKindKey {
    Struct,
    Union,
}

/// What stands before the types of a file.
const HEAD: &str = "#![allow(dead_code, non_camel_case_types, non_snake_case, non_upper_case_globals)]\n\n";

/// Pointers to what has no size or no type of its own in Rust.
const C_VOID: &str = "core::ffi::c_void";

impl<'b> RustPrinter<'b> {
    /// A printer that has written nothing yet.
    ///
    /// # Errors
    ///
    /// [`Problem::NoMemory`].
    pub fn new(btf: &'b Btf<'b>) -> Result<RustPrinter<'b>, Error> {
        let mut defined = BTreeMap::new();
        for ty in btf.types().filter(|ty| !ty.name().is_empty()) {
            let key = match ty.def() {
                Def::Struct(_) => FwdKindKey::Struct,
                Def::Union(_) => FwdKindKey::Union,
                _ => continue,
            };
            defined.entry((ty.name(), key)).or_insert(ty.id());
        }
        let bytes = btf.base().map_or(0, |base| base.bytes().len()) + btf.bytes().len();
        Ok(RustPrinter {
            btf,
            shapes: Shapes::new(btf)?,
            names: Names::default(),
            defined,
            is_queued: super::table(btf, false)?,
            queue: Vec::new(),
            written: Vec::new(),
            text: String::new(),
            steps: FREE_STEPS + STEPS_PER_BYTE * bytes as u64,
        })
    }

    /// Writes a whole file: of these types and what they refer to, or of all that have a name. Of split BTF these are its own,
    /// and what they refer to of the base's.
    ///
    /// # Errors
    ///
    /// The writer's, or that of the type that could not be written.
    pub fn file(&mut self, roots: &[TypeId], out: &mut dyn Write) -> Result<(), PrintError> {
        out.write_str(HEAD)?;
        match roots {
            [] => {
                for ty in self.btf.own_types() {
                    let is_wanted = match ty.def() {
                        Def::Struct(_) | Def::Union(_) | Def::Typedef(_) => !ty.name().is_empty(),
                        Def::Enum(_) => true,
                        _ => false,
                    };
                    if is_wanted {
                        self.one(ty.id(), out)?;
                    }
                }
            }
            roots => roots.iter().try_for_each(|&root| self.one(root, out))?,
        }
        Ok(())
    }

    /// Writes one type and what it refers to, unless they are written already.
    ///
    /// # Errors
    ///
    /// As [`RustPrinter::file`].
    pub fn one(&mut self, id: TypeId, out: &mut dyn Write) -> Result<(), PrintError> {
        let ty = self.btf.ty(id)?;
        match ty.def() {
            Def::Struct(_) | Def::Union(_) | Def::Enum(_) | Def::Typedef(_) | Def::Fwd(_) => self.want(id),
            _ => return Err(ty.wrong_kind("struct, union, enum or typedef").into()),
        }
        while let Some(id) = self.queue.pop() {
            self.write(self.btf.ty(id)?)?;
            out.write_str(&self.text)?;
            self.text.clear();
        }
        Ok(())
    }

    /// Writes assertions that the compiler checks: the size of each struct and union that is written, and the offset of each
    /// field.
    ///
    /// # Errors
    ///
    /// As [`RustPrinter::file`].
    pub fn assertions(&mut self, out: &mut dyn Write) -> Result<(), PrintError> {
        for id in core::mem::take(&mut self.written) {
            let ty = self.btf.ty(id)?;
            let (composite, name) = (ty.as_composite()?, self.name(ty));
            writeln!(out, "const _: () = {{")?;
            writeln!(out, "    assert!(core::mem::size_of::<{name}>() == {});", composite.size)?;
            if self.shapes.shape(ty)?.form != Form::Bytes {
                for (index, field) in fields::fields(self.btf, ty)?.iter().flatten().enumerate() {
                    let Field::Member(member) = field else { continue };
                    let (field, offset) = (field_name(member.name, index), member.bit_offset / 8);
                    writeln!(out, "    assert!(core::mem::offset_of!({name}, {field}) == {offset});")?;
                }
            }
            writeln!(out, "}};")?;
        }
        Ok(())
    }

    fn want(&mut self, id: TypeId) {
        if let Some(is_queued @ false) = self.is_queued.get_mut(id.0 as usize) {
            *is_queued = true;
            self.queue.push(id);
        }
    }

    fn write(&mut self, ty: Type<'b>) -> Result<(), Error> {
        self.spend(ty)?;
        match ty.def() {
            Def::Struct(_) | Def::Union(_) => self.composite(ty),
            Def::Enum(item) => self.enumeration(ty, item),
            Def::Typedef(target) => {
                // `typedef struct foo foo` says nothing new, and would take the name from the struct.
                if self.btf.resolve(target).is_ok_and(|target| {
                    target.name() == ty.name() && !matches!(target.def(), Def::Int(_) | Def::Float(_))
                }) {
                    return Ok(());
                }
                let name = self.names.name(ty.id(), ty.name());
                let target = self.type_of(target, &name, 0)?;
                // Writing to a String does not fail, here and below.
                let _ = writeln!(self.text, "pub type {name} = {target};\n");
                Ok(())
            }
            Def::Fwd(_) => {
                let name = self.names.name(ty.id(), ty.name());
                let _ = writeln!(self.text, "/// Declared, and defined elsewhere.");
                let _ = writeln!(self.text, "#[repr(C)]\npub struct {name} {{\n    _opaque: [u8; 0],\n}}\n");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn composite(&mut self, ty: Type<'b>) -> Result<(), Error> {
        let (shape, name) = (self.shapes.shape(ty)?, self.name(ty));
        let word = if matches!(ty.def(), Def::Union(_)) { "union" } else { "struct" };
        let size = ty.as_composite()?.size;
        let mut text = String::new();
        match fields::fields(self.btf, ty)? {
            Some(fields) if shape.form != Form::Bytes => {
                for (index, field) in fields.iter().enumerate() {
                    self.field(&mut text, ty, &name, field, index)?;
                }
            }
            _ => {
                let _ = writeln!(text, "    /// Its members overlap, or lie where no field can.");
                let _ = writeln!(text, "    pub __bytes: [u8; {size}],");
            }
        }
        // Rust has no union without fields.
        let word = if text.is_empty() { "struct" } else { word };
        let repr = if shape.form == Form::Packed { "C, packed" } else { "C" };
        let _ =
            writeln!(self.text, "#[derive(Clone, Copy)]\n#[repr({repr})]\npub {word} {name} {{\n{text}}}\n");
        self.written.push(ty.id());
        Ok(())
    }

    fn field(
        &mut self,
        text: &mut String,
        of: Type<'b>,
        within: &str,
        field: &Field<'b>,
        index: usize,
    ) -> Result<(), Error> {
        self.spend(of)?;
        match field {
            Field::Member(member) => {
                let name = field_name(member.name, index);
                let outer = format!("{}__{}", within.trim_start_matches("r#"), name.trim_start_matches("r#"));
                let ty = self.type_of(member.type_id, &outer, 0)?;
                let _ = writeln!(text, "    pub {name}: {ty},");
            }
            Field::Bits { start, len, members } => {
                for (name, first, width) in members {
                    let first = first - start * 8;
                    let _ = writeln!(
                        text,
                        "    /// Bits {first}..{}: `{}`.",
                        first + width,
                        identifier(name).trim_start_matches("r#")
                    );
                }
                let _ = writeln!(text, "    pub __bits{start}: [u8; {len}],");
            }
            Field::Gap { len, .. } => {
                let _ = writeln!(text, "    pub {}: [u8; {len}],", field.bytes_name().unwrap_or_default());
            }
        }
        Ok(())
    }

    fn enumeration(&mut self, ty: Type<'b>, item: Enum<'b>) -> Result<(), Error> {
        let number = enum_number(&item);
        if ty.name().is_empty() {
            for each in item.values() {
                self.spend(ty)?;
                let name = self.names.claim(each.name);
                let _ =
                    writeln!(self.text, "pub const {name}: {number} = {};", fitting(each.value, item.size));
            }
            self.text.push('\n');
            return Ok(());
        }
        let name = self.names.name(ty.id(), ty.name());
        let _ = writeln!(self.text, "#[derive(Clone, Copy, Debug, PartialEq, Eq)]\n#[repr(transparent)]");
        let _ = writeln!(self.text, "pub struct {name}(pub {number});\n\nimpl {name} {{");
        for each in item.values() {
            self.spend(ty)?;
            let value = fitting(each.value, item.size);
            let _ = writeln!(self.text, "    pub const {}: {name} = {name}({value});", identifier(each.name));
        }
        self.text.push_str("}\n\n");
        Ok(())
    }

    /// A type, as a field or an alias has it. `outer` is the name for what has none.
    fn type_of(&mut self, id: TypeId, outer: &str, depth: usize) -> Result<String, Error> {
        let ty = self.btf.ty(id)?;
        self.spend(ty)?;
        if depth >= MAX_DEPTH {
            return Err(ty.error(Problem::TooDeep));
        }
        match ty.def() {
            Def::Int(int) => Ok(int_name(int)),
            Def::Float(size) => Ok(float(size).map_or_else(|| format!("[u8; {size}]"), str::to_owned)),
            Def::Ptr(target) => {
                let star = if self.is_const(target) { "*const" } else { "*mut" };
                Ok(format!("{star} {}", self.type_of(target, outer, depth + 1)?))
            }
            Def::Array(array) => {
                Ok(format!("[{}; {}]", self.type_of(array.elem, outer, depth + 1)?, array.len))
            }
            Def::Struct(_) | Def::Union(_) => {
                self.want(id);
                Ok(match ty.name() {
                    "" => self.names.name(id, outer),
                    name => self.names.name(id, name),
                })
            }
            Def::Enum(item) if ty.name().is_empty() => {
                self.want(id);
                Ok(enum_number(&item).to_owned())
            }
            Def::Enum(_) => {
                self.want(id);
                Ok(self.names.name(id, ty.name()))
            }
            Def::Fwd(kind) => {
                let key = match kind {
                    FwdKind::Struct => FwdKindKey::Struct,
                    FwdKind::Union => FwdKindKey::Union,
                };
                let id = self.defined.get(&(ty.name(), key)).copied().unwrap_or(id);
                self.want(id);
                Ok(self.names.name(id, ty.name()))
            }
            Def::Typedef(target) => {
                let inner = self.btf.resolve(target)?;
                match inner.def() {
                    // The alias has the name that it would give.
                    Def::Struct(_) | Def::Union(_) | Def::Enum(_) | Def::Fwd(_)
                        if inner.name() == ty.name() =>
                    {
                        self.type_of(inner.id(), outer, depth + 1)
                    }
                    _ => {
                        self.want(id);
                        Ok(self.names.name(id, ty.name()))
                    }
                }
            }
            Def::Void | Def::FuncProto(_) => Ok(C_VOID.to_owned()),
            _ => match ty.modified() {
                Some(next) => self.type_of(next, outer, depth + 1),
                None => Err(ty.wrong_kind("a type that a variable may have")),
            },
        }
    }

    /// Whether what a pointer leads to is constant.
    fn is_const(&self, id: TypeId) -> bool {
        let mut ty = self.btf.get(id);
        for _ in 0..MAX_DEPTH {
            let next = match ty.map(|ty| ty.def()) {
                Some(Def::Const(_)) => return true,
                Some(Def::Volatile(next) | Def::Restrict(next)) => next,
                Some(Def::TypeTag(tag)) => tag.target,
                _ => return false,
            };
            ty = self.btf.get(next);
        }
        false
    }

    fn name(&mut self, ty: Type<'b>) -> String {
        match self.names.known(ty.id()) {
            Some(name) => name.to_owned(),
            None if ty.name().is_empty() => self.names.name(ty.id(), &format!("anonymous_{}", ty.id().0)),
            None => self.names.name(ty.id(), ty.name()),
        }
    }

    fn spend(&mut self, ty: Type<'_>) -> Result<(), Error> {
        self.steps = self.steps.checked_sub(1).ok_or_else(|| ty.error(Problem::TooComplex))?;
        Ok(())
    }
}

impl fmt::Debug for RustPrinter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RustPrinter").field("btf", &self.btf).finish_non_exhaustive()
    }
}

/// The name of a field; a member without one is called by its place.
fn field_name(name: &str, index: usize) -> String {
    match name {
        "" => format!("__anon{index}"),
        name => identifier(name),
    }
}

/// Booleans are bytes: memory may hold other values than 0 and 1.
fn int_name(int: Int) -> String {
    let sign = if int.encoding.is_signed() { Sign::Signed } else { Sign::Unsigned };
    integer(int.size, sign).map_or_else(|| format!("[u8; {}]", int.size), str::to_owned)
}

fn integer(size: u32, sign: Sign) -> Option<&'static str> {
    let (signed, unsigned) = match size {
        1 => ("i8", "u8"),
        2 => ("i16", "u16"),
        4 => ("i32", "u32"),
        8 => ("i64", "u64"),
        16 => ("i128", "u128"),
        _ => return None,
    };
    Some(if sign == Sign::Signed { signed } else { unsigned })
}

/// An x87 `long double` is 16 bytes, aligned as such.
fn float(size: u32) -> Option<&'static str> {
    match size {
        4 => Some("f32"),
        8 => Some("f64"),
        16 => Some("u128"),
        _ => None,
    }
}

/// Enumerations of other sizes are refused where they are used by value, as no number has them.
fn enum_number(item: &Enum<'_>) -> &'static str {
    // Kernels built before enumerations had a sign store negative values as if they had none.
    integer(item.size, item.sign).unwrap_or("u32")
}

/// The value, as the number of that size has it: those of narrow enumerations may be stored with more bits.
fn fitting(value: i128, size: u32) -> i128 {
    let bits = size.min(8) * 8;
    if value < 0 || bits == 0 { value } else { value & ((1i128 << bits) - 1) }
}
