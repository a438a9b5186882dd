//! The command line.

use crate::output::Format;
use clap::{Parser, Subcommand, ValueEnum};
use skep_isa::ByteOrder;
use skep_isa::text::Dialect;
use std::path::PathBuf;

/// Run, check, disassemble and inspect BPF objects: in skep's own kernel, or in Linux.
#[derive(Parser, Debug)]
#[command(name = "skep", version, arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Assemble text in either dialect
    Asm(AsmArgs),
    /// Verify every program of objects, each on its own
    Check(CheckArgs),
    /// Disassemble an object's programs, or bare instructions
    Disasm(DisasmArgs),
    /// Show what an object holds: sections, programs, maps, globals, types
    Show(ShowArgs),
}

impl Command {
    /// The form that the answer takes.
    pub(crate) fn format(&self) -> Format {
        let json = match self {
            Command::Asm(args) => args.json,
            Command::Check(args) => args.json,
            Command::Disasm(args) => args.json,
            Command::Show(args) => args.json,
        };
        if json { Format::Json } else { Format::Human }
    }
}

#[derive(clap::Args, Debug)]
pub(crate) struct AsmArgs {
    /// The text; `-` is standard input
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,
    /// Where the instructions go [default: standard output, in hexadecimal if that is a terminal]
    #[arg(short, long, value_name = "OUT.bin")]
    pub(crate) output: Option<PathBuf>,
    /// The byte order of the instructions
    #[arg(long, value_enum, default_value_t = Order::NATIVE)]
    pub(crate) order: Order,
    /// Answer with one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct CheckArgs {
    /// The objects
    #[arg(required = true, value_name = "OBJECT")]
    pub(crate) objects: Vec<PathBuf>,
    /// Only the program whose function is called so
    #[arg(long, value_name = "NAME")]
    pub(crate) program: Option<String>,
    /// The type of the programs, whatever their sections are called
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<String>,
    /// Whose verdict is wanted
    #[arg(long, value_enum, default_value_t = KernelName::Embedded)]
    pub(crate) on: KernelName,
    /// The target's types
    #[arg(long, value_name = "FILE")]
    pub(crate) btf: Option<PathBuf>,
    /// Answer with one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct DisasmArgs {
    /// The object
    #[arg(required_unless_present = "raw")]
    pub(crate) object: Option<PathBuf>,
    /// Bare instructions; `-` is standard input
    #[arg(long, value_name = "BIN", conflicts_with_all = ["object", "program", "source"])]
    pub(crate) raw: Option<PathBuf>,
    /// Only the program whose function is called so
    #[arg(long, value_name = "NAME")]
    pub(crate) program: Option<String>,
    /// How instructions are written
    #[arg(long, value_enum, default_value_t = DialectName::Linux)]
    pub(crate) dialect: DialectName,
    /// Put the source lines between the instructions
    #[arg(long)]
    pub(crate) source: bool,
    /// The byte order of bare instructions
    #[arg(long, value_enum, default_value_t = Order::NATIVE, conflicts_with = "object")]
    pub(crate) order: Order,
    /// Answer with one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct ShowArgs {
    /// The object
    pub(crate) object: PathBuf,
    /// Answer with one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// A kernel, or both of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KernelName {
    /// skep's own
    Embedded,
    /// the running one
    Linux,
    /// each, side by side
    Both,
}

impl KernelName {
    /// Whether skep's own is meant.
    pub(crate) fn has_embedded(self) -> bool {
        self != KernelName::Linux
    }

    /// Whether the running one is meant.
    pub(crate) fn has_linux(self) -> bool {
        self != KernelName::Embedded
    }
}

/// A byte order by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Order {
    const NATIVE: Order = match ByteOrder::NATIVE {
        ByteOrder::Little => Order::Little,
        ByteOrder::Big => Order::Big,
    };
}

impl From<Order> for ByteOrder {
    fn from(order: Order) -> ByteOrder {
        match order {
            Order::Little => ByteOrder::Little,
            Order::Big => ByteOrder::Big,
        }
    }
}

/// A dialect by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DialectName {
    /// `r0 = 1`
    Linux,
    /// `mov r0, 1`
    Mnemonic,
}

impl DialectName {
    /// The name, as it is given.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            DialectName::Linux => "linux",
            DialectName::Mnemonic => "mnemonic",
        }
    }
}

impl From<DialectName> for Dialect {
    fn from(name: DialectName) -> Dialect {
        match name {
            DialectName::Linux => Dialect::Linux,
            DialectName::Mnemonic => Dialect::Mnemonic,
        }
    }
}
