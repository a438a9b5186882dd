//! The table of features: a name, the release, a question.
//!
//! Releases are those of the first whose source has it; the questions follow what libbpf's and bpftool's show to tell
//! kernels apart (libbpf 1.7, src/features.c; bpftool 7.7, src/feature.c), each cited fact being the kernel's.

use super::ask::{RETURN_0, array, load, loads, plain, refused, taken};
use super::insn::{
    EXIT, Insn, add, copy, function, helper, jump_less, jump_less_32, jump_less_to, map_by_index, map_value,
    set, sign_extend, store,
};
use super::{BtfFeature, Feature, btf};
use crate::Kernel;
use crate::error::{Error, ErrorKind, Result};
use skep_abi::flags::{BPF_F_MMAPABLE, BPF_F_RDONLY_PROG, BPF_F_TOKEN_FD};
use skep_abi::{
    AttachType, Errno, FuncId, FuncInfo, LinkCreate, LinkCreatePerfEvent, LinkCreateUprobeMulti, MapCreate,
    MapType, ProgLoad, ProgType,
};
use skep_model::platform::version::Version;
use skep_sys::{BatchStep, BatchThen, CallError, FdArray, ProgLoadMemory, Records, UprobeMultiMemory};

/// One feature.
pub(super) struct Row {
    pub(super) feature: Feature,
    pub(super) name: &'static str,
    pub(super) since: Option<Version>,
    pub(super) probe: fn(&Kernel) -> Result<bool>,
}

const fn row(
    feature: Feature,
    name: &'static str,
    since: (u8, u8),
    probe: fn(&Kernel) -> Result<bool>,
) -> Row {
    Row { feature, name, since: Some(Version::new(since.0, since.1)), probe }
}

const fn types(
    feature: BtfFeature,
    name: &'static str,
    since: (u8, u8),
    probe: fn(&Kernel) -> Result<bool>,
) -> Row {
    row(Feature::BtfType(feature), name, since, probe)
}

/// All features without a parameter.
#[rustfmt::skip]
pub(super) static ROWS: &[Row] = &[
    row(Feature::ProgName, "prog_name", (4, 15), prog_name),
    row(Feature::GlobalData, "global_data", (5, 2), global_data),
    row(Feature::Btf, "btf", (4, 18), btf::any),
    types(BtfFeature::Func, "btf_func", (5, 0), |k| btf::takes(k, BtfFeature::Func)),
    types(BtfFeature::Datasec, "btf_datasec", (5, 2), |k| btf::takes(k, BtfFeature::Datasec)),
    types(BtfFeature::FuncLinkage, "btf_func_linkage", (5, 6), |k| btf::takes(k, BtfFeature::FuncLinkage)),
    types(BtfFeature::EmptyDatasec, "btf_empty_datasec", (5, 12), |k| btf::takes(k, BtfFeature::EmptyDatasec)),
    types(BtfFeature::Float, "btf_float", (5, 13), |k| btf::takes(k, BtfFeature::Float)),
    types(BtfFeature::DeclTag, "btf_decl_tag", (5, 16), |k| btf::takes(k, BtfFeature::DeclTag)),
    types(BtfFeature::TypeTag, "btf_type_tag", (5, 17), |k| btf::takes(k, BtfFeature::TypeTag)),
    types(BtfFeature::Enum64, "btf_enum64", (6, 0), |k| btf::takes(k, BtfFeature::Enum64)),
    types(BtfFeature::OptionalSection, "btf_qmark_datasec", (6, 9), |k| btf::takes(k, BtfFeature::OptionalSection)),
    row(Feature::ArrayMmap, "array_mmap", (5, 5), |k| array_flag(k, BPF_F_MMAPABLE)),
    row(Feature::ExpectedAttachType, "expected_attach_type", (4, 17), expected_attach_type),
    row(Feature::ProbeReadKernel, "probe_read_kernel", (5, 5), probe_read_kernel),
    row(Feature::ProgBindMap, "prog_bind_map", (5, 10), prog_bind_map),
    row(Feature::ModuleBtf, "module_btf", (5, 11), btf::named),
    row(Feature::PerfLink, "perf_link", (5, 15), perf_link),
    row(Feature::BpfCookie, "bpf_cookie", (5, 15), |k| calls(k, ProgType::TRACEPOINT, FuncId::GET_ATTACH_COOKIE)),
    row(Feature::MemcgAccounting, "memcg_accounting", (5, 11), |k| calls(k, ProgType::SOCKET_FILTER, FuncId::KTIME_GET_COARSE_NS)),
    row(Feature::SyscallWrapper, "syscall_wrapper", (4, 17), syscall_wrapper),
    // The links are of 6.6; they take one thread for a process before 46ba0e49b642 ("bpf: fix multi-uprobe PID filtering
    // logic"), which stable releases have too.
    row(Feature::UprobeMulti, "uprobe_multi", (6, 10), uprobe_multi),
    row(Feature::ArgCtxTag, "arg_ctx_tag", (6, 8), arg_ctx_tag),
    // 12a1fe6e12db ("bpf/verifier: Do not limit maximum direct offset into arena map").
    row(Feature::FullRangeOffsets, "ldimm64_full_range", (7, 0), full_range_offsets),
    row(Feature::FunctionCalls, "function_calls", (4, 16), |k| loads(k, ProgType::SOCKET_FILTER, &FUNCTION_CALL)),
    row(Feature::Links, "links", (5, 7), links),
    row(Feature::BatchOps, "batch_ops", (5, 6), batch_ops),
    row(Feature::ReadOnlyMaps, "read_only_maps", (5, 2), |k| array_flag(k, BPF_F_RDONLY_PROG)),
    row(Feature::FdArray, "fd_array", (5, 14), fd_array),
    row(Feature::Token, "token", (6, 9), token),
    row(Feature::LargePrograms, "large_insn_limit", (5, 2), large_programs),
    row(Feature::BoundedLoops, "bounded_loops", (5, 3), |k| loads(k, ProgType::SOCKET_FILTER, &LOOP)),
    row(Feature::IsaV2, "isa_v2", (4, 14), |k| loads(k, ProgType::SOCKET_FILTER, &[set(0, 0), jump_less(0, 1), EXIT])),
    row(Feature::IsaV3, "isa_v3", (5, 1), |k| loads(k, ProgType::SOCKET_FILTER, &[set(0, 0), jump_less_32(0, 1), EXIT])),
    // Not a long jump: Linux 6.1 takes one that jumps nowhere.
    row(Feature::IsaV4, "isa_v4", (6, 6), |k| loads(k, ProgType::SOCKET_FILTER, &[set(0, 0), sign_extend(0), EXIT])),
];

