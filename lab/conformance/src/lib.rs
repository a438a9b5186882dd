//! The public conformance suite (Alan-Jowett/bpf_conformance) on the virtual machine: its plug-in's protocol, and its files
//! on every engine.
//!
//! uBPF's own tests, which the suite came from, have the same form and are read too. What the suite calls by 5 is
//! [`unwind`](skep_machine::helpers::unwind); what uBPF's tests call by 0 to 4 is there as well.
//!
//! This crate must never know what an instruction does, and holds none of the suite's files.

mod case;
mod maps;
mod plugin;
mod run;
mod suite;

pub use case::{Case, Expect, Unreadable};
pub use maps::Maps;
pub use plugin::{Plugin, plugin};
pub use run::{End, Way, execute};
pub use suite::{Report, Verdict, judge, run_folder};
