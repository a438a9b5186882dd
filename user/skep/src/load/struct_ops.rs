//! Structs of functions that the kernel calls: the object's struct, member by member made the kernel's.
//!
//! What is compatible with what is libbpf's (`bpf_map__init_kern_struct_ops`): members are found by name; one that the kernel
//! does not have may be there if it is zero; sizes and kinds of the others must be the same.

use super::modules::ModuleIdx;
use super::types::KernelTypes;
use crate::Object;
use crate::error::{Error, ErrorKind, Result};
use crate::object::Autocreate;
use skep_btf::core::essential_name;
use skep_btf::{Btf, Composite, Def, Kind, Type, TypeId};
use skep_model::{MapSpec, StructOps};

/// What the name of the struct around such a struct begins with (`STRUCT_OPS_VALUE_PREFIX`).
const AROUND: &str = "bpf_struct_ops_";

/// A struct of functions as this kernel has it.
#[derive(Debug)]
pub(super) struct Ops {
    /// The map.
    pub(super) name: String,
    /// Whether the map is made.
    pub(super) autocreate: Autocreate,
    /// The value of the map, with zeroes where there are functions.
    pub(super) value: Vec<u8>,
    /// The type of the value in the kernel's BTF.
    pub(super) value_type: TypeId,
    /// The module that has it.
    pub(super) module: Option<ModuleIdx>,
    /// The functions.
    pub(super) slots: Vec<Slot>,
}

/// A function in it.
#[derive(Debug)]
pub(super) struct Slot {
    /// Where it stands in the value.
    offset: usize,
    /// The program.
    pub(super) program: String,
    /// What the program is loaded for: a struct of the kernel's, and the position of a member.
    pub(super) role: Role,
}

/// What a program of `struct_ops` is loaded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) type_id: TypeId,
    pub(super) member: u32,
    pub(super) module: Option<ModuleIdx>,
}

/// What is looked for among the kernel's types for a struct of that name.
pub(super) fn expected_names(name: &str) -> [(String, Kind); 2] {
    let name = essential_name(name);
    [(format!("{AROUND}{name}"), Kind::Struct), (name.to_owned(), Kind::Struct)]
}

