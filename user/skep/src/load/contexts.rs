//! Arguments that are the context by a tag, for kernels that go by the argument's type alone.
//!
//! A kernel verifies each global function by itself, from its prototype. Since Linux 6.8 the tag `arg:ctx` says that an
//! argument is the program's context (`btf_prepare_func_args`, kernel/bpf/btf.c); before, it has to be a pointer to the struct
//! that the program's type has by name (`btf_is_prog_ctx_type`). For such kernels the functions get a twin with that type, as
//! libbpf makes it (`bpf_program_fixup_func_info`): one for each program, since programs of different types may call them.

use crate::{Feature, Instead, Kernel, Note};
use skep_abi::ProgType;
use skep_btf::{Btf, Builder, DeclTag, Def, Error, Func, FuncLinkage, Kind, Param, TagStyle, TypeId};
use skep_model::{BtfId, ProgramSpec};
use std::collections::BTreeMap;

/// The tag.
const TAG: &str = "arg:ctx";

/// How kernels call the context of each type of programs that has a name for it (include/linux/bpf_types.h).
#[rustfmt::skip]
static NAMES: &[(ProgType, &str)] = &[
    (ProgType::CGROUP_DEVICE, "bpf_cgroup_dev_ctx"),
    (ProgType::CGROUP_SKB, "__sk_buff"),
    (ProgType::CGROUP_SOCK, "bpf_sock"),
    (ProgType::CGROUP_SOCK_ADDR, "bpf_sock_addr"),
    (ProgType::CGROUP_SOCKOPT, "bpf_sockopt"),
    (ProgType::CGROUP_SYSCTL, "bpf_sysctl"),
    (ProgType::FLOW_DISSECTOR, "__sk_buff"),
    (ProgType::KPROBE, USER_REGS),
    (ProgType::LWT_IN, "__sk_buff"),
    (ProgType::LWT_OUT, "__sk_buff"),
    (ProgType::LWT_SEG6LOCAL, "__sk_buff"),
    (ProgType::LWT_XMIT, "__sk_buff"),
    (ProgType::NETFILTER, "bpf_nf_ctx"),
    (ProgType::PERF_EVENT, "bpf_perf_event_data"),
    (ProgType::RAW_TRACEPOINT, "bpf_raw_tracepoint_args"),
    (ProgType::RAW_TRACEPOINT_WRITABLE, "bpf_raw_tracepoint_args"),
    (ProgType::SCHED_ACT, "__sk_buff"),
    (ProgType::SCHED_CLS, "__sk_buff"),
    (ProgType::SK_LOOKUP, "bpf_sk_lookup"),
    (ProgType::SK_MSG, "sk_msg_md"),
    (ProgType::SK_REUSEPORT, "sk_reuseport_md"),
    (ProgType::SK_SKB, "__sk_buff"),
    (ProgType::SOCK_OPS, "bpf_sock_ops"),
    (ProgType::SOCKET_FILTER, "__sk_buff"),
    (ProgType::XDP, "xdp_md"),
];

/// The one context that is a typedef.
const USER_REGS: &str = "bpf_user_pt_regs_t";

/// What that is a typedef of (arch/*/include/uapi/asm/bpf_perf_event.h; the generic one is `struct pt_regs`).
const REGS: &str = if cfg!(any(target_arch = "aarch64", target_arch = "s390x", target_arch = "powerpc64")) {
    "user_pt_regs"
} else if cfg!(any(target_arch = "riscv64", target_arch = "riscv32")) {
    "user_regs_struct"
} else {
    "pt_regs"
};

/// What stands for a function in the records of a program; nothing where it stands for itself.
#[derive(Debug, Default)]
pub(super) struct Twins(BTreeMap<(String, TypeId), TypeId>);

impl Twins {
    /// Gives the function that a program's records name in the place of another.
    pub(super) fn of(&self, program: &str, function: BtfId) -> TypeId {
        let function = TypeId(function.0);
        match self.0.is_empty() {
            true => function,
            false => self.0.get(&(program.to_owned(), function)).copied().unwrap_or(function),
        }
    }
}

/// An argument that is to get the context's type.
struct Argument {
    function: TypeId,
    index: u32,
}

/// Makes the types that a kernel needs that does not know the tag; `None` where it does, or where nothing has to be changed.
pub(super) fn give_types(
    btf: &Btf<'_>,
    programs: &[(&ProgramSpec, ProgType)],
    kernel: &Kernel,
    notes: &mut Vec<Note>,
) -> Result<Option<(Vec<u8>, Twins)>, Error> {
    let tagged = tagged(btf);
    if tagged.is_empty() {
        return Ok(None);
    }
    let mut work = Vec::new();
    for (spec, kind) in programs {
        let Some((_, context)) = NAMES.iter().find(|row| row.0 == *kind) else { continue };
        let calls = |argument: &&Argument| {
            spec.func_info.iter().any(|record| record.type_id.0 == argument.function.0)
        };
        let mut arguments = Vec::new();
        for argument in tagged.iter().filter(calls) {
            if is_to_be_changed(btf, argument, *kind, context) == Some(true) {
                arguments.push(argument);
            }
        }
        if !arguments.is_empty() {
            work.push((*spec, *context, arguments));
        }
    }
    // A kernel that cannot be asked lacks nothing: the refusal of the load itself is the better thing to tell.
    if work.is_empty() || kernel.has(Feature::ArgCtxTag).unwrap_or(true) {
        return Ok(None);
    }
    let (mut builder, mut twins) = (Builder::from_btf(btf), Twins::default());
    for (spec, context, arguments) in work {
        change(btf, &mut builder, &mut twins, &spec.name, context, &arguments)?;
        notes.push(Note::new(Feature::ArgCtxTag, Instead::ContextType).in_program(&spec.name));
    }
    Ok(Some((builder.finish()?, twins)))
}

