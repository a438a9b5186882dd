//! What a compiled program refers to.

use super::{Stays, Wanted, address};
use alloc::vec::Vec;
use skep_abi::FuncId;
use skep_exact::Value;
use skep_helpers::Row;
use skep_ir::machine::Machine;
use skep_ir::ops::Code;
use skep_ir::{Address, BuildErrorKind, Key, LookUp, Metering, Options, Region, Source};
use skep_isa::{Addr, Insn, InsnIdx, Program};
use skep_mem::MapIndex;
use skep_model::MapAccess;
use skep_model::platform::Platform;
use skep_model::platform::helper::{Arg, Helper, Prototype, Ret};

/// A helper that a program calls.
#[derive(Clone, Copy)]
pub(super) struct Callee {
    /// Nothing for tail calls, which are the runner's.
    pub(super) row: Option<&'static Row>,
    pub(super) helper: &'static Helper,
    pub(super) prototype: &'static Prototype,
}

impl core::fmt::Debug for Callee {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.helper.name)
    }
}

impl Callee {
    fn calls_back(&self) -> bool {
        self.prototype.args.iter().any(|arg| matches!(arg, Arg::Func(_)))
    }

    /// Whether numbers can be turned into what it wants, and what it answers into a number.
    fn is_known(&self) -> bool {
        let takes = |arg: &Arg| {
            !matches!(
                arg,
                Arg::SpinLock
                    | Arg::Timer
                    | Arg::Dynptr(_)
                    | Arg::Socket(..)
                    | Arg::SocketRelease
                    | Arg::Btf(..)
                    | Arg::PercpuBtf
                    | Arg::KptrField
                    | Arg::KptrOrNull
            )
        };
        let gives = matches!(
            self.prototype.ret,
            Ret::Int | Ret::Void | Ret::UpToSize(_) | Ret::Cpu | Ret::MapValueOrNull | Ret::RecordOrNull
        );
        gives && self.prototype.args.len() <= 5 && self.prototype.args.iter().all(takes)
    }
}

/// Lists the helpers that a program calls.
pub(super) fn callees(wanted: &Wanted<'_>, program: &Program) -> Result<Vec<Callee>, Stays> {
    let mut callees: Vec<Callee> = Vec::new();
    for (_, insn) in program.iter() {
        let Insn::CallHelper { id } = insn else { continue };
        let id = FuncId(id);
        if id.0 == super::plan::NEVER || callees.iter().any(|callee| callee.helper.id == id) {
            continue;
        }
        let (helper, prototype) = Platform::LINUX_6_18
            .call(id, wanted.model.kind, wanted.licence)
            .map_err(|_| Stays::OnExact("it calls a helper that is not for it"))?;
        let row = skep_helpers::find(id);
        let prints = [FuncId::TRACE_PRINTK, FuncId::TRACE_VPRINTK, FuncId::SNPRINTF].contains(&id);
        if prints && wanted.host.probe().is_none() {
            return Err(Stays::OnExact("it prints, and nothing here can read what pointers lead to"));
        }
        let callee = Callee { row, helper, prototype };
        if !(id == FuncId::TAIL_CALL || (row.is_some() && callee.is_known())) {
            return Err(Stays::OnExact("it calls a helper that only the reference machine can call"));
        }
        callees.try_reserve(1)?;
        callees.push(callee);
    }
    Ok(callees)
}

/// Refuses tail calls of functions other than the main one: only that function would make way, and not all of the program.
pub(super) fn check_tail_calls(wanted: &Wanted<'_>, program: &Program) -> Result<(), Stays> {
    let is_tail_call = |insn| matches!(insn, Insn::CallHelper { id } if FuncId(id) == FuncId::TAIL_CALL);
    let structure = wanted.verified.structured().structure();
    let mut calls = program.iter().filter(|(_, insn)| is_tail_call(*insn));
    match calls.all(|(at, _)| structure.subprogram_of(at) == Some(0)) {
        true => Ok(()),
        false => Err(Stays::OnExact("a function of it makes way for another program")),
    }
}

