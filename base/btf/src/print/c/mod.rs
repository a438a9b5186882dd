//! C: a header that compiles to the layouts that BTF has.
//!
//! Types come in an order in which each stands after what it needs. Nothing that a compiler would decide otherwise is left
//! to it: gaps are unnamed bitfields, and what C's rules would place elsewhere is packed.

mod body;
mod declare;
mod functions;
mod names;
mod order;
mod shape;
mod tags;
mod words;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use crate::btf::{Btf, TypeId};
use crate::error::{Error, Problem};
use crate::record::Type;
use crate::types::Def;

use self::names::{Form, Names, TagKind};
use self::order::{State, Task};
use self::shape::Shapes;
use self::tags::Tags;
use self::words::Spelling;
use super::{FREE_STEPS, PrintError, STEPS_PER_BYTE, table};

/// How deep structs without a name and prototypes may stand in each other.
const MAX_INLINE: usize = 32;

/// Writes types as C, each once, after what it needs.
///
/// The text compiles, with clang for the BPF target, to structs and unions of the same sizes with members at the same
/// offsets. Two types of one name are told apart by a suffix (`task_struct___2`), which CO-RE leaves out; names that C cannot
/// have are changed. Types that C cannot lay out become bytes, with a comment.
///
/// # Examples
///
/// ```
/// # use skep_btf::{Btf, CPrinter, Kind};
/// # let mut bytes = vec![0x9f, 0xeb, 1, 0, 24, 0, 0, 0];
/// # for word in [0u32, 28, 28, 9, 1, 0x0100_0000, 4, 0x0100_0020, 5, 0x0800_0000, 1] {
/// #     bytes.extend(word.to_le_bytes());
/// # }
/// # bytes.extend(b"\0int\0s32\0");
/// # let btf = Btf::parse(&bytes)?;
/// let mut text = String::new();
/// CPrinter::new(&btf)?.types(&mut text)?;
/// assert_eq!(text, "typedef int s32;\n\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CPrinter<'b> {
    btf: &'b Btf<'b>,
    states: Vec<State>,
    tasks: Vec<Task>,
    shapes: Shapes<'b>,
    names: Names<'b>,
    tags: Tags<'b>,
    /// What is written, and not handed over yet.
    text: String,
    steps: u64,
}

