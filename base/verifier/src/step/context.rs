//! The context (`check_ctx_access` in `kernel/bpf/verifier.c`, and each type's `is_valid_access`), and what is found in it.

use super::Result;
use super::region::Access;
use crate::explore::Explorer;
use crate::rejection::{Rejection, Rule};
use crate::scalar::Number;
use crate::state::State;
use crate::value::{Id, To, Value};
use skep_isa::{InsnIdx, LoadKind};
use skep_model::platform::context::{Context, Landing, Pointer, Touch};
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
        let touch = if kind.is_signed() { Touch::LoadSigned } else { Touch::Load };
        let landing = self.landing(at, pointer, access, touch)?;
        let to = match landing.field.meaning.pointer() {
            Some(Pointer::Packet) => To::Packet,
            Some(Pointer::PacketEnd) => To::PacketEnd,
            Some(Pointer::PacketMeta) => To::PacketMeta,
            Some(Pointer::FlowKeys) => To::FlowKeys,
            Some(Pointer::Buffer) => To::Buffer,
            Some(Pointer::Socket(socket, Nullable::No)) => To::Socket(socket),
            Some(Pointer::Socket(socket, Nullable::Yes)) => {
                let id = self.new_id();
                return Ok(Value::perhaps(To::Socket(socket), id));
            }
            Some(Pointer::Btf(_)) => {
                let name = landing.field.name;
                return Err(self.unmodelled(at, format_args!("the context's field `{name}` is not modelled")));
            }
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
        self.landing(at, pointer, access, Touch::Store).map(|_| ())
    }

    /// A helper reads bytes of the context: where nothing of it is made up, they are there.
    pub(super) fn lend_context(&self, at: InsnIdx, pointer: &Value, access: Access) -> Result<()> {
        let last = Access { off: access.off + i64::from(access.size) - 1, size: 1, ..access };
        self.landing(at, pointer, last, Touch::Load).map(|_| ())
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

    pub(super) fn load_object(
        &mut self,
        state: &State,
        at: InsnIdx,
        pointer: &Value,
        access: Access,
        kind: LoadKind,
    ) -> Result<Value> {
        let _ = (state, access, kind);
        Err(self.unmodelled(at, format_args!("loads through {pointer} are not modelled")))
    }

    pub(super) fn store_object(&self, at: InsnIdx, pointer: &Value, access: Access) -> Result<()> {
        Err(Rule::Rights.broken(at, format_args!("{} is {pointer}, which can only be read", access.reg)))
    }

    /// A pointer to an object of the kernel that is loaded from a map's value.
    pub(super) fn kernel_pointer(
        &mut self,
        at: InsnIdx,
        pointer: &Value,
        to: To,
        access: Access,
    ) -> Result<Option<Value>> {
        let To::MapValue { map, .. } = to else { return Ok(None) };
        let special = self.map(at, map)?.special;
        let start = pointer.number.smin().wrapping_add(pointer.fixed).wrapping_add(access.off);
        let end = pointer
            .number
            .smax()
            .saturating_add(pointer.fixed)
            .saturating_add(access.off)
            .saturating_add(i64::from(access.size));
        match super::region::touched(special, start, end) {
            None => Ok(None),
            Some(_) => Err(self.pointer_in_map(at)),
        }
    }

    fn pointer_in_map(&self, at: InsnIdx) -> Rejection {
        self.unmodelled(at, format_args!("pointers to objects of the kernel in maps are not modelled"))
    }

    /// The address of a variable of the kernel.
    pub(super) fn kernel_variable(&mut self, at: InsnIdx, btf_id: u32, btf_fd: i32) -> Result<Value> {
        let _ = (btf_id, btf_fd);
        Err(self.unmodelled(at, format_args!("variables of the kernel are not modelled")))
    }
}