/// Whether a run may take longer than the verifier has followed it.
pub(super) fn may_go_on(program: &Program, callees: &[Callee]) -> bool {
    callees.iter().any(Callee::calls_back)
        || program.iter().any(|(_, insn)| matches!(insn, Insn::MayGoto { .. }))
}

/// The number that a program holds for a map; it is no address.
pub(super) fn handle(map: MapIndex) -> u64 {
    Value::Map(map).bits().unwrap_or(0)
}

/// Finds the map that such a number stands for, of those of a program.
pub(super) fn of_handle(number: u64) -> MapIndex {
    MapIndex((number.wrapping_sub(handle(MapIndex(0))) >> 32) as u32)
}

/// What the compiler asks.
pub(super) struct Linked<'a> {
    wanted: &'a Wanted<'a>,
    callees: &'a [Callee],
    metering: Metering,
    /// The look-ups that are given their keys, in order.
    keyed: &'a [InsnIdx],
}

impl<'a> Linked<'a> {
    pub(super) fn new(wanted: &'a Wanted<'a>, callees: &'a [Callee], metering: Metering) -> Linked<'a> {
        Linked { wanted, callees, metering, keyed: &[] }
    }

    /// Says which look-ups are given their keys.
    pub(super) fn with_keys(self, keyed: &'a [InsnIdx]) -> Linked<'a> {
        Linked { keyed, ..self }
    }

    /// Tells whether a call is a look-up that can be given its key.
    pub(super) fn takes_key(&self, at: InsnIdx, id: u32) -> bool {
        skep_ir::Link::look_up(self, at, id).is_some_and(|look_up| match look_up.access {
            // By an index of four bytes.
            MapAccess::Array { .. } => true,
        })
    }

    pub(super) fn compile(
        &self,
        program: &Program,
        machine: &Machine,
        options: &Options,
    ) -> Result<Code, Stays> {
        let structure = self.wanted.verified.structured().structure();
        let source = Source { program, structure, link: self };
        skep_ir::lower::compile(source, machine, options).map_err(|error| match error.kind {
            BuildErrorKind::OutOfMemory => Stays::NoMemory,
            BuildErrorKind::Unsupported { what } => Stays::OnExact(what),
            _ => Stays::OnExact("the compiler does not take it"),
        })
    }
}

impl skep_ir::Link for Linked<'_> {
    fn address(&self, addr: Addr) -> Option<Address> {
        let map = (self.wanted.find)(addr)?;
        let value = match addr {
            Addr::MapFd { .. } | Addr::MapIndex { .. } => handle(map),
            Addr::MapValueFd { off, .. } | Addr::MapValueIndex { off, .. } => {
                let object = self.wanted.maps.get(map.0 as usize)?;
                address(object.map.direct_value(0).ok()?) + u64::from(off)
            }
            Addr::Code { .. } | Addr::Variable { .. } => return None,
        };
        Some(Address { value, region: Region::Unknown })
    }

    fn helper(&self, id: u32) -> Option<u8> {
        if id == super::plan::NEVER {
            return Some(0);
        }
        let callee = self.callees.iter().find(|callee| callee.helper.id.0 == id)?;
        Some(callee.prototype.args.len() as u8)
    }

    fn look_up(&self, at: InsnIdx, id: u32) -> Option<LookUp> {
        // What is not called counts no fuel.
        if FuncId(id) != FuncId::MAP_LOOKUP_ELEM || self.metering == Metering::Metered {
            return None;
        }
        let map = self.wanted.verified.facts().map_of_call(at)?;
        let access = self.wanted.maps.get(usize::from(map))?.map.shortcut()?;
        let key = if self.keyed.binary_search(&at).is_ok() { Key::Number } else { Key::Address };
        Some(LookUp { map: handle(MapIndex(map.into())), access, key })
    }

    fn has_packet(&self) -> bool {
        self.wanted.model.classic_loads == skep_model::platform::prog::ClassicLoads::Allowed
    }

    fn calls_back(&self, id: u32) -> bool {
        self.callees.iter().any(|callee| callee.helper.id.0 == id && callee.calls_back())
    }
}
