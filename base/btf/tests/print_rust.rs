//! Rust types: their text, and that rustc lays them out as BTF says.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use common::{Blob, KIND_FLAG, every_kind, k};
use skep_btf::{Btf, Endian, RustPrinter};

const RUNNING: &str = "/sys/kernel/btf/vmlinux";

/// Types, and the assertions about them.
fn source(btf: &Btf<'_>) -> (String, String) {
    let (mut types, mut asserts) = (String::new(), String::new());
    let mut printer = RustPrinter::new(btf).unwrap();
    printer.file(&[], &mut types).unwrap();
    printer.assertions(&mut asserts).unwrap();
    (types, asserts)
}

/// Has rustc check the types and the assertions; they are refused if one is wrong.
#[track_caller]
fn assert_compiles(btf: &Btf<'_>, name: &str) {
    let (types, asserts) = source(btf);
    let status = rustc(&format!("{types}{asserts}"), name);
    assert!(status.is_ok(), "{}", status.unwrap_err());
}

fn rustc(text: &str, name: &str) -> Result<(), String> {
    let base = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()));
    let (file, out) = (base.with_extension("rs"), base.with_extension("rmeta"));
    std::fs::write(&file, text).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let arguments = ["--edition=2024", "--crate-type=lib", "--emit=metadata", "-Dwarnings", "-o"];
    let output = Command::new(rustc).args(arguments).args([&out, &file]).output().unwrap();
    let errors: Vec<_> =
        String::from_utf8_lossy(&output.stderr).lines().take(40).map(str::to_owned).collect();
    if !output.status.success() {
        return Err(format!("{}:\n{}", file.display(), errors.join("\n")));
    }
    let _ = (std::fs::remove_file(&file), std::fs::remove_file(&out));
    Ok(())
}

#[test]
fn every_kind_has_its_text() {
    let bytes = every_kind(Endian::Little).bytes();
    let btf = Btf::parse(&bytes).unwrap();
    let (types, _) = source(&btf);
    let wanted = "\
#[derive(Clone, Copy)]
#[repr(C)]
pub struct event {
    pub when: u64,
    pub comm: [i8; 16],
    /// Bits 0..3: `a`.
    /// Bits 3..8: `b`.
    pub __bits24: [u8; 1],
    pub __pad25: [u8; 3],
    pub __anon4: event____anon4,
    pub ptr: *mut i32,
    pub mode: mode,
    pub __pad44: [u8; 4],
}
";
    assert!(types.contains(wanted), "{types}");
    for wanted in [
        "pub union event____anon4 {\n    pub v4: i32,\n    pub bytes: u8,\n}\n",
        "pub struct mode(pub i32);\n\nimpl mode {\n    pub const OFF: mode = mode(-1);\n    pub const ON: mode = mode(7);\n}\n",
        "pub struct wide(pub u64);\n",
        "pub const BIG: wide = wide(9223372036854775813);\n",
        "pub type event_t = event;\n",
    ] {
        assert!(types.contains(wanted), "{wanted}\nis not in\n{types}");
    }
    assert_compiles(&btf, "every-kind");
}

#[test]
fn odd_layouts_and_names_compile() {
    let mut b = Blob::new(Endian::Little);
    let int = b.int("int", 4, 1);
    let wide = b.int("__int128", 16, 1);
    let byte = b.int("unsigned char", 1, 0);
    let odd = b.int("u24", 3, 0);
    b.composite(k::STRUCT, "packed", 5, &[("type", byte, 0), ("self", int, 8)]);
    b.composite(k::STRUCT, "padded", 32, &[("a", byte, 0), ("b", byte, 64), ("c", wide, 128)]);
    b.composite(k::UNION, "aligned", 64, &[("a", int, 0)]);
    b.composite(k::UNION, "odd", 7, &[("a", int, 0), ("x", odd, 0)]);
    b.composite(k::UNION, "none", 0, &[]);
    b.composite(k::STRUCT, "overlap", 4, &[("a", int, 0), ("b", byte, 8)]);
    b.composite(k::STRUCT, "unsorted", 8, &[("a", int, 32), ("b", int, 0)]);
    b.composite(k::STRUCT | KIND_FLAG, "bits", 8, &[("a", int, 3 << 24), ("b", int, 4 << 24 | 32)]);
    let astride =
        b.composite(k::STRUCT | KIND_FLAG, "astride", 5, &[("a", int, 30 << 24), ("b", int, 4 << 24 | 30)]);
    let inner = b.composite(k::STRUCT, "", 4, &[("a", int, 0)]);
    let list = b.add("", k::ARRAY, 0, 0, &[inner, int, 3]);
    b.composite(k::STRUCT, "outer", 20, &[("x", inner, 0), ("y", list, 32), ("", inner, 128)]);
    b.composite(k::STRUCT, "packed", 9, &[("a", astride, 0), ("b", int, 40)]);
    let fwd = b.add("elsewhere", k::FWD, 0, 0, &[]);
    let ptr = b.add("", k::PTR, 0, fwd, &[]);
    b.add("packed", k::TYPEDEF, 0, ptr, &[]);
    let name = b.string("TWICE");
    b.add("", k::ENUM, 1, 4, &[name, 1]);
    b.add("", k::ENUM, 1, 1, &[name, u32::MAX]);
    let bytes = b.bytes();
    let btf = Btf::parse(&bytes).unwrap();
    let (types, asserts) = source(&btf);
    assert!(
        types.contains("/// Bits 0..30: `a`.\n    /// Bits 30..34: `b`.\n    pub __bits0: [u8; 5],\n"),
        "{types}"
    );
    assert!(asserts.contains("assert!(core::mem::offset_of!(padded, c) == 16);"), "{asserts}");
    assert_compiles(&btf, "odd");
    // The assertions are what decides.
    let wrong = asserts.replace("offset_of!(padded, c) == 16", "offset_of!(padded, c) == 8");
    assert!(rustc(&format!("{types}{wrong}"), "wrong").unwrap_err().contains("E0080"));
}

/// Of how many types one is asserted where nobody has asked for kernels: the assertions of a whole kernel take the compiler
/// longer than its types, and as much memory again.
const SHORT: usize = 8;

/// What an assertion about a type ends with.
const END: &str = "};\n";

#[test]
fn types_of_kernels_compile_to_their_layouts() {
    let others = std::env::var_os("SKEP_KERNEL_BTF");
    let step = if others.is_some() { 1 } else { SHORT };
    let others = others.unwrap_or_default();
    for (index, path) in
        std::iter::once(PathBuf::from(RUNNING)).chain(std::env::split_paths(&others)).enumerate()
    {
        let Ok(bytes) = std::fs::read(&path) else {
            println!("skipped: types_of_kernels_compile_to_their_layouts: no {}", path.display());
            continue;
        };
        let btf = Btf::parse(&bytes).unwrap();
        let (types, asserts) = source(&btf);
        let all = asserts.split_inclusive(END).count();
        assert!(all > 5000, "{all}");
        let asserts: String = asserts.split_inclusive(END).step_by(step).collect();
        assert!(asserts.matches("offset_of").count() > 2 * all / step, "{all}");
        let begin = Instant::now();
        let status = rustc(&format!("{types}{asserts}"), &format!("kernel{index}"));
        assert!(status.is_ok(), "{}", status.unwrap_err());
        println!(
            "{}: {all} types, {} of them asserted, {:.0?}",
            path.display(),
            all.div_ceil(step),
            begin.elapsed()
        );
    }
    assert!(Path::new(env!("CARGO_TARGET_TMPDIR")).exists());
}
