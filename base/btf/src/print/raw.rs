//! Types as they are stored: a line for each, and one for each element, in the words of `bpftool btf dump … format raw`.

use core::fmt::{self, Display, Write};

use crate::btf::Btf;
use crate::record::Type;
use crate::types::{Def, EnumWidth, FuncLinkage, FwdKind, IntEncoding, Sign, VarLinkage};

/// What types and elements without a name are called.
const NO_NAME: &str = "(anon)";

impl Btf<'_> {
    /// Writes all types but `void`, as they are stored; of split BTF its own.
    ///
    /// # Errors
    ///
    /// The writer's.
    pub fn write_raw(&self, out: &mut dyn Write) -> fmt::Result {
        self.own_types().try_for_each(|ty| writeln!(out, "{}", ty.raw()))
    }
}

impl<'b> Type<'b> {
    /// What displays it as it is stored, without a newline at the end.
    pub fn raw(&self) -> Raw<'b> {
        Raw { ty: *self }
    }
}

/// Displays a type as it is stored; see [`Type::raw`].
#[derive(Clone, Copy, Debug)]
pub struct Raw<'b> {
    ty: Type<'b>,
}

/// The name that `bpftool` gives to a kind, which is that of the kernel's `BTF_KIND_…`.
fn kind_name(ty: &Type<'_>) -> impl Display {
    struct Upper(&'static str);
    impl Display for Upper {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.chars().try_for_each(|letter| f.write_char(letter.to_ascii_uppercase()))
        }
    }
    Upper(ty.kind().map_or("unkn", crate::Kind::name))
}

impl Display for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ty = &self.ty;
        write!(f, "[{}] {} '{}'", ty.id().0, kind_name(ty), named(ty.name()))?;
        match ty.def() {
            Def::Void => Ok(()),
            Def::Int(int) => write!(
                f,
                " size={} bits_offset={} nr_bits={} encoding={}",
                int.size, int.offset, int.bits, int.encoding
            ),
            Def::Ptr(of) | Def::Typedef(of) | Def::Const(of) | Def::Volatile(of) | Def::Restrict(of) => {
                write!(f, " type_id={}", of.0)
            }
            Def::TypeTag(tag) => write!(f, " type_id={}", tag.target.0),
            Def::Array(array) => {
                write!(f, " type_id={} index_type_id={} nr_elems={}", array.elem.0, array.index.0, array.len)
            }
            Def::Struct(composite) | Def::Union(composite) => {
                write!(f, " size={} vlen={}", composite.size, composite.members.len())?;
                composite.members.iter().try_for_each(|member| {
                    let (name, at) = (named(member.name), member.bit_offset);
                    write!(f, "\n\t'{name}' type_id={} bits_offset={at}", member.type_id.0)?;
                    member.bitfield.map_or(Ok(()), |width| write!(f, " bitfield_size={width}"))
                })
            }
            Def::Enum(item) => {
                write!(f, " encoding={} size={} vlen={}", item.sign, item.size, item.len())?;
                let suffix = match (item.width, item.sign) {
                    (EnumWidth::Bits32, _) => "",
                    (EnumWidth::Bits64, Sign::Unsigned) => "ULL",
                    (EnumWidth::Bits64, Sign::Signed) => "LL",
                };
                item.values()
                    .try_for_each(|each| write!(f, "\n\t'{}' val={}{suffix}", named(each.name), each.value))
            }
            Def::Fwd(kind) => write!(f, " fwd_kind={kind}"),
            Def::Func(func) => write!(f, " type_id={} linkage={}", func.proto.0, func.linkage),
            Def::FuncProto(proto) => {
                write!(f, " ret_type_id={} vlen={}", proto.ret.0, proto.params.len())?;
                let mut params = proto.params.iter();
                params.try_for_each(|param| {
                    write!(f, "\n\t'{}' type_id={}", named(param.name), param.type_id.0)
                })
            }
            Def::Var(var) => write!(f, " type_id={}, linkage={}", var.type_id.0, var.linkage),
            Def::Datasec(datasec) => {
                write!(f, " size={} vlen={}", datasec.size, datasec.vars.len())?;
                datasec.vars.iter().try_for_each(|info| {
                    let (id, offset, size) = (info.type_id.0, info.offset, info.size);
                    write!(f, "\n\ttype_id={id} offset={offset} size={size}")?;
                    match ty.btf().get(info.type_id) {
                        Some(var) => write!(f, " ({} '{}')", kind_name(&var), named(var.name())),
                        None => Ok(()),
                    }
                })
            }
            Def::Float(size) => write!(f, " size={size}"),
            Def::DeclTag(tag) => {
                write!(f, " type_id={} component_idx=", tag.target.0)?;
                match tag.component {
                    Some(index) => write!(f, "{index}"),
                    None => f.write_str("-1"),
                }
            }
            Def::Unknown(number) => write!(f, " kind={number}"),
        }
    }
}

fn named(name: &str) -> &str {
    if name.is_empty() { NO_NAME } else { name }
}

impl Display for IntEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            IntEncoding::UNSIGNED => f.write_str("(none)"),
            IntEncoding::SIGNED => f.write_str("SIGNED"),
            IntEncoding::CHAR => f.write_str("CHAR"),
            IntEncoding::BOOL => f.write_str("BOOL"),
            IntEncoding(other) => write!(f, "{other:#x}"),
        }
    }
}

impl Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sign::Unsigned => "UNSIGNED",
            Sign::Signed => "SIGNED",
        })
    }
}

impl Display for FwdKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FwdKind::Struct => "struct",
            FwdKind::Union => "union",
        })
    }
}

impl Display for FuncLinkage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FuncLinkage::Static => f.write_str("static"),
            FuncLinkage::Global => f.write_str("global"),
            FuncLinkage::Extern => f.write_str("extern"),
            FuncLinkage::Other(number) => write!(f, "{number}"),
        }
    }
}

impl Display for VarLinkage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VarLinkage::Static => f.write_str("static"),
            VarLinkage::Global => f.write_str("global"),
            VarLinkage::Extern => f.write_str("extern"),
            VarLinkage::Other(number) => write!(f, "{number}"),
        }
    }
}
