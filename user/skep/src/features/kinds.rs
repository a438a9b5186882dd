//! Questions of types of programs, types of maps, and helpers: one small sample of each.

use super::ask::{RETURN_0, load, refused, taken};
use super::btf;
use super::insn::{EXIT, Insn, helper as call};
use crate::Kernel;
use crate::error::{Error, ErrorKind, Result};
use skep_abi::flags::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC, BPF_F_SLEEPABLE};
use skep_abi::{AttachType, Errno, FuncId, MapCreate, MapType, ProgLoad, ProgType};
use skep_sys::{MapFd, ProgLoadMemory};

/// What a program of a type needs besides instructions, or how it is refused where its type is known.
struct Sample {
    kind: ProgType,
    attach: Option<AttachType>,
    flags: u32,
    refusal: Option<Refusal>,
}

/// A refusal that only a kernel gives that knows the type.
struct Refusal {
    /// The type of the kernel's that the load names.
    btf_id: u32,
    errno: Errno,
    /// What the verifier says.
    says: &'static str,
}

const fn attach(kind: ProgType, attach: AttachType) -> Sample {
    Sample { kind, attach: Some(attach), flags: 0, refusal: None }
}

const fn refusal(kind: ProgType, attach: Option<AttachType>, says: &'static str) -> Sample {
    Sample { kind, attach, flags: 0, refusal: Some(Refusal { btf_id: 1, errno: Errno::EINVAL, says }) }
}

/// Types whose programs need more than instructions (`bpf_prog_load_check_attach`, kernel/bpf/syscall.c), and those that
/// have no sample without a target (`bpf_check_attach_target` and `check_struct_ops_btf_id`, kernel/bpf/verifier.c). Type 1 of
/// the kernel is an integer, and no function.
static PROGRAMS: &[Sample] = &[
    attach(ProgType::CGROUP_SOCK_ADDR, AttachType::CGROUP_INET4_CONNECT),
    attach(ProgType::CGROUP_SOCKOPT, AttachType::CGROUP_GETSOCKOPT),
    attach(ProgType::SK_LOOKUP, AttachType::SK_LOOKUP),
    attach(ProgType::LIRC_MODE2, AttachType::LIRC_MODE2),
    attach(ProgType::NETFILTER, AttachType::NETFILTER),
    Sample { kind: ProgType::SYSCALL, attach: None, flags: BPF_F_SLEEPABLE, refusal: None },
    refusal(ProgType::TRACING, Some(AttachType::TRACE_FENTRY), "attach_btf_id 1 is not a function"),
    refusal(ProgType::LSM, Some(AttachType::MODIFY_RETURN), "attach_btf_id 1 is not a function"),
    refusal(ProgType::EXT, None, "Cannot replace kernel functions"),
    Sample {
        kind: ProgType::STRUCT_OPS,
        attach: None,
        flags: 0,
        refusal: Some(Refusal { btf_id: 0, errno: Errno::ENOTSUPP, says: "" }),
    },
];

/// The attributes of a sample.
fn attributes(kind: ProgType) -> (ProgLoad, Option<&'static Refusal>) {
    let sample = PROGRAMS.iter().find(|sample| sample.kind == kind);
    let refusal = sample.and_then(|sample| sample.refusal.as_ref());
    let attr = ProgLoad {
        prog_type: kind.0,
        expected_attach_type: sample.and_then(|sample| sample.attach).map_or(0, |attach| attach.0),
        prog_flags: sample.map_or(0, |sample| sample.flags),
        attach_btf_id: refusal.map_or(0, |refusal| refusal.btf_id),
        ..ProgLoad::default()
    };
    (attr, refusal)
}

/// Tells whether there are programs of a type.
pub(super) fn prog_type(kernel: &Kernel, kind: ProgType) -> Result<bool> {
    let (attr, refusal) = attributes(kind);
    let answer = |attr: &ProgLoad, memory| load(kernel, attr, &RETURN_0, memory);
    let Some(wanted) = refusal else {
        return taken("BPF_PROG_LOAD", answer(&attr, ProgLoadMemory::default()));
    };
    let mut log = [0; 4096];
    let attr = ProgLoad { log_level: 1, ..attr };
    let answer = answer(&attr, ProgLoadMemory { log: &mut log, ..ProgLoadMemory::default() });
    Ok(refused("BPF_PROG_LOAD", answer, wanted.errno)? && says(&log, wanted.says))
}

/// What a verifier says where it does not know a helper, or not for this type: Linux's, in the words of several releases
/// (`check_helper_call`), and the embedded kernel's (`skep_model::platform::HelperRefusal`; what it has not got itself).
const NO_HELPER: &[&str] = &[
    "invalid func ",
    "unknown func ",
    "program of this type cannot use helper ",
    "no helper has the number ",
    " may not call helper ",
    " is not supported here",
];

