//! Maps: elements by key, as bytes and as the values that their types make of them.

mod arena;
mod batch;
mod cell;
mod entries;
mod global;
mod kinds;
mod new;
pub(crate) mod schema;
mod typed;
mod value;

pub use arena::Arena;
pub use cell::{Cells, SharedCell};
pub use entries::{Entries, Entry, EntryValue, Keys};
pub use global::Global;
pub use kinds::{CgroupStorageKey, Frame, LpmKey, Redirect, StackTrace};
pub use new::NewMap;
pub use schema::{FieldAt, Fields, size_behind};
pub use typed::TypedMap;
#[cfg(target_os = "linux")]
pub use value::ByFd;
pub use value::{MapKey, MapValue, PerCpu, PlainKey, StoredValue};

pub(crate) use arena::{Variables, map as map_arena};

use crate::Kernel;
use crate::error::{Error, ErrorKind, Result};
use crate::inspect::{MapUsage, name_of};
use skep_abi::flags::{BPF_ANY, BPF_EXIST, BPF_NOEXIST};
use skep_abi::{Errno, MapInfo, MapType};
use skep_btf::{Btf, Datasec, Def, FieldValue, Kind, TypeId, Value, Variable};
use skep_model::{MapOrigin, MapSpec};
use skep_sys::{MapFd, Mapping, ObjectKind};
use std::sync::{Arc, OnceLock};

/// An open map.
///
/// Keys and values are bytes in the machine's order, as long as the map says ([`Map::key_size`], [`Map::value_stride`]);
/// [`Map::entries`] reads them by their types. It can be shared between threads: each operation is one system call.
#[derive(Debug)]
pub struct Map {
    name: String,
    kernel: Kernel,
    pub(crate) fd: Arc<MapFd>,
    types: Option<Types>,
    /// The data section that it stands for.
    section: Option<String>,
    max_entries: OnceLock<u32>,
    /// The `BPF_F_*` flags that it was created with.
    flags: OnceLock<u32>,
    /// Where the object's variables are, if it is an arena.
    variables: Variables,
    /// Its memory, where it is an array that can be mapped, or an arena.
    memory: OnceLock<Option<Mapping>>,
    /// Its value with its programs, where it is a struct of functions.
    ops: Option<Vec<u8>>,
    /// The type of its records, where it is a buffer and the object says it.
    record_type: OnceLock<Option<TypeId>>,
}

/// The types of keys and values.
#[derive(Debug)]
struct Types {
    btf: Arc<Btf<'static>>,
    key: Option<TypeId>,
    value: Option<TypeId>,
}

/// When an update takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum When {
    /// Always.
    #[default]
    Any,
    /// Only where the key is not there yet.
    Absent,
    /// Only where the key is there.
    Present,
}

impl When {
    fn flags(self) -> u64 {
        match self {
            When::Any => BPF_ANY,
            When::Absent => BPF_NOEXIST,
            When::Present => BPF_EXIST,
        }
    }
}

impl Map {
    pub(crate) fn loaded(
        kernel: &Kernel,
        spec: &MapSpec,
        fd: Arc<MapFd>,
        btf: Option<Arc<Btf<'static>>>,
    ) -> Map {
        let section = match &spec.origin {
            MapOrigin::Data(data) | MapOrigin::Arena(data) => Some(data.section.clone()),
            MapOrigin::Btf | MapOrigin::Legacy | MapOrigin::StructOps(_) => None,
        };
        let types = btf.map(|btf| Types {
            btf,
            key: spec.key_type.map(|id| TypeId(id.0)),
            value: spec.value_type.map(|id| TypeId(id.0)),
        });
        Map {
            name: spec.name.clone(),
            kernel: kernel.clone(),
            fd,
            types,
            section,
            max_entries: OnceLock::new(),
            flags: OnceLock::new(),
            variables: Variables::default(),
            memory: OnceLock::new(),
            ops: None,
            record_type: OnceLock::new(),
        }
    }

    /// Adds the value of a struct of functions.
    pub(crate) fn with_ops(mut self, value: Option<Vec<u8>>) -> Map {
        self.ops = value;
        self
    }

    /// Gives a struct of functions to the kernel, with the programs that were loaded for it. One from `.struct_ops` is in use
    /// from here on, until [`Map::unregister`]; one from `.struct_ops.link` is ready to be linked.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where the map is none; [`ErrorKind::Kernel`] where the kernel does not want it, as for a name
    /// that is taken.
    pub fn register(&self) -> Result<()> {
        let no_ops = || Error::new(ErrorKind::Setting, "is no struct of functions").in_map(&self.name);
        let value = self.ops.as_ref().ok_or_else(no_ops)?;
        let answer = self.fd.update(&0u32.to_ne_bytes(), value, BPF_ANY);
        answer.map_err(|error| self.error("BPF_MAP_UPDATE_ELEM", error))
    }