pub(super) fn find(feature: Feature) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.feature == feature)
}

const FUNCTION_CALL: [Insn; 4] = [function(1), EXIT, set(0, 0), EXIT];
const LOOP: [Insn; 4] = [set(0, 0), add(0, 1), jump_less_to(0, 4, -2), EXIT];

fn prog_name(kernel: &Kernel) -> Result<bool> {
    let mut attr = ProgLoad { prog_type: ProgType::SOCKET_FILTER.0, ..ProgLoad::default() };
    attr.prog_name[..4].copy_from_slice(b"skep");
    taken("BPF_PROG_LOAD", load(kernel, &attr, &RETURN_0, ProgLoadMemory::default()))
}

fn global_data(kernel: &Kernel) -> Result<bool> {
    let map = array(kernel, 32)?;
    let [low, high] = map_value(1, map.fd().number(), 16);
    loads(kernel, ProgType::SOCKET_FILTER, &[low, high, store(1, 42), set(0, 0), EXIT])
}

fn array_flag(kernel: &Kernel, map_flags: u32) -> Result<bool> {
    let create = MapCreate {
        map_type: MapType::ARRAY.0,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        map_flags,
        ..MapCreate::default()
    };
    taken("BPF_MAP_CREATE", kernel.map_create(&create))
}

/// A number that is not 0, of a type of programs for which any number was taken before the field was known.
fn expected_attach_type(kernel: &Kernel) -> Result<bool> {
    let attr = ProgLoad {
        prog_type: ProgType::CGROUP_SOCK.0,
        expected_attach_type: AttachType::CGROUP_INET_SOCK_CREATE.0,
        ..ProgLoad::default()
    };
    taken("BPF_PROG_LOAD", load(kernel, &attr, &RETURN_0, ProgLoadMemory::default()))
}

fn probe_read_kernel(kernel: &Kernel) -> Result<bool> {
    let insns = [copy(1, 10), add(1, -8), set(2, 8), set(3, 0), helper(FuncId::PROBE_READ_KERNEL.0), EXIT];
    loads(kernel, ProgType::TRACEPOINT, &insns)
}

