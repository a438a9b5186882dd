//! Maps that are shared by name.

use super::Loading;
use crate::Kernel;
use crate::error::{Error, ErrorKind, Result};
use skep_abi::{Errno, MapCreate, MapInfo};
use skep_sys::MapFd;

/// Where pins by name are, as libbpf has it.
const FOLDER: &str = "/sys/fs/bpf";

/// A pin that a load has made; gone again unless it is kept.
pub(super) struct Pin {
    kernel: Kernel,
    path: Option<String>,
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
        }
    }
}

/// The path of a map that is pinned by its name; names in a BPF file system have no dots (kernel/bpf/inode.c,
/// `bpf_lookup`).
pub(super) fn path_by_name(name: &str) -> String {
    format!("{FOLDER}/{}", name.replace('.', "_"))
}

impl Loading<'_> {
    /// Opens the map that is pinned at a path and checks that it is the one wanted; `None` where nothing is there.
    pub(super) fn pinned(&self, path: &str, wanted: &MapCreate) -> Result<Option<MapFd>> {
        let sys = self.kernel.sys();
        let handle = match sys.obj_get(path, 0) {
            Ok(handle) => handle,
            Err(error) if error.errno() == Errno::ENOENT => return Ok(None),
            Err(error) => return Err(Error::call("BPF_OBJ_GET", error).at_path(path)),
        };
        let read = |error| Error::call("BPF_OBJ_GET_INFO_BY_FD", error).at_path(path);
        self.kernel.possible_cpus()?;
        let map = sys.map_from_handle(handle).map_err(read)?;
        let found = map.info().map_err(read)?;
        check_alike(wanted, &found).map_err(|error| error.at_path(path))?;
        Ok(Some(map))
    }

    /// Pins a new map; `None` where another load was faster.
    pub(super) fn pin(&self, path: &str, map: &MapFd) -> Result<Option<Pin>> {
        match self.kernel.sys().obj_pin(map.handle(), path) {
            Ok(()) => Ok(Some(Pin { kernel: self.kernel.clone(), path: Some(path.to_owned()) })),
            Err(error) if error.errno() == Errno::EEXIST => Ok(None),
            Err(error) => Err(Error::call("BPF_OBJ_PIN", error).at_path(path)),
        }
    }
}

/// Refuses to take one map for another: each field that decides how programs use it must be the same.
pub(super) fn check_alike(wanted: &MapCreate, found: &MapInfo) -> Result<()> {
    let fields = [
        ("type", u64::from(wanted.map_type), u64::from(found.type_)),
        ("key_size", wanted.key_size.into(), found.key_size.into()),
        ("value_size", wanted.value_size.into(), found.value_size.into()),
        ("max_entries", wanted.max_entries.into(), found.max_entries.into()),
        ("map_flags", wanted.map_flags.into(), found.map_flags.into()),
        ("map_extra", wanted.map_extra, found.map_extra),
    ];
    match fields.into_iter().find(|(_, wanted, found)| wanted != found) {
        None => Ok(()),
        Some((field, wanted, found)) => {
            let what = format!("the map that is there has {field} {found}, wanted {wanted}");
            Err(Error::new(ErrorKind::Incompatible, what).with_errno(Errno::EINVAL))
        }
    }
}