    /// Takes a struct of functions from the kernel again; whoever uses it already goes on until they are done.
    ///
    /// # Errors
    /// `ENOENT` where it is not registered; `EOPNOTSUPP` for one from `.struct_ops.link`, which its link holds.
    pub fn unregister(&self) -> Result<()> {
        let answer = self.fd.delete(&0u32.to_ne_bytes());
        answer.map_err(|error| self.error("BPF_MAP_DELETE_ELEM", error))
    }

    /// Opens a map that is pinned; its types are read from the kernel.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where nothing is pinned there; [`ErrorKind::Permission`].
    pub fn open_pinned(kernel: &Kernel, path: &str) -> Result<Map> {
        let handle = kernel.sys().obj_get(path, 0).map_err(|error| {
            let made = Error::call("BPF_OBJ_GET", error).at_path(path);
            match made.errno() {
                Some(Errno::ENOENT) => made.kind_is(ErrorKind::NotFound),
                _ => made,
            }
        })?;
        kernel.possible_cpus()?;
        let fd = kernel
            .sys()
            .map_from_handle(handle)
            .map_err(|error| Error::call("BPF_OBJ_GET_INFO_BY_FD", error).at_path(path))?;
        Map::open(kernel, fd).map_err(|error| error.at_path(path))
    }

    /// Opens a map by its id; its types are read from the kernel.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such map; [`ErrorKind::Permission`].
    pub fn from_id(kernel: &Kernel, id: u32) -> Result<Map> {
        kernel.possible_cpus()?;
        let handle = kernel.open_id(ObjectKind::Map, id)?;
        let fd = kernel.sys().map_from_handle(handle).map_err(|error| {
            Error::call("BPF_OBJ_GET_INFO_BY_FD", error).of_object(format_args!("map {id}"))
        })?;
        Map::open(kernel, fd).map_err(|error| error.of_object(format_args!("map {id}")))
    }

    fn open(kernel: &Kernel, fd: MapFd) -> Result<Map> {
        let info = fd.info().map_err(|error| Error::call("BPF_OBJ_GET_INFO_BY_FD", error))?;
        let name = name_of(&info.name);
        let types = match info.btf_id {
            0 => None,
            id => Some(Types {
                btf: Arc::new(kernel.btf_by_id(id).map_err(|error| error.in_map(&name))?),
                key: (info.btf_key_type_id != 0).then_some(TypeId(info.btf_key_type_id)),
                value: (info.btf_value_type_id != 0).then_some(TypeId(info.btf_value_type_id)),
            }),
        };
        Ok(Map {
            name,
            kernel: kernel.clone(),
            fd: Arc::new(fd),
            types,
            section: None,
            max_entries: OnceLock::from(info.max_entries),
            flags: OnceLock::from(info.map_flags),
            variables: Variables::default(),
            memory: OnceLock::new(),
            ops: None,
            record_type: OnceLock::new(),
        })
    }

    /// Gives its name in the object; of one that was opened otherwise, the kernel's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the kernel that it is in.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Gives the seam's own map, for what this type has no word for.
    pub fn fd(&self) -> &MapFd {
        &self.fd
    }

    /// Gives the data section that it stands for, as `.bss`.
    pub fn section(&self) -> Option<&str> {
        self.section.as_deref()
    }

    /// Gives its kind.
    pub fn map_type(&self) -> MapType {
        self.fd.shape().map_type()
    }

    /// Gives the bytes of a key; 0 for queues and stacks.
    pub fn key_size(&self) -> usize {
        self.fd.shape().key_size()
    }

    /// Gives the bytes of a value, of one CPU where values are per CPU.
    pub fn value_size(&self) -> usize {
        self.fd.shape().value_size()
    }

    /// Gives the bytes that a look-up gives and an update takes: a value, or one for each CPU, each rounded up to 8.
    pub fn value_stride(&self) -> usize {
        self.fd.shape().value_stride()
    }

    /// Gives the most entries there can be, or the bytes of a ring.
    ///
    /// # Errors
    /// Where the kernel does not say.
    pub fn max_entries(&self) -> Result<u32> {
        match self.max_entries.get() {
            Some(entries) => Ok(*entries),
            None => Ok(*self.max_entries.get_or_init({
                let entries = self.info()?.max_entries;
                move || entries
            })),
        }
    }

    /// Gives the `BPF_F_*` flags that it was created with.
    pub(crate) fn flags(&self) -> Result<u32> {
        match self.flags.get() {
            Some(flags) => Ok(*flags),
            None => {
                let flags = self.info()?.map_flags;
                Ok(*self.flags.get_or_init(|| flags))
            }
        }
    }

