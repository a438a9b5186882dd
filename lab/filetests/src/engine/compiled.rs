//! What engines behind the compiler share: compiling a case, its memory, and what comes of it.

use super::{Ending, Ran, Refusal};
use crate::helpers::{self, End, Lent, Records, Ring};
use crate::{Case, Expected, Input};
use skep_ir::lower::compile;
use skep_ir::machine::Machine;
use skep_ir::ops::Code;
use skep_ir::{Access, Address, Level, Link, Metering, Options, Region, Source};
use skep_isa::structure;
use skep_isa::{Addr, Insn, PacketSize, Program as Bytecode};
use skep_mem::{Block, Bytes, Fuel, Lend};
use skep_model::platform::{FuncId, Platform, ProgType};
use skep_vm::{CallEnd, Calls, Cpu, Reach, Regions, Stop, StopKind};

/// What runs the compiler's operations.
pub(super) trait Backend {
    /// Describes what the operations are made for.
    fn machine(&self) -> Machine;

    /// Runs them.
    fn run<'m>(
        &self,
        code: &Code,
        options: &Options,
        cpu: &mut Cpu,
        regions: &mut Regions<'m>,
        given: &Given<'_, 'm>,
    ) -> Result<Result<u64, Stop>, String>;
}

/// What a run is given besides memory.
pub(super) struct Given<'g, 'm> {
    pub(super) args: [u64; 5],
    pub(super) fuel: &'g Fuel,
    pub(super) helpers: &'g Helpers<'m>,
}

/// How to compile a case.
pub(super) const fn options(level: Level, access: Access, metering: Metering) -> Options {
    Options { level, access, metering, stack_bytes: 512, register_calls: false }
}

/// Is where a case runs: its memory and stacks are at the same addresses for every backend.
pub(super) struct Place {
    block: Block,
    ring: Ring,
    cpu: Cpu,
}

impl Place {
    /// Makes one; nothing for a case that wants a context.
    pub(super) fn new(case: &Case) -> Result<Option<Place>, String> {
        match &case.input {
            Input::Memory(bytes) => {
                let block = Block::copy_of(bytes).map_err(|error| error.to_string())?;
                Ok(Some(Place { block, ring: Ring::new()?, cpu: Cpu::new() }))
            }
            Input::Context { packet, .. } if is_classic(case) => {
                let block = Block::copy_of(packet).map_err(|error| error.to_string())?;
                Ok(Some(Place { block, ring: Ring::new()?, cpu: Cpu::new() }))
            }
            Input::Context { .. } => Ok(None),
        }
    }
}

/// Says that a case wants a context whose fields are loaded.
pub(super) const fn not_here() -> Ran {
    Ran { ending: Ending::NotHere("contexts want a kernel"), charged: None }
}

/// Says whether a case loads from its packet as classic BPF does, for which a context need be no more than a number.
fn is_classic(case: &Case) -> bool {
    let Input::Context { kind: ProgType::SOCKET_FILTER, .. } = case.input else { return false };
    let is_load = |insn: Insn| matches!(insn, Insn::LoadAbs { .. } | Insn::LoadInd { .. });
    Bytecode::decode(&case.slots).is_ok_and(|program| program.iter().any(|(_, insn)| is_load(insn)))
}

/// Lists the ways to run a case, the first of which all others must agree with.
pub(super) const FIRST: Options = options(Level::O, Access::Checked, Metering::Metered);

/// Lists the others.
pub(super) fn others(first: &Ran) -> Vec<(&'static str, Options)> {
    let mut others = vec![("without passes", options(Level::O0, Access::Checked, Metering::Metered))];
    // What a check stops is nothing to do without one, and what fuel stops may never end.
    if matches!(first.ending, Ending::Returned(..)) {
        others.push(("unchecked", options(Level::O, Access::Unchecked, Metering::Metered)));
        others.push(("unchecked without passes", options(Level::O0, Access::Unchecked, Metering::Metered)));
        others.push(("without fuel", options(Level::O, Access::Checked, Metering::Free)));
        others.push(("bare", options(Level::O, Access::Unchecked, Metering::Free)));
    }
    others
}

