//! The context (`check_ctx_access` in `kernel/bpf/verifier.c`, and each type's `is_valid_access`), and what is found in it.

use super::Result;
use super::region::Access;
use crate::explore::Explorer;
use crate::rejection::Rule;
use crate::scalar::Number;
use crate::state::State;
use crate::value::{Id, Memory, To, Trust, Value};
use skep_isa::{InsnIdx, LoadKind};
use skep_model::platform::OWN_TYPES;
use skep_model::platform::context::{Context, Landing, Meaning, Pointer, Touch};
use skep_model::platform::helper::Nullable;

/// The number that a load gives of which nothing else is known.
fn loaded(access: Access, kind: LoadKind) -> Value {
    let bytes = access.size;
    Value::number(if kind.is_signed() {
        Number::sign_extended_bytes(bytes)
    } else {
        Number::within_bytes(bytes)
    })
}

impl Explorer<'_> {
    fn context(&self, at: InsnIdx) -> Result<&'static Context> {
        self.prog.context.ok_or_else(|| {
            self.unmodelled(at, format_args!("contexts of type {} are not modelled", self.prog.kind))
        })
    }

    /// Where an access to the context lands.
    fn landing(&self, at: InsnIdx, pointer: &Value, access: Access, touch: Touch) -> Result<Landing> {
        let context = self.context(at)?;
        let Some(moved) = pointer.offset().filter(|&offset| offset == 0 || self.is_own()) else {
            return Err(Rule::Context.broken(
                at,
                format_args!(
                    "wanted the context's pointer as it was given, found it moved by {} and {}",
                    pointer.fixed,
                    Value::number(pointer.number)
                ),
            ));
        };
        let offset = moved.wrapping_add(access.off);
        context.access(self.subject.kind, self.subject.attach, offset, access.size as u8, touch).map_err(
            |refusal| {
                Rule::Context.broken(
                    at,
                    format_args!("{} bytes at {offset} of `{}`: {refusal}", access.size, context.name),
                )
            },
        )
    }

    pub(super) fn load_context(
        &mut self,
        state: &State,
        at: InsnIdx,
        pointer: &Value,
        access: Access,
        kind: LoadKind,
    ) -> Result<Value> {
        let _ = state;
        if self.has_arguments() {
            return self.load_argument(at, pointer, access, kind);
        }
        let touch = if kind.is_signed() { Touch::LoadSigned } else { Touch::Load };
        let landing = self.landing(at, pointer, access, touch)?;
        let to = match landing.field.meaning.pointer() {
            Some(Pointer::Packet) => To::Packet,
            Some(Pointer::PacketEnd) => To::PacketEnd,
            Some(Pointer::PacketMeta) => To::PacketMeta,
            Some(Pointer::FlowKeys) => To::FlowKeys,
            Some(Pointer::Buffer) => To::Buffer(Memory::Plain),
            Some(Pointer::Socket(socket, Nullable::No)) => To::Socket(socket),
            Some(Pointer::Socket(socket, Nullable::Yes)) => {
                let id = self.new_id();
                return Ok(Value::perhaps(To::Socket(socket), id));
            }
            Some(Pointer::Btf(name)) => To::Object { type_id: self.named(at, name)?, trust: Trust::Trusted },
            None => return Ok(loaded(access, kind)),
        };
        Ok(Value { id: Id::NONE, ..Value::pointer(to) })
    }

    pub(super) fn store_context(
        &mut self,
        state: &State,
        at: InsnIdx,
        pointer: &Value,
        access: Access,
    ) -> Result<()> {
        let _ = state;
        if self.has_arguments() {
            return Err(
                Rule::Context.broken(at, format_args!("the arguments of a function cannot be changed"))
            );
        }
        self.landing(at, pointer, access, Touch::Store).map(|_| ())
    }

    /// A helper reads or writes bytes of the context, as memory: where all is there as it seems, and nothing is made up by rewriting
    /// loads and stores (`check_helper_mem_access`, case `PTR_TO_CTX`: types without `convert_ctx_access`).
    pub(super) fn lend_context(&mut self, at: InsnIdx, pointer: &Value, access: Access) -> Result<()> {
        if self.is_own() {
            return self.lend_own_context(at, pointer, access);
        }
        // No helper of Linux's takes one for memory (`mem_types` in `kernel/bpf/verifier.c`).
        Err(Rule::Argument.broken(
            at,
            format_args!(
                "wanted memory in {}, found the context, which is no memory in programs of type {}",
                access.reg, self.subject.kind
            ),
        ))
    }

    /// Whether the program's type is a host's own. Its context is memory as it seems, and may be pointed into.
    fn is_own(&self) -> bool {
        self.subject.kind.0 >= OWN_TYPES
    }

    /// A helper reads or writes bytes of the context of a host's own program type: each must be of a field that is bytes.
    fn lend_own_context(&self, at: InsnIdx, pointer: &Value, access: Access) -> Result<()> {
        let touch = if access.how.writes() { Touch::Store } else { Touch::Load };
        let end = access.off.saturating_add(i64::from(access.size));
        let mut next = access.off;
        while next < end {
            let landing = self.landing(at, pointer, Access { off: next, size: 1, ..access }, touch)?;
            if landing.field.meaning != Meaning::Host {
                return Err(Rule::Argument.broken(
                    at,
                    format_args!(
                        "wanted memory in {}, found `{}` of the context, which is a number",
                        access.reg, landing.field.name
                    ),
                ));
            }
            next += i64::from(landing.field.size - landing.within);
        }
        Ok(())
    }

    /// What lies where something is accessed that a table describes.
    pub(super) fn by_table(
        &self,
        at: InsnIdx,
        table: &'static Context,
        access: Access,
        touch: Touch,
    ) -> Result<Landing> {
        let size = u8::try_from(access.size).unwrap_or(u8::MAX);
        table.access(self.subject.kind, self.subject.attach, access.off, size, touch).map_err(|refusal| {
            Rule::Rights.broken(
                at,
                format_args!("{} bytes at {} of `{}`: {refusal}", access.size, access.off, table.name),
            )
        })
    }

    /// A load from something that a table describes: a number, for such tables know no pointers.
    pub(super) fn load_by_table(
        &self,
        at: InsnIdx,
        table: &'static Context,
        access: Access,
        kind: LoadKind,
    ) -> Result<Value> {
        let touch = if kind.is_signed() { Touch::LoadSigned } else { Touch::Load };
        let landing = self.by_table(at, table, access, touch)?;
        if landing.field.meaning.is_pointer() {
            return Err(self.unmodelled(
                at,
                format_args!("pointers like `{}` of `{}` are not modelled", landing.field.name, table.name),
            ));
        }
        Ok(loaded(access, kind))
    }
}
