//! Programs as objects.

use crate::btf::BtfObject;
use crate::compiled::{Compiled, Engine};
use crate::error::Result;
use crate::ids::{Id, IdTable};
use crate::map::MapObject;
use crate::name::Name;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use skep_abi::{AttachType, FuncInfo, LineInfo, ProgType, TAG_SIZE};
use skep_isa::RawInsn;
use skep_mem::Shared;
use skep_model::platform::helper::Licence;

/// A loaded program.
#[derive(Debug)]
pub(crate) struct Prog {
    pub(crate) id: Id,
    pub(crate) body: ProgBody,
    ids: Arc<IdTable<Prog>>,
}

/// What a program is, before it has a number.
#[derive(Debug)]
pub(crate) struct ProgBody {
    pub(crate) name: Name,
    pub(crate) prog_type: ProgType,
    pub(crate) attach_type: AttachType,
    pub(crate) licence: Licence,
    pub(crate) code: skep_exact::Program,
    /// What runs without checks, if the program does.
    pub(crate) compiled: Option<Compiled>,
    /// Why it does not.
    pub(crate) stays: Option<&'static str>,
    pub(crate) trust: Trust,
    /// The instructions as they were loaded, without descriptors.
    pub(crate) insns: Vec<RawInsn>,
    pub(crate) tag: [u8; TAG_SIZE],
    /// The maps that the instructions name, in the order in which they name them first.
    pub(crate) maps: Vec<Shared<MapObject>>,
    pub(crate) types: Option<ProgTypes>,
    pub(crate) loaded_ns: u64,
    pub(crate) uid: u32,
    pub(crate) stats: Stats,
}

/// How much is known of a program. One that is verified needs no checks when it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The verifier has followed every path, which took so many instructions.
    Verified { insns: u32 },
    /// Its structure is sound; it needs something that the verifier does not model.
    Structured,
}

impl Trust {
    /// How many instructions the verifier has processed of a program that it has followed.
    pub(crate) fn verified_insns(self) -> u32 {
        match self {
            Trust::Verified { insns } => insns,
            Trust::Structured => 0,
        }
    }
}

/// What a program's BTF says of its functions and lines.
#[derive(Debug)]
pub(crate) struct ProgTypes {
    pub(crate) btf: Shared<BtfObject>,
    pub(crate) functions: Vec<FuncInfo>,
    pub(crate) lines: Vec<LineInfo>,
}

/// What the runs of a program came to.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    /// Runs that were counted, and how long they took.
    runs: AtomicU64,
    time_ns: AtomicU64,
    /// Runs that did not take place, because the CPU was nested too deeply.
    missed: AtomicU64,
}

impl Stats {
    pub(crate) fn count_run(&self, took_ns: u64) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.time_ns.fetch_add(took_ns, Ordering::Relaxed);
    }

    pub(crate) fn count_missed(&self) {
        self.missed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    pub(crate) fn time_ns(&self) -> u64 {
        self.time_ns.load(Ordering::Relaxed)
    }

    pub(crate) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

impl Prog {
    /// Gives a program its number.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn publish(ids: &Arc<IdTable<Prog>>, mut body: ProgBody) -> Result<Shared<Prog>> {
        let id = ids.reserve()?;
        // So that a fault after a tail call names the program that it is in.
        body.code.set_tag(id);
        let prog = Shared::try_new(Prog { id, body, ids: Arc::clone(ids) })?;
        ids.publish(prog.id, &prog);
        Ok(prog)
    }

    /// What runs it.
    pub(crate) fn engine(&self) -> Engine {
        self.body.compiled.as_ref().map_or(Engine::Exact, Compiled::engine)
    }

    /// Tells whether the program belongs to the kernel with this table.
    pub(crate) fn is_of(&self, ids: &Arc<IdTable<Prog>>) -> bool {
        Arc::ptr_eq(&self.ids, ids)
    }
}

impl Drop for Prog {
    fn drop(&mut self) {
        self.ids.release(self.id);
    }
}
