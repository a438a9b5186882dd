//! The kernel's own test programs, compiled as its Makefile does, from the source that Debian ships.
//!
//! They are under the kernel's licence: fetched and compiled when asked for, kept in the cache, and never committed.

use super::{RELEASE, include, static_libraries};
use crate::boot;
use crate::debian::Archive;
use crate::objects::Object;
use crate::{cache, tools};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The kernel whose tests they are.
const KERNEL: &str = "6.12";
/// Debian's release of it.
const KERNEL_RELEASE: &str = "trixie";
/// Its source, and the name of the archive's folder.
const SOURCE: &str = "linux-source-6.12";
/// What of it is needed.
const PARTS: &[&str] = &["tools", "scripts", "include/uapi", "kernel/bpf"];
/// Where the tests are.
const TESTS: &str = "tools/testing/selftests/bpf";
/// Headers of the source's own libbpf.
const HEADERS: &[&str] =
    &["bpf_core_read.h", "bpf_endian.h", "bpf_helpers.h", "bpf_tracing.h", "libbpf_common.h", "usdt.bpf.h"];
/// As the tests' Makefile has them (`BPF_CFLAGS`, `CLANG_CFLAGS`), but for warnings.
const FLAGS: &[&str] = &[
    "-g",
    "-O2",
    "-w",
    "--target=bpf",
    "-mcpu=v3",
    "-mlittle-endian",
    "-std=gnu11",
    "-fno-strict-aliasing",
    "-D__TARGET_ARCH_x86",
    "-DENABLE_ATOMICS_TESTS",
    "-I.",
    "-I../../../include/uapi",
    "-I../../../include",
    "-idirafter",
    "/usr/include/x86_64-linux-gnu",
    "-idirafter",
    "/usr/include",
];
/// Compilers at a time.
const PARALLEL: usize = 2;
/// How many are known to compile.
const LEAST: usize = 790;

/// Says why they cannot be compiled here, if so.
pub(super) fn missing() -> Option<String> {
    let programs = ["clang-19", "python3", "tar", "xz"];
    programs.iter().find_map(|program| tools::need(program).err()).or_else(boot::missing)
}

/// All that compile; the first time takes a quarter of an hour and 153 MB from the archive.
pub(super) fn fetch() -> Result<Vec<Object>> {
    let package = format!("selftests-{KERNEL}");
    let dir = cache::dir("objects")?.join(&package);
    cache::fill_once(&dir, make)?;
    let mut files = fs::read_dir(&dir)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files.into_iter().map(|file| Object { package: package.clone(), file }).collect())
}

/// One of them, where they have been compiled.
pub(super) fn compiled(name: &str) -> Result<Option<PathBuf>> {
    let file = cache::dir("objects")?.join(format!("selftests-{KERNEL}/{name}.bpf.o"));
    Ok(Some(file).filter(|file| file.is_file()))
}

fn make(out: &Path) -> Result<()> {
    let scratch = out.with_extension("source");
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch)?;
    let made = unpack(&scratch).and_then(|source| {
        let headers = scratch.join("include");
        make_headers(&source, &headers)?;
        compile_all(&source.join(TESTS), &headers, out)
    });
    fs::remove_dir_all(&scratch)?;
    made
}

/// Unpacks what is needed of the source, and returns where it is.
fn unpack(scratch: &Path) -> Result<PathBuf> {
    let package = Archive::of_release(KERNEL_RELEASE)?.unpacked(SOURCE)?;
    let mut tar = Command::new("tar");
    tar.arg("-xf").arg(package.join(format!("usr/src/{SOURCE}.tar.xz"))).arg("-C").arg(scratch);
    succeed(tar.args(PARTS.iter().map(|part| format!("{SOURCE}/{part}"))))?;
    Ok(scratch.join(SOURCE))
}

/// Makes `vmlinux.h` of the kernel's types by the source's own bpftool, and gathers libbpf's headers.
fn make_headers(source: &Path, headers: &Path) -> Result<()> {
    let bpf = headers.join("bpf");
    fs::create_dir_all(&bpf)?;
    for name in HEADERS {
        fs::copy(source.join("tools/lib/bpf").join(name), bpf.join(name))
            .with_context(|| (*name).to_owned())?;
    }
    let mut script = Command::new("python3");
    script.arg(source.join("scripts/bpf_doc.py")).arg("--header");
    script.arg("--filename").arg(source.join("tools/include/uapi/linux/bpf.h"));
    fs::write(bpf.join("bpf_helper_defs.h"), output(&mut script)?)?;

    let types = headers.join("vmlinux.btf");
    fs::copy(boot::types_of(boot::kernel(KERNEL)?)?, &types)?;
    let mut dump = Command::new(bpftool(source, headers)?);
    dump.args(["btf", "dump", "file"]).arg(&types).args(["format", "c"]);
    fs::write(headers.join("vmlinux.h"), output(&mut dump)?)?;
    Ok(())
}

/// Builds as much of bpftool as the kernel's own build does.
fn bpftool(source: &Path, scratch: &Path) -> Result<PathBuf> {
    let archive = Archive::of_release(RELEASE)?;
    let (elf, zlib) = (archive.unpacked("libelf-dev")?, archive.unpacked("zlib1g-dev")?);
    let place = scratch.join("bpftool");
    fs::create_dir_all(&place)?;
    let mut make = Command::new("make");
    make.args(["-s", "bootstrap", "-j2", "-C"]).arg(source.join("tools/bpf/bpftool"));
    make.arg(format!("OUTPUT={}/", place.display()));
    make.arg(format!("EXTRA_CFLAGS={} {}", include(&elf), include(&zlib)));
    let folders = [static_libraries(&elf)?, static_libraries(&zlib)?];
    make.arg(format!("EXTRA_LDFLAGS=-L{} -L{}", folders[0].display(), folders[1].display()));
    output(&mut make)?;
    Ok(place.join("bootstrap/bpftool"))
}

/// Compiles every test's program; what does not compile is named.
fn compile_all(tests: &Path, headers: &Path, out: &Path) -> Result<()> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(tests.join("progs"))? {
        sources.push(entry?.path());
    }
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    sources.sort();
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                while let Some(source) = sources.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = compile(tests, source, headers, out) {
                        failed.lock().expect("no compiler panics").push(format!("{error:#}"));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no compiler panics");
    failed.iter().for_each(|error| eprintln!("not compiled: {error}"));
    let compiled = sources.len() - failed.len();
    ensure!(compiled >= LEAST, "{compiled} of {} compile, {LEAST} are known to", sources.len());
    Ok(())
}

fn compile(tests: &Path, source: &Path, headers: &Path, out: &Path) -> Result<()> {
    let name = source.file_stem().unwrap_or_default().to_string_lossy();
    let mut clang = Command::new("clang-19");
    clang.current_dir(tests).arg(format!("-I{}", headers.display())).args(FLAGS);
    clang.arg("-c").arg(source).arg("-o").arg(out.join(format!("{name}.bpf.o")));
    output(&mut clang).map(drop)
}

fn succeed(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// Runs a command to its end; its last words are in the error.
fn output(command: &mut Command) -> Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {name}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().find(|line| line.contains("error")).or_else(|| said.lines().next_back());
    ensure!(output.status.success(), "{name}: {}: {}", output.status, first.unwrap_or_default());
    Ok(output.stdout)
}
