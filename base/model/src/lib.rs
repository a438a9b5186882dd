//! The inert vocabulary of the stack: what programs, maps, helpers and contexts *are*, as data.
//!
//! Loader, verifier, engines and the embedded kernel agree on these words, so that none of them imports another.
//! [`ProgramSpec`] and [`MapSpec`] say what an object file describes, the same on every machine. The [`platform`] is
//! Linux's side of the contract: program types, context fields, helper prototypes, map kinds and section names, each
//! with the version that brought it. [`fuel`] is the rule by which every engine charges a run,
//! and [`handle`] has the numbers that programs see of functions. [`Facts`] are what a verifier tells a compiler.
//!
//! It must never know memory, execution, file descriptors or a clock: nothing here runs code or touches a map's
//! contents.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod facts;
pub mod fuel;
pub mod handle;
pub mod platform;
mod spec;

pub use facts::{CallFact, Facts, MapAccess, Touches};
pub use spec::{
    AttachSpec, BtfId, CoreTarget, DataKind, FuncInfoSpec, FunctionSpec, InitialSlot, Linkage, MapData,
    MapId, MapOrigin, MapSpec, OpsFunction, Pinning, ProgramSpec, RelocTarget, Relocation, SlotTarget,
    StructOps, SymbolTarget,
};
