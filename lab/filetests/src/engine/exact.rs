//! The reference machine, by itself.

use super::{Ending, Engine, Ran, Refusal};
use crate::helpers::{self, End, Lent, Records, Ring};
use crate::{Case, Expected, Input};
use skep_exact::{
    CallEnd, CtxValue, Entry, Fuel, HelperLink, MapRef, MapShape, Observer, Packet, PacketPoint, Platform,
    Program, RegisterCalls, Rights, Rules, Stack, Step, UninitStack, World, run_observed,
};
use skep_isa::Size;
use skep_mem::{Arg, Block, Bytes, CallbackArg, FuncIndex, Invoke, Lend, MapIndex, RecordToken, Ret};
use skep_model::platform::context::{Landing, Meaning};
use skep_model::platform::{self, FuncId, MapType};

/// The reference machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exact;

impl Engine for Exact {
    fn name(&self) -> &'static str {
        "exact"
    }

    fn follows(&self, case: &Case) -> Expected {
        case.expected.clone()
    }

    fn run(&self, case: &Case) -> Result<Ending, String> {
        self.run_observed(case, &mut |_: &Step<'_>| {})
    }
}

impl Exact {
    /// Runs a case while somebody looks on.
    ///
    /// # Errors
    /// Why it could not be run at all.
    pub fn run_observed(&self, case: &Case, observer: &mut impl Observer) -> Result<Ending, String> {
        self.run_charged(case, observer).map(|ran| ran.ending)
    }

    /// Runs a case while somebody looks on, and tells what was charged.
    ///
    /// # Errors
    /// Why it could not be run at all.
    pub fn run_charged(&self, case: &Case, observer: &mut impl Observer) -> Result<Ran, String> {
        let bytes = match &case.input {
            Input::Memory(bytes) => bytes.clone(),
            Input::Context { meta, packet, .. } => [&meta[..], &packet[..]].concat(),
        };
        let block = Block::copy_of(&bytes).map_err(|error| error.to_string())?;
        let ring = Ring::new()?;
        let functions = skep_isa::Program::decode(&case.slots).ok();
        let functions = functions.and_then(|program| skep_isa::structure::check(&program).ok());
        let surroundings = Surroundings {
            case,
            block: &block,
            records: ring.records(),
            functions: functions.map_or(0, |structure| structure.subprograms().len() as u32),
        };
        let prog = match &case.input {
            Input::Memory(_) => None,
            Input::Context { kind, .. } => platform::Platform::LINUX_6_18.prog(*kind),
        };
        let uninit_stack = if case.unwritten_is_zero { UninitStack::Zero } else { UninitStack::Fault };
        let register_calls = match case.register_calls {
            true => RegisterCalls::Allowed(helpers::OWN.to_vec()),
            false => RegisterCalls::Refused,
        };
        let rules = Rules { prog, uninit_stack, register_calls, ..Rules::default() };
        let program = match Program::new(&case.slots, &surroundings, rules) {
            Ok(program) => program,
            Err(error) => {
                let (slot, text) = (Some(error.at.0), error.kind.to_string());
                let ending = Ending::Refused(Refusal { slot, errno: None, text });
                return Ok(Ran { ending, charged: None });
            }
        };
        let stack = Stack::new().map_err(|error| error.to_string())?;
        let entry = match &case.input {
            Input::Memory(_) => Entry::Memory(block.bytes()),
            Input::Context { .. } => Entry::Context,
        };
        let fuel = Fuel::new(case.fuel);
        let outcome = run_observed(&program, &surroundings, &stack, entry, &fuel, observer);
        let ending = match outcome.result {
            Ok(number) => {
                let mut left = vec![0; surroundings.case_len()];
                let start = bytes.len() - left.len();
                block.bytes().copy_out(start, &mut left).map_err(|error| error.to_string())?;
                Ending::Returned(number, left)
            }
            Err(fault) => Ending::Stopped(fault.at.0, fault.kind.code().to_owned(), fault.kind.to_string()),
        };
        Ok(Ran { ending, charged: Some(outcome.charged) })
    }
}

/// What a case's program has around it.
struct Surroundings<'m> {
    case: &'m Case,
    block: &'m Block,
    records: Records<'m>,
    /// Counts the program's functions.
    functions: u32,
}

