//! Running a case on an engine, and comparing.

use crate::{Case, Expected, Input, Place};
use skep_exact::{
    CtxValue, Entry, Fuel, HelperLink, MapRef, MapShape, Packet, PacketPoint, Platform, Program, Rules,
    Stack, UninitStack, World, run,
};
use skep_isa::Size;
use skep_mem::{Block, MapIndex};
use skep_model::platform::context::{Landing, Meaning};
use skep_model::platform::{self, FuncId};

/// How a program ended on an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It returned this, and left this memory or packet.
    Returned(u64, Vec<u8>),
    /// It was stopped on a slot: the kind of error, and the message.
    Stopped(u32, String, String),
    /// It was not loaded because of a slot; the message.
    Refused(u32, String),
}

/// Something that runs programs.
pub trait Engine {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Tells whether it knows all that the reference machine knows.
    fn is_exact(&self) -> bool {
        false
    }

    /// Runs a case; an error says why it cannot be run here at all.
    fn run(&self, case: &Case) -> Result<Ending, String>;
}

/// Runs a case and compares; an error says what is different.
pub fn check(engine: &dyn Engine, case: &Case) -> Result<(), String> {
    let ending = engine.run(case)?;
    let said = |message: &Option<String>, found: &str| message.as_ref().is_none_or(|wanted| wanted == found);
    let here = |place: &Place, slot: u32| place.slot == slot;
    let fits = match (&case.expected, &ending) {
        (Expected::Returns(wanted), Ending::Returned(found, left)) => {
            wanted == found && case.leaves.as_ref().is_none_or(|wanted| wanted == left)
        }
        (Expected::StopsExact(..), _) if !engine.is_exact() => true,
        (
            Expected::Stops(place, kind, message) | Expected::StopsExact(place, kind, message),
            Ending::Stopped(slot, found, text),
        ) => here(place, *slot) && kind == found && said(message, text),
        (Expected::Refused(place, message), Ending::Refused(slot, text)) => {
            here(place, *slot) && said(message, text)
        }
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(format!("wanted {}, found {}", wanted(case), found(case, &ending)))
}

fn wanted(case: &Case) -> String {
    let text = |message: &Option<String>| message.as_ref().map_or(String::new(), |text| format!(": {text}"));
    match &case.expected {
        Expected::Returns(number) => match &case.leaves {
            None => format!("{number:#x}"),
            Some(bytes) => format!("{number:#x}, leaving {bytes:02x?}"),
        },
        Expected::Stops(place, kind, message) | Expected::StopsExact(place, kind, message) => {
            format!("{kind} on line {}{}", place.line, text(message))
        }
        Expected::Refused(place, message) => format!("a refusal of line {}{}", place.line, text(message)),
    }
}

fn found(case: &Case, ending: &Ending) -> String {
    let line = |slot: &u32| case.lines.get(*slot as usize).copied().unwrap_or(0);
    match ending {
        Ending::Returned(number, bytes) if case.leaves.is_some() => {
            format!("{number:#x}, leaving {bytes:02x?}")
        }
        Ending::Returned(number, _) => format!("{number:#x}"),
        Ending::Stopped(slot, kind, text) => format!("{kind} on line {}: {text}", line(slot)),
        Ending::Refused(slot, text) => format!("a refusal of line {}: {text}", line(slot)),
    }
}

/// The reference machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exact;

impl Engine for Exact {
    fn name(&self) -> &'static str {
        "exact"
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn run(&self, case: &Case) -> Result<Ending, String> {
        let bytes = match &case.input {
            Input::Memory(bytes) => bytes.clone(),
            Input::Context { meta, packet, .. } => [&meta[..], &packet[..]].concat(),
        };
        let block = Block::copy_of(&bytes).map_err(|error| error.to_string())?;
        let surroundings = Surroundings { case, block: &block };
        let prog = match &case.input {
            Input::Memory(_) => None,
            Input::Context { kind, .. } => platform::Platform::LINUX_6_18.prog(*kind),
        };
        let uninit_stack = if case.unwritten_is_zero { UninitStack::Zero } else { UninitStack::Fault };
        let rules = Rules { prog, uninit_stack, ..Rules::default() };
        let program = match Program::new(&case.slots, &surroundings, rules) {
            Ok(program) => program,
            Err(error) => return Ok(Ending::Refused(error.at.0, error.kind.to_string())),
        };
        let stack = Stack::new().map_err(|error| error.to_string())?;
        let entry = match &case.input {
            Input::Memory(_) => Entry::Memory(block.bytes()),
            Input::Context { .. } => Entry::Context,
        };
        let outcome = run(&program, &surroundings, &stack, entry, &Fuel::new(case.fuel));
        Ok(match outcome.result {
            Ok(number) => {
                let mut left = vec![0; surroundings.case_len()];
                let start = bytes.len() - left.len();
                block.bytes().copy_out(start, &mut left).map_err(|error| error.to_string())?;
                Ending::Returned(number, left)
            }
            Err(fault) => Ending::Stopped(fault.at.0, fault.kind.code().to_owned(), fault.kind.to_string()),
        })
    }
}

/// What a case's program has around it.
struct Surroundings<'m> {
    case: &'m Case,
    block: &'m Block,
}

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
    fn map(&self, _: MapRef) -> Option<MapIndex> {
        None
    }

    fn maps(&self) -> &[MapShape] {
        &[]
    }

    fn helper(&self, id: u32) -> HelperLink {
        match platform::Platform::LINUX_6_18.helper(FuncId(id)) {
            Ok(helper) => HelperLink::Known(helper),
            Err(_) => HelperLink::Refused(None),
        }
    }
}

impl<'m> World<'m> for Surroundings<'m> {
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
