//! What may be set of a map before it is created.

use crate::Map;
use crate::error::{Error, ErrorKind, Result};
use skep_abi::flags::BPF_F_NUMA_NODE;
use skep_abi::{MapType, ProgType};
use skep_btf::{Btf, Def, Literal, TypeId};
use skep_model::{MapOrigin, MapSpec, OpsFunction, Pinning};
use skep_sys::MapFd;
use std::sync::Arc;

/// What was set of a map besides its definition.
#[derive(Debug, Default)]
pub(crate) struct MapSetting {
    pub(crate) pin: PinSetting,
    /// A map to use instead of a new one.
    pub(crate) reuse: Option<Arc<MapFd>>,
    pub(crate) autocreate: Autocreate,
    pub(crate) pinned: Pinned,
}

/// What a pinned map must have in common with the object's for it to be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pinned {
    /// The kind, sizes, number of entries and flags, and the types of keys and values, field by field, where both have
    /// them and this process may read them (`CAP_SYS_ADMIN`).
    #[default]
    Alike,
    /// As [`Pinned::Alike`], but without types, as libbpf has it.
    AlikeInSize,
    /// As [`Pinned::Alike`]; a map that differs is unpinned, and a new one is pinned in its place. Whoever has it open
    /// keeps it. Where the load fails, it is pinned again.
    Replaced,
}

/// Whether a map is made with its object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Autocreate {
    /// It is.
    #[default]
    Yes,
    /// It is left out.
    No,
}

/// Whether and where a map is pinned.
#[derive(Debug, Default)]
pub(crate) enum PinSetting {
    /// It is not.
    #[default]
    No,
    /// Under its name in the usual place.
    ByName,
    /// At this path.
    At(String),
}

impl MapSetting {
    pub(crate) fn of(spec: &MapSpec) -> MapSetting {
        let pin = match spec.pinning {
            Pinning::None => PinSetting::No,
            Pinning::ByName => PinSetting::ByName,
        };
        let autocreate = match &spec.origin {
            MapOrigin::StructOps(ops) if !ops.autocreate => Autocreate::No,
            _ => Autocreate::Yes,
        };
        MapSetting { pin, reuse: None, autocreate, pinned: Pinned::default() }
    }
}

/// A map of an object, to be changed before it is loaded.
#[derive(Debug)]
pub struct MapMut<'o> {
    pub(super) file: &'o str,
    pub(super) spec: &'o mut MapSpec,
    pub(super) setting: &'o mut MapSetting,
    pub(super) btf: Option<&'o Arc<Btf<'static>>>,
    /// The object's programs, and what they are.
    pub(super) programs: Vec<(&'o str, Option<ProgType>)>,
}

