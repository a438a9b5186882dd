//! The prototypes of helpers, as they are in the running kernel's memory: every `struct bpf_func_proto` of its read-only data.

use super::ask::{Asker, Question, insn};
use anyhow::{Context, Result, anyhow, bail};
use skep_abi::{AttachType, FuncId, MapCreate, MapType, ProgTestRun, ProgType};
use skep_sys::{MapFd, ProgFd, TestRunMemory};
use std::collections::HashMap;
use std::fmt::Write;

const HEAD: &str = "\
# Made by `cargo xtask platform`: every `struct bpf_func_proto` in the memory of Linux 6.18 (x86-64).
# HELPER FUNCTION FLAGS RESULT arguments..., in the words of include/linux/bpf.h, without their prefixes.
# FLAGS: gpl_only, pkt_access, might_sleep, allow_fastcall, or -; (name) is a type in the kernel's BTF, (n) a size.
";

/// How much is read at once, and at most.
const CHUNK: usize = 1 << 17;
const MOST: usize = 1 << 25;

/// `struct bpf_func_proto` of 64 bits: a function, four booleans, a result, five arguments, for each a pointer to an id of
/// a type or a size, such a pointer for the result, and the function that says where the call is allowed.
const SIZE: usize = 96;

/// Functions of helpers that are not called `bpf_HELPER`.
const FUNCTIONS: &[(&str, &str)] = &[
    ("bpf_event_output_data", "perf_event_output"),
    ("bpf_flow_dissector_load_bytes", "skb_load_bytes"),
    ("bpf_get_attach_cookie_kprobe_multi", "get_attach_cookie"),
    ("bpf_get_attach_cookie_pe", "get_attach_cookie"),
    ("bpf_get_attach_cookie_trace", "get_attach_cookie"),
    ("bpf_get_attach_cookie_tracing", "get_attach_cookie"),
    ("bpf_get_attach_cookie_uprobe_multi", "get_attach_cookie"),
    ("bpf_get_cgroup_classid_curr", "get_cgroup_classid"),
    ("bpf_get_func_ip_kprobe", "get_func_ip"),
    ("bpf_get_func_ip_kprobe_multi", "get_func_ip"),
    ("bpf_get_func_ip_tracing", "get_func_ip"),
    ("bpf_get_func_ip_uprobe_multi", "get_func_ip"),
    ("bpf_get_netns_cookie_sk_msg", "get_netns_cookie"),
    ("bpf_get_netns_cookie_sock", "get_netns_cookie"),
    ("bpf_get_netns_cookie_sock_addr", "get_netns_cookie"),
    ("bpf_get_netns_cookie_sock_ops", "get_netns_cookie"),
    ("bpf_get_netns_cookie_sockopt", "get_netns_cookie"),
    ("bpf_get_raw_cpu_id", "get_smp_processor_id"),
    ("bpf_get_socket_cookie_sock", "get_socket_cookie"),
    ("bpf_get_socket_cookie_sock_addr", "get_socket_cookie"),
    ("bpf_get_socket_cookie_sock_ops", "get_socket_cookie"),
    ("bpf_get_socket_ptr_cookie", "get_socket_cookie"),
    ("bpf_get_stack_pe", "get_stack"),
    ("bpf_get_stack_raw_tp", "get_stack"),
    ("bpf_get_stack_sleepable", "get_stack"),
    ("bpf_get_stack_tp", "get_stack"),
    ("bpf_get_stackid_pe", "get_stackid"),
    ("bpf_get_stackid_raw_tp", "get_stackid"),
    ("bpf_get_stackid_tp", "get_stackid"),
    ("bpf_get_task_stack_sleepable", "get_task_stack"),
    ("bpf_lwt_in_push_encap", "lwt_push_encap"),
    ("bpf_lwt_xmit_push_encap", "lwt_push_encap"),
    ("bpf_perf_event_output_raw_tp", "perf_event_output"),
    ("bpf_perf_event_output_tp", "perf_event_output"),
    ("bpf_probe_read_compat", "probe_read"),
    ("bpf_probe_read_compat_str", "probe_read_str"),
    ("bpf_sk_getsockopt", "getsockopt"),
    ("bpf_sk_lookup_assign", "sk_assign"),
    ("bpf_sk_setsockopt", "setsockopt"),
    ("bpf_sk_storage_delete_tracing", "sk_storage_delete"),
    ("bpf_sk_storage_get_tracing", "sk_storage_get"),
    ("bpf_skb_check_mtu", "check_mtu"),
    ("bpf_skb_event_output", "perf_event_output"),
    ("bpf_skb_fib_lookup", "fib_lookup"),
    ("bpf_sock_addr_getsockopt", "getsockopt"),
    ("bpf_sock_addr_setsockopt", "setsockopt"),
    ("bpf_sock_addr_sk_lookup_tcp", "sk_lookup_tcp"),
    ("bpf_sock_addr_sk_lookup_udp", "sk_lookup_udp"),
    ("bpf_sock_addr_skc_lookup_tcp", "skc_lookup_tcp"),
    ("bpf_sock_ops_getsockopt", "getsockopt"),
    ("bpf_sock_ops_load_hdr_opt", "load_hdr_opt"),
    ("bpf_sock_ops_reserve_hdr_opt", "reserve_hdr_opt"),
    ("bpf_sock_ops_setsockopt", "setsockopt"),
    ("bpf_sock_ops_store_hdr_opt", "store_hdr_opt"),
    ("bpf_task_storage_delete_recur", "task_storage_delete"),
    ("bpf_task_storage_get_recur", "task_storage_get"),
    ("bpf_tc_sk_lookup_tcp", "sk_lookup_tcp"),
    ("bpf_tc_sk_lookup_udp", "sk_lookup_udp"),
    ("bpf_tc_skc_lookup_tcp", "skc_lookup_tcp"),
    ("bpf_unlocked_sk_getsockopt", "getsockopt"),
    ("bpf_unlocked_sk_setsockopt", "setsockopt"),
    ("bpf_user_rnd_u32", "get_prandom_u32"),
    ("bpf_xdp_check_mtu", "check_mtu"),
    ("bpf_xdp_event_output", "perf_event_output"),
    ("bpf_xdp_fib_lookup", "fib_lookup"),
    ("bpf_xdp_redirect", "redirect"),
    ("bpf_xdp_redirect_map", "redirect_map"),
    ("bpf_xdp_sk_lookup_tcp", "sk_lookup_tcp"),
    ("bpf_xdp_sk_lookup_udp", "sk_lookup_udp"),
    ("bpf_xdp_skc_lookup_tcp", "skc_lookup_tcp"),
    ("get_func_arg", "get_func_arg"),
    ("get_func_arg_cnt", "get_func_arg_cnt"),
    ("get_func_ret", "get_func_ret"),
    ("sk_reuseport_load_bytes", "skb_load_bytes"),
    ("sk_reuseport_load_bytes_relative", "skb_load_bytes_relative"),
    ("sk_select_reuseport", "sk_select_reuseport"),
    ("sk_skb_adjust_room", "skb_adjust_room"),
    ("sk_skb_change_head", "skb_change_head"),
    ("sk_skb_change_tail", "skb_change_tail"),
    ("sk_skb_pull_data", "skb_pull_data"),
];

