//! From tables to types: what the ABI is made of, then a function for each helper, then a type for each tracepoint.

use crate::btf::errno;
use crate::error::Result;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU8;
use skep_abi::{Errno, FuncId};
use skep_btf::{
    Btf, Builder, Def, Endian, Func, FuncLinkage, FwdKind, Int, IntEncoding, Kind, Member, Param, Type,
    TypeId,
};
use skep_model::platform::Platform;
use skep_model::platform::ctype::{CType, Pointee};
use skep_model::platform::helper::{Arg, Helper, Prototype};
use skep_model::platform::helpers::HELPERS;
use skep_model::platform::tracepoints;

/// What a kernel has for programs.
pub(super) struct Offer<'k, H, T> {
    pub(super) platform: &'k Platform,
    /// Whether a helper of the platform is there.
    pub(super) has_helper: H,
    /// The names of the tracepoints.
    pub(super) tracepoints: T,
}

/// Headers of packets with bitfields. Linux declares those in the opposite order for big-endian machines, so that they
/// stay where they are in the packet; all other bitfields keep their order, and move.
const ON_THE_WIRE: &[&str] = &["iphdr", "ipv6hdr", "tcphdr"];

/// Makes the BTF. The same offer gives the same bytes.
///
/// # Errors
/// `ENOMEM`.
pub(super) fn build<'k>(
    endian: Endian,
    offer: Offer<'_, impl Fn(FuncId) -> bool, impl Iterator<Item = &'k str>>,
) -> Result<Vec<u8>> {
    let abi = Btf::parse(skep_abi::BTF).map_err(|error| errno(error.errno()))?;
    let mut types =
        Types { builder: Builder::new(endian), abi: &abi, derived: Vec::new(), protos: Vec::new() };
    for ty in abi.types() {
        match ty.def() {
            Def::Struct(fields) if endian != abi.endian() && ON_THE_WIRE.contains(&ty.name()) => {
                types.mirrored(ty, fields.size, fields.members.iter())?;
            }
            // The first types are the same in both, so references are, too.
            _ => {
                types.builder.copy(ty, |id| id);
            }
        }
    }
    for helper in HELPERS.iter().chain(offer.platform.own_helpers) {
        let is_offered = offer.platform.helper(helper.id).is_ok() && (offer.has_helper)(helper.id);
        if let Some(prototype) = helper.prototype.as_ref().filter(|_| is_offered) {
            types.helper(helper, prototype)?;
        }
    }
    for tracepoint in offer.tracepoints.filter_map(tracepoints::find) {
        types.tracepoint(tracepoint)?;
    }
    types.builder.finish().map_err(|error| errno(error.errno()))
}

/// Types under way.
struct Types<'a> {
    builder: Builder,
    /// The types that came first.
    abi: &'a Btf<'a>,
    /// Types that arguments needed beside those.
    derived: Vec<(Derived, TypeId)>,
    /// Prototypes of helpers, which many share.
    protos: Vec<(&'static Prototype, TypeId)>,
}

/// What is made once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Derived {
    Scalar(CType),
    Target(Pointee),
    Const(Pointee),
    Pointer(CType),
}

/// One row per number: C's type, its name in the BTF of the ABI, of which kind it is there, and how to make it.
const SCALARS: &[(CType, &str, Kind, Int)] = &[
    (CType::Bool, "_Bool", Kind::Int, int(1, IntEncoding::BOOL)),
    (CType::Int, "int", Kind::Int, int(4, IntEncoding::SIGNED)),
    (CType::UnsignedInt, "unsigned int", Kind::Int, int(4, IntEncoding::UNSIGNED)),
    (CType::Long, "long int", Kind::Int, int(8, IntEncoding::SIGNED)),
    (CType::UnsignedLong, "long unsigned int", Kind::Int, int(8, IntEncoding::UNSIGNED)),
    (CType::U32, "__u32", Kind::Typedef, int(4, IntEncoding::UNSIGNED)),
    (CType::U64, "__u64", Kind::Typedef, int(8, IntEncoding::UNSIGNED)),
];

const fn int(size: u32, encoding: IntEncoding) -> Int {
    Int { size, bits: size as u8 * 8, offset: 0, encoding }
}