/// The ring whose records there are.
const RING: MapShape =
    MapShape { kind: MapType::RINGBUF, key_size: 0, value_size: 0, rights: Rights::ReadWrite };

impl Surroundings<'_> {
    /// Counts the bytes of the memory or of the packet.
    fn case_len(&self) -> usize {
        match &self.case.input {
            Input::Memory(bytes) => bytes.len(),
            Input::Context { packet, .. } => packet.len(),
        }
    }
}

impl Platform for Surroundings<'_> {
    fn map(&self, map: MapRef) -> Option<MapIndex> {
        (map == MapRef::Fd(helpers::RING)).then_some(MapIndex(0))
    }

    fn maps(&self) -> &[MapShape] {
        &[RING]
    }

    fn helper(&self, id: u32) -> HelperLink {
        if helpers::OWN.contains(&id) {
            return HelperLink::Plain;
        }
        match platform::Platform::LINUX_6_18.helper(FuncId(id)) {
            Ok(helper) => HelperLink::Known(helper),
            Err(_) => HelperLink::Refused(None),
        }
    }
}

/// What the machine lends a helper.
struct Invoked<'i, 'm> {
    invoke: &'i mut dyn Invoke<'m>,
    functions: u32,
}

impl Lent for Invoked<'_, '_> {
    fn charge(&mut self, units: u64) -> Option<()> {
        self.invoke.charge(units).ok()
    }

    fn memory(&mut self, address: u64, len: usize, how: Lend) -> Option<Bytes<'_>> {
        self.invoke.lend(address, len, how)
    }

    fn call(&mut self, function: u32, round: u64) -> Option<u64> {
        let [a, b, c] = helpers::MORE.map(CallbackArg::Int);
        let args = [CallbackArg::Pass(2), CallbackArg::Int(round), a, b, c];
        self.invoke.invoke(FuncIndex(function), &args).ok()
    }

    fn functions(&self) -> u32 {
        self.functions
    }
}

impl<'m> World<'m> for Surroundings<'m> {
    fn call(&self, id: u32, args: &[Arg<'m>], invoke: &mut dyn Invoke<'m>) -> Result<Ret<'m>, CallEnd> {
        match *args {
            [Arg::Map(map), Arg::Int(size), ..] if id == FuncId::RINGBUF_RESERVE.0 => {
                let record = self.records.reserve(size);
                let given = |(slot, bytes)| Ret::Record(map, RecordToken(slot), bytes);
                return Ok(record.map_or(Ret::Null, given));
            }
            [Arg::Record(_, RecordToken(slot), _), ..] if helpers::is_of_ring(id) => {
                self.records.commit(slot);
                return Ok(Ret::Int(0));
            }
            _ => {}
        }
        let mut numbers = [0; 5];
        for (number, arg) in numbers.iter_mut().zip(args) {
            if let Arg::Int(int) = arg {
                *number = *int;
            }
        }
        let lent = &mut Invoked { invoke, functions: self.functions };
        helpers::call(id, numbers, lent).map(Ret::Int).map_err(|end| match end {
            End::Inside => CallEnd::Halt,
            End::Unwind(number) => CallEnd::Unwind(number),
            End::Unknown => CallEnd::Unknown,
        })
    }

    fn ctx_load(&self, landing: Landing, _: Size) -> Option<CtxValue<'m>> {
        let Input::Context { fields, .. } = &self.case.input else { return None };
        match landing.field.meaning {
            Meaning::PacketData => Some(CtxValue::Packet(PacketPoint::Data)),
            Meaning::PacketEnd => Some(CtxValue::Packet(PacketPoint::End)),
            Meaning::PacketMeta => Some(CtxValue::Packet(PacketPoint::Meta)),
            _ => {
                let named = fields.iter().find(|(name, _)| name == landing.field.name);
                Some(CtxValue::Field(named.map_or(0, |(_, value)| *value)))
            }
        }
    }

    fn packet(&self) -> Option<Packet<'m>> {
        let Input::Context { meta, .. } = &self.case.input else { return None };
        Some(Packet { bytes: self.block.bytes(), data: meta.len() })
    }
}
