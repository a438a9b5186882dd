//! What the fuzz targets do with an input.
//!
//! A target is a function from bytes to nothing that panics when a promise is broken. The fuzzer in `lab/fuzz` calls it with
//! inputs that it invents; the test of this crate calls it, on stable Rust and in every run of the tests, with those
//! that were worth keeping (`lab/fuzz/corpus/TARGET`).
//!
//! A target must never expect an input to be good, nor look at what it came from.

mod attr;
mod btf;
mod core;
mod elf;
mod exact;
mod isa;
mod link;
mod machine;
mod verify;
mod vm;

/// One target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// What it does with an input; panics if a promise is broken.
    pub run: fn(&[u8]),
}

/// The promises of `skep-kernel`, through `skep-embedded`.
pub const ATTR: Target = Target { name: "attr", run: attr::run };

/// The promises of `skep-isa`.
pub const ISA: Target = Target { name: "isa", run: isa::run };

/// The promises of `skep-btf`.
pub const BTF: Target = Target { name: "btf", run: btf::run };

/// The promises of `skep_btf::core`, and of what the loader makes of it.
pub const CORE: Target = Target { name: "core", run: core::run };

/// The promises of `skep-exact`.
pub const EXACT: Target = Target { name: "exact", run: exact::run_input };

/// The promises of `skep-elf`.
pub const ELF: Target = Target { name: "elf", run: elf::run };

/// The promises of `skep-elf`'s static linker.
pub const LINK: Target = Target { name: "link", run: link::run };

/// The promises of `skep-ir` and `skep-vm`.
pub const VM: Target = Target { name: "vm", run: vm::run };

/// The promises of `skep-machine`.
pub const MACHINE: Target = Target { name: "machine", run: machine::run };

/// The promises of `skep-verifier`.
pub const VERIFY: Target = Target { name: "verify", run: verify::run };

/// All targets.
pub const TARGETS: &[Target] = &[ATTR, BTF, CORE, ELF, EXACT, ISA, LINK, MACHINE, VERIFY, VM];
