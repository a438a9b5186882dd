//! How compiled programs find their context.
//!
//! A context that is memory for Linux, too (arguments, records, registers), is that memory. That of a packet is none: Linux rewrites its
//! loads to loads from its own structs. Here they go to an image of the struct as programs know it, whose fields are filled before a
//! run as far as the program loads them. Its pointers do not fit into the 32 bits of their fields, so they lie in front of the
//! image, and loads of them are rewritten to go there.

use super::{Stays, Wanted, address};
use crate::context::{Context, PacketFields};
use alloc::vec::Vec;
use skep_abi::SkBuff;
use skep_helpers::Packet;
use skep_isa::{Flow, Insn, InsnIdx, LoadKind, Program, RawInsn};
use skep_mem::Bytes;
use skep_model::platform::context::{Field, Landing, Meaning, Touch};
use skep_model::{Facts, Touches};

/// Where the struct begins, behind its pointers.
const STRUCT: usize = 32;
/// How far before it each pointer lies.
const DATA: i16 = -32;
const END: i16 = -24;
const META: i16 = -16;
/// All of an image.
pub(crate) const IMAGE: usize = STRUCT + size_of::<SkBuff>();

/// What of its context a program uses.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Fields of a packet's context that are loaded, or stored in part.
    filled: Vec<&'static Field>,
    /// Those that are stored.
    stored: Vec<&'static Field>,
    /// The bytes that a context that is memory must have.
    bytes: usize,
    /// Whether it is that of a packet.
    is_packet: bool,
    /// Whether the packet's place is loaded.
    points: bool,
}

/// Finds out what of its context a program uses, and rewrites its loads of pointers.
pub(super) fn plan(wanted: &Wanted<'_>) -> Result<(Program, Plan), Stays> {
    let (verified, facts) = (wanted.verified, wanted.verified.facts());
    let program = verified.structured().program();
    let context = wanted.model.context.ok_or(Stays::OnExact("it has no context"))?;
    let mut plan =
        Plan { is_packet: context.field(Meaning::Len).is_some() || is_xdp(context), ..Plan::default() };
    if facts.lends_context {
        return Err(Stays::OnExact("it lends its context to a helper"));
    }
    let mut slots: Vec<RawInsn> = Vec::new();
    slots.try_reserve_exact(program.len())?;
    slots.extend(program.encode());
    for (at, insn) in program.iter() {
        if facts.is_reached(at) {
            decide(facts, program, &mut slots, (at, insn));
        }
        match facts.touches(at) {
            Touches::Nothing | Touches::Memory => continue,
            Touches::Kernel => return Err(Stays::OnExact("it looks at objects of the kernel")),
            Touches::Context => {}
        }
        let (off, size, touch) = match insn {
            Insn::Load { kind, off, .. } if kind.is_signed() => (off, kind.size(), Touch::LoadSigned),
            Insn::Load { kind, off, .. } => (off, kind.size(), Touch::Load),
            Insn::Store { size, off, .. } => (off, size, Touch::Store),
            _ => return Err(Stays::OnExact("it changes its context at once")),
        };
        let landing = context
            .access(wanted.model.kind, wanted.attach, off.into(), size.bytes() as u8, touch)
            .map_err(|_| Stays::OnExact("it uses its context in a way of its own"))?;
        if let Some(from) = plan.add(landing, size.bytes() as usize, touch)? {
            let Insn::Load { dst, base, .. } = insn else {
                return Err(Stays::OnExact("it changes a pointer to its packet"));
            };
            let load = Insn::Load { kind: LoadKind::U64, dst, base, off: from };
            plan.points = true;
            if let Some(slot) = slots.get_mut(at.index()) {
                *slot = load.encode().first();
            }
        }
    }
    let program = Program::decode(&slots).map_err(|_| Stays::NoMemory)?;
    Ok((program, plan))
}

/// The number of a helper that nobody has.
pub(super) const NEVER: u32 = u32::MAX;

/// Takes the way that is never gone out of a branch; in debug and fuzz builds the run is stopped that goes it.
fn decide(facts: &Facts, program: &Program, slots: &mut [RawInsn], (at, insn): (InsnIdx, Insn)) {
    let Insn::Branch { off, .. } = insn else { return };
    let Some(target) = insn.jump_target(at) else { return };
    let next = InsnIdx(at.0 + 1);
    let (dead, goes_on) = match (facts.is_reached(target), facts.is_reached(next)) {
        (false, _) => (target, Insn::Goto { off: 0 }),
        (true, false) => (next, Insn::Goto { off }),
        (true, true) => return,
    };
    let (place, instead) = match cfg!(any(debug_assertions, fuzzing)) {
        // What is wide has a second half, and what ends a function is wanted there.
        true => match program.at(dead) {
            Some(insn) if insn.slots() == 1 && insn.flow() == Flow::Next => {
                (dead, Insn::CallHelper { id: NEVER })
            }
            _ => return,
        },
        false => (at, goes_on),
    };
    if let Some(slot) = slots.get_mut(place.index()) {
        *slot = instead.encode().first();
    }
}

/// Tells the context of XDP from others.
fn is_xdp(context: &'static skep_model::platform::context::Context) -> bool {
    core::ptr::eq(context, &raw const skep_model::platform::contexts::XDP_MD)
}

