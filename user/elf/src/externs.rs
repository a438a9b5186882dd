//! Symbols that the object uses and the kernel defines: `.ksyms` and `.kconfig`.

use crate::error::{ElfError, Problem};
use crate::image::{Binding, Home, Image};
use skep_abi::{MapType, flags::BPF_F_RDONLY_PROG};
use skep_btf::{Btf, Def};
use skep_model::{BtfId, DataKind, MapData, MapOrigin, MapSpec, Pinning};
use std::collections::BTreeMap;

/// A symbol that the kernel defines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternSpec {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ExternKind,
    /// Whether it may be absent.
    pub weak: bool,
    /// Its type: of a variable, or the `FUNC_PROTO`.
    pub type_id: BtfId,
}

/// What a symbol of the kernel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExternKind {
    /// A value of the kernel's configuration, at this offset of the `.kconfig` map.
    Kconfig {
        /// Offset in bytes.
        offset: u32,
        /// Size in bytes.
        size: u32,
    },
    /// A variable of the kernel, by address.
    Variable,
    /// A function of the kernel that programs may call.
    Kfunc,
}

/// The name of the section and map of configuration values.
pub(crate) const KCONFIG: &str = ".kconfig";
const KSYMS: &str = ".ksyms";
/// The most bytes of configuration values that anyone can mean.
const LARGEST: u32 = 1 << 20;

/// Lists the undefined symbols that BTF describes, and the map of configuration values if there are any.
pub(crate) fn find(
    image: &Image<'_>,
    btf: Option<&Btf<'_>>,
) -> Result<(Vec<ExternSpec>, Option<MapSpec>), ElfError> {
    let Some(btf) = btf else { return Ok((Vec::new(), None)) };
    let undefined: BTreeMap<_, _> = (image.symbols())
        .filter(|symbol| symbol.home == Home::Undefined && !symbol.name.is_empty())
        .map(|symbol| (symbol.name, symbol.binding))
        .collect();
    let weak = |name: &str| undefined.get(name) == Some(&Binding::Weak);
    let mut externs = Vec::new();
    if let Some((_, datasec)) = btf.datasec(KSYMS) {
        for info in datasec.vars {
            let ty = btf.ty(info.type_id)?;
            let (kind, type_id) = match ty.def() {
                Def::Var(var) => (ExternKind::Variable, var.type_id),
                Def::Func(func) => (ExternKind::Kfunc, func.proto),
                _ => continue,
            };
            if undefined.contains_key(ty.name()) {
                let (name, type_id) = (ty.name().to_owned(), BtfId(type_id.0));
                externs.push(ExternSpec { weak: weak(&name), name, kind, type_id });
            }
        }
    }
    let Some((section_id, datasec)) = btf.datasec(KCONFIG) else { return Ok((externs, None)) };
    let placed = Btf::from_vec(btf.place_externs()?)?;
    let fail = |error: ElfError| error.in_section(KCONFIG);
    for variable in btf.variables(datasec).filter(|variable| undefined.contains_key(variable.name)) {
        let place = placed.variable(KCONFIG, variable.name).ok_or_else(|| {
            let wanted = "a variable with a place";
            fail(Problem::BadTarget { target: variable.name.to_owned(), wanted }.into())
        })?;
        externs.push(ExternSpec {
            name: variable.name.to_owned(),
            kind: ExternKind::Kconfig { offset: place.offset, size: place.size },
            weak: weak(variable.name),
            type_id: BtfId(variable.type_id.0),
        });
    }
    let size = placed.datasec(KCONFIG).map_or(0, |(_, datasec)| datasec.size);
    if size > LARGEST {
        return Err(fail(Problem::TooLarge.into()));
    }
    if size == 0 {
        return Ok((externs, None));
    }
    let map = MapSpec {
        name: KCONFIG.to_owned(),
        map_type: MapType::ARRAY,
        key_size: 4,
        value_size: size,
        max_entries: 1,
        flags: BPF_F_RDONLY_PROG,
        extra: 0,
        numa_node: None,
        pinning: Pinning::None,
        key_type: None,
        value_type: Some(BtfId(section_id.0)),
        inner: None,
        initial: Vec::new(),
        origin: MapOrigin::Data(Box::new(MapData {
            section: KCONFIG.to_owned(),
            kind: DataKind::Kconfig,
            bytes: vec![0; size as usize],
        })),
    };
    Ok((externs, Some(map)))
}
