//! The command line.

use crate::output::Format;
use clap::{Parser, Subcommand, ValueEnum};
use skep_isa::ByteOrder;
use skep_isa::text::Dialect;
use std::path::PathBuf;
use std::time::Duration;

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
    /// Show types: of a file, of the running kernel, of its modules
    Btf {
        #[command(subcommand)]
        command: BtfCommand,
    },
    /// Verify every program of objects, each on its own
    Check(CheckArgs),
    /// Disassemble an object's programs, or bare instructions
    Disasm(DisasmArgs),
    /// Write files for programs to be compiled with
    Gen {
        #[command(subcommand)]
        command: GenCommand,
    },
    /// Ask a kernel what it can do: features, types of programs and maps, helpers, settings
    Feature(FeatureArgs),
    /// Run a program in skep's own kernel or in Linux, on a packet, a capture, or attached
    Run(RunArgs),
    /// Look at links in the running kernel
    Link {
        #[command(subcommand)]
        command: LinkCommand,
    },
    /// Look at maps in the running kernel, and what is in them
    Map {
        #[command(subcommand)]
        command: MapCommand,
    },
    /// Look at programs in the running kernel, and their code
    Prog {
        #[command(subcommand)]
        command: ProgCommand,
    },
    /// Show what an object holds: sections, programs, maps, globals, types
    Show(ShowArgs),
}

