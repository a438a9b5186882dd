//! Maps that are shared by name.

use super::Loading;
use crate::Kernel;
use crate::error::{Error, ErrorKind, Result};
use crate::map::schema;
use crate::object::Pinned;
use skep_abi::flags::BPF_F_MMAPABLE;
use skep_abi::{Errno, MapCreate, MapInfo};
use skep_btf::TypeId;
use skep_model::{MapOrigin, MapSpec};
use skep_sys::MapFd;

/// Where pins by name are, as libbpf has it.
const FOLDER: &str = "/sys/fs/bpf";

/// A pin that a load has made; gone again unless it is kept.
pub(super) struct Pin {
    kernel: Kernel,
    path: Option<String>,
    /// What was pinned there before.
    replaced: Option<MapFd>,
}

impl Pin {
    pub(super) fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // The load has failed already, and that is the error to be told.
            let _ = self.kernel.sys().file_remove(path);
            if let Some(map) = &self.replaced {
                let _ = self.kernel.sys().obj_pin(map.handle(), path);
            }
        }
    }
}

/// What is pinned where a map is to be.
pub(super) enum There {
    Nothing,
    Wanted(MapFd),
    /// Another map, which is to make room.
    Other(MapFd),
}

/// The path of a map that is pinned by its name; names in a BPF file system have no dots (kernel/bpf/inode.c,
/// `bpf_lookup`).
pub(super) fn path_by_name(name: &str) -> String {
    format!("{FOLDER}/{}", name.replace('.', "_"))
}

impl Loading<'_> {
    /// Opens the map that is pinned at a path and checks that it is the one wanted.
    pub(super) fn pinned(
        &self,
        path: &str,
        wanted: &MapCreate,
        spec: &MapSpec,
        pinned: Pinned,
    ) -> Result<There> {
        let sys = self.kernel.sys();
        let handle = match sys.obj_get(path, 0) {
            Ok(handle) => handle,
            Err(error) if error.errno() == Errno::ENOENT => return Ok(There::Nothing),
            Err(error) => return Err(Error::call("BPF_OBJ_GET", error).at_path(path)),
        };
        let read = |error| Error::call("BPF_OBJ_GET_INFO_BY_FD", error).at_path(path);
        self.kernel.possible_cpus()?;
        let map = sys.map_from_handle(handle).map_err(read)?;
        let found = map.info().map_err(read)?;
        let alike = check_alike(spec, wanted, &found).and_then(|()| match pinned {
            Pinned::Alike | Pinned::Replaced => self.check_types(spec, &found),
            Pinned::AlikeInSize => Ok(()),
        });
        match alike {
            Ok(()) => Ok(There::Wanted(map)),
            Err(error) if pinned == Pinned::Replaced && error.kind() == ErrorKind::Incompatible => {
                Ok(There::Other(map))
            }
            Err(error) => Err(error.at_path(path)),
        }
    }

    /// Refuses a map whose keys or values have other types, as far as both are known.
    fn check_types(&self, spec: &MapSpec, found: &MapInfo) -> Result<()> {
        let (Some(ours), true) = (self.object.btf(), found.btf_id != 0) else { return Ok(()) };
        let theirs = match self.kernel.btf_by_id(found.btf_id) {
            Ok(btf) => btf,
            // Who may not read types may still use maps.
            Err(error) if error.kind() == ErrorKind::Permission => return Ok(()),
            Err(error) => return Err(error),
        };
        let types = [
            ("key", spec.key_type, found.btf_key_type_id),
            ("value", spec.value_type, found.btf_value_type_id),
        ];
        let mut differ = Vec::new();
        for (what, wanted, there) in types {
            let Some(wanted) = wanted.filter(|_| there != 0) else { continue };
            let there = (&theirs, TypeId(there));
            let difference = schema::difference(there, (ours, TypeId(wanted.0)));
            differ.extend(difference.map(|difference| format!("{what}: {difference}")));
        }
        match differ.is_empty() {
            true => Ok(()),
            false => {
                let what = format!("the map that is there has other types: {}", differ.join("; "));
                Err(Error::new(ErrorKind::Incompatible, what).with_errno(Errno::EINVAL))
            }
        }
    }

    /// Pins a new map, in the place of another if there is one; `None` where another load was faster.
    pub(super) fn pin(&self, path: &str, map: &MapFd, replaced: Option<MapFd>) -> Result<Option<Pin>> {
        let sys = self.kernel.sys();
        if replaced.is_some() {
            match sys.file_remove(path) {
                Err(error) if error.errno() != Errno::ENOENT => {
                    return Err(Error::call("unlink", error).at_path(path));
                }
                _ => {}
            }
        }
        match sys.obj_pin(map.handle(), path) {
            Ok(()) => Ok(Some(Pin { kernel: self.kernel.clone(), path: Some(path.to_owned()), replaced })),
            Err(error) if error.errno() == Errno::EEXIST => Ok(None),
            Err(error) => {
                if let Some(replaced) = replaced {
                    // The error to be told is the first.
                    let _ = sys.obj_pin(replaced.handle(), path);
                }
                Err(Error::call("BPF_OBJ_PIN", error).at_path(path))
            }
        }
    }
}

/// Refuses to take one map for another: each field that decides how programs use it must be the same.
pub(super) fn check_alike(spec: &MapSpec, wanted: &MapCreate, found: &MapInfo) -> Result<()> {
    // Whether data can be mapped is the kernel's business, and asked for where it can.
    let counts = match spec.origin {
        MapOrigin::Data(_) => !BPF_F_MMAPABLE,
        MapOrigin::Btf | MapOrigin::Legacy | MapOrigin::StructOps(_) | MapOrigin::Arena(_) => u32::MAX,
    };
    let fields = [
        ("type", u64::from(wanted.map_type), u64::from(found.type_)),
        ("key_size", wanted.key_size.into(), found.key_size.into()),
        ("value_size", wanted.value_size.into(), found.value_size.into()),
        ("max_entries", wanted.max_entries.into(), found.max_entries.into()),
        ("map_flags", (wanted.map_flags & counts).into(), (found.map_flags & counts).into()),
        ("map_extra", wanted.map_extra, found.map_extra),
    ];
    let differ = fields.into_iter().filter(|(_, wanted, found)| wanted != found);
    let told: Vec<_> =
        differ.map(|(field, wanted, found)| format!("{field} {found}, wanted {wanted}")).collect();
    match told.is_empty() {
        true => Ok(()),
        false => {
            let what = format!("the map that is there has {}", told.join("; "));
            Err(Error::new(ErrorKind::Incompatible, what).with_errno(Errno::EINVAL))
        }
    }
}