impl Types<'_> {
    /// Appends a header of packets for machines of the other byte order: each bit stays in its byte, and is counted from
    /// that byte's other end.
    fn mirrored<'m>(
        &mut self,
        ty: Type<'_>,
        size: u32,
        members: impl Iterator<Item = Member<'m>>,
    ) -> Result<()> {
        let mut list = Vec::new();
        for mut member in members {
            if let Some(width) = member.bitfield.map(NonZeroU8::get) {
                let within = member.bit_offset % 8;
                member.bit_offset =
                    member.bit_offset - within + 8_u32.saturating_sub(within + u32::from(width));
            }
            list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            list.push(member);
        }
        list.sort_unstable_by_key(|member| member.bit_offset);
        self.builder.structure(ty.name(), size, &list);
        Ok(())
    }

    /// Appends the function of a helper, as Linux's `BPF_CALL_n` defines it.
    fn helper(&mut self, helper: &Helper, prototype: &'static Prototype) -> Result<()> {
        let shared =
            |known: &&(&Prototype, TypeId)| known.0.args == prototype.args && known.0.ret == prototype.ret;
        let proto = match self.protos.iter().find(shared) {
            Some(known) => known.1,
            None => {
                let ret = self.c_type(prototype.ret.c_type())?;
                let mut params = [Param { name: "", type_id: TypeId::VOID }; 5];
                for (index, (param, arg)) in params.iter_mut().zip(prototype.args).enumerate() {
                    *param = Param { name: param_name(*arg, index), type_id: self.c_type(arg.c_type())? };
                }
                let proto = self.builder.func_proto(ret, &params[..prototype.args.len().min(5)]);
                self.protos.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                self.protos.push((prototype, proto));
                proto
            }
        };
        let name = joined("bpf_", helper.name)?;
        self.builder.func(&name, Func { proto, linkage: FuncLinkage::Static });
        Ok(())
    }

    /// Appends the type of a tracepoint's probes, as Linux's `__BPF_DECLARE_TRACE` defines it: its own data, then the
    /// arguments.
    fn tracepoint(&mut self, tracepoint: &tracepoints::Tracepoint) -> Result<()> {
        let mut params = Vec::new();
        params.try_reserve_exact(tracepoint.args.len() + 1).map_err(|_| Errno::ENOMEM)?;
        for c_type in core::iter::once(CType::Pointer(Pointee::Void)).chain(tracepoint.args.iter().copied()) {
            params.push(Param { name: "", type_id: self.c_type(c_type)? });
        }
        let proto = self.builder.func_proto(TypeId::VOID, &params);
        let probe = self.builder.ptr(proto);
        let name = joined("btf_trace_", tracepoint.name)?;
        self.builder.typedef(&name, probe);
        Ok(())
    }

    /// Finds or appends a type.
    fn c_type(&mut self, c_type: CType) -> Result<TypeId> {
        match c_type {
            CType::Void => Ok(TypeId::VOID),
            CType::Pointer(pointee) => {
                let target = self.pointee(pointee)?;
                self.once(Derived::Pointer(c_type), |types| types.builder.ptr(target))
            }
            CType::ConstPointer(pointee) => {
                let target = self.pointee(pointee)?;
                let constant = self.once(Derived::Const(pointee), |types| types.builder.constant(target))?;
                self.once(Derived::Pointer(c_type), |types| types.builder.ptr(constant))
            }
            scalar => self.once(Derived::Scalar(scalar), |types| {
                let row = SCALARS.iter().find(|row| row.0 == scalar);
                row.map_or(TypeId::VOID, |&(_, name, kind, int)| types.named(name, kind, int))
            }),
        }
    }

    fn pointee(&mut self, pointee: Pointee) -> Result<TypeId> {
        self.once(Derived::Target(pointee), |types| match pointee {
            Pointee::Void => TypeId::VOID,
            Pointee::Char => types.named("char", Kind::Int, int(1, IntEncoding::SIGNED)),
            Pointee::Struct(name) => match types.abi.find(name, Kind::Struct) {
                Some(id) => id,
                None => types.builder.fwd(name, FwdKind::Struct),
            },
        })
    }

    fn named(&mut self, name: &str, kind: Kind, int: Int) -> TypeId {
        match self.abi.find(name, kind) {
            Some(id) => id,
            None => self.builder.int(name, int),
        }
    }

    fn once(&mut self, what: Derived, make: impl FnOnce(&mut Self) -> TypeId) -> Result<TypeId> {
        if let Some(known) = self.derived.iter().find(|known| known.0 == what) {
            return Ok(known.1);
        }
        self.derived.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let id = make(self);
        self.derived.push((what, id));
        Ok(id)
    }
}

