//! What a kernel knows of BTF, asked with one small type for each feature.

use crate::Kernel;
use crate::error::{Error, Result};
use skep_abi::{BtfLoad, Errno};
use skep_btf::{
    Builder, DeclTag, Endian, EnumWidth, Enumerator, Feature, Func, FuncLinkage, Int, IntEncoding, SecInfo,
    Sign, Support, TagStyle, TypeId, TypeTag, Var, VarLinkage,
};
use skep_sys::CallError;

/// Asks for each feature.
///
/// # Errors
/// Where the kernel refuses for a reason that has nothing to do with the BTF.
pub(crate) fn btf_support(kernel: &Kernel) -> Result<Support> {
    let mut support = Support::NONE;
    for feature in Feature::all() {
        let Ok(btf) = sample(feature) else { continue };
        let load = || kernel.sys().btf_load(&mut BtfLoad::default(), &btf, &mut []);
        match kernel.locking(load) {
            Ok(_) => support = support.with(feature),
            Err(CallError::Errno(Errno::EINVAL | Errno::ENOTSUPP | Errno::EOPNOTSUPP | Errno::E2BIG)) => {}
            Err(error) => return Err(Error::call("BPF_BTF_LOAD", error).hint("asking what BTF it knows")),
        }
    }
    Ok(support)
}

/// Makes BTF that needs one feature, and those that are older.
fn sample(feature: Feature) -> std::result::Result<Vec<u8>, skep_btf::Error> {
    let mut b = Builder::new(Endian::NATIVE);
    let int = b.int("int", Int { size: 4, bits: 32, offset: 0, encoding: IntEncoding::SIGNED });
    match feature {
        Feature::Func => func(&mut b, int, FuncLinkage::Static),
        Feature::FuncLinkage => func(&mut b, int, FuncLinkage::Global),
        Feature::Datasec => section(&mut b, int, ".data"),
        Feature::EmptyDatasec => {
            b.datasec(".rodata", 4, &[]);
        }
        Feature::OptionalSection => section(&mut b, int, "?.data"),
        Feature::Float => {
            b.float("float", 4);
        }
        Feature::DeclTag => {
            let target = b.var("variable", Var { type_id: int, linkage: VarLinkage::Static });
            b.decl_tag("tag", DeclTag { target, component: None, style: TagStyle::Tag });
        }
        Feature::TypeTag => {
            let tagged = b.type_tag("tag", TypeTag { target: int, style: TagStyle::Tag });
            b.ptr(tagged);
        }
        Feature::Enum64 => {
            let value = Enumerator { name: "VALUE", value: 1 << 40 };
            b.enumeration("wide", 8, EnumWidth::Bits64, Sign::Unsigned, &[value]);
        }
    }
    b.finish()
}

fn func(b: &mut Builder, int: TypeId, linkage: FuncLinkage) {
    let proto = b.func_proto(int, &[skep_btf::Param { name: "argument", type_id: int }]);
    b.func("function", Func { proto, linkage });
}

fn section(b: &mut Builder, int: TypeId, name: &str) {
    let variable = b.var("variable", Var { type_id: int, linkage: VarLinkage::Static });
    b.datasec(name, 4, &[SecInfo { type_id: variable, offset: 0, size: 4 }]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_btf::Btf;

    #[test]
    fn every_feature_has_a_sample_that_is_btf() {
        for feature in Feature::all() {
            let bytes = sample(feature).unwrap();
            let btf = Btf::parse(&bytes).unwrap();
            assert!(btf.len() > 2, "{feature:?}");
        }
    }
}
