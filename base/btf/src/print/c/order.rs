//! In which order types are written: each after what it needs, with forward declarations where that is enough.

use core::fmt::Write;

use crate::btf::TypeId;
use crate::error::{Error, Problem};
use crate::record::Type;
use crate::types::{Def, FwdKind};

use super::CPrinter;
use super::names::{Form, TagKind};
use super::words::{self, Spelling};

/// What has happened to a type so far.
#[derive(Clone, Copy, Default)]
pub(super) struct State {
    /// Its tag is declared.
    is_declared: bool,
    /// Its definition waits for what it needs.
    is_open: bool,
    /// Its definition is written.
    is_defined: bool,
    /// What its name needs is being written.
    is_mentioned: bool,
    /// What its size needs is being written.
    is_completed: bool,
}

/// What is left to do, the last first.
pub(super) enum Task {
    /// Define it, so that its size is known.
    Complete { id: TypeId, within: TypeId },
    /// Make its name known: pointers to it need no more.
    Mention { id: TypeId, within: TypeId },
    /// Write its definition: what it needs is there.
    Define(TypeId),
}

/// What is wanted of types that others need.
type Want = fn(TypeId, TypeId) -> Task;

fn complete(id: TypeId, within: TypeId) -> Task {
    Task::Complete { id, within }
}

fn mention(id: TypeId, within: TypeId) -> Task {
    Task::Mention { id, within }
}

impl<'b> CPrinter<'b> {
    /// Writes a type with all that it needs, unless it is there.
    pub(super) fn require(&mut self, id: TypeId) -> Result<(), Error> {
        // What an earlier type that was refused has left.
        self.tasks.clear();
        self.tasks.push(complete(id, TypeId::VOID));
        while let Some(task) = self.tasks.pop() {
            match task {
                Task::Complete { id, within } => self.complete(id, within)?,
                Task::Mention { id, within } => self.mention(id, within)?,
                Task::Define(id) => self.define(id)?,
            }
        }
        Ok(())
    }

    /// `within` is what is being defined: its own tag is known to its members.
    fn complete(&mut self, id: TypeId, within: TypeId) -> Result<(), Error> {
        let ty = self.btf.ty(id)?;
        match ty.def() {
            Def::Struct(_) | Def::Union(_) if !ty.name().is_empty() => {
                let state = self.state(id);
                if state.is_defined {
                    return Ok(());
                }
                if state.is_open {
                    return Err(ty.error(Problem::Loop));
                }
                state.is_open = true;
                self.tasks.push(Task::Define(id));
                self.want_members(ty, id)
            }
            Def::Struct(_) | Def::Union(_) => match self.state(id).completing() {
                false => Ok(()),
                true => self.want_members(ty, within),
            },
            // The name comes first, as what it stands for may be mentioned by what that needs.
            Def::Typedef(target) => {
                if self.state(id).completing() {
                    self.push(target, within, complete);
                    self.push(id, within, mention);
                }
                Ok(())
            }
            Def::Const(target) | Def::Volatile(target) | Def::Restrict(target) => {
                self.push(target, within, complete);
                self.walked(ty)
            }
            Def::TypeTag(tag) => {
                self.push(tag.target, within, complete);
                self.walked(ty)
            }
            Def::Array(array) => {
                self.push(array.elem, within, complete);
                self.walked(ty)
            }
            _ => {
                self.push(id, within, mention);
                Ok(())
            }
        }
    }

    fn mention(&mut self, id: TypeId, within: TypeId) -> Result<(), Error> {
        let ty = self.btf.ty(id)?;
        let want: Want = match ty.def() {
            Def::Struct(_) if !ty.name().is_empty() => return self.declare_tag(ty, TagKind::Struct, within),
            Def::Union(_) if !ty.name().is_empty() => return self.declare_tag(ty, TagKind::Union, within),
            Def::Fwd(FwdKind::Struct) => return self.declare_tag(ty, TagKind::Struct, within),
            Def::Fwd(FwdKind::Union) => return self.declare_tag(ty, TagKind::Union, within),
            Def::Enum(_) if ty.name().is_empty() => return Ok(()),
            Def::Int(int) if matches!(words::integer(ty.name(), int), Spelling::Words(_)) => return Ok(()),
            Def::Float(size) if matches!(words::float(size), Spelling::Words(_)) => return Ok(()),
            Def::Enum(_) | Def::Int(_) | Def::Float(_) => return self.define(id),
            Def::Struct(_) | Def::Union(_) | Def::Array(_) => complete,
            _ => mention,
        };
        if !self.state(id).mentioning() {
            return Ok(());
        }
        match ty.def() {
            Def::Struct(_) | Def::Union(_) => self.push(id, within, want),
            Def::Typedef(target) => {
                self.tasks.push(Task::Define(id));
                self.push(target, id, want);
            }
            Def::Array(array) => self.push(array.elem, within, want),
            Def::FuncProto(proto) => {
                self.push(proto.ret, within, want);
                for param in proto.params {
                    self.push(param.type_id, within, want);
                }
            }
            Def::Ptr(target) | Def::Const(target) | Def::Volatile(target) | Def::Restrict(target) => {
                self.push(target, within, want);
            }
            Def::TypeTag(tag) => self.push(tag.target, within, want),
            _ => {}
        }
        Ok(())
    }

    fn want_members(&mut self, ty: Type<'b>, within: TypeId) -> Result<(), Error> {
        let start = self.tasks.len();
        for member in ty.as_composite()?.members {
            self.push(member.type_id, within, complete);
        }
        // The first member's needs come first.
        self.tasks.get_mut(start..).unwrap_or(&mut []).reverse();
        Ok(())
    }

    fn push(&mut self, id: TypeId, within: TypeId, want: Want) {
        if !id.is_void() {
            self.tasks.push(want(id, within));
        }
    }

    /// Counts a step of a walk that does not remember where it has been.
    fn walked(&mut self, ty: Type<'b>) -> Result<(), Error> {
        self.spend(ty)
    }

    fn declare_tag(&mut self, ty: Type<'b>, kind: TagKind, within: TypeId) -> Result<(), Error> {
        let state = self.state(ty.id());
        if state.is_defined || state.is_declared || within == ty.id() {
            return Ok(());
        }
        state.is_declared = true;
        let form = match ty.def() {
            Def::Fwd(_) => Form::Forward,
            _ => Form::Defined,
        };
        let tag = self.names.tag(ty.id(), ty.name(), kind, form);
        // Writing to a String does not fail.
        let _ = write!(self.text, "{} {tag};\n\n", kind.word());
        Ok(())
    }

    fn define(&mut self, id: TypeId) -> Result<(), Error> {
        if !self.state(id).is_defined {
            self.write_definition(self.btf.ty(id)?)?;
            self.state(id).is_defined = true;
        }
        Ok(())
    }

    fn state(&mut self, id: TypeId) -> &mut State {
        // Whoever asks has found the type, and there is a state for each.
        &mut self.states[id.0 as usize]
    }
}

impl State {
    /// Whether its definition is written.
    pub(super) fn is_defined(&self) -> bool {
        self.is_defined
    }

    /// Notes that its name is asked for; says whether that is news.
    fn mentioning(&mut self) -> bool {
        !core::mem::replace(&mut self.is_mentioned, true)
    }

    /// Notes that its size is asked for; says whether that is news.
    fn completing(&mut self) -> bool {
        !core::mem::replace(&mut self.is_completed, true)
    }
}
