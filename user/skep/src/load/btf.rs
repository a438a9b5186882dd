//! The object's BTF, as the kernel takes it.

use crate::error::Result;
use crate::{Error, ErrorKind, Kernel, Object};
use skep_abi::Errno;
use skep_btf::{Btf, Feature, Support};
use skep_sys::BtfFd;

/// BTF in the kernel.
#[derive(Debug)]
pub(super) struct ObjectBtf {
    pub(super) fd: BtfFd,
    /// Whether functions and lines can refer to it.
    pub(super) functions: Functions,
}

/// What became of the functions of BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Functions {
    /// They are as they were.
    Kept,
    /// They stand in for something else, on a kernel that does not know them.
    Lost,
}

/// Loads the object's BTF; first as it is, and where the kernel refuses that, rewritten for what the kernel knows.
///
/// Types are of use, and not needed: where no form is taken the load goes on without, and a note says so.
pub(super) fn load(object: &Object, kernel: &Kernel, notes: &mut Vec<String>) -> Result<Option<ObjectBtf>> {
    let Some(btf) = object.btf.as_deref() else { return Ok(None) };
    let bad = |error: skep_btf::Error| {
        Error::new(ErrorKind::Object, error.to_string()).in_section(".BTF").with_source(error)
    };
    let placed = match object.spec.externs.is_empty() {
        true => None,
        false => Some(Btf::from_vec(btf.place_externs().map_err(bad)?).map_err(bad)?),
    };
    let btf = placed.as_ref().unwrap_or(btf);
    let refusal = match kernel.btf_load(btf.bytes()) {
        Ok(fd) => return Ok(Some(ObjectBtf { fd, functions: Functions::Kept })),
        Err(error) => error,
    };
    // Only of these it can be thought that the kernel does not know a kind; other refusals are of the call, and the
    // next call will say the same.
    if !matches!(refusal.errno(), Errno::EINVAL | Errno::ENOTSUPP | Errno::EOPNOTSUPP) {
        notes.push(format!("loaded without BTF: BPF_BTF_LOAD: {refusal}"));
        return Ok(None);
    }
    let support = kernel.btf_support()?;
    let refusal = match support == Support::ALL {
        true => refusal,
        false => match kernel.btf_load(&btf.sanitize(support).map_err(bad)?) {
            Ok(fd) => {
                let functions = match support.has(Feature::Func) {
                    true => Functions::Kept,
                    false => Functions::Lost,
                };
                return Ok(Some(ObjectBtf { fd, functions }));
            }
            Err(error) => error,
        },
    };
    notes.push(format!("loaded without BTF: BPF_BTF_LOAD: {refusal}"));
    Ok(None)
}
