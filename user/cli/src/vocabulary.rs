//! The words for types, flags and verdicts.

use skep_abi::ProgType;
use skep_model::ProgramSpec;

/// The prefix of Linux's names of program types.
const PROG_TYPE: &str = "BPF_PROG_TYPE_";
/// The prefix of Linux's names of map types.
const MAP_TYPE: &str = "BPF_MAP_TYPE_";

/// Gives a program's type as `xdp`, `sched_cls`; nothing where its section does not say.
pub(crate) fn prog_type(program: &ProgramSpec) -> Option<String> {
    program.attach.as_ref().map(|attach| prog_type_name(attach.prog_type))
}

/// Gives a program type as `xdp`, `sched_cls`.
pub(crate) fn prog_type_name(kind: ProgType) -> String {
    short(&kind.to_string(), PROG_TYPE)
}

/// Gives a map type as `hash`, `ringbuf`.
pub(crate) fn map_type_name(kind: skep_abi::MapType) -> String {
    short(&kind.to_string(), MAP_TYPE)
}

/// Gives an attach type as `cgroup_inet_ingress`.
pub(crate) fn attach_type_name(kind: skep_abi::AttachType) -> String {
    short(&kind.to_string(), "BPF_")
}

fn short(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_ascii_lowercase()
}