impl Ops {
    /// Makes the kernel's struct of the object's.
    pub(super) fn prepare(
        types: &mut KernelTypes<'_>,
        object: &Object,
        spec: &MapSpec,
        ops: &StructOps,
        autocreate: Autocreate,
    ) -> Result<Ops> {
        let bad =
            |error: skep_btf::Error| Error::new(ErrorKind::Object, error.to_string()).with_source(error);
        let (local, type_id) = match (object.btf.as_deref(), spec.value_type) {
            (Some(btf), Some(id)) => (btf, TypeId(id.0)),
            _ => return Err(Error::new(ErrorKind::Object, "has no type; compile with -g")),
        };
        let ty = local.resolve(type_id).map_err(bad)?;
        let Def::Struct(layout) = ty.def() else { return Err(Error::new(ErrorKind::Object, "is no struct")) };
        let name = essential_name(ty.name());
        let around = types.find(None, &format!("{AROUND}{name}"), Kind::Struct)?;
        let around = around.ok_or_else(|| unknown(name))?;
        let kernel = &*around.btf;
        let type_id = types.find_beside(&around, name, Kind::Struct).ok_or_else(|| unknown(name))?;
        let (whole, inner) = (composite(kernel, around.id)?, composite(kernel, type_id)?);
        let data =
            whole.members.iter().find(|member| member.type_id == type_id).ok_or_else(|| unknown(name))?;
        let data = data.bit_offset / 8;
        let mut value = Vec::new();
        let size = whole.size as usize;
        value.try_reserve_exact(size).map_err(|_| Error::call("BPF_MAP_CREATE", skep_abi::Errno::ENOMEM))?;
        value.resize(size, 0);
        let mut made = Ops {
            name: spec.name.clone(),
            autocreate,
            value,
            value_type: around.id,
            module: around.module,
            slots: Vec::new(),
        };
        for (index, member) in layout.members.iter().enumerate() {
            let fail = |kind, what: &str| {
                Error::new(kind, format!("member {} of struct {name} {what}", member.name))
            };
            let from = (member.bit_offset / 8) as usize;
            let size = local.size_of(member.type_id).map_err(bad)? as usize;
            let bytes = ops.bytes.get(from..).and_then(|rest| rest.get(..size));
            let bytes = bytes.ok_or_else(|| fail(ErrorKind::Object, "lies outside of it"))?;
            let function = ops.functions.iter().find(|function| function.member as usize == index);
            let found = inner.members.iter().position(|other| other.name == member.name);
            let Some((position, theirs)) = found.and_then(|at| Some((at, inner.members.get(at)?))) else {
                // What is not set asks for nothing.
                if bytes.iter().any(|byte| *byte != 0) || function.is_some() {
                    let what = "is set, and this kernel does not have it; MapMut::set_member and set_function unset it";
                    return Err(fail(ErrorKind::Unsupported, what));
                }
                continue;
            };
            if member.bitfield.is_some() || theirs.bitfield.is_some() {
                return Err(fail(ErrorKind::Unsupported, "is a bitfield, which cannot be set"));
            }
            let ours = local.resolve(member.type_id).map_err(bad)?;
            let other = kernel.resolve(theirs.type_id).map_err(bad)?;
            if ours.kind() != other.kind() {
                return Err(fail(ErrorKind::Unsupported, "is of another kind than this kernel's"));
            }
            let to = (data + theirs.bit_offset / 8) as usize;
            if matches!(ours.def(), Def::Ptr(_)) {
                let Some(function) = function else { continue };
                if !is_function(kernel, other) {
                    return Err(fail(ErrorKind::Unsupported, "is no function in this kernel"));
                }
                made.slots.push(Slot {
                    offset: to,
                    program: function.program.clone(),
                    role: Role { type_id, member: position as u32, module: around.module },
                });
                continue;
            }
            if kernel.size_of(other.id()).ok() != Some(size as u32) {
                return Err(fail(ErrorKind::Unsupported, "has another size than this kernel's"));
            }
            let place = made.value.get_mut(to..).and_then(|rest| rest.get_mut(..size));
            place
                .ok_or_else(|| fail(ErrorKind::Unsupported, "lies outside of this kernel's"))?
                .copy_from_slice(bytes);
        }
        Ok(made)
    }

    /// Gives the value of the map, with the programs in it that `fd` knows.
    pub(super) fn with_programs(mut self, fd: impl Fn(&str) -> Option<u32>) -> Vec<u8> {
        for slot in &self.slots {
            // The kernel reads a descriptor from the place of a pointer.
            let pointer = fd(&slot.program).map(|fd| (fd as usize).to_ne_bytes());
            let place = self.value.get_mut(slot.offset..).and_then(|rest| rest.first_chunk_mut());
            if let (Some(pointer), Some(place)) = (pointer, place) {
                *place = pointer;
            }
        }
        self.value
    }
}

fn unknown(name: &str) -> Error {
    let what = format!("this kernel calls no struct {name} of programs");
    Error::new(ErrorKind::Unsupported, what).with_errno(skep_abi::Errno::ENOENT)
}

fn composite<'b>(btf: &'b Btf<'_>, id: TypeId) -> Result<Composite<'b>> {
    match btf.get(id).map(|ty| ty.def()) {
        Some(Def::Struct(composite)) => Ok(composite),
        _ => Err(Error::new(ErrorKind::Unsupported, "this kernel's type is no struct")),
    }
}

fn is_function(btf: &Btf<'_>, pointer: Type<'_>) -> bool {
    let Def::Ptr(target) = pointer.def() else { return false };
    btf.resolve(target).is_ok_and(|ty| matches!(ty.def(), Def::FuncProto(_)))
}