/// Those that share a function with another helper, and take a pointer by BTF where that one takes the context.
const BY_BTF: &[(&str, &str)] =
    &[("bpf_skb_event_output", "skb_output"), ("bpf_xdp_event_output", "xdp_output")];

/// `enum bpf_arg_type`.
const ARGS: &[&str] = &[
    "DONTCARE",
    "CONST_MAP_PTR",
    "MAP_KEY",
    "MAP_VALUE",
    "MEM",
    "ARENA",
    "CONST_SIZE",
    "CONST_SIZE_OR_ZERO",
    "CTX",
    "ANYTHING",
    "SPIN_LOCK",
    "SOCK_COMMON",
    "SOCKET",
    "BTF_ID",
    "RINGBUF_MEM",
    "CONST_ALLOC_SIZE_OR_ZERO",
    "BTF_ID_SOCK_COMMON",
    "PERCPU_BTF_ID",
    "FUNC",
    "STACK",
    "CONST_STR",
    "TIMER",
    "KPTR_XCHG_DEST",
    "DYNPTR",
];

/// `enum bpf_return_type`.
const RESULTS: &[&str] =
    &["INTEGER", "VOID", "MAP_VALUE", "SOCKET", "TCP_SOCK", "SOCK_COMMON", "MEM", "MEM_OR_BTF_ID", "BTF_ID"];