impl Plan {
    /// Notes an access; gives where it goes instead, if it is to a pointer.
    fn add(&mut self, landing: Landing, size: usize, touch: Touch) -> Result<Option<i16>, Stays> {
        let Landing { field, within } = landing;
        match field.meaning {
            Meaning::PacketData => return Ok(Some(DATA)),
            Meaning::PacketEnd => return Ok(Some(END)),
            Meaning::PacketMeta => return Ok(Some(META)),
            Meaning::TracepointArgs
            | Meaning::TracepointRecord
            | Meaning::Regs
            | Meaning::SamplePeriod
            | Meaning::SampleAddr
            | Meaning::SyscallArgs => {
                self.bytes = self.bytes.max(usize::from(field.offset + within) + size);
                return Ok(None);
            }
            // What the kernel makes of other numbers than those of queues is its own business.
            Meaning::QueueMapping if touch == Touch::Store => {
                return Err(Stays::OnExact("it stores the queue of its packet"));
            }
            Meaning::Len | Meaning::Cb => {}
            meaning if PacketFields::default().number(meaning).is_some() => {}
            _ => return Err(Stays::OnExact("it loads a field of its context that is not made here")),
        }
        let note = |list: &mut Vec<&'static Field>| -> Result<(), Stays> {
            if !list.iter().any(|known| known.offset == field.offset) {
                list.try_reserve(1)?;
                list.push(field);
            }
            Ok(())
        };
        note(&mut self.filled)?;
        if touch == Touch::Store {
            note(&mut self.stored)?;
        }
        Ok(None)
    }

    /// Whether a context has all that the program uses.
    pub(super) fn takes(&self, context: &Context<'_>) -> bool {
        match context {
            Context::Packet(..) => self.is_packet,
            Context::Bytes(bytes) => !self.is_packet && bytes.len() >= self.bytes,
        }
    }

    /// Makes the context of a run, and gives its address.
    #[inline(always)]
    pub(super) fn begin(&self, context: &Context<'_>, image: Bytes<'_>) -> u64 {
        match context {
            Context::Packet(packet, fields) => {
                if self.points {
                    point(packet, image);
                }
                for field in &self.filled {
                    fill(field, packet, fields, image);
                }
                address(image) + STRUCT as u64
            }
            Context::Bytes(bytes) => address(*bytes),
        }
    }

    /// Follows a packet that a helper has changed.
    pub(super) fn follow(&self, context: &Context<'_>, image: Bytes<'_>) {
        let Context::Packet(packet, fields) = context else { return };
        point(packet, image);
        for field in self.filled.iter().filter(|field| field.meaning == Meaning::Len) {
            fill(field, packet, fields, image);
        }
    }

    /// Makes the context of a program that takes the place of one with this plan, which cannot have changed the packet.
    #[inline(always)]
    pub(super) fn take_over(&self, gone: &Plan, context: &Context<'_>, image: Bytes<'_>) {
        gone.end(context, image);
        let Context::Packet(packet, fields) = context else { return };
        if self.points && !gone.points {
            point(packet, image);
        }
        for field in &self.filled {
            fill(field, packet, fields, image);
        }
    }

    /// Takes over what a run has stored.
    #[inline(always)]
    pub(super) fn end(&self, context: &Context<'_>, image: Bytes<'_>) {
        if !self.stored.is_empty() {
            self.store_back(context, image);
        }
    }

    #[inline(never)]
    fn store_back(&self, context: &Context<'_>, image: Bytes<'_>) {
        let Context::Packet(_, fields) = context else { return };
        for field in &self.stored {
            let at = STRUCT + usize::from(field.offset);
            if field.meaning == Meaning::Cb {
                for (word, number) in fields.cb.iter().zip(0..) {
                    word.set(image.load_u32(at + 4 * number).unwrap_or(0));
                }
                continue;
            }
            let number = match field.size {
                8 => image.load_u64(at),
                _ => image.load_u32(at).map(u64::from),
            };
            let landing = Landing { field, within: 0 };
            // Only fields that can be stored are in the list.
            let _ = number.ok().and_then(|number| context.store(landing, field.size.into(), number));
        }
    }
}

/// Writes where a packet lies.
#[inline]
fn point(packet: &Packet<'_>, image: Bytes<'_>) {
    let (memory, places) = packet.places();
    let start = address(memory);
    for (off, place) in [META, DATA, END].into_iter().zip(places) {
        // All three lie in the image.
        let _ = image.store_u64((STRUCT as i16 + off) as usize, start + place as u64);
    }
}

/// Writes a field.
fn fill(field: &Field, packet: &Packet<'_>, fields: &PacketFields, image: Bytes<'_>) {
    let at = STRUCT + usize::from(field.offset);
    let number = match field.meaning {
        Meaning::Cb => {
            for (word, number) in fields.cb.iter().zip(0..) {
                let _ = image.store_u32(at + 4 * number, word.get());
            }
            return;
        }
        Meaning::Len => packet.data().len() as u64,
        meaning => fields.number(meaning).unwrap_or(0),
    };
    // Every field lies in the struct.
    let _ = match field.size {
        1 => image.store_u8(at, number as u8),
        4 => image.store_u32(at, number as u32),
        8 => image.store_u64(at, number),
        // Addresses, of which a buffer here has none.
        size => image.slice(at, size.into()).map(|bytes| bytes.fill(0)),
    };
}
