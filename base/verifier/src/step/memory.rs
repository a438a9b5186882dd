//! Loads and stores (`check_mem_access` in `kernel/bpf/verifier.c`).

use super::Result;
use super::region::{Access, Use};
use crate::explore::{Explorer, Kind};
use crate::rejection::Rule;
use crate::scalar::Number;
use crate::state::State;
use crate::subject::Alignment;
use crate::value::{Memory, To, Value};
use skep_isa::{AtomicOp, Insn, InsnIdx, LoadKind, Operand, Reg, Size};
use skep_model::platform::context::Touch;
use skep_model::platform::contexts;

impl Explorer<'_> {
    /// A load, a store, or both.
    pub(super) fn access(&mut self, state: &mut State, at: InsnIdx, insn: Insn) -> Result<()> {
        match insn {
            Insn::Load { kind, dst, base, off } => {
                let value = self.load(state, at, base, off, kind)?;
                state.set(dst, value);
            }
            Insn::LoadAcquire { size, dst, base, off } => {
                self.plain_memory(state, at, base)?;
                self.aligned_strictly(state, at, base, off, size)?;
                let value = self.load(state, at, base, off, zero_extended(size))?;
                state.set(dst, value);
            }
            Insn::Store { size, base, off, src } => self.store(state, at, (base, off), size, src)?,
            Insn::StoreRelease { size, base, off, src } => {
                self.plain_memory(state, at, base)?;
                self.aligned_strictly(state, at, base, off, size)?;
                self.store(state, at, (base, off), size, Operand::Reg(src))?;
            }
            Insn::Atomic { width, op, base, off, src } => {
                self.read(state, at, src)?;
                if op == AtomicOp::Cmpxchg {
                    self.read(state, at, Reg::R0)?;
                }
                self.plain_memory(state, at, base)?;
                let size = width.size();
                self.aligned_strictly(state, at, base, off, size)?;
                self.load(state, at, base, off, zero_extended(size))?;
                self.scatter(state, at, (base, off), size)?;
                let old = Value::number(Number::within_bytes(size.bytes()));
                if op == AtomicOp::Cmpxchg {
                    state.set(Reg::R0, old);
                } else if op.fetches() {
                    state.set(src, old);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Refuses memory in which nothing is changed at once (`check_atomic`: "atomic … is not allowed").
    fn plain_memory(&self, state: &State, at: InsnIdx, base: Reg) -> Result<()> {
        let value = self.read(state, at, base)?;
        match value.certainly_to() {
            Some(
                To::Context
                | To::Packet
                | To::PacketMeta
                | To::PacketEnd
                | To::FlowKeys
                | To::Socket(_)
                | To::Own(_)
                | To::Object { .. },
            ) => Err(Rule::Rights.broken(
                at,
                format_args!("wanted a stack, a map's value or other memory in {base}, found {value}"),
            )),
            _ => Ok(()),
        }
    }

    fn load(&mut self, state: &mut State, at: InsnIdx, base: Reg, off: i16, kind: LoadKind) -> Result<Value> {
        let pointer = *self.read(state, at, base)?;
        let size = kind.size();
        let access = Access { reg: base, off: i64::from(off), size: size.bytes(), how: Use::Load };
        let number = match kind {
            LoadKind::U8 | LoadKind::U16 | LoadKind::U32 | LoadKind::U64 => {
                Number::within_bytes(size.bytes())
            }
            _ => Number::sign_extended_bytes(size.bytes()),
        };
        let to = self.pointee(at, &pointer, base)?;
        self.one_kind(at, to)?;
        self.aligned(at, &pointer, to, access)?;
        let value = match to {
            To::Context => return self.load_context(state, at, &pointer, access, kind),
            To::Stack { frame } => self.load_stack(state, at, usize::from(frame), &pointer, access)?,
            To::MapValue { .. } => {
                self.within(state, at, &pointer, to, access)?;
                match self.frozen(&pointer, to, access) {
                    Some(bytes) => Value::constant(bytes),
                    None => match self.kernel_pointer(at, &pointer, to, access)? {
                        Some(value) => return Ok(value),
                        None => Value::number(number),
                    },
                }
            }
            To::Object { .. } | To::Map(_) | To::InnerMap { .. } => {
                return self.load_object(state, at, &pointer, access, kind);
            }
            To::Socket(socket) => {
                return self.load_by_table(at, contexts::of_socket(socket), access, kind);
            }
            To::Own(of) => return self.load_by_table(at, of, access, kind),
            _ => {
                self.within(state, at, &pointer, to, access)?;
                Value::number(number)
            }
        };
        if !value.is_number() {
            return Ok(value);
        }
        // What was known of the bytes, and how they are extended.
        let extended = match kind {
            LoadKind::U8 | LoadKind::U16 | LoadKind::U32 | LoadKind::U64 => return Ok(value),
            _ => value.number.sign_extend(size.bytes()),
        };
        Ok(Value::number(extended))
    }

    fn store(
        &mut self,
        state: &mut State,
        at: InsnIdx,
        (base, off): (Reg, i16),
        size: Size,
        src: Operand,
    ) -> Result<()> {
        let pointer = *self.read(state, at, base)?;
        let value = match src {
            Operand::Reg(reg) => *self.read(state, at, reg)?,
            Operand::Imm(imm) => Value::constant(i64::from(imm) as u64),
        };
        let access = Access { reg: base, off: i64::from(off), size: size.bytes(), how: Use::Store };
        let to = self.pointee(at, &pointer, base)?;
        self.one_kind(at, to)?;
        self.aligned(at, &pointer, to, access)?;
        match to {
            To::Context => self.store_context(state, at, &pointer, access),
            To::Stack { frame } => {
                self.store_stack(state, at, usize::from(frame), &pointer, access, (src, value))
            }
            To::Object { .. } | To::Map(_) | To::InnerMap { .. } => self.store_object(at, &pointer, access),
            To::Own(of) => self.by_table(at, of, access, Touch::Store).map(|_| ()),
            _ => {
                self.within(state, at, &pointer, to, access)?;
                self.kernel_pointer(at, &pointer, to, access).map(|_| ())
            }
        }
    }

    /// Says that bytes hold some number.
    fn scatter(&mut self, state: &mut State, at: InsnIdx, (base, off): (Reg, i16), size: Size) -> Result<()> {
        let pointer = *self.read(state, at, base)?;
        let access = Access { reg: base, off: i64::from(off), size: size.bytes(), how: Use::Store };
        match self.pointee(at, &pointer, base)? {
            To::Stack { frame } => self.overwrite(state, at, usize::from(frame), &pointer, access),
            to => self.within(state, at, &pointer, to, access),
        }
    }

    /// Refuses an instruction that is rewritten on one path and is not, or otherwise, on another (`reg_type_mismatch`).
    fn one_kind(&mut self, at: InsnIdx, to: To) -> Result<()> {
        let kind = match to {
            To::Context => Kind::Rewritten(To::Context),
            To::Socket(socket) => Kind::Rewritten(To::Socket(socket)),
            To::Object { .. } | To::Memory { kind: Memory::Untrusted, .. } => Kind::Probed,
            To::Memory { .. } => Kind::Memory,
            _ => Kind::Plain,
        };
        let Some(known) = self.kinds.get_mut(at.index()) else { return Ok(()) };
        let kind = match (*known, kind) {
            (Kind::None, kind) => kind,
            (Kind::Memory, Kind::Plain) | (Kind::Plain, Kind::Memory) => Kind::Plain,
            // What is there can be read as if it might not be.
            (Kind::Memory, Kind::Probed) | (Kind::Probed, Kind::Memory) => Kind::Probed,
            (known, kind) if known == kind => kind,
            _ => {
                return Err(Rule::Mixed.broken(
                    at,
                    format_args!("the same instruction is used with {to} here, and with another kind of memory on another path"),
                ));
            }
        };
        *known = kind;
        Ok(())
    }

    /// What a register points to.
    pub(super) fn pointee(&self, at: InsnIdx, pointer: &Value, reg: Reg) -> Result<To> {
        match (pointer.certainly_to(), pointer.to()) {
            (Some(to), _) => Ok(to),
            (None, Some(to)) => Err(Rule::Null.broken(
                at,
                format_args!("{reg} is a pointer to {to}, or null: it is used before it is tested"),
            )),
            (None, None) => {
                Err(Rule::Dereference.broken(at, format_args!("wanted a pointer in {reg}, found {pointer}")))
            }
        }
    }

    /// Refuses accesses that are not aligned where they must be (`check_ptr_alignment`).
    fn aligned(&self, at: InsnIdx, pointer: &Value, to: To, access: Access) -> Result<()> {
        let strict = match to {
            // How stacks are followed relies on it.
            To::Stack { .. } | To::Context => true,
            // Packets begin two bytes off, for the sake of what follows the Ethernet header; that is known when strict.
            _ => self.subject.alignment == Alignment::Strict,
        };
        if !strict {
            return Ok(());
        }
        self.multiple(at, pointer, to, access)
    }

    /// Refuses what is read or changed at once where it is not aligned (`check_atomic_rmw`, `check_atomic_load`, `check_atomic_store`).
    fn aligned_strictly(&self, state: &State, at: InsnIdx, base: Reg, off: i16, size: Size) -> Result<()> {
        let pointer = self.read(state, at, base)?;
        let access = Access { reg: base, off: i64::from(off), size: size.bytes(), how: Use::Store };
        let to = self.pointee(at, pointer, base)?;
        self.multiple(at, pointer, to, access)
    }

    fn multiple(&self, at: InsnIdx, pointer: &Value, to: To, access: Access) -> Result<()> {
        if access.size == 1 {
            return Ok(());
        }
        let off = pointer.fixed.wrapping_add(access.off) as u64;
        let start = match to {
            To::Packet => 2,
            _ => 0,
        };
        let bits = pointer.number.bits();
        let mask = u64::from(access.size) - 1;
        let sum = bits.value.wrapping_add(off).wrapping_add(start);
        if bits.mask & mask == 0 && sum & mask == 0 {
            return Ok(());
        }
        Err(Rule::Alignment.broken(
            at,
            format_args!(
                "wanted an offset that is a multiple of {}, found {} and {}",
                access.size,
                pointer.fixed.wrapping_add(access.off),
                Value::number(pointer.number)
            ),
        ))
    }
}

fn zero_extended(size: Size) -> LoadKind {
    match size {
        Size::B => LoadKind::U8,
        Size::H => LoadKind::U16,
        Size::W => LoadKind::U32,
        Size::Dw => LoadKind::U64,
    }
}
