//! Sizes, offsets and values against the C headers of `linux-libc-dev`, through the C compiler.
//!
//! The headers may be older than the kernel that the crate is made from: what they do not have yet is left out, and
//! the tests want a floor of what they do have.

mod layouts;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use skep_abi::{
    AttachType, Cmd, CoreReloKind, Define, Errno, FuncId, LinkType, MapType, PerfEventType, PerfRecord,
    PerfSwId, PerfType, ProgType, TaskFdType, XdpAction, flags, net, perf, ring,
};

const HEADERS: &[&str] = &[
    "stddef.h",
    "stdio.h",
    "linux/bpf.h",
    "linux/bpf_perf_event.h",
    "linux/perf_event.h",
    "linux/netlink.h",
    "linux/rtnetlink.h",
    "linux/if_link.h",
    "linux/pkt_cls.h",
    "linux/pkt_sched.h",
    "asm/errno.h",
];

/// Something that C can compute, and what it should be.
struct Fact {
    expression: String,
    wanted: i64,
}

fn fact(expression: impl Into<String>, wanted: i64) -> Fact {
    Fact { expression: expression.into(), wanted }
}

/// Why the comparison cannot be made.
struct Missing(&'static str);

/// Runs the compiler on a program; its messages, or the program's path.
fn compile(name: &str, source: &str) -> Result<Result<PathBuf, String>, Missing> {
    let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut compiler = Command::new("cc")
        .args(["-x", "c", "-std=gnu11", "-w", "-fmax-errors=0", "-o"])
        .arg(&program)
        .arg("-")
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|_| Missing("no C compiler `cc`"))?;
    compiler.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    let output = compiler.wait_with_output().unwrap();
    if output.status.success() {
        return Ok(Ok(program));
    }
    Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// The line numbers that a compiler complains about: `<stdin>:12:34: error: …`.
fn bad_lines(messages: &str) -> Vec<usize> {
    let mut lines: Vec<usize> = messages
        .lines()
        .filter(|line| line.contains("error:"))
        .filter_map(|line| line.strip_prefix("<stdin>:")?.split(':').next()?.parse().ok())
        .collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

/// Compares each fact with what C says; returns how many C knows, and the expressions that it does not.
fn compare(name: &str, mut facts: Vec<Fact>) -> Result<(usize, Vec<String>), Missing> {
    let mut unknown = Vec::new();
    let includes: String = HEADERS.iter().fold(String::new(), |mut text, header| {
        writeln!(text, "#include <{header}>").unwrap();
        text
    });
    if compile(name, &format!("{includes}int main(void) {{ return 0; }}\n"))?.is_err() {
        return Err(Missing("the headers of linux-libc-dev"));
    }
    let program = loop {
        let mut source = format!("{includes}int main(void) {{\n");
        let first = source.lines().count() + 1;
        for fact in &facts {
            writeln!(source, "printf(\"%lld\\n\", (long long)({}));", fact.expression).unwrap();
        }
        source.push_str("return 0; }\n");
        match compile(name, &source)? {
            Ok(program) => break program,
            Err(messages) => {
                let bad = bad_lines(&messages);
                assert!(!bad.is_empty(), "the compiler fails without naming a line:\n{messages}");
                for line in bad.into_iter().rev() {
                    let at = line.checked_sub(first).filter(|&at| at < facts.len());
                    let at = at.unwrap_or_else(|| panic!("an error outside the facts:\n{messages}"));
                    unknown.push(facts.remove(at).expression);
                }
            }
        }
    };
    let output = Command::new(program).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let found: Vec<i64> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(found.len(), facts.len());
    let wrong: Vec<String> = facts
        .iter()
        .zip(&found)
        .filter(|(fact, found)| fact.wanted != **found)
        .map(|(fact, found)| format!("{}: {found} in C, {} here", fact.expression, fact.wanted))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok((facts.len(), unknown))
}

/// Compares, or says that it cannot; at least `floor` facts must be known to C.
fn check(name: &str, facts: Vec<Fact>, floor: usize) {
    let all = facts.len();
    match compare(name, facts) {
        Ok((known, unknown)) => {
            println!("{name}: C knows {known} of {all}, not {unknown:?}");
            assert!(known >= floor, "C knows {known} of {all} only, not {unknown:?}");
        }
        Err(Missing(what)) => println!("skipped: {name}: {what} is missing"),
    }
}

#[test]
fn fields_lie_where_c_has_them() {
    let mut facts = Vec::new();
    for &(root, path, offset, size) in layouts::FIELDS {
        facts.push(fact(format!("offsetof({root}, {path})"), offset as i64));
        facts.push(fact(format!("sizeof((({root} *)0)->{path})"), size as i64));
    }
    assert!(facts.len() > 900, "{}", facts.len());
    check("fields_lie_where_c_has_them", facts, 800);
}

/// Structs that grow from one kernel to the next; of these, the fields are compared and not the size.
const GROWING: &[&str] =
    &["bpf_prog_info", "bpf_map_info", "bpf_link_info", "bpf_fib_lookup", "perf_event_attr", "bpf_sock_ops"];

#[test]
fn structs_are_as_large_as_in_c() {
    let facts: Vec<Fact> = layouts::SIZES
        .iter()
        .filter(|(root, _)| !GROWING.iter().any(|name| root.ends_with(name)))
        .map(|&(root, size)| fact(format!("sizeof({root})"), size as i64))
        .collect();
    check("structs_are_as_large_as_in_c", facts, 30);
}

fn define_facts(defines: &[Define]) -> impl Iterator<Item = Fact> + '_ {
    defines.iter().map(|define| fact(define.name, define.value))
}

#[test]
fn defines_have_cs_values() {
    let facts: Vec<Fact> = define_facts(flags::DEFINES)
        .chain(define_facts(net::DEFINES))
        .chain(define_facts(perf::DEFINES))
        .collect();
    let all = facts.len();
    check("defines_have_cs_values", facts, all - 40);
}

#[test]
fn rings_are_laid_out_as_in_c() {
    let page = |field: &str| format!("offsetof(struct perf_event_mmap_page, {field})");
    let facts = vec![
        fact("BPF_RINGBUF_BUSY_BIT", ring::BUSY_BIT.into()),
        fact("BPF_RINGBUF_DISCARD_BIT", ring::DISCARD_BIT.into()),
        fact("BPF_RINGBUF_HDR_SZ", ring::HDR_SIZE as i64),
        fact("BPF_RB_NO_WAKEUP", ring::NO_WAKEUP as i64),
        fact("BPF_RB_FORCE_WAKEUP", ring::FORCE_WAKEUP as i64),
        fact("BPF_RB_AVAIL_DATA", ring::AVAIL_DATA as i64),
        fact("BPF_RB_RING_SIZE", ring::RING_SIZE as i64),
        fact("BPF_RB_CONS_POS", ring::CONS_POS as i64),
        fact("BPF_RB_PROD_POS", ring::PROD_POS as i64),
        fact(page("data_head"), perf::MMAP_DATA_HEAD as i64),
        fact(page("data_tail"), perf::MMAP_DATA_TAIL as i64),
        fact(page("data_offset"), perf::MMAP_DATA_OFFSET as i64),
        fact(page("data_size"), perf::MMAP_DATA_SIZE as i64),
        fact(page("version"), perf::MMAP_VERSION as i64),
        fact(page("compat_version"), perf::MMAP_COMPAT_VERSION as i64),
        fact("BPF_OBJ_NAME_LEN", skep_abi::OBJ_NAME_LEN as i64),
        fact("BPF_TAG_SIZE", skep_abi::TAG_SIZE as i64),
    ];
    let all = facts.len();
    check("rings_are_laid_out_as_in_c", facts, all);
}

/// Bit fields have no address; a struct with one bit set, seen as a word, shows where it is.
#[test]
fn bit_fields_are_where_c_has_them() {
    use perf::{attr_bit, attr_bits};
    let bit = |field: &str, index| {
        let set = format!(
            "((union {{ struct perf_event_attr a; __u64 w[17]; }}){{ .a = {{ .{field} = 1 }} }}).w[5]"
        );
        fact(set, attr_bit(index) as i64)
    };
    let facts = vec![
        bit("disabled", attr_bits::DISABLED),
        bit("inherit", attr_bits::INHERIT),
        bit("exclude_user", attr_bits::EXCLUDE_USER),
        bit("exclude_kernel", attr_bits::EXCLUDE_KERNEL),
        bit("freq", attr_bits::FREQ),
        bit("watermark", attr_bits::WATERMARK),
        bit("write_backward", attr_bits::WRITE_BACKWARD),
    ];
    let all = facts.len();
    check("bit_fields_are_where_c_has_them", facts, all);
}

#[test]
fn numbers_have_cs_values() {
    let mut facts = Vec::new();
    macro_rules! open {
        ($($kind:ident),*) => {
            $(facts.extend($kind::ALL.iter().map(|kind| fact(kind.name().unwrap(), kind.0.into())));)*
        };
    }
    open!(Cmd, MapType, ProgType, AttachType, LinkType, PerfEventType, TaskFdType, XdpAction);
    open!(CoreReloKind, PerfType, PerfSwId, PerfRecord);
    facts.extend(FuncId::ALL.iter().map(|id| fact(format!("BPF_FUNC_{}", id.name().unwrap()), id.0.into())));
    let all = facts.len();
    check("numbers_have_cs_values", facts, all - 60);
}

#[test]
fn errnos_have_cs_values() {
    let known = Errno::ALL.iter().filter(|&&errno| errno != Errno::ENOTSUPP);
    let facts: Vec<Fact> = known.map(|errno| fact(errno.name().unwrap(), errno.raw().into())).collect();
    let all = facts.len();
    check("errnos_have_cs_values", facts, all);
}