/// Compares a way to run a case with the first.
///
/// # Errors
/// What is different.
pub(super) fn agree(first: &Ran, name: &str, options: &Options, other: &Ran) -> Result<(), String> {
    let charged = options.metering == Metering::Free || other.charged == first.charged;
    if other.ending == first.ending && charged {
        return Ok(());
    }
    Err(format!("{first:?}, but {name} {other:?}"))
}

/// Tells what a case comes to for engines that know addresses and no values' history.
pub(super) fn follows(case: &Case) -> Expected {
    if matches!(case.input, Input::Context { .. }) && !is_classic(case) {
        return Expected::NotHere;
    }
    match &case.expected {
        Expected::Refused(place, _) => Expected::Refused(*place, None),
        Expected::Stops(place, kind, _) => match kind.as_str() {
            // An address says nothing of what it was meant to be.
            "null_pointer" | "not_a_pointer" | "use_after_free" | "no_right" => {
                Expected::Stops(*place, "out_of_bounds".to_owned(), None)
            }
            // Values have no history here.
            "uninitialised" | "pointer_arithmetic" | "partial_pointer" => Expected::Anything,
            kind => Expected::Stops(*place, kind.to_owned(), None),
        },
        expected => expected.clone(),
    }
}

/// Runs a case in one way, in memory that is at the same address in all of them.
pub(super) fn run(
    backend: &impl Backend,
    case: &Case,
    place: &mut Place,
    options: &Options,
) -> Result<Ran, String> {
    let Place { block, ring, cpu } = place;
    let (bytes, context) = match &case.input {
        Input::Memory(bytes) => (bytes, None),
        Input::Context { packet, .. } => (packet, Some(CONTEXT)),
    };
    let refused = |slot: u32, text: String| {
        let refusal = Refusal { slot: Some(slot), errno: None, text };
        Ok(Ran { ending: Ending::Refused(refusal), charged: None })
    };
    let bytecode = match Bytecode::decode(&case.slots) {
        Ok(bytecode) => bytecode,
        Err(error) => return refused(error.at.0, error.to_string()),
    };
    let structure = match structure::check(&bytecode) {
        Ok(structure) => structure,
        Err(error) => return refused(error.at.0, error.to_string()),
    };
    let source = Source { program: &bytecode, structure: &structure, link: &Alone { context } };
    let options = &Options { register_calls: case.register_calls, ..*options };
    let code = match compile(source, &backend.machine(), options) {
        Ok(code) => code,
        Err(error) => return refused(error.at.0, error.kind.to_string()),
    };
    block.bytes().copy_in(0, bytes).map_err(|error| error.to_string())?;
    let mut regions = Regions::new();
    regions
        .add_writable(context.map_or(block.bytes(), |_| Bytes::empty()))
        .map_err(|error| error.to_string())?;
    let input = [block.bytes().addr() as u64, bytes.len() as u64];
    let [r1, r2] = context.map_or(input, |context| [context, 0]);
    let args = [r1, r2, 0, 0, 0];
    let fuel = Fuel::new(case.fuel);
    let helpers = Helpers {
        records: ring.records(),
        functions: structure.subprograms().len() as u32,
        packet: context.map(|_| block.bytes()),
    };
    let result =
        backend.run(&code, options, cpu, &mut regions, &Given { args, fuel: &fuel, helpers: &helpers })?;
    let charged = (options.metering == Metering::Metered).then(|| case.fuel - fuel.left());
    let ending = match result {
        Ok(number) => {
            let mut left = vec![0; bytes.len()];
            block.bytes().copy_out(0, &mut left).map_err(|error| error.to_string())?;
            Ending::Returned(number, left)
        }
        Err(stop) => Ending::Stopped(stop.at.0, stop.kind.code().to_owned(), stop.kind.to_string()),
    };
    Ok(Ran { ending, charged })
}

/// The number that stands for the context.
const CONTEXT: u64 = 0x1_1000_0000;

/// Has nothing outside the program but the helpers' names, and maybe a context.
pub(super) struct Alone {
    pub(super) context: Option<u64>,
}

impl Link for Alone {
    fn address(&self, addr: Addr) -> Option<Address> {
        let handle = Address { value: RING_HANDLE, region: Region::Unknown };
        (addr == Addr::MapFd { fd: helpers::RING }).then_some(handle)
    }

    fn has_packet(&self) -> bool {
        self.context.is_some()
    }