/// Names what the tables have no name for; a parameter of a function must have one.
fn param_name(arg: Arg, index: usize) -> &'static str {
    const NUMBERED: [[&str; 5]; 3] = [
        ["arg1", "arg2", "arg3", "arg4", "arg5"],
        ["mem1", "mem2", "mem3", "mem4", "mem5"],
        ["size1", "size2", "size3", "size4", "size5"],
    ];
    let numbered = |row: usize| NUMBERED[row].get(index).copied().unwrap_or("rest");
    match arg {
        Arg::Ctx | Arg::CtxOrNull => "ctx",
        Arg::Map => "map",
        Arg::MapKey => "key",
        Arg::MapValue | Arg::MapValueOut | Arg::MapValueOrNull => "value",
        Arg::Mem(..) | Arg::Fixed { .. } | Arg::Header(_) => numbered(1),
        Arg::Size(_) | Arg::AllocSize => numbered(2),
        Arg::Record => "record",
        Arg::ConstStr => "text",
        Arg::Func(_) => "callback",
        Arg::StackOrNull => "callback_ctx",
        Arg::SpinLock => "lock",
        Arg::Timer => "timer",
        Arg::Dynptr(_) => "dynptr",
        Arg::Socket(..) | Arg::SocketRelease => "sk",
        Arg::Btf(name, _) => name,
        Arg::PercpuBtf => "percpu",
        Arg::KptrField => "field",
        Arg::KptrOrNull => "kptr",
        Arg::Own(of, _) | Arg::OwnRelease(of) => of.name,
        Arg::Any | Arg::Unchecked => numbered(0),
    }
}

