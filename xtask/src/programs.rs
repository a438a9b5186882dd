//! `cargo xtask programs [--check]`: makes the bytecode and the results of the benchmark programs.
//!
//! The bytecode is what clang makes of `lab/programs/c/`, linked and without its ELF file. The results are those of
//! native code, in which every compiler that is here must agree. With `--check` nothing is written and all is compared.

use crate::cargo::{root, target_dir};
use crate::outcome::Outcome;
use crate::{tools, vectors};
use anyhow::{Context, Result, bail, ensure};
use skep_elf::ObjectSpec;
use skep_isa::{ByteOrder, raw};
use skep_lab_programs::{Cpu, Expected, Program, digest, folder};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const COMPILER_RECORD: &str = "lab/programs/compiler.txt";
const RESULTS: &str = "lab/programs/results.txt";
const HEAD: &str = "# Made by `cargo xtask programs`.\n";
/// What native compilers are told.
const NATIVE_ARGS: &[&str] = &[
    "-O2",
    "-std=gnu11",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-ffreestanding",
    "-fwrapv",
    "-fno-strict-aliasing",
];
/// What clang is told for bytecode, besides what it is told for every object.
const MORE_ARGS: &[&str] = &["-g0", "-fno-strict-aliasing"];

/// What becomes of what is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Write,
    Check,
}

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    let mode = match args {
        [] => Mode::Write,
        [word] if word == "--check" => Mode::Check,
        _ => bail!("usage: cargo xtask programs [--check]"),
    };
    let clang = match vectors::compiler() {
        Ok(clang) => clang,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let here = vectors::version(&clang)?;
    let record = format!("{HEAD}{here}\n");
    let is_same = std::fs::read_to_string(root().join(COMPILER_RECORD)).is_ok_and(|there| there == record);
    let mut natives = vec![clang.clone()];
    natives.extend(tools::find("gcc"));
    let mut results =
        format!("{HEAD}# Each program's result, and the FNV-1a digest of its memory after two runs.\n");
    let mut different = Vec::new();
    for program in skep_lab_programs::all()? {
        for (path, bytes) in bytecode(&clang, &program)? {
            match mode {
                Mode::Write => put(&path, bytes.as_deref())?,
                Mode::Check if std::fs::read(&path).ok() != bytes => different.push(path),
                Mode::Check => {}
            }
        }
        let Expected { result, memory } = native(&natives, &program)?;
        writeln!(results, "{:<11} {result:016x} {memory:016x}", program.name)?;
    }
    if mode == Mode::Write {
        put(&root().join(RESULTS), Some(results.as_bytes()))?;
        put(&root().join(COMPILER_RECORD), Some(record.as_bytes()))?;
        return Ok(Outcome::Done(format!("made by {here}")));
    }
    let committed = std::fs::read_to_string(root().join(RESULTS)).unwrap_or_default();
    ensure!(committed == results, "run `cargo xtask programs`: {RESULTS} is not what native code gives");
    if !is_same {
        let note = format!("results are right, bytecode was not compared: here is `{here}`, not that of");
        return Ok(Outcome::Skipped(format!("{note} {COMPILER_RECORD}")));
    }
    ensure!(different.is_empty(), "run `cargo xtask programs`: these differ: {different:?}");
    Ok(Outcome::Done(format!("bytecode and results are as made by {here} and {} more", natives.len() - 1)))
}

/// Writes a file, or removes it.
fn put(path: &Path, bytes: Option<&[u8]>) -> Result<()> {
    match bytes {
        Some(bytes) => std::fs::write(path, bytes).with_context(|| path.display().to_string()),
        None if path.exists() => std::fs::remove_file(path).with_context(|| path.display().to_string()),
        None => Ok(()),
    }
}

/// Compiles a program for each CPU; nothing where it is the same as for the first.
fn bytecode(clang: &Path, program: &Program) -> Result<Vec<(PathBuf, Option<Vec<u8>>)>> {
    let source = program.source();
    let source = source.strip_prefix(root()).unwrap_or(&source);
    let mut made: Vec<(PathBuf, Option<Vec<u8>>)> = Vec::new();
    for cpu in Cpu::ALL {
        let object = target_dir().join("programs").join(format!("{}.{}.o", program.name, cpu.name()));
        let args: Vec<String> = MORE_ARGS.iter().map(|&arg| arg.to_owned()).collect();
        let args = [args, vec![format!("-mcpu={}", cpu.name())]].concat();
        vectors::compile(clang, source, &object, &args)?;
        let bytes = Some(link(&object).with_context(|| program.name)?);
        let is_new = made.first().is_none_or(|(_, first)| *first != bytes);
        made.push((program.bytecode_path(cpu), bytes.filter(|_| is_new)));
    }
    Ok(made)
}

/// Takes the instructions of an object's only program out of it.
fn link(object: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(object).with_context(|| object.display().to_string())?;
    let spec = ObjectSpec::parse(&object.display().to_string(), &bytes)?;
    let [program] = spec.programs.as_slice() else { bail!("not one program, but {}", spec.programs.len()) };
    ensure!(spec.maps.is_empty() && program.relocations.is_empty(), "it has data or symbols outside itself");
    Ok(raw::to_bytes(&program.insns, ByteOrder::Little)?)
}

/// Runs a program natively, as each compiler makes it.
fn native(compilers: &[PathBuf], program: &Program) -> Result<Expected> {
    let mut agreed = None;
    for compiler in compilers {
        let here = run_native(compiler, program)
            .with_context(|| format!("{}, {}", program.name, compiler.display()))?;
        let first = *agreed.get_or_insert(here);
        ensure!(first == here, "{}: {} disagrees: {first:x?}, {here:x?}", program.name, compiler.display());
    }
    agreed.context("no native compiler")
}

fn run_native(compiler: &Path, program: &Program) -> Result<Expected> {
    let binary = target_dir().join("programs").join(program.name);
    let status = Command::new(compiler)
        .args(NATIVE_ARGS)
        .arg(program.source())
        .arg(folder().join("c/native.c"))
        .arg("-o")
        .arg(&binary)
        .status()
        .context("cannot compile")?;
    ensure!(status.success(), "cannot compile");
    let mut child =
        Command::new(&binary).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot run")?;
    child.stdin.take().context("no pipe")?.write_all(&program.memory())?;
    let mut output = Vec::new();
    child.stdout.take().context("no pipe")?.read_to_end(&mut output)?;
    let status = child.wait()?;
    ensure!(status.success(), "the second run differs ({status})");
    let (result, memory) = output.split_first_chunk().context("no result")?;
    Ok(Expected { result: u64::from_le_bytes(*result), memory: digest(memory) })
}
