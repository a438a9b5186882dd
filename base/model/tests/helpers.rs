//! The prototypes of helpers against those in the memory of Linux 6.18; see the head of `data/linux-6.18-helpers.txt`.

use skep_model::platform::helper::{
    Arg, Dynptr, Effects, Helper, Licence, MemAccess, Nullable, Prototype, Ret, Socket, SocketArg, Trust,
    Zero,
};
use skep_model::platform::helpers::HELPERS;

const LINUX: &str = include_str!("data/linux-6.18-helpers.txt");

/// Helpers that the asked kernel was built without, and the tail call, which has no function.
const UNSEEN: &[&str] =
    &["tail_call", "probe_write_user", "override_return", "rc_repeat", "rc_keydown", "rc_pointer_rel"];

/// One prototype of Linux's.
struct Row {
    helper: &'static Helper,
    flags: Vec<&'static str>,
    ret: &'static str,
    args: Vec<&'static str>,
}

fn rows() -> Vec<Row> {
    let lines = LINUX.lines().filter(|line| !line.starts_with('#'));
    let rows = lines.map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let helper = HELPERS.iter().find(|helper| helper.name == words[0]).unwrap();
        Row { helper, flags: words[2].split(',').collect(), ret: words[3], args: words[4..].to_vec() }
    });
    rows.collect()
}

/// The prototypes of a helper, each with the licence that it takes.
fn prototypes(helper: &'static Helper) -> impl Iterator<Item = (Licence, &'static Prototype)> {
    let own = helper.prototype.as_ref().map(|prototype| (helper.licence, prototype));
    own.into_iter().chain(helper.variants.iter().map(|variant| (variant.licence, &variant.prototype)))
}

/// Tells whether Linux says of an argument what the table says.
///
/// Where memory is written only, Linux does not always say that it may be uninitialised, and says of what is read and
/// written no more than that it is written.
fn is_same(ours: Arg, linux: &str) -> bool {
    let word = |word: &str, nullable: Nullable| match nullable {
        Nullable::No => linux == word,
        Nullable::Yes => linux == format!("{word}|PTR_MAYBE_NULL"),
    };
    match ours {
        Arg::Any => linux == "ANYTHING",
        Arg::Unchecked => false,
        Arg::Ctx => linux == "CTX",
        Arg::CtxOrNull => linux == "CTX|PTR_MAYBE_NULL",
        Arg::Map => linux == "CONST_MAP_PTR",
        Arg::MapKey => linux == "MAP_KEY",
        Arg::MapValue => linux == "MAP_VALUE",
        Arg::MapValueOut => linux == "MAP_VALUE|MEM_UNINIT|MEM_WRITE",
        Arg::MapValueOrNull => linux == "MAP_VALUE|PTR_MAYBE_NULL",
        Arg::Mem(access, nullable) => {
            let rest = match nullable {
                Nullable::No => linux.strip_prefix("MEM"),
                Nullable::Yes => linux.strip_prefix("MEM|PTR_MAYBE_NULL"),
            };
            match access {
                MemAccess::Read => rest == Some("|MEM_RDONLY"),
                MemAccess::ReadWrite => rest == Some("|MEM_WRITE"),
                MemAccess::Write => matches!(rest, Some("|MEM_UNINIT|MEM_WRITE" | "|MEM_WRITE")),
            }
        }
        Arg::Size(Zero::Refused) => linux == "CONST_SIZE",
        Arg::Size(Zero::Allowed) => linux == "CONST_SIZE_OR_ZERO",
        Arg::Fixed { bytes, access } => {
            let flags = match access {
                MemAccess::Read => "MEM_RDONLY|MEM_FIXED_SIZE|MEM_ALIGNED",
                MemAccess::ReadWrite => "MEM_FIXED_SIZE|MEM_ALIGNED|MEM_WRITE",
                MemAccess::Write => "MEM_UNINIT|MEM_FIXED_SIZE|MEM_ALIGNED|MEM_WRITE",
            };
            linux == format!("MEM|{flags}({bytes})")
        }
        Arg::Header(bytes) => linux == format!("MEM|MEM_RDONLY|MEM_FIXED_SIZE({bytes})"),
        Arg::AllocSize => linux == "CONST_ALLOC_SIZE_OR_ZERO",
        Arg::Record => linux == "RINGBUF_MEM|OBJ_RELEASE",
        Arg::ConstStr => linux == "CONST_STR",
        Arg::Func(_) => linux == "FUNC",
        Arg::StackOrNull => linux == "STACK|PTR_MAYBE_NULL",
        Arg::SpinLock => linux == "SPIN_LOCK",
        Arg::Timer => linux == "TIMER",
        Arg::Dynptr(kind) => {
            linux
                == match kind {
                    Dynptr::Any => "DYNPTR|MEM_RDONLY",
                    Dynptr::NewLocal => "DYNPTR|MEM_UNINIT|DYNPTR_TYPE_LOCAL|MEM_WRITE",
                    Dynptr::NewRingbuf => "DYNPTR|MEM_UNINIT|DYNPTR_TYPE_RINGBUF|MEM_WRITE",
                    Dynptr::ReleaseRingbuf => "DYNPTR|OBJ_RELEASE|DYNPTR_TYPE_RINGBUF",
                }
        }
        Arg::Socket(SocketArg::Common, nullable) => word("SOCK_COMMON", nullable),
        Arg::Socket(SocketArg::Full, nullable) => word("SOCKET", nullable),
        Arg::Socket(SocketArg::CommonOrBtf, nullable) => word("BTF_ID_SOCK_COMMON", nullable),
        Arg::SocketRelease => linux == "BTF_ID_SOCK_COMMON|OBJ_RELEASE",
        Arg::Btf(name, nullable) => {
            linux.strip_suffix(&*format!("({name})"))
                == Some(match nullable {
                    Nullable::No => "BTF_ID",
                    Nullable::Yes => "BTF_ID|PTR_MAYBE_NULL",
                })
        }
        Arg::PercpuBtf => linux == "PERCPU_BTF_ID",
        Arg::KptrField => linux == "KPTR_XCHG_DEST",
        Arg::KptrOrNull => linux == "BTF_ID|PTR_MAYBE_NULL|OBJ_RELEASE",
        // Linux has none.
        Arg::Own(..) | Arg::OwnRelease(_) => false,
    }
}