fn joined(prefix: &str, name: &str) -> Result<String> {
    let mut text = String::new();
    text.try_reserve_exact(prefix.len() + name.len()).map_err(|_| Errno::ENOMEM)?;
    text.push_str(prefix);
    text.push_str(name);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_model::platform::context::Widths;
    use skep_model::platform::prog::PROGS;

    const NAMES: &[&str] = &["made_up", "sched_switch", "sys_enter"];

    fn made(endian: Endian) -> Btf<'static> {
        let platform = &Platform::LINUX_6_18;
        let has_helper = |id| id != FuncId::KTIME_GET_NS;
        let bytes = build(endian, Offer { platform, has_helper, tracepoints: NAMES.iter().copied() });
        Btf::from_vec(bytes.unwrap()).unwrap()
    }

    #[test]
    fn the_same_tables_give_the_same_bytes_which_linux_takes() {
        let little = made(Endian::Little);
        assert_eq!(little.bytes(), made(Endian::Little).bytes());
        for btf in [&little, &made(Endian::Big)] {
            assert_eq!(btf.admit(), Ok(()));
            // What a kernel with little memory pays for it.
            assert!((32 << 10..64 << 10).contains(&btf.bytes().len()), "{} bytes", btf.bytes().len());
        }
    }

    #[test]
    fn contexts_are_those_of_the_platform() {
        let btf = made(Endian::NATIVE);
        let mut seen = 0;
        for context in PROGS.iter().filter_map(|prog| prog.context) {
            // Three contexts are not structs of C.
            let Some(id) = btf.find(context.name, Kind::Struct) else {
                assert!(context.name.contains(' '), "{}", context.name);
                continue;
            };
            seen += 1;
            // Linux declares the arguments as an array without a length.
            if context.name == "bpf_raw_tracepoint_args" {
                let args = btf.member(id, "args").unwrap();
                let Def::Array(array) = btf.resolve(args.type_id).unwrap().def() else { panic!() };
                assert_eq!((args.bit_offset, btf.size_of(array.elem)), (0, Ok(8)));
                continue;
            }
            assert_eq!(btf.size_of(id), Ok(context.size), "{}", context.name);
            // The registers are one field to a program's access, and many to C; padding is a field to programs only.
            let is_member = |name| context.name != "pt_regs" && name != "padding";
            for field in context.fields.iter().filter(|field| is_member(field.name)) {
                let member = btf.member(id, field.name).unwrap();
                let place = (member.bit_offset, btf.size_of(member.type_id));
                assert_eq!(place, (u64::from(field.offset) * 8, Ok(u32::from(field.size))), "{}", field.name);
                if let Widths::Element(bytes)
                | Widths::ElementStoresFirst(bytes)
                | Widths::NarrowElement(bytes)
                | Widths::NarrowElementOrTwo(bytes) = field.widths
                {
                    let elem = match btf.resolve(member.type_id).unwrap().def() {
                        Def::Array(array) => btf.size_of(array.elem),
                        // Each register by itself.
                        _ => Ok(8),
                    };
                    assert_eq!(elem, Ok(u32::from(bytes)), "{}", field.name);
                }
            }
        }
        assert!(seen >= 20, "{seen} program types have a struct");
    }

    #[test]
    fn helpers_that_are_there_have_a_function() {
        let btf = made(Endian::NATIVE);
        let find = |name: &str| btf.find(name, Kind::Func);
        assert_eq!(find("bpf_ktime_get_ns"), None, "it is not offered");
        assert_eq!(find("bpf_unheard_of"), None);
        let modelled = || HELPERS.iter().filter_map(|row| Some((row, row.prototype.as_ref()?)));
        for (row, prototype) in modelled().filter(|(row, _)| row.id != FuncId::KTIME_GET_NS) {
            let id = find(&joined("bpf_", row.name).unwrap()).unwrap_or_else(|| panic!("{}", row.name));
            let Def::Func(func) = btf.ty(id).unwrap().def() else { panic!() };
            let proto = btf.ty(func.proto).unwrap().as_func_proto().unwrap();
            assert_eq!(proto.params.len(), prototype.args.len(), "{}", row.name);
        }
        let functions = btf.types().filter(|ty| ty.kind() == Some(Kind::Func)).count();
        assert_eq!(functions, modelled().count() - 1);
        let Def::Func(func) = btf.ty(find("bpf_map_update_elem").unwrap()).unwrap().def() else { panic!() };
        let proto = btf.ty(func.proto).unwrap().as_func_proto().unwrap();
        let names: Vec<_> = proto.params.iter().map(|param| param.name).collect();
        assert_eq!(names, ["map", "key", "value", "arg4"]);
    }

    #[test]
    fn tracepoints_with_known_arguments_have_a_type() {
        let btf = made(Endian::NATIVE);
        assert_eq!(btf.find("btf_trace_made_up", Kind::Typedef), None);
        let probe = btf.resolve(btf.find("btf_trace_sched_switch", Kind::Typedef).unwrap()).unwrap();
        let Def::Ptr(proto) = probe.def() else { panic!("{:?}", probe.def()) };
        let proto = btf.ty(proto).unwrap().as_func_proto().unwrap();
        let sizes: Vec<_> = proto.params.iter().map(|param| btf.size_of(param.type_id).unwrap()).collect();
        assert_eq!((proto.ret, sizes), (TypeId::VOID, alloc::vec![8, 1, 8, 8, 4]));
        let Def::Ptr(task) = btf.ty(proto.params.get(2).unwrap().type_id).unwrap().def() else { panic!() };
        assert_eq!(
            (btf.ty(task).unwrap().kind(), btf.ty(task).unwrap().name()),
            (Some(Kind::Fwd), "task_struct")
        );
    }

    #[test]
    fn every_scalar_has_a_row_and_its_size() {
        let btf = Btf::parse(skep_abi::BTF).unwrap();
        let all = [
            CType::Bool,
            CType::Int,
            CType::UnsignedInt,
            CType::Long,
            CType::UnsignedLong,
            CType::U32,
            CType::U64,
        ];
        assert_eq!(SCALARS.iter().map(|row| row.0).collect::<Vec<_>>(), all);
        for &(_, name, kind, int) in SCALARS {
            let Some(id) = btf.find(name, kind) else { continue };
            let found = btf.resolve(id).unwrap().def();
            assert!(matches!(found, Def::Int(found) if found == int), "{name}: {found:?}");
        }
    }

    #[test]
    fn headers_lie_in_packets_alike_whatever_the_byte_order() {
        // The first byte of an IPv4 header has the version in its upper half.
        let (little, big) = (made(Endian::Little), made(Endian::Big));
        let read = |btf: &Btf<'_>, name: &str, field: &str, bytes: &[u8]| {
            let id = btf.find(name, Kind::Struct).unwrap();
            let field = btf.member(id, field).unwrap();
            let at = (field.bit_offset / 8) as usize;
            let within = (field.bit_offset % 8) as u32;
            let width = field.bitfield.map_or(8, |width| u32::from(width.get()));
            let shift = match btf.endian() {
                Endian::Little => within,
                Endian::Big => 8 - within - width,
            };
            u32::from(bytes[at]) >> shift & ((1 << width) - 1)
        };
        let mut ip = [0; 20];
        ip[0] = 0x45;
        let mut tcp = [0; 20];
        (tcp[12], tcp[13]) = (0x81, 0x12);
        for btf in [&little, &big] {
            assert_eq!(read(btf, "iphdr", "version", &ip), 4);
            assert_eq!(read(btf, "iphdr", "ihl", &ip), 5);
            let flags =
                ["doff", "ae", "syn", "ack", "fin", "cwr"].map(|flag| read(btf, "tcphdr", flag, &tcp));
            assert_eq!(flags, [8, 1, 1, 1, 0, 0]);
        }
    }
}
