//! Maps: created or found, then given their first contents.

use super::btf::Part;
use super::names::{kernel_name, map_name};
use super::pins::{There, check_alike, path_by_name};
use super::without::{self, Look};
use super::{Loading, Used};
use crate::error::{Error, ErrorKind, Result};
use crate::object::{Autocreate, MapSetting, PinSetting};
use crate::rights::{self, Wanted};
use crate::{Feature, Instead, Note};
use skep_abi::flags::{BPF_ANY, BPF_F_MMAPABLE, BPF_F_NUMA_NODE, BPF_F_VTYPE_BTF_OBJ_FD};
use skep_abi::{Errno, MapCreate, MapType};
use skep_model::platform::Platform;
use skep_model::platform::maps::{Access, BtfUse, Copies};
use skep_model::{DataKind, MapData, MapId, MapOrigin, MapSpec};
use skep_sys::{CallError, MapFd};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Contents of a map that are there already: of one that was pinned, or that the caller gave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    New,
    Before,
}

impl Loading<'_> {
    /// Makes or finds the map at `index` of the object, and fills it if it is a data section; `None` where it is left out.
    pub(super) fn map(&mut self, index: usize, used: &Used) -> Result<Option<Arc<MapFd>>> {
        let object = self.object;
        let (spec, setting) = (&object.spec.maps[index], &object.maps[index]);
        if setting.autocreate == Autocreate::No {
            return Ok(None);
        }
        let create = self.attributes(spec)?;
        // What only the application can say of a map matters only if somebody uses it.
        if create.max_entries == 0 && setting.reuse.is_none() && !used.maps.contains(&MapId(index as u32)) {
            if let Some(mistake) = mistake(&create) {
                let note = Note::new(None, Instead::NoMap).in_map(&spec.name);
                self.notes.push(note.because(format!("{mistake}, and nothing refers to it")));
                return Ok(None);
            }
        }
        let (map, made) = match &setting.reuse {
            Some(map) => {
                if !map.handle().kernel().is_same(self.kernel.sys()) {
                    return Err(Error::new(ErrorKind::Setting, "is to be a map of another kernel"));
                }
                let found = map.info().map_err(|error| Error::call("BPF_OBJ_GET_INFO_BY_FD", error))?;
                check_alike(spec, &create, &found)?;
                (Arc::clone(map), Made::Before)
            }
            None => match self.shared_or_new(spec, setting, create) {
                Ok((map, made)) => (Arc::new(map), made),
                Err(error) if self.lacks_data(spec, &error) => return Ok(None),
                Err(error) => return Err(error),
            },
        };
        if let (MapOrigin::Data(data), Made::New) = (&spec.origin, made) {
            self.fill(&map, data, &used.settings)?;
        }
        if map.shape().map_type() == MapType::ARENA {
            self.add_arena(MapId(index as u32), spec, &map, made)?;
        }
        Ok(Some(map))
    }

    /// Tells whether a map was refused because it is that of a data section, and the kernel has no such.
    fn lacks_data(&mut self, spec: &MapSpec, refusal: &Error) -> bool {
        let lacks = matches!(spec.origin, MapOrigin::Data(_))
            && refusal.errno().is_some_and(without::may_lack)
            && self.kernel.has(Feature::GlobalData).is_ok_and(|has| !has);
        if lacks {
            self.notes.push(Note::new(Feature::GlobalData, Instead::NoData).in_map(&spec.name));
        }
        lacks
    }

    fn shared_or_new(
        &mut self,
        spec: &MapSpec,
        setting: &MapSetting,
        create: MapCreate,
    ) -> Result<(MapFd, Made)> {
        let path = match &setting.pin {
            PinSetting::No => return Ok((self.create(spec, create)?, Made::New)),
            PinSetting::ByName => path_by_name(&spec.name),
            PinSetting::At(path) => path.clone(),
        };
        // Someone else may pin theirs between our look and our pin: then theirs is used.
        for _ in 0..2 {
            let other = match self.pinned(&path, &create, spec, setting.pinned)? {
                There::Wanted(map) => return Ok((map, Made::Before)),
                There::Other(map) => Some(map),
                There::Nothing => None,
            };
            let map = self.create(spec, create)?;
            if let Some(pin) = self.pin(&path, &map, other)? {
                self.pins.push(pin);
                return Ok((map, Made::New));
            }
        }
        Err(Error::call("BPF_OBJ_PIN", Errno::EEXIST).at_path(&path))
    }

    /// Works out the attributes, except for types and the inner map.
    fn attributes(&self, spec: &MapSpec) -> Result<MapCreate> {
        let row = Platform::LINUX_6_18.map(spec.map_type);
        if row.is_some_and(|row| row.copies == Copies::PerCpu) {
            self.kernel.possible_cpus()?;
        }
        let max_entries = match spec.map_type {
            MapType::PERF_EVENT_ARRAY | MapType::CPUMAP if spec.max_entries == 0 => {
                self.kernel.possible_cpus()?
            }
            MapType::RINGBUF | MapType::USER_RINGBUF => self.ring_bytes(spec.max_entries)?,
            _ => spec.max_entries,
        };
        // Kernels want no sizes for a ring. A type that stands in their place says what records are (aya writes it so).
        let is_ring = row.is_some_and(|row| row.access == Access::Records);
        let size = |size, is_typed: bool| if is_ring && is_typed { 0 } else { size };
        let mut map_flags = spec.flags;
        if spec.numa_node.is_some() {
            map_flags |= BPF_F_NUMA_NODE;
        }
        let mut create = MapCreate {
            map_type: spec.map_type.0,
            key_size: size(spec.key_size, spec.key_type.is_some()),
            value_size: size(spec.value_size, spec.value_type.is_some()),
            max_entries,
            map_flags,
            numa_node: spec.numa_node.unwrap_or(0),
            map_name: map_name(spec, self.object.file()),
            map_extra: spec.extra,
            ..MapCreate::default()
        };
        if let Some(ops) = self.ops.iter().find(|ops| ops.name == spec.name) {
            create.value_size = ops.value.len() as u32;
            create.btf_vmlinux_value_type_id = ops.value_type.0;
            create.btf_fd = self.btf.as_ref().map_or(0, |btf| btf.fd.fd().raw());
            if let Some(fd) = ops.module.and_then(|module| self.types.modules.fd(module)) {
                create.map_flags |= BPF_F_VTYPE_BTF_OBJ_FD;
                create.value_type_btf_obj_fd = fd.number();
            }
        }
        Ok(create)
    }

    /// Says whether a ring is larger than any kernel takes. The size of a page is known then, which takes memory to find out.
    pub(super) fn check_ring(&self, spec: &MapSpec) -> Result<()> {
        match spec.map_type {
            MapType::RINGBUF | MapType::USER_RINGBUF => self.ring_bytes(spec.max_entries).map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Rounds the bytes of a ring up to what every kernel takes: a power of two, and a multiple of the page.
    fn ring_bytes(&self, bytes: u32) -> Result<u32> {
        if bytes.is_power_of_two() && bytes >= 1 << 16 {
            // No machine has larger pages, so this one's need not be asked for.
            return Ok(bytes);
        }
        let page = self.kernel.page_size()?;
        let least = bytes.max(u32::try_from(page).unwrap_or(u32::MAX));
        least.checked_next_power_of_two().ok_or_else(|| {
            let what = format!("a ring of {bytes} bytes is larger than any kernel takes");
            Error::new(ErrorKind::Object, what).with_errno(Errno::E2BIG)
        })
    }

    /// Creates a map, with as much of what is optional as the kernel takes: name, types, mapping of data into memory.
    fn create(&mut self, spec: &MapSpec, mut create: MapCreate) -> Result<MapFd> {
        // The inner map only shows the kernel what inner maps are like; it is closed again.
        let inner = match &spec.inner {
            Some(inner) => Some(self.inner(inner)?),
            None => None,
        };
        create.inner_map_fd = inner.as_ref().map_or(0, |inner| inner.fd().raw());
        if let MapOrigin::Data(_) = &spec.origin {
            create.map_flags |= BPF_F_MMAPABLE;
        }
        self.create_typed(spec, create)
    }

    fn create_typed(&mut self, spec: &MapSpec, create: MapCreate) -> Result<MapFd> {
        let kernel = self.kernel;
        let mut asked = self.types(spec, create).unwrap_or(create);
        let mut note = |note: Note| self.notes.push(note.in_map(&spec.name));
        without::lighten(kernel, without::MAP, &mut asked, Look::Known, &mut note);
        let mut answer = kernel.map_create(&asked);
        let refused = |answer: &Result<MapFd, CallError>| {
            answer.as_ref().err().map(CallError::errno).filter(|errno| without::may_lack(*errno))
        };
        if refused(&answer).is_some()
            && without::lighten(kernel, without::MAP, &mut asked, Look::Ask, &mut note) != 0
        {
            answer = kernel.map_create(&asked);
        }
        // A kind may refuse types that it has no use for (its `map_check_btf`).
        if let (Some(errno), true) = (refused(&answer), asked.btf_fd != 0) {
            without::drop_types(&mut asked);
            answer = kernel.map_create(&asked);
            if answer.is_ok() {
                note(Note::new(None, Instead::NoTypes).with_errno(errno));
            }
        }
        answer.map_err(|error| {
            let made = Error::call("BPF_MAP_CREATE", error);
            let made = rights::explain(kernel, made, Wanted::Map(MapType(create.map_type)));
            match mistake(&create) {
                Some(mistake) if made.errno() != Some(Errno::EPERM) => {
                    let made = made.hint(&mistake);
                    match create.max_entries {
                        0 => made.hint("set it with MapMut::set_max_entries"),
                        _ => made,
                    }
                }
                _ => made,
            }
        })
    }

    /// Adds the types of keys and values, where the kind of map takes them.
    fn types(&self, spec: &MapSpec, create: MapCreate) -> Option<MapCreate> {
        let btf = self.btf.as_ref()?;
        // An array without a type of keys has a section for value, and nothing else (`array_map_check_btf`).
        if matches!(spec.origin, MapOrigin::Data(_)) && btf.sections == Part::Lost {
            return None;
        }
        let row = Platform::LINUX_6_18.map(spec.map_type);
        let takes = row.is_none_or(|row| row.btf == BtfUse::KeyAndValue && row.access != Access::Records);
        let value = spec.value_type?;
        takes.then(|| MapCreate {
            btf_fd: btf.fd.fd().raw(),
            btf_key_type_id: spec.key_type.map_or(0, |key| key.0),
            btf_value_type_id: value.0,
            ..create
        })
    }

    fn inner(&mut self, spec: &MapSpec) -> Result<MapFd> {
        let create = MapCreate { map_name: kernel_name(&spec.name), ..self.attributes(spec)? };
        self.create_typed(spec, create).map_err(|error| error.hint("making the pattern of its inner maps"))
    }

    /// Writes the contents of a data section, and freezes what is read-only: the verifier takes it for constant then.
    fn fill(&self, map: &MapFd, data: &MapData, settings: &BTreeSet<u32>) -> Result<()> {
        let bytes = match data.kind {
            DataKind::Kconfig => Cow::Owned(self.externs.kconfig(data.bytes.len(), settings)?),
            _ => Cow::Borrowed(&data.bytes),
        };
        if bytes.iter().any(|byte| *byte != 0) {
            map.update(&0u32.to_ne_bytes(), &bytes, BPF_ANY)
                .map_err(|error| Error::call("BPF_MAP_UPDATE_ELEM", error))?;
        }
        if matches!(data.kind, DataKind::ReadOnly | DataKind::Kconfig) {
            map.freeze().map_err(|error| Error::call("BPF_MAP_FREEZE", error))?;
        }
        Ok(())
    }
}

/// What Linux dislikes about the attributes, as far as its rules are known.
fn mistake(create: &MapCreate) -> Option<String> {
    let row = Platform::LINUX_6_18.map(MapType(create.map_type))?;
    let flags = create.map_flags;
    let checked = row.check(create.key_size, create.value_size, create.max_entries, flags);
    checked.err().map(|mistake| mistake.to_string())
}