/// Calls a helper without arguments.
fn calls(kernel: &Kernel, prog_type: ProgType, id: FuncId) -> Result<bool> {
    loads(kernel, prog_type, &[helper(id.0), EXIT])
}

fn prog_bind_map(kernel: &Kernel) -> Result<bool> {
    let map = array(kernel, 4)?;
    let attr = ProgLoad { prog_type: ProgType::SOCKET_FILTER.0, ..ProgLoad::default() };
    taken("BPF_PROG_BIND_MAP", plain(kernel, &attr)?.bind_map(&map))
}

/// A descriptor that is none is looked at where the attach type is known (`bpf_perf_link_attach`: EBADF).
fn perf_link(kernel: &Kernel) -> Result<bool> {
    let attr = ProgLoad { prog_type: ProgType::TRACEPOINT.0, ..ProgLoad::default() };
    let prog = plain(kernel, &attr)?;
    let base = LinkCreate {
        prog_fd: prog.fd().raw(),
        target_fd: u32::MAX,
        attach_type: AttachType::PERF_EVENT.0,
        flags: 0,
    };
    let link = LinkCreatePerfEvent { base, ..LinkCreatePerfEvent::default() };
    refused("BPF_LINK_CREATE", kernel.sys().link_create(&link), Errno::EBADF)
}

/// The program is looked at first (`link_create`: EBADF) where the command is known.
fn links(kernel: &Kernel) -> Result<bool> {
    let link = LinkCreate { prog_fd: u32::MAX, ..LinkCreate::default() };
    refused("BPF_LINK_CREATE", kernel.sys().link_create(&link), Errno::EBADF)
}

/// A folder is no executable (EBADF), and a process of a negative number is refused (EINVAL) where processes are told from
/// threads (`bpf_uprobe_multi_link_attach`, kernel/trace/bpf_trace.c).
fn uprobe_multi(kernel: &Kernel) -> Result<bool> {
    let attr = ProgLoad {
        prog_type: ProgType::KPROBE.0,
        expected_attach_type: AttachType::TRACE_UPROBE_MULTI.0,
        ..ProgLoad::default()
    };
    let prog = match load(kernel, &attr, &RETURN_0, ProgLoadMemory::default()) {
        Ok(prog) => prog,
        refusal => return taken("BPF_PROG_LOAD", refusal),
    };
    let attach = |pid: i32| {
        let link = LinkCreateUprobeMulti {
            base: LinkCreate { prog_fd: prog.fd().raw(), ..LinkCreate::default() },
            pid: pid as u32,
            ..LinkCreateUprobeMulti::default()
        };
        let memory = UprobeMultiMemory { path: "/", offsets: &[0], ..UprobeMultiMemory::default() };
        kernel.sys().link_create_uprobe_multi(&link, memory)
    };
    Ok(refused("BPF_LINK_CREATE", attach(0), Errno::EBADF)?
        && matches!(attach(-1), Err(CallError::Errno(Errno::EINVAL))))
}

/// The name of a system call's function (`include/linux/syscalls.h` and each architecture's `syscall_wrapper.h`), among
/// the kernel's symbols: nothing is put in the kernel's code to find out.
fn syscall_wrapper(kernel: &Kernel) -> Result<bool> {
    const PREFIXES: &[&str] = &["__x64_", "__arm64_", "__s390x_", "__s390_", "__riscv_", "__powerpc_"];
    const PATH: &str = "/proc/kallsyms";
    let symbols = match kernel.sys().file_read(PATH) {
        Ok(symbols) => symbols,
        Err(error) if error.errno() == Errno::ENOENT => return Ok(false),
        Err(error) => return Err(Error::call("read", error).at_path(PATH)),
    };
    let names =
        symbols.split(|byte| *byte == b'\n').filter_map(|line| line.split(u8::is_ascii_whitespace).nth(2));
    let mut prefixes = names.filter_map(|name| name.strip_suffix(b"sys_bpf"));
    Ok(prefixes.any(|prefix| PREFIXES.iter().any(|known| known.as_bytes() == prefix)))
}

