//! Loads, stores and atomic operations.

use super::{Flow, Machine, Trap};
use crate::object::{Object, State};
use crate::{
    Access, CtxRefusal, CtxValue, FaultKind, ObjectId, Observer, PacketPoint, Pointers, Region, Rights,
    UninitStack, Value, alu,
};
use core::sync::atomic::{Ordering, fence};
use skep_isa::{AtomicOp, LoadKind, PacketSize, Reg, Size, Width};
use skep_mem::{Bytes, MapIndex};
use skep_model::platform::context::{Landing, Touch};
use skep_model::platform::prog::PacketAccess;

/// Memory that an access touches, checked.
#[derive(Clone, Copy)]
struct Place<'m> {
    bytes: Bytes<'m>,
    offset: usize,
    region: Region,
    /// Which frame it is, if it is one.
    frame: Option<usize>,
}

/// What an access touches.
enum Target<'m> {
    Memory(Place<'m>),
    /// The context, from this offset on.
    Context(i64),
}

/// Does one atomic operation on a cell and gives the old value. All are fully ordered, which is stronger than what
/// `Documentation/bpf/standardization/instruction-set.rst` wants of those that fetch nothing.
macro_rules! change {
    ($cell:expr, $op:expr, $operand:expr, $expected:expr) => {{
        let (cell, operand) = ($cell, $operand);
        match $op {
            AtomicOp::Add | AtomicOp::FetchAdd => cell.fetch_add(operand, Ordering::SeqCst),
            AtomicOp::Or | AtomicOp::FetchOr => cell.fetch_or(operand, Ordering::SeqCst),
            AtomicOp::And | AtomicOp::FetchAnd => cell.fetch_and(operand, Ordering::SeqCst),
            AtomicOp::Xor | AtomicOp::FetchXor => cell.fetch_xor(operand, Ordering::SeqCst),
            AtomicOp::Xchg => cell.swap(operand, Ordering::SeqCst),
            AtomicOp::Cmpxchg => {
                match cell.compare_exchange($expected, operand, Ordering::SeqCst, Ordering::SeqCst) {
                    Ok(old) | Err(old) => old,
                }
            }
        }
    }};
}

fn mem_width(size: Size) -> skep_mem::Width {
    match size {
        Size::B => skep_mem::Width::B1,
        Size::H => skep_mem::Width::B2,
        Size::W => skep_mem::Width::B4,
        Size::Dw => skep_mem::Width::B8,
    }
}

