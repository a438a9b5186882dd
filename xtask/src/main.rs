//! Every chore of the repository: `cargo xtask CHORE`.
//!
//! One binary, one table. A chore is a module with `pub(crate) fn run(args: &[String]) -> Result<Outcome>`; it parses its own
//! arguments, names what it needs, and says by name what it could not do. `cargo xtask ci` runs the chores and
//! the tests in order (`ci.rs` has that table); continuous integration calls nothing else.
//!
//! Nothing here is shipped, and nothing that is shipped may depend on it.

mod abi;
mod api;
mod aya;
mod bare;
mod bench;
mod boot;
mod cache;
mod cargo;
mod checkers;
mod ci;
mod compare;
mod compilers;
mod corpus;
mod cross;
mod debian;
mod deny;
mod escape;
mod files;
mod fuzz;
mod headers;
mod layers;
mod msrv;
mod objects;
mod oracle;
mod outcome;
mod planted;
mod platform;
mod programs;
mod rbpf;
mod rooms;
mod rust_text;
mod tools;
mod traffic;
mod trixie;
mod vectors;

use debian::Unreachable;
use outcome::{Outcome, SKIPPED_STATUS};
use std::process::ExitCode;

/// One row of the table of chores.
struct Chore {
    /// What is typed after `cargo xtask`.
    name: &'static str,
    /// One line for the list.
    about: &'static str,
    /// Does it; `args` are the words after the name.
    run: fn(args: &[String]) -> anyhow::Result<Outcome>,
}

const CHORES: &[Chore] = &[
    Chore {
        name: "abi",
        about: "make the structs and numbers of base/abi from a kernel's BTF",
        run: abi::run,
    },
    Chore {
        name: "api",
        about: "compare the public crates' interface with the committed snapshots",
        run: api::run,
    },
    Chore { name: "aya", about: "load the objects by aya and by skep, and compare", run: aya::run },
    Chore { name: "ci", about: "run every check and test, as continuous integration does", run: ci::run },
    Chore {
        name: "bare",
        about: "run base/ on a machine without an operating system, in QEMU",
        run: bare::run,
    },
    Chore { name: "bench", about: "measure against named peers, in interleaved rounds", run: bench::run },
    Chore { name: "boot", about: "run a program inside Linux 5.10, 6.1 and 6.12, in QEMU", run: boot::run },
    Chore { name: "checkers", about: "run tests under the address sanitizer or loom", run: checkers::run },
    Chore {
        name: "compare",
        about: "hold the examples' verdicts, maps and events on all kernels beside each other",
        run: compare::run,
    },
    Chore {
        name: "compilers",
        about: "compile the vectors with every clang that Debian has, and use what comes out",
        run: compilers::run,
    },
    Chore {
        name: "corpus",
        about: "load every object that Debian ships by skep and by libbpf, and compare",
        run: corpus::run,
    },
    Chore {
        name: "cross",
        about: "test on ARM and s390x under QEMU, build base/ for WebAssembly and bare machines",
        run: cross::run,
    },
    Chore {
        name: "deny",
        about: "check licences, sources and duplicates of what is depended on",
        run: deny::run,
    },
    Chore {
        name: "escape",
        about: "run programs that try to reach what they may not, between guard pages",
        run: escape::run,
    },
    Chore {
        name: "fuzz",
        about: "fuzz what reads hostile input, from the committed corpora",
        run: fuzz::run,
    },
    Chore {
        name: "headers",
        about: "compile the types of Linux 5.10, 6.1 and 6.12 as C and Rust, and compare their layouts",
        run: headers::run,
    },
    Chore {
        name: "judge",
        about: "hold skep's verifier beside Linux's, on Debian's objects or the kernel's self-tests",
        run: corpus::judge,
    },
    Chore { name: "layers", about: "check which crate uses which", run: layers::run },
    Chore {
        name: "msrv",
        about: "check the workspace with Debian's Rust, the oldest that is supported",
        run: msrv::run,
    },
    Chore { name: "objects", about: "find the BPF objects in Debian's packages", run: objects::run },
    Chore {
        name: "oracle",
        about: "break programs; the verifier must refuse what the reference machine stops",
        run: oracle::run,
    },
    Chore {
        name: "platform",
        about: "ask Linux 6.18 what the model's platform tables say of it",
        run: platform::run,
    },
    Chore {
        name: "rbpf",
        about: "run rbpf's own tests and examples, from its published crate, on the virtual machine",
        run: rbpf::run,
    },
    Chore { name: "programs", about: "compile and run the benchmark programs again", run: programs::run },
    Chore { name: "rooms", about: "check where unsafe code is, and how much of it", run: rooms::run },
    Chore {
        name: "tools",
        about: "install (root on Debian) or name the programs that chores need",
        run: tools::run,
    },
    Chore { name: "traffic", about: "make the capture of the firewall example", run: traffic::run },
    Chore {
        name: "planted",
        about: "build the bugs planted in the firewall, or find those in the compiler",
        run: planted::run,
    },
    Chore { name: "vectors", about: "compile the committed BPF objects again", run: vectors::run },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, args)) = words.split_first() else {
        print_chores();
        return ExitCode::from(2);
    };
    if matches!(name.as_str(), "help" | "-h" | "--help") {
        print_chores();
        return ExitCode::SUCCESS;
    }
    let Some(chore) = CHORES.iter().find(|chore| chore.name == name) else {
        eprintln!("xtask: no chore is called `{name}`");
        print_chores();
        return ExitCode::from(2);
    };
    match (chore.run)(args) {
        Ok(Outcome::Done(note)) => {
            if !note.is_empty() {
                println!("{name}: {note}");
            }
            ExitCode::SUCCESS
        }
        Ok(Outcome::Failed(note)) => {
            println!("{name}: {note}");
            ExitCode::FAILURE
        }
        Ok(Outcome::Skipped(reason)) => {
            println!("skipped: {name}: {reason}");
            ExitCode::from(SKIPPED_STATUS)
        }
        Err(error) if error.is::<Unreachable>() => {
            println!("skipped: {name}: {error:#}");
            ExitCode::from(SKIPPED_STATUS)
        }
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print_chores() {
    println!("usage: cargo xtask CHORE [ARGS]\n\nchores:");
    for chore in CHORES {
        println!("  {:<9} {}", chore.name, chore.about);
    }
}