/// Lists the arguments of global functions that have the tag, in the order of the tags.
fn tagged(btf: &Btf<'_>) -> Vec<Argument> {
    let tags = btf.own_types().filter(|ty| ty.kind() == Some(Kind::DeclTag) && ty.name() == TAG);
    let arguments = tags.filter_map(|ty| {
        let Def::DeclTag(DeclTag { target: function, component: Some(index), .. }) = ty.def() else {
            return None;
        };
        let Def::Func(Func { proto, linkage: FuncLinkage::Global }) = btf.get(function)?.def() else {
            return None;
        };
        let proto = btf.get(proto)?.as_func_proto().ok()?;
        ((index as usize) < proto.params.len()).then_some(Argument { function, index })
    });
    arguments.collect()
}

/// Tells whether an argument has a type that kernels without the tag do not take for the context, and that may stand for it;
/// any other is left for the verifier to refuse (libbpf's `need_func_arg_type_fixup`).
fn is_to_be_changed(btf: &Btf<'_>, argument: &Argument, kind: ProgType, context: &str) -> Option<bool> {
    let Def::Func(func) = btf.get(argument.function)?.def() else { return None };
    let params = btf.get(func.proto)?.as_func_proto().ok()?.params;
    let Def::Ptr(target) = btf.resolve(params.get(argument.index as usize)?.type_id).ok()?.def() else {
        return None;
    };
    let ty = btf.resolve(target).ok()?;
    // What has an end with typedefs has one without.
    let mut named = btf.get(target)?;
    while named.kind() != Some(Kind::Typedef) {
        let Some(next) = named.modified() else { break };
        named = btf.get(next)?;
    }
    // Of perf events' programs, too, it is the context by the tag alone: Linux 6.1 takes it for one of kprobes' only.
    if kind == ProgType::KPROBE && named.kind() == Some(Kind::Typedef) && named.name() == USER_REGS {
        return Some(false);
    }
    let is_struct = |name: &str| ty.kind() == Some(Kind::Struct) && ty.name() == name;
    Some(match (kind, ty.def()) {
        (_, Def::Void) => true,
        _ if is_struct(context) => false,
        (ProgType::KPROBE, _) => is_struct("pt_regs"),
        (ProgType::PERF_EVENT, _) => is_struct(REGS),
        (ProgType::RAW_TRACEPOINT | ProgType::RAW_TRACEPOINT_WRITABLE, Def::Int(int)) => int.size == 8,
        _ => false,
    })
}

/// Appends the twins of a program's functions, each behind its prototype, and the tags that they have too.
fn change(
    btf: &Btf<'_>,
    builder: &mut Builder,
    twins: &mut Twins,
    program: &str,
    context: &str,
    arguments: &[&Argument],
) -> Result<(), Error> {
    let mut pointer = None;
    for argument in arguments {
        let Def::Func(func) = btf.ty(argument.function)?.def() else { continue };
        let key = (program.to_owned(), argument.function);
        let (twin, proto) = match twins.0.get(&key) {
            // A prototype stands in front of the function that is its own.
            Some(twin) => (*twin, TypeId(twin.0 - 1)),
            None => {
                let old = btf.ty(func.proto)?.as_func_proto()?;
                let params: Vec<Param<'_>> = old.params.into_iter().collect();
                let proto = builder.func_proto(old.ret, &params);
                let twin = builder.func(btf.ty(argument.function)?.name(), Func { proto, ..func });
                twins.0.insert(key, twin);
                (twin, proto)
            }
        };
        let pointer = *pointer.get_or_insert_with(|| {
            let context = builder.structure(context, 0, &[]);
            builder.ptr(context)
        });
        let component = Some(argument.index);
        builder.decl_tag(TAG, DeclTag { target: twin, component, style: TagStyle::Tag });
        builder.set_param_type(proto, argument.index, pointer)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_btf::{Endian, Int, IntEncoding};

    #[test]
    fn user_registers_are_a_kprobe_s_context_and_no_perf_event_s() {
        let mut builder = Builder::new(Endian::NATIVE);
        let int = builder.int("int", Int { size: 4, bits: 32, offset: 0, encoding: IntEncoding::SIGNED });
        let regs = builder.structure(REGS, 0, &[]);
        let typedef = builder.typedef(USER_REGS, regs);
        let type_id = builder.ptr(typedef);
        let proto = builder.func_proto(int, &[Param { name: "ctx", type_id }]);
        let target = builder.func("function", Func { proto, linkage: FuncLinkage::Global });
        builder.decl_tag(TAG, DeclTag { target, component: Some(0), style: TagStyle::Tag });
        let bytes = builder.finish().unwrap();
        let btf = Btf::parse(&bytes).unwrap();
        let tagged = tagged(&btf);
        assert_eq!(tagged.len(), 1);
        let changed = |kind, context| is_to_be_changed(&btf, &tagged[0], kind, context);
        assert_eq!(changed(ProgType::KPROBE, USER_REGS), Some(false));
        assert_eq!(changed(ProgType::PERF_EVENT, "bpf_perf_event_data"), Some(true));
        assert_eq!(changed(ProgType::XDP, "xdp_md"), Some(false));
    }
}