impl<'m, O: Observer> Machine<'m, '_, O> {
    /// Loads what `base + off` points to.
    #[inline(always)]
    pub(super) fn load(&mut self, kind: LoadKind, base: Reg, off: i16) -> Result<Value, FaultKind> {
        match self.target(base, off, kind.size(), Access::Read)? {
            Target::Memory(place) => self.load_memory(kind, place),
            Target::Context(offset) => self.load_context(kind, offset),
        }
    }

    /// Stores the low bytes of `value`.
    #[inline(always)]
    pub(super) fn store(&mut self, size: Size, base: Reg, off: i16, value: Value) -> Result<(), FaultKind> {
        match self.target(base, off, size, Access::Write)? {
            Target::Memory(place) => self.store_memory(size, place, value),
            Target::Context(offset) => self.store_context(size, offset, value),
        }
    }

    /// Loads with acquire order.
    pub(super) fn load_acquire(&mut self, size: Size, base: Reg, off: i16) -> Result<Value, FaultKind> {
        let place = self.aligned(base, off, size, Access::Read)?;
        let kind = match size {
            Size::B => LoadKind::U8,
            Size::H => LoadKind::U16,
            Size::W => LoadKind::U32,
            Size::Dw => LoadKind::U64,
        };
        let value = self.load_memory(kind, place)?;
        fence(Ordering::Acquire);
        Ok(value)
    }

    /// Stores with release order.
    pub(super) fn store_release(
        &mut self,
        size: Size,
        base: Reg,
        off: i16,
        src: Reg,
    ) -> Result<(), FaultKind> {
        let value = self.reg(src)?;
        let place = self.aligned(base, off, size, Access::Write)?;
        fence(Ordering::Release);
        self.store_memory(size, place, value)
    }

    /// Changes memory atomically.
    pub(super) fn atomic(
        &mut self,
        width: Width,
        op: AtomicOp,
        base: Reg,
        off: i16,
        src: Reg,
    ) -> Result<(), FaultKind> {
        let size = width.size();
        let operand = self.reg(src)?.bits().unwrap_or(0);
        let expected = match op {
            AtomicOp::Cmpxchg => self.reg(Reg::R0)?.bits().unwrap_or(0),
            _ => 0,
        };
        let place = self.aligned(base, off, size, Access::Atomic)?;
        self.check_written(place, size)?;
        let outside = |_| out_of_bounds(Access::Atomic, place.region, place.offset as i64, size, place.bytes);
        let misaligned = misaligned(place, size);
        let old = match width {
            Width::W32 => {
                let cell = place.bytes.atomic_u32(place.offset).map_err(outside)?.ok_or(misaligned)?;
                u64::from(change!(cell, op, operand as u32, expected as u32))
            }
            Width::W64 => {
                let cell = place.bytes.atomic_u64(place.offset).map_err(outside)?.ok_or(misaligned)?;
                change!(cell, op, operand, expected)
            }
        };
        self.note_data(place, size.bytes() as usize);
        match op {
            AtomicOp::Cmpxchg => self.regs[0] = Value::Scalar(old),
            _ if op.fetches() => self.regs[src.index()] = Value::Scalar(old),
            _ => {}
        }
        Ok(())
    }

    /// Loads from the packet in network order; where no such bytes are, the function returns 0.
    pub(super) fn packet_load(
        &mut self,
        size: PacketSize,
        off: i32,
        moved: u32,
        floor: usize,
    ) -> Result<Flow, Trap> {
        // check_ld_abs in kernel/bpf/verifier.c wants the context in r6.
        match self.reg(Reg::R6)? {
            Value::Context(0) => {}
            found => return Err(FaultKind::NotMemory { access: Access::Read, found }.into()),
        }
        let loaded = self.world.packet_load(off.wrapping_add(moved as i32), size);
        self.regs[..6].fill(Value::Uninit);
        self.regs[0] = Value::Scalar(loaded.unwrap_or(0));
        match loaded {
            Some(_) => {
                self.charge_edge()?;
                Ok(Flow::Next)
            }
            None => self.exit(floor),
        }
    }

    /// Gives the object of the only value of a map.
    pub(super) fn direct_value(&mut self, map: MapIndex) -> Result<ObjectId, FaultKind> {
        let index = map.0 as usize;
        if let Some(Some(object)) = self.values.get(index) {
            return Ok(*object);
        }
        let none = FaultKind::NotMemory { access: Access::Read, found: Value::Map(map) };
        let bytes = self.world.map_value(map).ok_or(none)?;
        let object = self.create(self.map_value_object(map, bytes))?;
        if index >= self.values.len() {
            self.values.try_reserve(index + 1 - self.values.len()).map_err(|_| FaultKind::OutOfMemory)?;
            self.values.resize(index + 1, None);
        }
        self.values[index] = Some(object);
        Ok(object)
    }

    pub(super) fn map_value_object(&self, map: MapIndex, bytes: Bytes<'m>) -> Object<'m> {
        let rights = self.program.maps.get(map.0 as usize).map_or(Rights::ReadWrite, |shape| shape.rights);
        Object::new(Region::MapValue(map), rights, bytes)
    }

    /// Finds what an access touches and checks that it may.
    #[inline(always)]
    fn target(&self, base: Reg, off: i16, size: Size, access: Access) -> Result<Target<'m>, FaultKind> {
        let off = i64::from(off);
        match self.reg(base)? {
            Value::Pointer { object, offset } => {
                self.place(object, offset.wrapping_add(off), size, access).map(Target::Memory)
            }
            Value::Context(offset) => Ok(Target::Context(offset.wrapping_add(off))),
            Value::Scalar(found) => self.by_number(found, off, size, access).map(Target::Memory),
            found => Err(FaultKind::NotMemory { access, found }),
        }
    }

    /// Finds what a number leads to, where the rules let it lead anywhere.
    #[cold]
    fn by_number(&self, found: u64, off: i64, size: Size, access: Access) -> Result<Place<'m>, FaultKind> {
        let nowhere = match found {
            0 => FaultKind::NullPointer { access },
            _ => FaultKind::NotAPointer { access, found },
        };
        if self.program.rules.pointers == Pointers::Distinct {
            return Err(nowhere);
        }
        let number = found.wrapping_add(off as u64);
        if let Some((object, offset)) = Value::object_of_bits(number) {
            return self.place(object, offset as i64, size, access);
        }
        let region = Region::Memory;
        match self.world.memory_at(number, size.bytes() as usize) {
            None => Err(nowhere),
            Some((_, rights)) if !rights.allow(access) => Err(FaultKind::NoRight { access, region }),
            Some((bytes, _)) => Ok(Place { bytes, offset: 0, region, frame: None }),
        }
    }

    #[inline(always)]
    fn place(
        &self,
        object: ObjectId,
        offset: i64,
        size: Size,
        access: Access,
    ) -> Result<Place<'m>, FaultKind> {
        let Some(object) = self.objects.find(object) else {
            return Err(FaultKind::UseAfterFree { access, region: Region::Memory });
        };
        let region = object.region;
        if object.state != State::Live {
            return Err(FaultKind::UseAfterFree { access, region });
        }
        if !object.rights.allow(access) {
            return Err(FaultKind::NoRight { access, region });
        }
        let inside = usize::try_from(offset).ok().filter(|offset| {
            offset.checked_add(size.bytes() as usize).is_some_and(|end| end <= object.bytes.len())
        });
        let Some(offset) = inside else {
            return Err(out_of_bounds(access, region, offset, size, object.bytes));
        };
        let frame = (region == Region::Stack).then_some(object.frame);
        Ok(Place { bytes: object.bytes, offset, region, frame })
    }

    /// As [`Self::target`], for accesses that must be to aligned memory.
    fn aligned(&self, base: Reg, off: i16, size: Size, access: Access) -> Result<Place<'m>, FaultKind> {
        let place = match self.target(base, off, size, access)? {
            Target::Memory(place) => place,
            Target::Context(offset) => {
                return Err(context_fault(offset, size, access, CtxRefusal::NotMemory));
            }
        };
        match place.bytes.addr().wrapping_add(place.offset) % size.bytes() as usize {
            0 => Ok(place),
            _ => Err(misaligned(place, size)),
        }
    }

    #[inline(always)]
    fn load_memory(&mut self, kind: LoadKind, place: Place<'m>) -> Result<Value, FaultKind> {
        if let Some(frame) = place.frame.and_then(|frame| self.frames.get(frame)) {
            if let (LoadKind::U64, Some(pointer)) = (kind, frame.shadow.pointer(place.offset)) {
                return Ok(pointer);
            }
            self.check_written(place, kind.size())?;
        }
        let loaded = place.bytes.load(place.offset, mem_width(kind.size()));
        let outside =
            |_| out_of_bounds(Access::Read, place.region, place.offset as i64, kind.size(), place.bytes);
        Ok(Value::Scalar(alu::extend(kind, loaded.map_err(outside)?)))
    }

    #[inline(always)]
    fn store_memory(&mut self, size: Size, place: Place<'m>, value: Value) -> Result<(), FaultKind> {
        let len = size.bytes() as usize;
        let number = value.bits().unwrap_or(0);
        let pointers = self.program.rules.pointers;
        let frame = place.frame.and_then(|frame| self.frames.get_mut(frame));
        match frame {
            Some(frame) if value.has_provenance() && size == Size::Dw && place.offset % 8 == 0 => {
                frame.shadow.write_pointer(place.offset, value);
            }
            Some(_) if value.has_provenance() && pointers == Pointers::Distinct => {
                return Err(FaultKind::PartialPointer);
            }
            Some(frame) => frame.shadow.write_data(place.offset, len),
            None => {}
        }
        let outside = |_| out_of_bounds(Access::Write, place.region, place.offset as i64, size, place.bytes);
        place.bytes.store(place.offset, mem_width(size), number).map_err(outside)
    }

    /// Checks that stack bytes are data, and written if they must be.
    fn check_written(&self, place: Place<'m>, size: Size) -> Result<(), FaultKind> {
        let Some(frame) = place.frame.and_then(|frame| self.frames.get(frame)) else { return Ok(()) };
        let len = size.bytes() as usize;
        let distinct = self.program.rules.pointers == Pointers::Distinct;
        if distinct && frame.shadow.has_pointer(place.offset, len) {
            return Err(FaultKind::PartialPointer);
        }
        match frame.shadow.first_unwritten(place.offset, len) {
            Some(byte) if self.program.rules.uninit_stack == UninitStack::Fault => {
                Err(FaultKind::UninitStack { offset: byte as i64 - place.bytes.len() as i64 })
            }
            _ => Ok(()),
        }
    }

    fn note_data(&mut self, place: Place<'m>, len: usize) {
        if let Some(frame) = place.frame.and_then(|frame| self.frames.get_mut(frame)) {
            frame.shadow.write_data(place.offset, len);
        }
    }

    /// Finds the field of the context that an access touches, if the program's type may touch it so.
    fn landing(&self, offset: i64, size: Size, touch: Touch) -> Result<Landing, CtxRefusal> {
        let rules = &self.program.rules;
        let prog = rules.prog.ok_or(CtxRefusal::NoContext)?;
        let context = prog.context.ok_or(CtxRefusal::NoContext)?;
        let landing = context.access(prog.kind, rules.attach, offset, size.bytes() as u8, touch);
        landing.map_err(CtxRefusal::Table)
    }

    fn load_context(&mut self, kind: LoadKind, offset: i64) -> Result<Value, FaultKind> {
        let size = kind.size();
        let touch = if kind.is_signed() { Touch::LoadSigned } else { Touch::Load };
        let refused = |why| context_fault(offset, size, Access::Read, why);
        let landing = self.landing(offset, size, touch).map_err(refused)?;
        let unsupported = || refused(CtxRefusal::Unsupported(landing.field.name));
        match self.world.ctx_load(landing, size).ok_or_else(unsupported)? {
            CtxValue::Field(number) => Ok(Value::Scalar(alu::extend(kind, part(number, landing, size)))),
            CtxValue::Part(number) => Ok(Value::Scalar(alu::extend(kind, number))),
            CtxValue::Packet(point) => self.packet_pointer(point)?.ok_or_else(unsupported),
            CtxValue::Memory(bytes, rights) => {
                let object = self.create(Object::new(Region::Memory, rights, bytes))?;
                Ok(Value::Pointer { object, offset: 0 })
            }
        }
    }

    fn store_context(&self, size: Size, offset: i64, value: Value) -> Result<(), FaultKind> {
        let refused = |why| context_fault(offset, size, Access::Write, why);
        let landing = self.landing(offset, size, Touch::Store).map_err(refused)?;
        let stored = self.world.ctx_store(landing, size, value.bits().unwrap_or(0));
        stored.ok_or_else(|| refused(CtxRefusal::Unsupported(landing.field.name)))
    }

    /// Makes a pointer into the packet; nothing where there is no packet.
    fn packet_pointer(&mut self, point: PacketPoint) -> Result<Option<Value>, FaultKind> {
        let Some(packet) = self.world.packet() else { return Ok(None) };
        let object = match self.packet {
            Some(object) => object,
            None => self.create(Object::new(Region::Packet, self.packet_rights(), packet.bytes))?,
        };
        self.packet = Some(object);
        let offset = match point {
            PacketPoint::Meta => 0,
            PacketPoint::Data => packet.data,
            PacketPoint::End => packet.bytes.len(),
        };
        Ok(Some(Value::Pointer { object, offset: offset as i64 }))
    }

    fn packet_rights(&self) -> Rights {
        match self.program.rules.prog.map(|prog| prog.packet) {
            Some(PacketAccess::Read | PacketAccess::Look | PacketAccess::None) => Rights::ReadOnly,
            Some(PacketAccess::ReadWrite | PacketAccess::Buffer) | None => Rights::ReadWrite,
        }
    }
}