/// `enum bpf_type_flag`.
const FLAGS: &[(u32, &str)] = &[
    (1 << 8, "PTR_MAYBE_NULL"),
    (1 << 9, "MEM_RDONLY"),
    (1 << 10, "MEM_RINGBUF"),
    (1 << 13, "OBJ_RELEASE"),
    (1 << 15, "MEM_UNINIT"),
    (1 << 16, "DYNPTR_TYPE_LOCAL"),
    (1 << 17, "DYNPTR_TYPE_RINGBUF"),
    (1 << 18, "MEM_FIXED_SIZE"),
    (1 << 20, "PTR_TRUSTED"),
    (1 << 25, "MEM_ALIGNED"),
    (1 << 26, "MEM_WRITE"),
];

/// The numbers of those that decide how a word beside an argument is read.
const BTF_ID: u32 = 13;
const FIXED_SIZE: u32 = 1 << 18;

/// A program that reads the kernel's memory into a map.
struct Reader {
    map: MapFd,
    prog: ProgFd,
}

impl Reader {
    fn new(asker: &Asker) -> Result<Self> {
        let create = MapCreate {
            map_type: MapType::ARRAY.0,
            key_size: 4,
            value_size: CHUNK as u32,
            max_entries: 1,
            ..Default::default()
        };
        let map = asker.kernel().map_create(&create).map_err(|error| anyhow!("{}", error.errno()))?;
        let insns = [
            // r3 = address; r2 = bytes, at most a chunk; r1 = the map's value; return probe_read_kernel(r1, r2, r3).
            insn::raw(0x79, 3, 1, 0, 0).to_vec(),
            insn::raw(0x79, 2, 1, 8, 0).to_vec(),
            insn::raw(0x25, 2, 0, 4, CHUNK as i32).to_vec(),
            insn::wide(1, 2, map.fd().raw()).to_vec(),
            insn::call(FuncId::PROBE_READ_KERNEL.0).to_vec(),
            insn::exit().to_vec(),
            insn::set(0, -1).to_vec(),
            insn::exit().to_vec(),
        ]
        .concat();
        let question = Question {
            kind: ProgType::SYSCALL,
            attach: AttachType(0),
            target: "",
            license: "GPL",
            insns: &insns,
        };
        let prog = asker.loaded(question).map_err(|refused| anyhow!("{}", refused.log))?;
        Ok(Self { map, prog })
    }

    /// Reads so many bytes, at most a chunk; nothing where there is no memory.
    fn read(&self, address: u64, bytes: usize) -> Result<Option<Vec<u8>>> {
        let mut context = [address.to_ne_bytes(), (bytes as u64).to_ne_bytes()].concat();
        let mut run = ProgTestRun::default();
        let memory =
            TestRunMemory { data_in: &[], data_out: &mut [], ctx_in: &mut context, ctx_out: &mut [] };
        self.prog.test_run(&mut run, memory).map_err(|error| anyhow!("test run: {}", error.errno()))?;
        if run.retval != 0 {
            return Ok(None);
        }
        let mut value = vec![0; CHUNK];
        self.map.lookup(&0u32.to_ne_bytes(), &mut value, 0).map_err(|error| anyhow!("{}", error.errno()))?;
        value.truncate(bytes);
        Ok(Some(value))
    }
}

/// Makes the file.
pub(super) fn prototypes(asker: &Asker) -> Result<String> {
    let symbols = std::fs::read_to_string("/proc/kallsyms").context("/proc/kallsyms")?;
    let mut functions = HashMap::<u64, &str>::new();
    let mut data = None;
    for line in symbols.lines() {
        let mut words = line.split_whitespace();
        let (Some(address), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let address = u64::from_str_radix(address, 16)?;
        match name {
            "__start_rodata" => data = Some(address),
            _ if kind.eq_ignore_ascii_case("t") && !name.starts_with("__pfx_") => {
                functions.insert(address, name);
            }
            _ => {}
        }
    }
    let Some(start) = data.filter(|&address| address != 0) else {
        bail!("/proc/kallsyms hides where things are (kernel.kptr_restrict)");
    };
    let reader = Reader::new(asker)?;
    let mut bytes = Vec::new();
    while bytes.len() < MOST {
        match reader.read(start + bytes.len() as u64, CHUNK)? {
            Some(chunk) => bytes.extend(chunk),
            None => break,
        }
    }
    let mut lines = Vec::new();
    for at in (0..bytes.len().saturating_sub(SIZE)).step_by(8) {
        let found = Found { asker, reader: &reader, functions: &functions, bytes: &bytes[at..at + SIZE] };
        lines.extend(found.line()?);
    }
    lines.sort();
    lines.dedup();
    Ok(format!("{HEAD}{}", lines.concat()))
}

/// Bytes that may be a prototype.
struct Found<'a> {
    asker: &'a Asker,
    reader: &'a Reader,
    functions: &'a HashMap<u64, &'a str>,
    bytes: &'a [u8],
}