/// A helper that wants the context, called with the argument of a global function that a tag says is the context.
fn arg_ctx_tag(kernel: &Kernel) -> Result<bool> {
    let Some(btf) = btf::tagged_context(kernel)? else { return Ok(false) };
    let attr =
        ProgLoad { prog_type: ProgType::KPROBE.0, prog_btf_fd: btf.fd.fd().raw(), ..ProgLoad::default() };
    let insns = [function(1), EXIT, helper(FuncId::GET_FUNC_IP.0), EXIT];
    let functions: Vec<u8> =
        [0, btf.main.0, 2, btf.function.0].into_iter().flat_map(u32::to_ne_bytes).collect();
    let func_info = Records { size: size_of::<FuncInfo>() as u32, bytes: &functions };
    let answer = load(kernel, &attr, &insns, ProgLoadMemory { func_info, ..ProgLoadMemory::default() });
    match answer {
        // So the verifier refuses an argument that is not what the helper wants (`check_reg_type`).
        Err(CallError::Errno(Errno::EACCES)) => Ok(false),
        answer => taken("BPF_PROG_LOAD", answer),
    }
}

/// An offset of 1 GiB is outside of any array's value; what the verifier finds wrong with it has changed.
fn full_range_offsets(kernel: &Kernel) -> Result<bool> {
    let map = array(kernel, 1)?;
    let [low, high] = map_value(1, map.fd().number(), 1 << 30);
    let mut log = [0; 1024];
    let attr = ProgLoad { prog_type: ProgType::TRACEPOINT.0, log_level: 1, ..ProgLoad::default() };
    let memory = ProgLoadMemory { log: &mut log, ..ProgLoadMemory::default() };
    let answer = load(kernel, &attr, &[low, high, EXIT], memory);
    let says = |what: &[u8]| log.windows(what.len()).any(|place| place == what);
    match answer {
        Err(_) if says(b"invalid access to map value pointer") => Ok(true),
        // A verifier that finds something else wrong.
        Err(CallError::Errno(Errno::EACCES)) if log[0] != 0 => Ok(false),
        // Also where a kernel does not know the instruction at all.
        answer => match taken("BPF_PROG_LOAD", answer)? {
            false => Ok(false),
            true => Err(Error::new(ErrorKind::Kernel, "an address outside of a map was taken")),
        },
    }
}

/// An empty hash has nothing to give (ENOENT, which is the end).
fn batch_ops(kernel: &Kernel) -> Result<bool> {
    let create = MapCreate {
        map_type: MapType::HASH.0,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        ..MapCreate::default()
    };
    let map = kernel.map_create(&create).map_err(|error| Error::call("BPF_MAP_CREATE", error))?;
    let (mut step, mut key, mut value) = (BatchStep::default(), [0; 4], [0; 4]);
    let answer = map.lookup_batch(&mut step, &mut key, &mut value, 1, BatchThen::Keep);
    taken("BPF_MAP_LOOKUP_BATCH", answer.map_err(|(error, _)| error))
}

fn fd_array(kernel: &Kernel) -> Result<bool> {
    let map = array(kernel, 4)?;
    let [low, high] = map_by_index(1, 0);
    let fds = [map.fd()];
    let attr = ProgLoad { prog_type: ProgType::SOCKET_FILTER.0, ..ProgLoad::default() };
    let memory = ProgLoadMemory { fd_array: FdArray::ByIndex(&fds), ..ProgLoadMemory::default() };
    taken("BPF_PROG_LOAD", load(kernel, &attr, &[low, high, set(0, 0), EXIT], memory))
}

/// A token that is none is looked at (`bpf_token_get_from_fd`: EBADF) where the flag is known.
fn token(kernel: &Kernel) -> Result<bool> {
    let attr = ProgLoad {
        prog_type: ProgType::SOCKET_FILTER.0,
        prog_flags: BPF_F_TOKEN_FD,
        prog_token_fd: -1,
        ..ProgLoad::default()
    };
    // Not as other programs are loaded: those of a kernel with a token carry that one.
    let memory =
        ProgLoadMemory { insns: RETURN_0.as_flattened(), license: "GPL", ..ProgLoadMemory::default() };
    refused("BPF_PROG_LOAD", kernel.sys().prog_load(&mut { attr }, memory), Errno::EBADF)
}

/// One more than `BPF_MAXINSNS`, which is the most where this process may not use `CAP_BPF`.
fn large_programs(kernel: &Kernel) -> Result<bool> {
    let mut insns = vec![set(0, 0); 4096];
    insns.push(EXIT);
    loads(kernel, ProgType::SOCKET_FILTER, &insns)
}