impl<'b> CPrinter<'b> {
    /// A printer that has written nothing yet.
    ///
    /// # Errors
    ///
    /// [`Problem::NoMemory`].
    pub fn new(btf: &'b Btf<'b>) -> Result<CPrinter<'b>, Error> {
        let bytes = btf.base().map_or(0, |base| base.bytes().len()) + btf.bytes().len();
        Ok(CPrinter {
            btf,
            states: table(btf, State::default())?,
            tasks: Vec::new(),
            shapes: Shapes::new(btf)?,
            names: Names::default(),
            tags: Tags::new(btf),
            text: String::new(),
            steps: FREE_STEPS + STEPS_PER_BYTE * bytes as u64,
        })
    }

    /// Writes a whole header, as `bpftool btf dump … format c` does: a guard, the types with `preserve_access_index`, the
    /// kfuncs.
    ///
    /// # Errors
    ///
    /// The writer's, or that of the type that could not be written.
    pub fn header(&mut self, out: &mut dyn Write) -> Result<(), PrintError> {
        self.types_between(out, |printer, out| {
            printer.types(out)?;
            printer.kfuncs(out)
        })
    }

    /// Writes a whole header of these types and what they need.
    ///
    /// # Errors
    ///
    /// As [`CPrinter::header`].
    pub fn header_of(&mut self, roots: &[TypeId], out: &mut dyn Write) -> Result<(), PrintError> {
        self.types_between(out, |printer, out| roots.iter().try_for_each(|&root| printer.one(root, out)))
    }

    /// Writes all types with a name, and all enumerations. Of split BTF these are its own, and what they need of the base's.
    ///
    /// # Errors
    ///
    /// As [`CPrinter::header`].
    pub fn types(&mut self, out: &mut dyn Write) -> Result<(), PrintError> {
        let used = self.used_enums()?;
        for ty in self.btf.own_types() {
            let is_wanted = match ty.def() {
                Def::Struct(_) | Def::Union(_) | Def::Typedef(_) => !ty.name().is_empty(),
                Def::Enum(_) => !ty.name().is_empty() || used.get(ty.id().0 as usize) == Some(&Used::No),
                _ => false,
            };
            if is_wanted {
                self.one(ty.id(), out)?;
            }
        }
        Ok(())
    }

    /// Writes one type and what it needs, unless they are written already; a function becomes a prototype.
    ///
    /// # Errors
    ///
    /// As [`CPrinter::header`]; [`Problem::WrongKind`] for what C cannot declare by itself, such as a section.
    pub fn one(&mut self, id: TypeId, out: &mut dyn Write) -> Result<(), PrintError> {
        let ty = self.btf.ty(id)?;
        match ty.def() {
            Def::Func(_) => self.function(ty)?,
            Def::Enum(_) if ty.name().is_empty() => self.write_definition(ty)?,
            Def::Struct(_) | Def::Union(_) if ty.name().is_empty() => {
                self.require(id)?;
                self.write_definition(ty)?;
            }
            Def::Var(_) | Def::Datasec(_) | Def::DeclTag(_) | Def::Unknown(_) | Def::Void => {
                return Err(ty.wrong_kind("a type or a function").into());
            }
            _ => self.require(id)?,
        }
        self.hand_over(out)
    }

    fn types_between(
        &mut self,
        out: &mut dyn Write,
        inside: impl FnOnce(&mut Self, &mut dyn Write) -> Result<(), PrintError>,
    ) -> Result<(), PrintError> {
        out.write_str(HEAD)?;
        inside(self, out)?;
        out.write_str(TAIL)?;
        Ok(())
    }

    /// Writes the definition of what needs nothing any more.
    fn write_definition(&mut self, ty: Type<'b>) -> Result<(), Error> {
        let (definition, guard) = match ty.def() {
            Def::Struct(_) => (self.tagged(ty, TagKind::Struct)?, Guard::None),
            Def::Union(_) => (self.tagged(ty, TagKind::Union)?, Guard::None),
            Def::Enum(item) => {
                let is_bool =
                    item.len() == 2 && item.values().all(|each| matches!(each.name, "true" | "false"));
                (self.tagged(ty, TagKind::Enum)?, if is_bool { Guard::BeforeC23 } else { Guard::None })
            }
            Def::Typedef(target) => {
                let name = self.names.ident(ty.id(), ty.name());
                let guard = if name == "bool" { Guard::BeforeC23 } else { Guard::None };
                let declaration = self.declaration(target, &name, 0)?;
                let attributes = self.tags.attributes(ty.id(), None);
                (alloc::format!("typedef {declaration}{attributes}"), guard)
            }
            Def::Int(int) => (self.number_typedef(ty, words::integer(ty.name(), int), int.size), Guard::None),
            Def::Float(size) => (self.number_typedef(ty, words::float(size), size), Guard::None),
            _ => return Err(ty.wrong_kind("a type with a definition")),
        };
        // Writing to a String does not fail.
        let _ = match guard {
            Guard::None => write!(self.text, "{definition};\n\n"),
            Guard::BeforeC23 => {
                write!(self.text, "#if __STDC_VERSION__ < 202311L\n{definition};\n#endif\n\n")
            }
        };
        Ok(())
    }

    fn tagged(&mut self, ty: Type<'b>, kind: TagKind) -> Result<String, Error> {
        match ty.name() {
            "" => self.body(ty, "", 0),
            name => {
                let tag = self.names.tag(ty.id(), name, kind, Form::Defined);
                self.body(ty, &tag, 0)
            }
        }
    }

    fn number_typedef(&mut self, ty: Type<'b>, spelling: Spelling<'_>, size: u32) -> String {
        let name = self.names.ident(ty.id(), ty.name());
        match spelling {
            Spelling::Words(words) | Spelling::Named(words) => alloc::format!("typedef {words} {name}"),
            Spelling::Bytes => alloc::format!("typedef struct {{ unsigned char bytes[{size}]; }} {name}"),
        }
    }

    fn is_defined(&self, id: TypeId) -> bool {
        self.states.get(id.0 as usize).is_some_and(State::is_defined)
    }

    /// Says which enumerations without a name are part of another type, and written with that.
    fn used_enums(&self) -> Result<Vec<Used>, Error> {
        let mut used = table(self.btf, Used::No)?;
        let mut note = |id: TypeId| {
            if let Some(used) = used.get_mut(id.0 as usize) {
                *used = Used::Yes;
            }
        };
        for ty in self.btf.types() {
            match ty.def() {
                Def::Struct(composite) | Def::Union(composite) => {
                    composite.members.iter().for_each(|member| note(member.type_id));
                }
                Def::Array(array) => note(array.elem),
                Def::FuncProto(proto) => {
                    note(proto.ret);
                    proto.params.iter().for_each(|param| note(param.type_id));
                }
                Def::Ptr(target) => note(target),
                _ => ty.modified().into_iter().for_each(&mut note),
            }
        }
        Ok(used)
    }

    /// Pays for one step.
    fn spend(&mut self, ty: Type<'_>) -> Result<(), Error> {
        self.steps = self.steps.checked_sub(1).ok_or_else(|| ty.error(Problem::TooComplex))?;
        Ok(())
    }

    fn hand_over(&mut self, out: &mut dyn Write) -> Result<(), PrintError> {
        let result = out.write_str(&self.text);
        self.text.clear();
        Ok(result?)
    }
}

impl fmt::Debug for CPrinter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CPrinter").field("btf", &self.btf).finish_non_exhaustive()
    }
}

/// Whether another type refers to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Used {
    No,
    Yes,
}

/// Whether newer C has a definition already.
enum Guard {
    None,
    /// `bool`, `true` and `false` are keywords of C23.
    BeforeC23,
}

/// What stands before the types: the macros are those that programs know from `bpftool`'s header.
const HEAD: &str = "#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

";

/// What stands behind them.
const TAIL: &str = "#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */
";
