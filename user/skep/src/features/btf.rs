//! Questions of types: one small piece of BTF for each.

use super::ask::taken;
use crate::Kernel;
use crate::error::{Error, ErrorKind, Result};
use skep_btf::{
    Builder, DeclTag, Endian, EnumWidth, Enumerator, Feature, Func, FuncLinkage, Int, IntEncoding, Param,
    SecInfo, Sign, TagStyle, TypeId, TypeTag, Var, VarLinkage,
};
use skep_sys::{BtfFd, CallError};

const CALL: &str = "BPF_BTF_LOAD";

/// Tells whether types are taken at all.
pub(super) fn any(kernel: &Kernel) -> Result<bool> {
    taken(CALL, ask(kernel, only_int)?)
}

/// Tells whether a feature of types is taken.
pub(super) fn takes(kernel: &Kernel, feature: Feature) -> Result<bool> {
    taken(CALL, ask(kernel, |b| sample(b, feature))?)
}

/// Tells whether types have a name to be asked for, which came with those of modules (`struct bpf_btf_info`).
pub(super) fn named(kernel: &Kernel) -> Result<bool> {
    match ask(kernel, only_int)? {
        Ok(btf) => taken("BPF_OBJ_GET_INFO_BY_FD", btf.name()),
        refusal => taken(CALL, refusal),
    }
}

/// Types that are integers, for maps that want some.
pub(super) fn integers(kernel: &Kernel) -> Result<std::result::Result<(BtfFd, TypeId), CallError>> {
    let mut id = TypeId(0);
    let answer = ask(kernel, |b| id = int(b))?;
    Ok(answer.map(|fd| (fd, id)))
}

/// Two functions, of which the second says by a tag that its argument is the context.
pub(super) struct TaggedContext {
    pub(super) fd: BtfFd,
    pub(super) main: TypeId,
    pub(super) function: TypeId,
}

/// Loads the types of [`TaggedContext`]; `None` where they are not taken.
pub(super) fn tagged_context(kernel: &Kernel) -> Result<Option<TaggedContext>> {
    let (mut main, mut function) = (TypeId(0), TypeId(0));
    let answer = ask(kernel, |b| {
        let int = int(b);
        let pointer = b.ptr(TypeId(0));
        let mut function_of = |name, argument| {
            let proto = b.func_proto(int, &[Param { name: argument, type_id: pointer }]);
            b.func(name, Func { proto, linkage: FuncLinkage::Global })
        };
        main = function_of("main", "context");
        function = function_of("function", "argument");
        b.decl_tag("arg:ctx", DeclTag { target: function, component: Some(0), style: TagStyle::Tag });
    })?;
    match answer {
        Ok(fd) => Ok(Some(TaggedContext { fd, main, function })),
        refusal => taken(CALL, refusal).map(|_| None),
    }
}

fn ask(kernel: &Kernel, make: impl FnOnce(&mut Builder)) -> Result<std::result::Result<BtfFd, CallError>> {
    let mut builder = Builder::new(Endian::NATIVE);
    make(&mut builder);
    let btf = builder.finish().map_err(|error| Error::new(ErrorKind::Kernel, error.to_string()))?;
    Ok(kernel.btf_load(&btf))
}

fn only_int(b: &mut Builder) {
    int(b);
}

fn int(b: &mut Builder) -> TypeId {
    b.int("int", Int { size: 4, bits: 32, offset: 0, encoding: IntEncoding::SIGNED })
}

/// Makes BTF that needs one feature, and those that are older.
fn sample(b: &mut Builder, feature: Feature) {
    let int = int(b);
    match feature {
        Feature::Func => func(b, int, FuncLinkage::Static),
        Feature::FuncLinkage => func(b, int, FuncLinkage::Global),
        Feature::Datasec => section(b, int, ".data"),
        Feature::EmptyDatasec => {
            b.datasec(".rodata", 4, &[]);
        }
        Feature::OptionalSection => section(b, int, "?.data"),
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
}

fn func(b: &mut Builder, int: TypeId, linkage: FuncLinkage) {
    let proto = b.func_proto(int, &[Param { name: "argument", type_id: int }]);
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
            let mut builder = Builder::new(Endian::NATIVE);
            sample(&mut builder, feature);
            let bytes = builder.finish().unwrap();
            let btf = Btf::parse(&bytes).unwrap();
            assert!(btf.len() > 2, "{feature:?}");
        }
    }
}