    /// Reads what the map takes, and whether it is frozen; `None` on a kernel that does not show its descriptors.
    ///
    /// # Errors
    /// As [`Kernel::map_usage`].
    pub fn usage(&self) -> Result<Option<MapUsage>> {
        self.kernel.map_usage(&self.fd).map_err(|error| error.in_map(&self.name))
    }

    /// Reads what the kernel says of the map.
    ///
    /// # Errors
    /// Where the kernel does not say.
    pub fn info(&self) -> Result<MapInfo> {
        self.fd.info().map_err(|error| self.error("BPF_OBJ_GET_INFO_BY_FD", error))
    }

    /// Looks a key up; `None` where it is not there.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where the key has another size; [`ErrorKind::Kernel`].
    pub fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut value = self.room()?;
        Ok(self.lookup_into(key, &mut value)?.then_some(value))
    }

    /// Looks a key up and fills `value`, of [`Map::value_stride`] bytes; tells whether the key is there.
    ///
    /// # Errors
    /// As [`Map::lookup`].
    pub fn lookup_into(&self, key: &[u8], value: &mut [u8]) -> Result<bool> {
        match self.fd.lookup(key, value, 0) {
            Ok(()) => Ok(true),
            Err(error) if error.errno() == Errno::ENOENT => Ok(false),
            Err(error) => Err(self.error("BPF_MAP_LOOKUP_ELEM", error)),
        }
    }

    /// Stores a value under a key.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where a size is another; [`ErrorKind::Kernel`] with `E2BIG` where the map is full.
    pub fn insert(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.update(key, value, When::Any)
    }

    /// Stores a value under a key, if the key is there or not.
    ///
    /// # Errors
    /// As [`Map::insert`]; `EEXIST` and `ENOENT` where the key is there, or not, against `when`.
    pub fn update(&self, key: &[u8], value: &[u8], when: When) -> Result<()> {
        self.fd.update(key, value, when.flags()).map_err(|error| self.error("BPF_MAP_UPDATE_ELEM", error))
    }

    /// Deletes a key; tells whether it was there.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where the key has another size; [`ErrorKind::Kernel`] where the kind has no deletion.
    pub fn delete(&self, key: &[u8]) -> Result<bool> {
        match self.fd.delete(key) {
            Ok(()) => Ok(true),
            Err(error) if error.errno() == Errno::ENOENT => Ok(false),
            Err(error) => Err(self.error("BPF_MAP_DELETE_ELEM", error)),
        }
    }

    /// Takes a key out with its value; `None` where it is not there.
    ///
    /// # Errors
    /// As [`Map::lookup`]; before Linux 5.14 hashes cannot.
    pub fn take(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut value = self.room()?;
        match self.fd.lookup_and_delete(key, &mut value, 0) {
            Ok(()) => Ok(Some(value)),
            Err(error) if error.errno() == Errno::ENOENT => Ok(None),
            Err(error) => Err(self.error("BPF_MAP_LOOKUP_AND_DELETE_ELEM", error)),
        }
    }

    /// Takes the next value off a queue or stack.
    ///
    /// # Errors
    /// As [`Map::take`].
    pub fn pop(&self) -> Result<Option<Vec<u8>>> {
        self.take(&[])
    }

    /// Reads the next value of a queue or stack, and leaves it there.
    ///
    /// # Errors
    /// As [`Map::lookup`].
    pub fn peek(&self) -> Result<Option<Vec<u8>>> {
        self.lookup(&[])
    }

    /// Puts a value into a queue, stack or Bloom filter.
    ///
    /// # Errors
    /// As [`Map::insert`].
    pub fn push(&self, value: &[u8]) -> Result<()> {
        self.insert(&[], value)
    }

    /// Tells whether a Bloom filter may have a value.
    ///
    /// # Errors
    /// As [`Map::lookup`].
    pub fn may_contain(&self, value: &[u8]) -> Result<bool> {
        self.lookup_into(&[], &mut value.to_vec())
    }

    /// Refuses further changes through system calls, for good.
    ///
    /// # Errors
    /// `EPERM` where it is frozen already; `EBUSY` where it is mapped for writing.
    pub fn freeze(&self) -> Result<()> {
        self.fd.freeze().map_err(|error| self.error("BPF_MAP_FREEZE", error))
    }

    /// Pins it at a path in a BPF file system.
    ///
    /// # Errors
    /// `EEXIST` where something is there; `EPERM` where it is no BPF file system.
    pub fn pin(&self, path: &str) -> Result<()> {
        self.kernel
            .sys()
            .obj_pin(self.fd.handle(), path)
            .map_err(|error| self.error("BPF_OBJ_PIN", error).at_path(path))
    }

    /// Splits what a look-up of a per-CPU map gave into each CPU's value; any other value is a list of one.
    pub fn split_cpus<'v>(&self, value: &'v [u8]) -> impl Iterator<Item = &'v [u8]> + use<'v> {
        let shape = self.fd.shape();
        let each = (shape.value_stride() / (shape.cpus() as usize).max(1)).max(1);
        let size = shape.value_size();
        value.chunks_exact(each).map(move |chunk| &chunk[..size.min(chunk.len())])
    }

    /// Puts one value for each CPU together, as an update of a per-CPU map takes them.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where there are more or fewer values than CPUs, or a size is another.
    pub fn join_cpus<V: AsRef<[u8]>>(&self, values: &[V]) -> Result<Vec<u8>> {
        let shape = self.fd.shape();
        let mut joined = self.room()?;
        let cpus = (shape.cpus() as usize).max(1);
        let each = (shape.value_stride() / cpus).max(1);
        if values.len() != cpus || values.iter().any(|value| value.as_ref().len() != shape.value_size()) {
            let what = format!("wanted {cpus} values of {} bytes", shape.value_size());
            return Err(Error::new(ErrorKind::Setting, what).in_map(&self.name));
        }
        for (place, value) in joined.chunks_exact_mut(each).zip(values) {
            place[..value.as_ref().len()].copy_from_slice(value.as_ref());
        }
        Ok(joined)
    }

    /// Reads a key by its type; `None` where it has none.
    pub fn decode_key(&self, key: &[u8]) -> Option<Value<'_>> {
        let types = self.types.as_ref()?;
        Some(types.btf.value(types.key?, key))
    }

    /// Reads a value, of one CPU, by its type; `None` where it has none.
    pub fn decode_value(&self, value: &[u8]) -> Option<Value<'_>> {
        let types = self.types.as_ref()?;
        Some(match types.btf.resolve(types.value?).map(|ty| ty.def()) {
            Ok(Def::Datasec(datasec)) => Value::Struct(variables(&types.btf, datasec, value)),
            _ => types.btf.value(types.value?, value),
        })
    }

    /// Gives the types that keys and values are of; `None` where there are none.
    pub fn btf(&self) -> Option<&Btf<'static>> {
        self.types.as_ref().map(|types| &*types.btf)
    }

    /// Gives the type of keys in [`Map::btf`].
    pub fn key_type(&self) -> Option<TypeId> {
        self.types.as_ref()?.key
    }

    /// Gives the type of values in [`Map::btf`].
    pub fn value_type(&self) -> Option<TypeId> {
        self.types.as_ref()?.value
    }

    /// Reads a record of a ring or perf buffer by its type; `None` where the object does not say it. An object says it
    /// with a variable that nothing uses, called like the map with `_record` behind it: a pointer to the type. Else the
    /// type that a ring gives for its values is taken.
    pub fn decode_record(&self, record: &[u8]) -> Option<Value<'_>> {
        let types = self.types.as_ref()?;
        let btf = &types.btf;
        let find = || {
            let name = format!("{}_record", self.name);
            let Def::Var(variable) = btf.ty(btf.find(&name, Kind::Var)?).ok()?.def() else { return None };
            let Def::Ptr(target) = btf.resolve(variable.type_id).ok()?.def() else { return None };
            Some(target)
        };
        let is_ring = matches!(self.map_type(), MapType::RINGBUF | MapType::USER_RINGBUF);
        let by_value = || types.value.filter(|_| is_ring);
        Some(btf.value((*self.record_type.get_or_init(|| find().or_else(by_value)))?, record))
    }

    /// Makes room for what a look-up gives.
    fn room(&self) -> Result<Vec<u8>> {
        let mut room = Vec::new();
        let size = self.value_stride();
        room.try_reserve_exact(size).map_err(|_| self.error("BPF_MAP_LOOKUP_ELEM", Errno::ENOMEM))?;
        room.resize(size, 0);
        Ok(room)
    }

    fn error(&self, call: &'static str, error: impl Into<skep_sys::CallError>) -> Error {
        Error::call(call, error).in_map(&self.name)
    }
}

/// Reads the variables of a data section.
fn variables<'t>(btf: &'t Btf<'static>, datasec: Datasec<'t>, bytes: &[u8]) -> Vec<FieldValue<'t>> {
    let field = |variable: Variable<'t>| {
        let start = variable.offset as usize;
        let end = start.checked_add(variable.size as usize)?;
        let value = btf.value(variable.type_id, bytes.get(start..end)?);
        Some(FieldValue { name: variable.name, value })
    };
    btf.variables(datasec).filter_map(field).collect()
}