impl MapMut<'_> {
    /// Gives what the object says, with the changes so far.
    pub fn spec(&self) -> &MapSpec {
        self.spec
    }

    /// Says whether it is made. A program that refers to a map that is not can be loaded only where no path leads to the
    /// reference, as libbpf has it (`bpf_map__set_autocreate`).
    pub fn set_autocreate(&mut self, autocreate: Autocreate) -> &mut Self {
        self.setting.autocreate = autocreate;
        self
    }

    /// Sets the most entries, or the bytes of a ring.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] for the map of a data section, which has one entry.
    pub fn set_max_entries(&mut self, entries: u32) -> Result<&mut Self> {
        self.refuse_data("has one entry")?;
        self.spec.max_entries = entries;
        Ok(self)
    }

    /// Makes it a map of another kind.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] for the map of a data section, which is an array.
    pub fn set_type(&mut self, map_type: MapType) -> Result<&mut Self> {
        self.refuse_data("is an array")?;
        if let MapOrigin::Arena(_) = self.spec.origin {
            return Err(self.error("is an arena, which holds variables of the object"));
        }
        self.spec.map_type = map_type;
        Ok(self)
    }

    /// Sets the size of keys, which then have no type.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] for the map of a data section, whose key is an index.
    pub fn set_key_size(&mut self, bytes: u32) -> Result<&mut Self> {
        self.refuse_data("has an index for key")?;
        if self.spec.key_size != bytes {
            self.spec.key_type = None;
        }
        self.spec.key_size = bytes;
        Ok(self)
    }

    /// Sets the size of values, which then have no type.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] for the map of a data section, whose size is that of its contents.
    pub fn set_value_size(&mut self, bytes: u32) -> Result<&mut Self> {
        self.refuse_data("is as large as its contents")?;
        if self.spec.value_size != bytes {
            self.spec.value_type = None;
        }
        self.spec.value_size = bytes;
        Ok(self)
    }

    /// Sets the `BPF_F_*` flags that it is created with.
    pub fn set_flags(&mut self, flags: u32) -> &mut Self {
        self.spec.flags = flags;
        self
    }

    /// Sets what `map_extra` says, which is for each kind another thing: for an arena the address to be mapped at.
    pub fn set_extra(&mut self, extra: u64) -> &mut Self {
        self.spec.extra = extra;
        self
    }

    /// Sets the NUMA node that its memory comes from.
    pub fn set_numa_node(&mut self, node: u32) -> &mut Self {
        self.spec.numa_node = Some(node);
        self.spec.flags |= BPF_F_NUMA_NODE;
        self
    }

    /// Pins it at a path in a BPF file system, or uses the map that is pinned there already.
    pub fn pin_at(&mut self, path: &str) -> &mut Self {
        self.setting.pin = PinSetting::At(path.to_owned());
        self
    }

    /// Says what a map that is pinned already must have in common with this one, and what happens where it has not.
    pub fn set_pinned(&mut self, pinned: Pinned) -> &mut Self {
        self.setting.pinned = pinned;
        self
    }

    /// Pins it nowhere, whatever its definition says.
    pub fn do_not_pin(&mut self) -> &mut Self {
        self.setting.pin = PinSetting::No;
        self
    }

    /// Uses a map that is open already instead of a new one. It must be like the definition, and the object keeps it
    /// open.
    pub fn reuse(&mut self, map: &Map) -> &mut Self {
        self.setting.reuse = Some(Arc::clone(&map.fd));
        self
    }

    /// Sets the contents of a data section as a whole.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where it is no data section, or its size is another.
    pub fn set_contents(&mut self, contents: &[u8]) -> Result<&mut Self> {
        let MapOrigin::Data(data) = &mut self.spec.origin else {
            return Err(self.error("is no data section, so it has no contents to set"));
        };
        if self.spec.value_size as usize != contents.len() {
            let what = format!("has {} bytes, found {}", self.spec.value_size, contents.len());
            return Err(self.error(&what));
        }
        data.bytes = contents.to_vec();
        Ok(self)
    }

    /// Sets a member of a struct of functions, or a part of one, from text that is read by its type, as
    /// [`Object::set_global`](crate::Object::set_global) does.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where it is no such struct, or the text does not fit; [`ErrorKind::NotFound`] where it has no
    /// such member.
    pub fn set_member(&mut self, path: &str, text: &str) -> Result<&mut Self> {
        let (btf, type_id) = self.struct_type()?;
        let fail = |error: skep_btf::AssignError| {
            Error::new(ErrorKind::Setting, error.to_string()).in_variable(path).with_source(error)
        };
        let bytes = match &mut self.spec.origin {
            MapOrigin::StructOps(ops) => &mut ops.bytes,
            _ => return Err(self.error("is no struct of functions")),
        };
        let done = btf.assign(type_id, path, Literal::Text(text), bytes).map_err(fail);
        done.map_err(|error| error.in_map(&self.spec.name).in_file(self.file))?;
        Ok(self)
    }

    /// Sets the program that the kernel is to call for a member of a struct of functions; `None` leaves the member empty.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where it is no such struct, or the object has no such program of type `struct_ops`;
    /// [`ErrorKind::NotFound`] where no member of that name is a function.
    pub fn set_function(&mut self, member: &str, program: Option<&str>) -> Result<&mut Self> {
        let (btf, type_id) = self.struct_type()?;
        let Ok(Def::Struct(layout)) = btf.resolve(type_id).map(|ty| ty.def()) else {
            return Err(self.error("is no struct of functions"));
        };
        let is_function = |type_id| match btf.resolve(type_id).map(|ty| ty.def()) {
            Ok(Def::Ptr(target)) => btf.resolve(target).is_ok_and(|ty| matches!(ty.def(), Def::FuncProto(_))),
            _ => false,
        };
        let found = layout.members.iter().position(|m| m.name == member && is_function(m.type_id));
        let Some(index) = found else {
            let error = Error::not_found("has no function of that name").in_variable(member);
            return Err(error.in_map(&self.spec.name).in_file(self.file));
        };
        let index = index as u32;
        if let Some(program) = program {
            let is_one = |(name, prog_type): &(&str, Option<ProgType>)| {
                *name == program && *prog_type == Some(ProgType::STRUCT_OPS)
            };
            if !self.programs.iter().any(is_one) {
                return Err(self.error(&format!("cannot hold {program}, which is no program of struct_ops")));
            }
        }
        let MapOrigin::StructOps(ops) = &mut self.spec.origin else { return Ok(self) };
        ops.functions.retain(|function| function.member != index);
        if let Some(program) = program {
            let at = ops.functions.partition_point(|function| function.member < index);
            ops.functions.insert(at, OpsFunction { member: index, program: program.to_owned() });
        }
        Ok(self)
    }

    fn struct_type(&self) -> Result<(Arc<Btf<'static>>, TypeId)> {
        match (&self.spec.origin, self.btf, self.spec.value_type) {
            (MapOrigin::StructOps(_), Some(btf), Some(id)) => Ok((Arc::clone(btf), TypeId(id.0))),
            _ => Err(self.error("is no struct of functions")),
        }
    }

    fn refuse_data(&self, what: &str) -> Result<()> {
        match self.spec.origin {
            MapOrigin::Data(_) => Err(self.error(&format!("stands for a data section and {what}"))),
            MapOrigin::StructOps(_) => {
                Err(self.error(&format!("stands for a struct of functions and {what}")))
            }
            MapOrigin::Btf | MapOrigin::Legacy | MapOrigin::Arena(_) => Ok(()),
        }
    }

    fn error(&self, what: &str) -> Error {
        Error::new(ErrorKind::Setting, what).in_map(&self.spec.name).in_file(self.file)
    }
}
