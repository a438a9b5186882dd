//! The context (`check_ctx_access` in `kernel/bpf/verifier.c`, and each type's `is_valid_access`), and what is found in it.

use super::Result;
use super::region::Access;
use crate::explore::Explorer;
use crate::rejection::Rule;
use crate::scalar::Number;
use crate::state::State;
use crate::value::{Id, Memory, To, Trust, Value};
use skep_isa::{InsnIdx, LoadKind};
use skep_model::platform::context::{Context, Landing, Meaning, Pointer, Touch};
use skep_model::platform::contexts;
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
        if pointer.offset() != Some(0) {
            return Err(Rule::Context.broken(
                at,
                format_args!(
                    "wanted the context's pointer as it was given, found it moved by {} and {}",
                    pointer.fixed,
                    Value::number(pointer.number)
                ),
            ));
        }
        let offset = access.off;
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
        let last = Access { off: access.off + i64::from(access.size) - 1, size: 1, ..access };
        if self.has_arguments() {
            return self.load_argument(at, pointer, last, LoadKind::U8).map(|_| ());
        }
        let touch = if access.how.writes() { Touch::Store } else { Touch::Load };
        let landing = self.landing(at, pointer, last, touch)?;
        match landing.field.meaning {
            Meaning::TracepointArgs
            | Meaning::TracepointRecord
            | Meaning::Regs
            | Meaning::SyscallArgs
            | Meaning::Host => Ok(()),
            _ => Err(Rule::Argument.broken(
                at,
                format_args!(
                    "wanted memory in {}, found the context, whose fields are no memory in programs of type {}",
                    access.reg, self.subject.kind
                ),
            )),
        }
    }

    pub(super) fn load_socket(
        &mut self,
        at: InsnIdx,
        pointer: &Value,
        access: Access,
        kind: LoadKind,
    ) -> Result<Value> {
        let Some(To::Socket(socket)) = pointer.certainly_to() else {
            return Err(self.unmodelled(at, format_args!("loads through {pointer} are not modelled")));
        };
        let table = contexts::of_socket(socket);
        let touch = if kind.is_signed() { Touch::LoadSigned } else { Touch::Load };
        match table.access(self.subject.kind, self.subject.attach, access.off, access.size as u8, touch) {
            Ok(_) => Ok(loaded(access, kind)),
            Err(refusal) => Err(Rule::Rights.broken(
                at,
                format_args!("{} bytes at {} of `{}`: {refusal}", access.size, access.off, table.name),
            )),
        }
    }
}
