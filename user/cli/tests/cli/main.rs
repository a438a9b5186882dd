//! The command as its users see it: what it writes, what it says, and how it exits.

mod btf;
mod check;
mod command_line;
mod common;
mod explain;
mod feature;
mod gen_object;
#[cfg(target_os = "linux")]
mod inspect;
mod raw;
mod run;
mod show;
#[cfg(target_os = "linux")]
mod syscount;
mod text;