/// Tells whether programs of a type may call a helper.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for types that load with a target only, where the helper depends on the target too.
pub(super) fn helper(kernel: &Kernel, kind: ProgType, id: FuncId) -> Result<bool> {
    let (attr, refusal) = attributes(kind);
    if refusal.is_some() {
        let what =
            format!("which helpers a program of type {kind} may call depends on what it is attached to");
        return Err(Error::new(ErrorKind::Unsupported, what));
    }
    let insns: [Insn; 2] = [call(id.0), EXIT];
    let mut log = [0; 4096];
    let attr = ProgLoad { log_level: 1, ..attr };
    let memory = ProgLoadMemory { log: &mut log, ..ProgLoadMemory::default() };
    match load(kernel, &attr, &insns, memory) {
        Ok(_) => Ok(true),
        // Whoever refuses the arguments knows the helper. The log is short: what did not fit was not said of the helper.
        Err(error) if matches!(error.errno(), Errno::EINVAL | Errno::EACCES | Errno::ENOSPC) => {
            let is_unknown = NO_HELPER.iter().any(|words| says(&log, words));
            Ok(!is_unknown && log[0] != 0)
        }
        refusal => taken("BPF_PROG_LOAD", refusal),
    }
}

fn says(log: &[u8], words: &str) -> bool {
    words.is_empty() || log.windows(words.len()).any(|place| place == words.as_bytes())
}

/// What a map of a type needs: bytes of key and value, entries, flags.
struct Shape {
    kinds: &'static [MapType],
    sizes: [u32; 3],
    flags: u32,
}

const fn shape(kinds: &'static [MapType], sizes: [u32; 3], flags: u32) -> Shape {
    Shape { kinds, sizes, flags }
}

/// Types that are not made like an array of one word.
static SHAPES: &[Shape] = &[
    shape(&[MapType::STACK_TRACE], [4, 8, 1], 0),
    shape(&[MapType::LPM_TRIE], [8, 8, 1], BPF_F_NO_PREALLOC),
    shape(&[MapType::CGROUP_STORAGE, MapType::PERCPU_CGROUP_STORAGE], [16, 8, 0], 0),
    shape(&[MapType::QUEUE, MapType::STACK, MapType::BLOOM_FILTER], [0, 4, 1], 0),
    shape(LOCAL_STORAGE, [4, 4, 0], BPF_F_NO_PREALLOC),
    // Pages of 64 KiB are the largest there are.
    shape(&[MapType::RINGBUF, MapType::USER_RINGBUF], [0, 0, 1 << 16], 0),
    shape(&[MapType::ARENA], [0, 0, 1], BPF_F_MMAPABLE),
    shape(&[MapType::INSN_ARRAY], [4, 16, 1], 0),
];

/// Types that want the types of key and value (`bpf_local_storage_map_alloc_check`).
const LOCAL_STORAGE: &[MapType] =
    &[MapType::SK_STORAGE, MapType::INODE_STORAGE, MapType::TASK_STORAGE, MapType::CGRP_STORAGE];

/// Tells whether there are maps of a type.
pub(super) fn map_type(kernel: &Kernel, kind: MapType) -> Result<bool> {
    const CALL: &str = "BPF_MAP_CREATE";
    let known = SHAPES.iter().find(|shape| shape.kinds.contains(&kind));
    let ([key_size, value_size, max_entries], map_flags) =
        known.map_or(([4, 4, 1], 0), |shape| (shape.sizes, shape.flags));
    let mut create =
        MapCreate { map_type: kind.0, key_size, value_size, max_entries, map_flags, ..MapCreate::default() };
    let inner: MapFd;
    match kind {
        // Linux's type 1 is an integer and no struct of operations, which it says of types that it has (`ENOTSUPP`,
        // `bpf_struct_ops_map_alloc`).
        MapType::STRUCT_OPS => {
            create.btf_vmlinux_value_type_id = 1;
            refused(CALL, kernel.map_create(&create), Errno::ENOTSUPP)
        }
        MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS => {
            inner = super::ask::array(kernel, 4)?;
            create.inner_map_fd = inner.fd().raw();
            taken(CALL, kernel.map_create(&create))
        }
        _ if LOCAL_STORAGE.contains(&kind) => match btf::integers(kernel)? {
            Ok((btf, id)) => {
                create.btf_fd = btf.fd().raw();
                (create.btf_key_type_id, create.btf_value_type_id) = (id.0, id.0);
                taken(CALL, kernel.map_create(&create))
            }
            refusal => taken("BPF_BTF_LOAD", refusal),
        },
        _ => taken(CALL, kernel.map_create(&create)),
    }
}