/// Picks the part of a field's number that a load asks for.
fn part(number: u64, landing: Landing, size: Size) -> u64 {
    let (field, within, len) = (u32::from(landing.field.size), u32::from(landing.within), size.bytes());
    let skipped = if cfg!(target_endian = "big") { field.saturating_sub(within + len) } else { within };
    let number = number.checked_shr(skipped * 8).unwrap_or(0);
    number & (u64::MAX >> (64 - 8 * len))
}

fn context_fault(offset: i64, size: Size, access: Access, why: CtxRefusal) -> FaultKind {
    FaultKind::Context { access, offset, width: size.bytes(), why }
}

#[cold]
fn misaligned(place: Place<'_>, size: Size) -> FaultKind {
    let Place { bytes, offset, region, .. } = place;
    FaultKind::Misaligned { region, offset: shown(region, offset as i64, bytes), width: size.bytes() }
}

#[cold]
fn out_of_bounds(access: Access, region: Region, offset: i64, size: Size, bytes: Bytes<'_>) -> FaultKind {
    let offset = shown(region, offset, bytes);
    FaultKind::OutOfBounds { access, region, offset, width: size.bytes(), size: bytes.len() }
}

/// Gives the offset as programs count it: on the stack, from the frame's top.
fn shown(region: Region, offset: i64, bytes: Bytes<'_>) -> i64 {
    if region == Region::Stack { offset.wrapping_sub(bytes.len() as i64) } else { offset }
}
