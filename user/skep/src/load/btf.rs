//! The object's BTF, as the kernel takes it.

use super::contexts::{self, Twins};
use crate::error::Result;
use crate::{Error, ErrorKind, Feature, Instead, Kernel, Note, Object};
use skep_abi::{Errno, ProgType};
use skep_btf::{Btf, Feature as BtfFeature, Support};
use skep_model::ProgramSpec;
use skep_sys::{BtfFd, CallError};

/// BTF in the kernel.
#[derive(Debug)]
pub(super) struct ObjectBtf {
    pub(super) fd: BtfFd,
    /// Whether functions and lines can refer to it.
    pub(super) functions: Part,
    /// Whether data sections can.
    pub(super) sections: Part,
    /// The functions that the records of programs name instead.
    pub(super) twins: Twins,
}

/// What became of a part of BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// They are as they were.
    Kept,
    /// They stand in for something else, on a kernel that does not know them.
    Lost,
}

/// Loads the object's BTF; first as it is, and where the kernel refuses that, rewritten for what the kernel knows.
///
/// Types are of use, and not needed: where no form is taken the load goes on without, and a note says so; unless there is a
/// map, which `needed_by` names, that cannot be made without.
pub(super) fn load(
    object: &Object,
    kernel: &Kernel,
    programs: &[(&ProgramSpec, ProgType)],
    needed_by: Option<&str>,
    notes: &mut Vec<Note>,
) -> Result<Option<ObjectBtf>> {
    let without = |refusal: CallError, feature: Option<Feature>, notes: &mut Vec<Note>| match needed_by {
        Some(map) => Err(Error::call("BPF_BTF_LOAD", refusal).in_map(map)),
        None => {
            notes.push(Note::new(feature, Instead::NoTypes).with_errno(refusal.errno()));
            Ok(None)
        }
    };
    let Some(btf) = object.btf.as_deref() else { return Ok(None) };
    let bad = |error: skep_btf::Error| {
        Error::new(ErrorKind::Object, error.to_string()).in_section(".BTF").with_source(error)
    };
    let placed = match object.spec.externs.is_empty() {
        true => None,
        false => Some(Btf::from_vec(btf.place_externs().map_err(bad)?).map_err(bad)?),
    };
    let btf = placed.as_ref().unwrap_or(btf);
    let (given, twins) = contexts::give_types(btf, programs, kernel, notes).map_err(bad)?.unzip();
    let given = given.map(Btf::from_vec).transpose().map_err(bad)?;
    let (btf, twins) = (given.as_ref().unwrap_or(btf), twins.unwrap_or_default());
    let refusal = match kernel.btf_load(btf.bytes()) {
        Ok(fd) => return Ok(Some(ObjectBtf { fd, functions: Part::Kept, sections: Part::Kept, twins })),
        Err(error) => error,
    };
    // Only of these it can be thought that the kernel does not know a kind; other refusals are of the call, and the
    // next call will say the same.
    if !matches!(refusal.errno(), Errno::EINVAL | Errno::ENOTSUPP | Errno::EOPNOTSUPP) {
        return without(refusal, None, notes);
    }
    if !kernel.has(Feature::Btf)? {
        return without(refusal, Some(Feature::Btf), notes);
    }
    let support = kernel.btf_support()?;
    let refusal = match support == Support::ALL {
        true => refusal,
        false => match kernel.btf_load(&btf.sanitize(support).map_err(bad)?) {
            Ok(fd) => {
                let part = |feature| if support.has(feature) { Part::Kept } else { Part::Lost };
                let (functions, sections) = (part(BtfFeature::Func), part(BtfFeature::Datasec));
                notes.extend(replaced(btf, support).map_err(bad)?);
                return Ok(Some(ObjectBtf { fd, functions, sections, twins }));
            }
            Err(error) => error,
        },
    };
    without(refusal, None, notes)
}

/// Notes each feature that the types have and the kernel lacks.
fn replaced(btf: &Btf<'_>, support: Support) -> std::result::Result<Vec<Note>, skep_btf::Error> {
    let (mut left, mut types) = (Support::ALL, btf.sanitize(Support::ALL)?);
    let mut notes = Vec::new();
    // One after the other: where functions are replaced, nothing is left of how they are linked.
    for feature in BtfFeature::all().filter(|feature| !support.has(*feature)) {
        left = left.without(feature);
        let without = btf.sanitize(left)?;
        if without != types {
            notes.push(Note::new(Feature::BtfType(feature), Instead::OlderTypes));
        }
        types = without;
    }
    Ok(notes)
}
