//! The `skep` command: run, check, disassemble and inspect BPF objects, at a shell.
//!
//! It turns a command line into calls of the libraries and their answers into text or JSON; what a program does, whether
//! it is accepted, and what its bytes mean is decided there and never here.

mod args;
mod capture;
mod ctype;
mod failure;
mod json;
mod kernel;
mod names;
mod object;
mod output;
mod source;
mod tree;
mod types;

mod render {
    pub(crate) mod diagnostic;
    pub(crate) mod run;
    pub(crate) mod table;
}

mod shapes {
    pub(crate) mod check;
    pub(crate) mod run;
}

mod vocabulary;

mod commands {
    pub(crate) mod asm;
    pub(crate) mod btf;
    pub(crate) mod check;
    pub(crate) mod disasm;
    pub(crate) mod feature;
    pub(crate) mod generate;
    pub(crate) mod inspect;
    pub(crate) mod run;
    pub(crate) mod show;
}

use args::{Args, Command};
use clap::Parser;
use failure::{Failure, Status};
use output::{Format, Output, Report};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error).into(),
    };
    let output = Output::new(args.command.format());
    output.finish(run(args.command)).into()
}

fn run(command: Command) -> Result<Box<dyn Report>, Failure> {
    match command {
        Command::Asm(args) => Ok(Box::new(commands::asm::run(&args)?)),
        Command::Btf { command } => commands::btf::run(&command),
        Command::Check(args) => Ok(Box::new(commands::check::run(&args)?)),
        Command::Disasm(args) => Ok(Box::new(commands::disasm::run(&args)?)),
        Command::Gen { command } => commands::generate::run(&command),
        Command::Run(args) => Ok(Box::new(commands::run::run(&args)?)),
        Command::Feature(args) => Ok(Box::new(commands::feature::run(&args)?)),
        Command::Link { command } => commands::inspect::link(&command),
        Command::Map { command } => commands::inspect::map(&command),
        Command::Prog { command } => commands::inspect::prog(&command),
        Command::Show(args) => Ok(Box::new(commands::show::run(&args)?)),
    }
}

/// Answers a command line that cannot be read, or that asks for help. Who asked for JSON gets a document even then.
fn usage(error: &clap::Error) -> Status {
    // A closed pipe is no reason to say anything more.
    let _ = error.print();
    if !error.use_stderr() {
        return Status::Done;
    }
    if std::env::args_os().any(|arg| arg == "--json") {
        let text = error.to_string();
        let first = text.split("\n\n").next().unwrap_or_default();
        let words: Vec<&str> = first.trim_start_matches("error: ").split_whitespace().collect();
        return Output::new(Format::Json).refuse(&Failure::usage(words.join(" ")));
    }
    Status::Usage
}