impl Command {
    /// The form that the answer takes.
    pub(crate) fn format(&self) -> Format {
        let json = match self {
            Command::Asm(args) => args.json,
            Command::Btf { command: BtfCommand::Dump(args) } => {
                args.json || args.format == Some(TypeFormat::Json)
            }
            Command::Btf { command: BtfCommand::List(args) } => args.json,
            Command::Btf { command: BtfCommand::Show(args) } => args.json,
            Command::Link { command: LinkCommand::List(args) } => args.json,
            Command::Link { command: LinkCommand::Show(args) } => args.json,
            Command::Map { command: MapCommand::List(args) } => args.json,
            Command::Map { command: MapCommand::Show(args) } => args.json,
            Command::Map { command: MapCommand::Dump(args) } => args.json,
            Command::Map { command: MapCommand::Lookup(args) } => args.json,
            Command::Prog { command: ProgCommand::List(args) } => args.json,
            Command::Prog { command: ProgCommand::Show(args) } => args.json,
            Command::Prog { command: ProgCommand::Dump { command } } => command.args().json,
            Command::Check(args) => args.json,
            Command::Disasm(args) => args.json,
            Command::Gen { command: GenCommand::MinBtf(args) } => args.json,
            Command::Gen { command: GenCommand::Object(args) } => args.json,
            Command::Gen { command: GenCommand::Vmlinux(args) } => args.json,
            Command::Feature(args) => args.json,
            Command::Run(args) => args.json,
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

/// What to do with types.
#[derive(Subcommand, Debug)]
pub(crate) enum BtfCommand {
    /// Write types as C or Rust, or as they are stored
    Dump(BtfDumpArgs),
    /// List the types in the running kernel
    List(ListArgs),
    /// Show types in the running kernel: `id N`, `name NAME`
    Show(ShowOneArgs),
}

#[derive(clap::Args, Debug)]
pub(crate) struct ListArgs {
    /// Answer with one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct ShowOneArgs {
    /// Which: `id N`, or what else the kind has: `name NAME`, `tag TAG`, `pinned PATH` [default: all]
    #[arg(num_args = 1..=2, value_names = ["BY", "VALUE"])]
    pub(crate) which: Vec<String>,
    /// Answer with one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct PickArgs {
    /// Which: `id N`, or what else the kind has: `name NAME`, `tag TAG`, `pinned PATH`
    #[arg(num_args = 1..=2, required = true, value_names = ["BY", "VALUE"])]
    pub(crate) which: Vec<String>,
    /// Answer with one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to do with links.
#[derive(Subcommand, Debug)]
pub(crate) enum LinkCommand {
    /// List all links
    List(ListArgs),
    /// Show links: `id N`, `pinned PATH`
    Show(ShowOneArgs),
}

/// What to do with maps.
#[derive(Subcommand, Debug)]
pub(crate) enum MapCommand {
    /// List all maps
    List(ListArgs),
    /// Show maps: `id N`, `name NAME`, `pinned PATH`
    Show(ShowOneArgs),
    /// Write the elements of maps by their types
    Dump(PickArgs),
    /// Write the value of one element
    Lookup(MapLookupArgs),
}

#[derive(clap::Args, Debug)]
pub(crate) struct MapLookupArgs {
    /// Which map: `id N`, `name NAME`, `pinned PATH`
    #[arg(num_args = 1..=2, required = true, value_names = ["BY", "VALUE"])]
    pub(crate) which: Vec<String>,
    /// The key, by its type: `7`, `addr:0x0a4d0001,port:80`; or the hexadecimal digits of its bytes
    #[arg(long, value_name = "KEY")]
    pub(crate) key: String,
    /// Answer with one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to do with programs.
#[derive(Subcommand, Debug)]
pub(crate) enum ProgCommand {
    /// List all programs
    List(ListArgs),
    /// Show programs: `id N`, `name NAME`, `tag TAG`, `pinned PATH`
    Show(ShowOneArgs),
    /// Write the code of programs as the kernel runs it
    Dump {
        #[command(subcommand)]
        command: ProgDump,
    },
}

/// Which code of a program.
#[derive(Subcommand, Debug)]
pub(crate) enum ProgDump {
    /// The instructions after the verifier's rewrites
    Xlated(ProgDumpArgs),
    /// The machine code
    Jited(ProgDumpArgs),
}

impl ProgDump {
    /// What both have.
    pub(crate) fn args(&self) -> &ProgDumpArgs {
        match self {
            ProgDump::Xlated(args) | ProgDump::Jited(args) => args,
        }
    }
}

#[derive(clap::Args, Debug)]
pub(crate) struct ProgDumpArgs {
    /// Which programs: `id N`, `name NAME`, `tag TAG`, `pinned PATH`
    #[arg(num_args = 1..=2, required = true, value_names = ["BY", "VALUE"])]
    pub(crate) which: Vec<String>,
    /// Put the source lines between the instructions
    #[arg(long)]
    pub(crate) source: bool,
    /// Write the bytes of each instruction below it
    #[arg(long)]
    pub(crate) opcodes: bool,
    /// Answer with one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct BtfDumpArgs {
    /// BTF by itself, or any ELF file that has a section `.BTF`; `-` is standard input
    #[arg(required_unless_present_any = ["kernel", "id", "module"])]
    pub(crate) file: Option<PathBuf>,
    /// The running kernel's types
    #[arg(long, conflicts_with_all = ["file", "id", "module", "base"])]
    pub(crate) kernel: bool,
    /// Types in the running kernel, by their id
    #[arg(long, value_name = "N", conflicts_with_all = ["file", "module", "base"])]
    pub(crate) id: Option<u32>,
    /// The types of a loaded module
    #[arg(long, value_name = "NAME", conflicts_with_all = ["file", "base"])]
    pub(crate) module: Option<String>,
    /// What the file's types continue, if it is a module's
    #[arg(long, value_name = "FILE")]
    pub(crate) base: Option<PathBuf>,
    /// How types are written [default: raw]
    #[arg(long, value_enum)]
    pub(crate) format: Option<TypeFormat>,
    /// Only this type, by its number or its name, and what it needs
    #[arg(long, value_name = "ID|NAME")]
    pub(crate) root: Vec<String>,
    /// Answer with one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// How types are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TypeFormat {
    /// a header that compiles
    C,
    /// `#[repr(C)]` types
    Rust,
    /// a line for each type and member, as they are stored
    Raw,
    /// the same as one JSON document
    Json,
}

/// What to write.
#[derive(Subcommand, Debug)]
pub(crate) enum GenCommand {
    /// Write those types of a kernel that objects' CO-RE relocations rest on, for a kernel without BTF
    MinBtf(GenMinBtfArgs),
    /// Link objects into one; of a single one, merge the types and leave out debugging information
    Object(GenObjectArgs),
    /// Write `vmlinux.h`: all types of a kernel, and its kfuncs
    Vmlinux(GenVmlinuxArgs),
}

#[derive(clap::Args, Debug)]
pub(crate) struct GenMinBtfArgs {
    /// The kernel's types: BTF by itself, or an ELF file with it
    #[arg(value_name = "IN.btf")]
    pub(crate) input: PathBuf,
    /// Where the types go
    #[arg(value_name = "OUT.btf")]
    pub(crate) output: PathBuf,
    /// The objects
    #[arg(required = true, value_name = "OBJECT")]
    pub(crate) objects: Vec<PathBuf>,
    /// Answer with one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct GenObjectArgs {
    /// Where the object goes
    #[arg(value_name = "OUT")]
    pub(crate) output: PathBuf,
    /// The objects
    #[arg(required = true, value_name = "IN")]
    pub(crate) inputs: Vec<PathBuf>,
    /// Answer with one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct GenVmlinuxArgs {
    /// BTF by itself, or an ELF file with it, such as `vmlinux` [default: the running kernel's]
    #[arg(long, value_name = "FILE")]
    pub(crate) btf: Option<PathBuf>,
    /// Where the header goes [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
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
pub(crate) struct RunArgs {
    /// The object
    #[arg(required_unless_present = "raw")]
    pub(crate) object: Option<PathBuf>,
    /// The program, by its function's name [default: the only one that fits the input]
    #[arg(long, value_name = "NAME")]
    pub(crate) program: Option<String>,
    /// The kernel
    #[arg(long, value_enum, default_value_t = RunKernel::Embedded)]
    pub(crate) on: RunKernel,
    /// What executes the program [default: what the kernel has]
    #[arg(long, value_enum)]
    pub(crate) engine: Option<Engine>,
    /// Load what is not verified, too, into skep's own kernel: every access is checked when it runs
    #[arg(long, conflicts_with_all = ["raw", "attach"])]
    pub(crate) unverified: bool,
    /// Whether each access is checked while the program runs [default: as the engine does]
    #[arg(long, value_enum)]
    pub(crate) checks: Option<Checks>,
    /// One run; the bytes are the packet, or the context of a type without one
    #[arg(long, value_name = "FILE", group = "input")]
    pub(crate) data: Option<PathBuf>,
    /// One run per packet of a pcap or pcapng file; a global `skep_now_ns` is set to each packet's time
    #[arg(long, value_name = "FILE", group = "input")]
    pub(crate) pcap: Option<PathBuf>,
    /// Keep the packets that the program lets pass, as it leaves them
    #[arg(long, value_name = "FILE", requires = "pcap")]
    pub(crate) write: Option<PathBuf>,
    /// Attach where the section says, and stream events (`--on linux`)
    #[arg(long, group = "input")]
    pub(crate) attach: bool,
    /// How long, as `2s`, `500ms`, `1m` [default: until Ctrl-C]
    #[arg(long = "for", value_name = "TIME", requires = "attach", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// The interface that an XDP program is attached to
    #[arg(long, value_name = "NAME", requires = "attach")]
    pub(crate) interface: Option<String>,
    /// Run the same input so many times
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) repeat: u32,
    /// Set a global variable, or a part of one, before the load: `limit=5`, `cfg.name=eth0`, `table[2]=0x10`
    #[arg(long, value_name = "VAR=VALUE", value_parser = assignment)]
    pub(crate) set: Vec<(String, String)>,
    /// Put an element into a map: `blocked 0x0a4d0001=packets:0,bytes:0`
    #[arg(long, num_args = 2, value_names = ["NAME", "KEY=VALUE"], action = clap::ArgAction::Append)]
    pub(crate) map_entry: Vec<String>,
    /// Run bare instructions: r1 is the address of the memory, r2 its length
    #[arg(long, value_name = "INSNS.bin", conflicts_with_all = ["object", "program", "input", "set", "map_entry"])]
    pub(crate) raw: Option<PathBuf>,
    /// The memory of bare instructions
    #[arg(long, value_name = "MEM.bin", requires = "raw")]
    pub(crate) mem: Option<PathBuf>,
    /// How much bare instructions are optimised, by engines that do
    #[arg(long, value_name = "LEVEL", requires = "raw", value_parser = clap::value_parser!(u8).range(0..=1))]
    pub(crate) opt: Option<u8>,
    /// How much fuel a run has: about as many instructions
    #[arg(long, value_name = "N", requires = "raw", default_value_t = 1 << 32)]
    pub(crate) fuel: u64,
    /// Give bare instructions helper 5 of the public conformance suite, which returns its first argument and ends the run if
    /// that is zero, and let them call it through a register
    #[arg(long, requires = "raw")]
    pub(crate) conformance: bool,
    /// Answer with one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// A kernel that runs programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RunKernel {
    /// skep's own, in this process
    Embedded,
    /// the running one
    Linux,
}

/// What executes instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// machine code
    Jit,
    /// instruction by instruction
    Interpreter,
    /// the reference machine
    Exact,
}

impl Engine {
    /// The name, as it is given.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Engine::Jit => "jit",
            Engine::Interpreter => "interpreter",
            Engine::Exact => "exact",
        }
    }
}

/// Whether accesses are checked at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Checks {
    /// each one
    On,
    /// none: the program was verified, or is trusted
    Off,
}

/// Reads a name and what it is set to.
fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("wanted VAR=VALUE")?;
    match name.trim() {
        "" => Err("wanted the name of a variable before the `=`".to_owned()),
        name => Ok((name.to_owned(), value.to_owned())),
    }
}

/// Reads a time with its unit.
fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 4] = [("ms", 1e-3), ("us", 1e-6), ("s", 1.0), ("m", 60.0)];
    let wanted = || "wanted a number and a unit, as 2s, 500ms or 1m".to_owned();
    let unit = UNITS.iter().find(|(unit, _)| text.ends_with(unit)).ok_or_else(wanted)?;
    let number: f64 = text[..text.len() - unit.0.len()].trim().parse().map_err(|_| wanted())?;
    Duration::try_from_secs_f64(number * unit.1).map_err(|_| wanted())
}

#[derive(clap::Args, Debug)]
pub(crate) struct FeatureArgs {
    /// The kernel
    #[arg(long, value_enum, default_value_t = RunKernel::Linux)]
    pub(crate) on: RunKernel,
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