/// What Linux calls a result.
fn result(ret: Ret) -> String {
    match ret {
        Ret::Int | Ret::UpToSize(_) | Ret::Cpu => "INTEGER".to_owned(),
        Ret::Void => "VOID".to_owned(),
        Ret::MapValueOrNull => "MAP_VALUE|PTR_MAYBE_NULL".to_owned(),
        Ret::MapValue => "MAP_VALUE".to_owned(),
        Ret::RecordOrNull => "MEM|PTR_MAYBE_NULL|MEM_RINGBUF".to_owned(),
        Ret::DynptrMemOrNull => "MEM|PTR_MAYBE_NULL".to_owned(),
        Ret::SocketOrNull(Socket::Common) => "SOCK_COMMON|PTR_MAYBE_NULL".to_owned(),
        Ret::SocketOrNull(Socket::Full) => "SOCKET|PTR_MAYBE_NULL".to_owned(),
        Ret::SocketOrNull(Socket::Tcp) => "TCP_SOCK|PTR_MAYBE_NULL".to_owned(),
        Ret::SocketOrNull(Socket::Xdp) => "XDP_SOCK|PTR_MAYBE_NULL".to_owned(),
        Ret::Btf(name, Trust::Trusted) => format!("BTF_ID|PTR_TRUSTED({name})"),
        Ret::Btf(name, Trust::Legacy) => format!("BTF_ID({name})"),
        Ret::BtfOrNull(name) => format!("BTF_ID|PTR_MAYBE_NULL({name})"),
        Ret::Percpu => "MEM_OR_BTF_ID|MEM_RDONLY".to_owned(),
        Ret::PercpuOrNull => "MEM_OR_BTF_ID|PTR_MAYBE_NULL|MEM_RDONLY".to_owned(),
        Ret::KptrOrNull => "BTF_ID|PTR_MAYBE_NULL".to_owned(),
        Ret::OwnOrNull(of) => of.name.to_owned(),
    }
}

fn is_described(row: &Row, licence: Licence, prototype: &Prototype) -> bool {
    // Registers whose contents do not matter have no place in Linux's.
    let args: Vec<Arg> = prototype.args.iter().copied().filter(|&arg| arg != Arg::Unchecked).collect();
    args.len() == row.args.len()
        && args.iter().zip(&row.args).all(|(&ours, linux)| is_same(ours, linux))
        && result(prototype.ret) == row.ret
        && (licence == Licence::Gpl) == row.flags.contains(&"gpl_only")
}

#[test]
fn each_prototype_of_linux_is_in_the_table() {
    let rows = rows();
    assert!(rows.len() > 250, "{}", rows.len());
    for row in &rows {
        let known = prototypes(row.helper).any(|(licence, ours)| is_described(row, licence, ours));
        assert!(known, "{} {:?} {} {:?}: {:?}", row.helper.name, row.flags, row.ret, row.args, row.helper);
    }
}

#[test]
fn each_prototype_of_the_table_is_in_linux() {
    let rows = rows();
    for helper in HELPERS.iter().filter(|helper| !UNSEEN.contains(&helper.name)) {
        for (licence, ours) in prototypes(helper) {
            let mut own = rows.iter().filter(|row| row.helper.id == helper.id);
            assert!(own.any(|row| is_described(row, licence, ours)), "{}: {ours:?}", helper.name);
        }
    }
}

#[test]
fn effects_are_those_of_linux() {
    let rows = rows();
    for row in &rows {
        let name = row.helper.name;
        let has = |effect| row.helper.effects.has(effect);
        // Some programs that have no packet to lend have a prototype of their own.
        let of_some =
            |flag| rows.iter().any(|other| other.helper.id == row.helper.id && other.flags.contains(&flag));
        assert_eq!(has(Effects::TAKES_PACKET), of_some("pkt_access"), "{name}");
        assert_eq!(has(Effects::SLEEPS), row.flags.contains(&"might_sleep"), "{name}");
        assert_eq!(has(Effects::FASTCALL), of_some("allow_fastcall"), "{name}");
        let allowed = row.flags.iter().any(|flag| flag.ends_with("_allowed"));
        assert!(!allowed || !row.helper.only.is_empty(), "{name}");
    }
}