impl Found<'_> {
    fn word(&self, at: usize) -> u32 {
        let mut word = [0; 4];
        word.copy_from_slice(&self.bytes[at..at + 4]);
        u32::from_ne_bytes(word)
    }

    fn long(&self, at: usize) -> u64 {
        let mut long = [0; 8];
        long.copy_from_slice(&self.bytes[at..at + 8]);
        u64::from_ne_bytes(long)
    }

    /// Reads the id of a type at an address, and names it.
    fn type_at(&self, address: u64) -> Result<Option<String>> {
        let Some(id) = self.reader.read(address, 4)? else { return Ok(None) };
        let id = u32::from_ne_bytes(id.try_into().unwrap_or_default());
        Ok(self.asker.type_name(id).map(|name| format!("({name})")))
    }

    /// The line of a prototype of a helper; nothing if it is none.
    fn line(&self) -> Result<Option<String>> {
        let Some(&function) = self.functions.get(&self.long(0)) else { return Ok(None) };
        let booleans = &self.bytes[8..12];
        let [result, first] = [self.word(12), self.word(16)];
        let known = FUNCTIONS.iter().find(|row| row.0 == function).map(|row| row.1);
        let shared = BY_BTF.iter().find(|row| row.0 == function && first & 0xff == BTF_ID).map(|row| row.1);
        let own = function.strip_prefix("bpf_").filter(|name| is_helper(name));
        let Some(helper) = shared.or(known).or(own) else { return Ok(None) };
        if booleans.iter().any(|&byte| byte > 1) || self.word(36) != 0 {
            return Ok(None);
        }
        let Some(mut result) = named(result, RESULTS) else { return Ok(None) };
        if self.long(80) != 0 {
            result.push_str(&self.type_at(self.long(80))?.unwrap_or_default());
        }
        let allowed = self.functions.get(&self.long(88));
        if self.long(88) != 0 && allowed.is_none_or(|name| !name.ends_with("_allowed")) {
            return Ok(None);
        }
        let mut flags: Vec<String> = ["gpl_only", "pkt_access", "might_sleep", "allow_fastcall"]
            .iter()
            .zip(booleans)
            .filter(|(_, byte)| **byte == 1)
            .map(|(flag, _)| (*flag).to_owned())
            .collect();
        flags.extend(allowed.map(|name| (*name).to_owned()));
        if flags.is_empty() {
            flags.push("-".to_owned());
        }
        let mut line = format!("{helper} {function} {} {result}", flags.join(","));
        let mut ended = false;
        for position in 0..5 {
            let (arg, beside) = (self.word(16 + 4 * position), self.long(40 + 8 * position));
            if arg == 0 {
                ended = true;
                if beside != 0 {
                    return Ok(None);
                }
                continue;
            }
            let Some(name) = named(arg, ARGS).filter(|_| !ended) else { return Ok(None) };
            let more = match beside {
                0 => String::new(),
                size if arg & FIXED_SIZE != 0 => format!("({size})"),
                address => self.type_at(address)?.unwrap_or_default(),
            };
            write!(line, " {name}{more}")?;
        }
        line.push('\n');
        Ok(Some(line))
    }
}

fn is_helper(name: &str) -> bool {
    FuncId::ALL.iter().any(|id| id.name() == Some(name))
}

/// Names a type with its flags; nothing where there is no such.
fn named(number: u32, names: &[&str]) -> Option<String> {
    let mut text = (*names.get((number & 0xff) as usize)?).to_owned();
    let mut rest = number & !0xff;
    for (flag, name) in FLAGS {
        if number & flag != 0 {
            text.push('|');
            text.push_str(name);
            rest &= !flag;
        }
    }
    (rest == 0).then_some(text)
}
