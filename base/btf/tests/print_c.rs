//! C headers: their text, and what a compiler makes of them.

mod common;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use common::{Blob, KIND_FLAG, every_kind, k};
use skep_btf::{Btf, CPrinter, Def, Endian, PrintError, Problem, TypeId};

const RUNNING: &str = "/sys/kernel/btf/vmlinux";

#[track_caller]
fn check(blob: &Blob, expect: &str) {
    let bytes = blob.bytes();
    let btf = Btf::parse(&bytes).unwrap();
    let mut text = String::new();
    CPrinter::new(&btf).unwrap().types(&mut text).unwrap();
    assert_eq!(text.trim_end(), expect.trim());
}

fn refusal(blob: &Blob) -> Problem {
    let bytes = blob.bytes();
    let btf = Btf::parse(&bytes).unwrap();
    match CPrinter::new(&btf).unwrap().header(&mut String::new()) {
        Err(PrintError::Types(error)) => error.problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_kind_has_its_text() {
    for endian in common::BOTH {
        check(
            &every_kind(endian),
            r#"
enum mode {
	OFF = -1,
	ON = 7,
};

typedef unsigned long long u64;

struct event {
	u64 when;
	char comm[16] __attribute__((btf_decl_tag("note")));
	int a: 3;
	int b: 5;
	union {
		int v4;
		_Bool bytes;
	};
	int *ptr;
	enum mode mode;
} __attribute__((btf_decl_tag("whole")));

typedef struct event event_t;

enum wide {
	SMALL = 1,
	BIG = 9223372036854775813ULL,
};

enum wide_s {
	SMALL___2 = -2,
} __attribute__((mode(DI)));
"#,
        );
    }
}

#[test]
fn pointers_are_declared_before_and_values_defined() {
    let mut b = Blob::new(Endian::Little);
    let int = b.int("int", 4, 1);
    let (a, c, cp, ct, a_ptr, alias) = (2, 3, 4, 5, 6, 7);
    b.composite(k::STRUCT, "a", 16, &[("c", cp, 0), ("next", a_ptr, 64)]);
    b.composite(k::STRUCT, "c", 24, &[("a", a, 0), ("again", ct, 128)]);
    assert_eq!(b.add("", k::PTR, 0, c, &[]), cp);
    assert_eq!(b.add("", k::PTR, 0, alias, &[]), ct);
    assert_eq!(b.add("", k::PTR, 0, a, &[]), a_ptr);
    assert_eq!(b.add("c_t", k::TYPEDEF, 0, c, &[]), alias);
    let _ = int;
    check(
        &b,
        "
struct c;

struct a {
	struct c *c;
	struct a *next;
};

typedef struct c c_t;

struct c {
	struct a a;
	c_t *again;
};
",
    );
}

#[test]
fn declarators_read_from_the_inside_out() {
    let mut b = Blob::new(Endian::Little);
    let int = b.int("int", 4, 1);
    let constant = b.add("", k::CONST, 0, int, &[]);
    let ptr = b.add("", k::PTR, 0, constant, &[]);
    let const_ptr = b.add("", k::CONST, 0, ptr, &[]);
    let three = b.add("", k::ARRAY, 0, 0, &[const_ptr, int, 3]);
    let two = b.add("", k::ARRAY, 0, 0, &[three, int, 2]);
    let to_array = b.add("", k::PTR, 0, two, &[]);
    let name = b.string("how");
    let proto = b.add("", k::FUNC_PROTO, 2, to_array, &[name, ptr, 0, 0]);
    let function = b.add("", k::PTR, 0, proto, &[]);
    let table = b.add("", k::ARRAY, 0, 0, &[function, int, 4]);
    b.add("table", k::TYPEDEF, 0, table, &[]);
    let tag = b.add("user", k::TYPE_TAG, 0, int, &[]);
    let tagged = b.add("", k::PTR, 0, tag, &[]);
    let space = b.add("address_space(1)", k::TYPE_TAG | KIND_FLAG, 0, tagged, &[]);
    let outer = b.add("", k::PTR, 0, space, &[]);
    b.add("tagged", k::TYPEDEF, 0, outer, &[]);
    let nothing = b.add("", k::FUNC_PROTO, 0, 0, &[]);
    b.add("nothing", k::TYPEDEF, 0, nothing, &[]);
    check(
        &b,
        r#"
typedef const int *const (*(*table[4])(const int *how, ...))[2][3];

typedef int __attribute__((btf_type_tag("user"))) * __attribute__((address_space(1))) *tagged;

typedef void nothing(void);
"#,
    );
}

#[test]
fn what_compilers_would_lay_out_otherwise_is_said() {
    let mut b = Blob::new(Endian::Little);
    let int = b.int("int", 4, 1);
    let wide = b.int("__int128", 16, 1);
    let byte = b.int("unsigned char", 1, 0);
    b.composite(k::STRUCT, "packed", 5, &[("a", byte, 0), ("b", int, 8)]);
    b.composite(k::STRUCT, "padded", 32, &[("a", byte, 0), ("b", byte, 64), ("c", wide, 128)]);
    b.composite(k::UNION, "aligned", 64, &[("a", int, 0)]);
    b.composite(k::UNION, "odd", 7, &[("a", int, 0)]);
    b.composite(k::STRUCT, "overlap", 4, &[("a", int, 0), ("b", byte, 8)]);
    b.composite(k::STRUCT, "unsorted", 8, &[("a", int, 32), ("b", int, 0)]);
    b.composite(k::STRUCT | KIND_FLAG, "bits", 8, &[("a", int, 3 << 24), ("b", int, 4 << 24 | 32)]);
    b.composite(k::STRUCT | KIND_FLAG, "astride", 5, &[("a", int, 30 << 24), ("b", int, 4 << 24 | 30)]);
    b.composite(k::STRUCT, "empty", 0, &[]);
    b.composite(k::STRUCT, "large", 1 << 20, &[("a", byte, 0)]);
    check(
        &b,
        "
struct packed {
	unsigned char a;
	int b;
} __attribute__((packed));

struct padded {
	unsigned char a;
	char: 8;
	short: 16;
	int: 32;
	unsigned char b;
	__int128 c;
};

union aligned {
	int a;
} __attribute__((aligned(64)));

union odd {
	int a;
	unsigned char __pad[7];
} __attribute__((packed));

struct overlap {
	/* C cannot lay out its members */
	unsigned char __bytes[4];
};

struct unsorted {
	int b;
	int a;
};

struct bits {
	int a: 3;
	char: 5;
	char: 8;
	short: 16;
	int b: 4;
};

struct astride {
	int a: 30;
	int b: 4;
} __attribute__((packed));

struct empty {
};

struct large {
	unsigned char a;
	unsigned char __pad1[1048575];
};
",
    );
}

#[test]
fn names_that_clash_or_are_none_are_changed() {
    let mut b = Blob::new(Endian::Little);
    let int = b.int("int", 4, 1);
    b.composite(k::STRUCT, "twice", 4, &[("int", int, 0)]);
    b.composite(k::STRUCT, "twice", 4, &[("x<y>", int, 0)]);
    b.composite(k::UNION, "for", 4, &[("", int, 0)]);
    let (same, other) = (b.string("SAME"), b.string("true"));
    b.add("", k::ENUM, 1, 4, &[same, 1]);
    b.add("e", k::ENUM | KIND_FLAG, 2, 1, &[same, u32::MAX, other, 1]);
    b.add("none", k::ENUM, 0, 4, &[]);
    b.add("wide", k::ENUM64, 1, 8, &[other, 1, 0]);
    b.add("wider", k::ENUM64, 1, 8, &[other, 0, 0x8000_0000]);
    check(
        &b,
        "
struct twice {
	int int___1_0;
};

struct twice___2 {
	int x_y__0;
};

union for___1 {
	unsigned char __pad[4];
} __attribute__((packed));

enum {
	SAME = 1,
};

enum e {
	SAME___2 = -1,
	true = 1,
} __attribute__((mode(byte)));

enum none {
	__unknown_enumerator_7 = 0,
};

enum wide {
	true___2 = 1,
} __attribute__((mode(DI)));

enum wider {
	true___3 = 9223372036854775808ULL,
};
",
    );
}

#[test]
fn kfuncs_have_prototypes() {
    let mut b = Blob::new(Endian::Little);
    let int = b.int("int", 4, 1);
    let task = b.composite(k::STRUCT, "task", 4, &[("pid", int, 0)]);
    let ptr = b.add("", k::PTR, 0, task, &[]);
    let name = b.string("p");
    let proto = b.add("", k::FUNC_PROTO, 1, ptr, &[name, ptr]);
    let func = b.add("bpf_task_acquire", k::FUNC, 1, proto, &[]);
    b.add("bpf_kfunc", k::DECL_TAG, 0, func, &[u32::MAX]);
    let fast = b.add("bpf_fast", k::FUNC, 1, proto, &[]);
    b.add("bpf_kfunc", k::DECL_TAG, 0, fast, &[u32::MAX]);
    b.add("bpf_fastcall", k::DECL_TAG, 0, fast, &[u32::MAX]);
    b.add("other", k::FUNC, 1, proto, &[]);
    let bytes = b.bytes();
    let btf = Btf::parse(&bytes).unwrap();
    let mut text = String::new();
    CPrinter::new(&btf).unwrap().header(&mut text).unwrap();
    assert!(
        text.contains("\nextern struct task *bpf_task_acquire(struct task *p) __weak __ksym;\n"),
        "{text}"
    );
    assert!(
        text.contains("\nextern struct task *bpf_fast(struct task *p) __bpf_fastcall __weak __ksym;\n"),
        "{text}"
    );
    assert!(!text.contains("other"), "{text}");
    assert_eq!(text.matches("#if").count(), text.matches("#endif").count());
}

#[test]
fn what_has_no_end_is_refused() {
    let mut b = Blob::new(Endian::Little);
    b.composite(k::STRUCT, "a", 4, &[("b", 2, 0)]);
    b.composite(k::STRUCT, "b", 4, &[("a", 1, 0)]);
    assert_eq!(refusal(&b), Problem::Loop);
    let mut b = Blob::new(Endian::Little);
    b.add("t", k::TYPEDEF, 0, 2, &[]);
    b.add("", k::PTR, 0, 1, &[]);
    assert_eq!(refusal(&b), Problem::Loop);
    let mut b = Blob::new(Endian::Little);
    b.add("", k::CONST, 0, 1, &[]);
    b.add("t", k::TYPEDEF, 0, 1, &[]);
    assert!(matches!(refusal(&b), Problem::TooComplex | Problem::Loop));
    // Each level has the next one twice, which has no name.
    let mut b = Blob::new(Endian::Little);
    b.int("int", 4, 1);
    for level in 1..30 {
        b.composite(k::UNION, "", 4, &[("a", level, 0), ("b", level, 0)]);
    }
    let last = b.next - 1;
    b.composite(k::STRUCT, "top", 4, &[("x", last, 0)]);
    assert_eq!(refusal(&b), Problem::TooComplex);
    // Prototypes that have themselves as parameters, at once and behind a pointer.
    for (own, target) in [(1, 1), (2, 1)] {
        let mut b = Blob::new(Endian::Little);
        b.add("", k::FUNC_PROTO, 1, 0, &[0, own]);
        b.add("", k::PTR, 0, target, &[]);
        b.add("t", k::TYPEDEF, 0, 2, &[]);
        assert_eq!(refusal(&b), Problem::TooDeep);
    }
    // A chain that is longer than any stack.
    let mut b = Blob::new(Endian::Little);
    b.int("int", 4, 1);
    for level in 1..200_000 {
        b.add("", k::PTR, 0, level, &[]);
    }
    let last = b.next - 1;
    b.add("far", k::TYPEDEF, 0, last, &[]);
    assert_eq!(refusal(&b), Problem::TooComplex);
}

/// The layouts of structs and unions by tag: for each definition the members, flat, with offset and size in bits.
type Layouts = BTreeMap<String, Vec<Vec<String>>>;

fn layouts(btf: &Btf<'_>) -> Layouts {
    let mut found = Layouts::new();
    for ty in btf.types() {
        let (word, composite) = match ty.def() {
            Def::Struct(composite) => ("struct", composite),
            Def::Union(composite) => ("union", composite),
            _ => continue,
        };
        if ty.name().is_empty() {
            continue;
        }
        let mut lines = vec![format!("size {}", composite.size)];
        flatten(btf, ty.id(), 0, "", &mut lines);
        lines.sort();
        let name = ty.name().split("___").next().unwrap();
        found.entry(format!("{word} {name}")).or_default().push(lines);
    }
    found.values_mut().for_each(|all| all.sort());
    found
}

fn flatten(btf: &Btf<'_>, id: TypeId, base: u32, path: &str, lines: &mut Vec<String>) {
    for member in btf.ty(id).unwrap().as_composite().unwrap().members {
        let (name, at) = (format!("{path}.{}", member.name), base + member.bit_offset);
        if member.name.starts_with("__pad") {
            continue;
        }
        let mut inner = btf.resolve(member.type_id).unwrap();
        let mut count = String::new();
        while let Def::Array(array) = inner.def() {
            write!(count, "[{}]", array.len).unwrap();
            inner = btf.resolve(array.elem).unwrap();
        }
        let width = btf.bitfield_width(member.type_id, member.bitfield).unwrap();
        match (inner.def(), width) {
            (Def::Struct(_) | Def::Union(_), _) if inner.name().is_empty() => {
                lines.push(format!("{name}{count} at {at}: {}", btf.size_of(inner.id()).unwrap()));
                flatten(btf, inner.id(), at, &name, lines);
            }
            (_, Some(width)) => lines.push(format!("{name} at {at}: {width} bits")),
            _ => lines.push(format!("{name}{count} at {at}: {:?}", btf.size_of(member.type_id))),
        }
    }
}

fn tool(names: &[&str]) -> Option<String> {
    let runs = |name: &&&str| {
        Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    names.iter().find(runs).map(|name| (*name).to_owned())
}

/// Compiles a header for the BPF target, and returns the BTF of all that it defines.
fn compile(header: &str, name: &str) -> Option<Vec<u8>> {
    let clang = tool(&["clang-19", "clang", "clang-18"])?;
    let objcopy = tool(&["llvm-objcopy-19", "llvm-objcopy", "llvm-objcopy-18"])?;
    let base = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()));
    let file = |end: &str| base.with_extension(end);
    std::fs::write(file("h"), header).unwrap();
    let mut source = format!("#include \"{}\"\n", file("h").display());
    for (index, line) in header.lines().enumerate() {
        let Some(tag) = line.strip_suffix(" {") else { continue };
        if tag.starts_with("struct ") || tag.starts_with("union ") {
            writeln!(source, "{tag} v{index};").unwrap();
        }
    }
    std::fs::write(file("c"), source).unwrap();
    let arguments = ["-g", "-O2", "-target", "bpf", "-Werror", "-Wno-visibility", "-c", "-o"];
    let output = Command::new(clang).args(arguments).args([file("o"), file("c")]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).lines().take(30).collect::<Vec<_>>().join("\n");
    assert!(output.status.success(), "clang refuses {}:\n{errors}", file("h").display());
    let section = format!(".BTF={}", file("btf").display());
    let status =
        Command::new(objcopy).args(["--dump-section", &section]).args([file("o"), file("copy")]).status();
    assert!(status.unwrap().success());
    let bytes = std::fs::read(file("btf")).unwrap();
    for end in ["h", "c", "o", "copy", "btf"] {
        let _ = std::fs::remove_file(file(end));
    }
    Some(bytes)
}

#[track_caller]
fn assert_same(wanted: &Layouts, found: &Layouts) {
    let mut differences = Vec::new();
    for (name, wanted) in wanted {
        let found = found.get(name);
        if found != Some(wanted) {
            differences.push(format!("{name}\n  wanted {wanted:?}\n  found  {found:?}"));
        }
    }
    let count = differences.len();
    differences.truncate(5);
    assert_eq!(count, 0, "{}", differences.join("\n"));
}

fn header(btf: &Btf<'_>) -> String {
    let mut text = String::new();
    CPrinter::new(btf).unwrap().header(&mut text).unwrap();
    text
}

/// The running kernel's BTF, and other kernels' that `cargo xtask headers` has fetched.
fn kernels() -> Vec<PathBuf> {
    let others = std::env::var_os("SKEP_KERNEL_BTF").unwrap_or_default();
    std::iter::once(PathBuf::from(RUNNING)).chain(std::env::split_paths(&others)).collect()
}

#[test]
fn headers_of_kernels_compile_to_their_layouts() {
    let test = "headers_of_kernels_compile_to_their_layouts";
    // Compiling is what takes time: every header once, all kernels at once.
    std::thread::scope(|scope| {
        for (index, path) in kernels().into_iter().enumerate() {
            scope.spawn(move || {
                let name = path.display();
                let Ok(bytes) = std::fs::read(&path) else {
                    println!("skipped: {test}: no {name}");
                    return;
                };
                let btf = Btf::parse(&bytes).unwrap();
                let wanted = layouts(&btf);
                assert!(wanted.len() > 1000);
                let Some(compiled) = compile(&header(&btf), &format!("kernel{index}")) else {
                    println!("skipped: {test}: no clang and llvm-objcopy");
                    return;
                };
                let ours = layouts(&Btf::parse(&compiled).unwrap());
                assert_same(&wanted, &ours);
                println!("{name}: {} names of structs and unions, each as in the kernel", wanted.len());
                check_with_bpftool(&path, index, &wanted, &ours);
            });
        }
    });
}

/// Compares with the header that `bpftool` writes, where `cargo xtask headers` asks for it. `bpftool` 7.1 itself lays some types
/// out otherwise than the kernel: those with enumerations of one byte. Wherever it agrees with the kernel, it agrees with us.
fn check_with_bpftool(path: &Path, index: usize, in_kernel: &Layouts, ours: &Layouts) {
    let test = "headers_agree_with_those_of_bpftool";
    if std::env::var_os("SKEP_KERNEL_BTF").is_none() {
        println!("skipped: {test}: `cargo xtask headers` runs it");
        return;
    }
    let Some(bpftool) = tool(&["bpftool", "/usr/sbin/bpftool"]) else {
        println!("skipped: {test}: no bpftool");
        return;
    };
    let dump = Command::new(&bpftool).args(["btf", "dump", "file"]).arg(path).args(["format", "c"]).output();
    let theirs = String::from_utf8(dump.unwrap().stdout).unwrap();
    let Some(theirs) = compile(&theirs, &format!("theirs{index}")) else {
        println!("skipped: {test}: no clang and llvm-objcopy");
        return;
    };
    let theirs = layouts(&Btf::parse(&theirs).unwrap());
    let right: Layouts = theirs.into_iter().filter(|(name, all)| in_kernel.get(name) == Some(all)).collect();
    assert!(right.len() * 10 > in_kernel.len() * 9, "{} of {}", right.len(), in_kernel.len());
    assert_same(&right, ours);
    println!("{}: bpftool agrees on {} of {}", path.display(), right.len(), in_kernel.len());
}

#[test]
fn split_btf_brings_what_it_needs() {
    let mut base = Blob::new(Endian::Little);
    let int = base.int("int", 4, 1);
    let needed = base.composite(k::STRUCT, "needed", 4, &[("a", int, 0)]);
    base.composite(k::STRUCT, "unneeded", 4, &[("a", int, 0)]);
    let base_bytes = base.bytes();
    let parsed = Arc::new(Btf::parse(&base_bytes).unwrap());
    let mut own = Blob::new(Endian::Little);
    own.strings.clear();
    let offset = base.strings.len() as u32;
    own.types.extend(
        [offset, k::STRUCT << 24 | 1, 4, offset + 4, needed, 0]
            .iter()
            .flat_map(|word: &u32| word.to_le_bytes()),
    );
    own.strings.extend(b"mod\0in\0");
    let bytes = own.bytes();
    let split = Btf::parse_split(&bytes, parsed).unwrap();
    let mut text = String::new();
    CPrinter::new(&split).unwrap().types(&mut text).unwrap();
    assert_eq!(text, "struct needed {\n\tint a;\n};\n\nstruct mod {\n\tstruct needed in;\n};\n\n");
}

#[test]
fn what_clang_writes_comes_back() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kinds.c");
    let text = std::fs::read_to_string(source).unwrap();
    let Some(bytes) = compile(&text, "kinds") else {
        println!("skipped: what_clang_writes_comes_back: no clang and llvm-objcopy");
        return;
    };
    let btf = Btf::parse(&bytes).unwrap();
    let again = compile(&header(&btf), "again").unwrap();
    assert_same(&layouts(&btf), &layouts(&Btf::parse(&again).unwrap()));
}
