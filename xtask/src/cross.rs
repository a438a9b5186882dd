//! `cargo xtask cross [WHERE]...`: tests and builds for machines that this one is not.
//!
//! In a [Debian](crate::trixie) of its own: the tests of what runs programs, on 64-bit ARM and on big-endian s390x under QEMU's
//! user mode; `base/` for WebAssembly; `base/` for machines without an operating system, with a standard library
//! that is built from its source. Test builds are optimised, for QEMU is slow, and keep the compiler's checkers.

use crate::cargo;
use crate::outcome::Outcome;
use crate::trixie::{self, Debian, Recipe, VENDORED};
use anyhow::{Context, Result, bail};

const RECIPE: Recipe = Recipe {
    name: "cross",
    packages: "rustc,cargo,gcc,libc6-dev,rust-src,lld,qemu-user,libstd-rust-dev-wasm32,\
               gcc-aarch64-linux-gnu,libc6-dev-arm64-cross,gcc-s390x-linux-gnu,libc6-dev-s390x-cross",
    architectures: &["arm64", "s390x"],
    foreign: &["libstd-rust-dev:arm64", "libstd-rust-dev:s390x"],
    also_vendored: Some("usr/lib/rustlib/src/rust/library/Cargo.toml"),
};

/// One machine, or kind of machines.
struct Where {
    name: &'static str,
    does: Does,
}

/// What is done for it.
enum Does {
    /// Tests run, under this emulator.
    Tests { target: &'static str, linker: &'static str, emulator: &'static str },
    /// `base/` is built, with the standard library that Debian has.
    Build { target: &'static str },
    /// `base/` is built, with a standard library that is built too.
    Bare { targets: &'static [&'static str] },
}

const WHERE: &[Where] = &[
    Where {
        name: "aarch64",
        does: Does::Tests {
            target: "aarch64-unknown-linux-gnu",
            linker: "aarch64-linux-gnu-gcc",
            emulator: "qemu-aarch64",
        },
    },
    Where {
        name: "s390x",
        does: Does::Tests {
            target: "s390x-unknown-linux-gnu",
            linker: "s390x-linux-gnu-gcc",
            emulator: "qemu-s390x",
        },
    },
    Where { name: "wasm32", does: Does::Build { target: "wasm32-unknown-unknown" } },
    Where {
        name: "bare",
        does: Does::Bare {
            targets: &["x86_64-unknown-none", "aarch64-unknown-none", "riscv64gc-unknown-none-elf"],
        },
    },
];

/// What is tested: crates with all their tests.
const TESTED: [&str; 5] = ["skep-isa", "skep-btf", "skep-exact", "skep-ir", "skep-vm"];

/// And of the file tests those of engines, on which no kernel is needed.
const FILETESTS: [&str; 3] = ["agree", "cases", "registers"];

/// Tests that ask the machine beneath for something that the emulator does not pass on.
const NOT_THERE: [&str; 4] = [
    // The assembler of LLVM is a program of the machine beneath.
    "llvm_assembles",
    // Linux's bpf(2); and the embedded kernel runs on the reference machine, which is tested by itself.
    "linux",
    "embedded",
    "what_both_kernels_refuse",
];

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    let find = |word: &String| WHERE.iter().find(|place| place.name == word);
    let names: Vec<_> = WHERE.iter().map(|place| place.name).collect();
    let chosen: Vec<&Where> = match args {
        [] => WHERE.iter().collect(),
        words => words
            .iter()
            .map(|word| find(word).with_context(|| format!("`{word}` is none of {}", names.join(", "))))
            .collect::<Result<_>>()?,
    };
    if let Some(reason) = trixie::missing() {
        return Ok(Outcome::Skipped(reason));
    }
    let debian = Debian::prepare(&RECIPE)?;
    let mut failed = Vec::new();
    for place in &chosen {
        for words in commands(place)? {
            println!("{}: {}", place.name, words.join(" "));
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let status = debian.command(&words).status().context("cannot enter Debian")?;
            if !status.success() && !failed.contains(&place.name) {
                failed.push(place.name);
            }
        }
    }
    match failed[..] {
        [] => Ok(Outcome::Done(chosen.iter().map(|place| place.name).collect::<Vec<_>>().join(", "))),
        _ => Ok(Outcome::Failed(format!("failed: {}", failed.join(", ")))),
    }
}

/// The commands, each with its variables in front.
fn commands(place: &Where) -> Result<Vec<Vec<String>>> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let packages = |names: &[String]| -> Vec<String> {
        names.iter().flat_map(|name| ["--package".to_owned(), name.clone()]).collect()
    };
    Ok(match place.does {
        Does::Tests { target, linker, emulator } => {
            let variable = target.to_uppercase().replace('-', "_");
            let test = |of: &[String]| {
                let mut test = vec![
                    format!("CARGO_TARGET_{variable}_LINKER={linker}"),
                    format!("CARGO_TARGET_{variable}_RUNNER={emulator}"),
                    "CARGO_PROFILE_DEV_OPT_LEVEL=1".to_owned(),
                ];
                test.extend(words(&["cargo", "test", "--quiet", "--no-fail-fast", "--target", target]));
                test.extend(words(&VENDORED));
                test.extend_from_slice(of);
                test.push("--".to_owned());
                test.extend(NOT_THERE.iter().flat_map(|name| words(&["--skip", name])));
                test
            };
            let mut crates = packages(&TESTED.map(str::to_owned));
            crates.extend(words(&["--lib", "--tests"]));
            let mut files = words(&["--package", "skep-lab-filetests"]);
            files.extend(FILETESTS.iter().flat_map(|name| words(&["--test", name])));
            vec![test(&crates), test(&files)]
        }
        Does::Build { target } => {
            let mut build = words(&["cargo", "build", "--quiet", "--target", target]);
            build.extend(words(&VENDORED));
            build.extend(packages(&base()?));
            vec![build]
        }
        Does::Bare { targets } => {
            let mut build =
                words(&["RUSTC_BOOTSTRAP=1", "cargo", "build", "--quiet", "-Zbuild-std=core,alloc"]);
            build.extend(targets.iter().flat_map(|target| words(&["--target", target])));
            build.extend(words(&VENDORED));
            build.extend(packages(&base()?));
            vec![build]
        }
    })
}

/// The crates of `base/`.
fn base() -> Result<Vec<String>> {
    let base = cargo::packages()?.into_iter().filter(|package| package.dir.starts_with("base"));
    let names: Vec<_> = base.map(|package| package.name).collect();
    match names[..] {
        [] => bail!("base/ has no crates"),
        _ => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_commands_and_what_is_tested_exists() {
        let packages = cargo::packages().unwrap();
        let exists = |name: &str| packages.iter().any(|package| package.name == name);
        assert!(TESTED.iter().all(|name| exists(name)));
        let tests = cargo::root().join("lab/filetests/tests");
        assert!(FILETESTS.iter().all(|name| tests.join(name).with_extension("rs").exists()));
        for place in WHERE {
            for command in commands(place).unwrap() {
                assert!(command.contains(&"cargo".to_owned()) && command.contains(&"--offline".to_owned()));
            }
        }
    }
}