    fn calls_back(&self, id: u32) -> bool {
        id == helpers::EACH
    }

    fn helper(&self, id: u32) -> Option<u8> {
        linked(id)
    }
}

/// Counts the arguments of a helper that is there.
fn linked(id: u32) -> Option<u8> {
    (helpers::OWN.contains(&id) || Platform::LINUX_6_18.helper(FuncId(id)).is_ok()).then_some(5)
}

/// The number that stands for the ring.
const RING_HANDLE: u64 = 0x0100_0000_1000_0000;

/// Has the helpers of a run.
pub(super) struct Helpers<'m> {
    records: Records<'m>,
    /// Counts the program's functions.
    functions: u32,
    /// The packet of the context, if there is one.
    packet: Option<Bytes<'m>>,
}

impl<'m> Calls<'m> for Helpers<'m> {
    fn packet(&self, context: u64, offset: i32, size: PacketSize) -> Result<Option<u64>, CallEnd> {
        let width = size.size().bytes() as usize;
        let Some(packet) = self.packet.filter(|_| context == CONTEXT) else {
            return Err(CallEnd::Stop(StopKind::Read { address: context, bytes: width as u8 }));
        };
        let mut bytes = [0; 8];
        let read =
            usize::try_from(offset).ok().map(|offset| packet.copy_out(offset, &mut bytes[8 - width..]));
        Ok(read.filter(Result::is_ok).map(|_| u64::from_be_bytes(bytes)))
    }

    fn helper(&self, id: u32, args: [u64; 5], reach: &Reach<'_, 'm>) -> Result<u64, CallEnd> {
        if helpers::is_of_ring(id) {
            return self.of_ring(id, args, reach);
        }
        let lent = &mut Reached { reach, args, functions: self.functions };
        helpers::call(id, args, lent).map_err(|end| match end {
            End::Inside => CallEnd::Ended,
            End::Unwind(number) => CallEnd::Unwind(number),
            // What is called by its name has been linked.
            End::Unknown if linked(id).is_none() => {
                CallEnd::Stop(StopKind::BadCallTarget { found: u64::from(id) })
            }
            End::Unknown => CallEnd::Stop(StopKind::UnknownHelper { id }),
        })
    }
}

impl<'m> Helpers<'m> {
    /// Calls one of Linux's helpers on records, which costs what its prototype says.
    fn of_ring(&self, id: u32, args: [u64; 5], reach: &Reach<'_, 'm>) -> Result<u64, CallEnd> {
        let bad = |arg| CallEnd::Stop(StopKind::BadArgument { id, arg });
        let prototype =
            Platform::LINUX_6_18.helper(FuncId(id)).ok().and_then(|helper| helper.prototype.as_ref());
        let work = prototype.ok_or(CallEnd::Stop(StopKind::UnknownHelper { id }))?.work;
        if id == FuncId::RINGBUF_RESERVE.0 {
            if args[0] != RING_HANDLE {
                return Err(bad(1));
            }
            reach.charge(work.units(&args, 0, 0))?;
            let Some((_, bytes)) = self.records.reserve(args[1]) else { return Ok(0) };
            reach.open(bytes)?;
            return Ok(bytes.addr() as u64);
        }
        let (slot, bytes) = self.records.find(args[0]).ok_or(bad(1))?;
        reach.charge(work.units(&args, 0, 0))?;
        self.records.commit(slot);
        reach.close(bytes);
        Ok(0)
    }
}

/// What the run lends a helper.
struct Reached<'l, 'r, 'm> {
    reach: &'l Reach<'r, 'm>,
    args: [u64; 5],
    functions: u32,
}

impl Lent for Reached<'_, '_, '_> {
    fn charge(&mut self, units: u64) -> Option<()> {
        self.reach.charge(units).ok()
    }

    fn memory(&mut self, address: u64, len: usize, how: Lend) -> Option<Bytes<'_>> {
        match how {
            Lend::Read => self.reach.readable(address, len),
            Lend::Write | Lend::ReadWrite => self.reach.writable(address, len),
        }
    }

    fn call(&mut self, function: u32, round: u64) -> Option<u64> {
        let [a, b, c] = helpers::MORE;
        self.reach.call_back(function, [self.args[2], round, a, b, c], None).ok()
    }

    fn functions(&self) -> u32 {
        self.functions
    }
}
