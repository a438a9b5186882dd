//! The stack (`check_stack_read`, `check_stack_write`, `check_stack_range_initialized` in `kernel/bpf/verifier.c`).

use super::Result;
use super::region::{Access, Use};
use crate::explore::Explorer;
use crate::path::Note;
use crate::rejection::Rule;
use crate::scalar::Number;
use crate::stack::{Byte, Kept, MOST_STACK, Slot, place};
use crate::state::State;
use crate::value::{To, Value};
use skep_isa::{InsnIdx, Operand};

/// Bytes of a stack: offsets from the frame pointer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Explorer<'_> {
    /// The bytes that an access may touch: from the first of the lowest to the last of the highest.
    pub(super) fn span(
        &mut self,
        state: &State,
        at: InsnIdx,
        frame: usize,
        pointer: &Value,
        access: Access,
    ) -> Result<Span> {
        let off = pointer.fixed.wrapping_add(access.off);
        let least = pointer.number.smin().saturating_add(off);
        let most = pointer.number.smax().saturating_add(off);
        let end = most.saturating_add(i64::from(access.size));
        let deepest = self.limits.stack.min(MOST_STACK);
        // Not even no bytes are where nothing is (`check_stack_slot_within_bounds`).
        if least < -i64::from(deepest) || end > 0 || least >= 0 {
            return Err(Rule::Stack.broken(
                at,
                format_args!(
                    "wanted {} bytes within the {} below r10, found them at {}{}{}",
                    access.size,
                    deepest,
                    least,
                    if least == most { "" } else { " to " },
                    if least == most { &"" as &dyn core::fmt::Display } else { &most },
                ),
            ));
        }
        if let Some(depth) = state.frames.get(frame).and_then(|frame| self.depths.get_mut(frame.function)) {
            *depth = (*depth).max(least.unsigned_abs() as u32);
        }
        Ok(Span { start: least, end })
    }

    pub(super) fn load_stack(
        &mut self,
        state: &mut State,
        at: InsnIdx,
        frame: usize,
        pointer: &Value,
        access: Access,
    ) -> Result<Value> {
        let span = self.span(state, at, frame, pointer, access)?;
        if span.end - span.start != i64::from(access.size) {
            return self.load_some(state, at, frame, span, access);
        }
        let (index, first) = place(span.start);
        self.read_slot(state, frame, index);
        let slot =
            state.frames.get(frame).and_then(|frame| frame.slot(index)).copied().unwrap_or(Slot::NOTHING);
        if let Some((value, count)) = slot.stored() {
            if !value.is_number() {
                if access.size == 8 && count == 8 {
                    return Ok(*value);
                }
                return Err(Rule::Stack.broken(
                    at,
                    format_args!(
                        "wanted all eight bytes of {value} that is stored there, found {}",
                        access.size
                    ),
                ));
            }
            if first == 0 && access.size <= count {
                self.path.note(Note::Slot { frame: frame as u8, slot: index as u8 })?;
                let mut value = *value;
                if !fits(&value.number, access.size) {
                    value = Value::number(value.number.truncate(access.size));
                } else {
                    // From now on the stored number and the loaded one are copies.
                    self.name(&mut value);
                    if let Some(slot) =
                        state.frames.get_mut(frame).and_then(|frame| frame.stack.get_mut(index))
                    {
                        slot.value = value;
                    }
                }
                return Ok(value);
            }
        }
        let bytes = slot.bytes.get(first..first + access.size as usize).unwrap_or_default();
        self.readable(at, access, bytes)?;
        if let Some(part) = constant_part(&slot, first, access.size) {
            let mut set = crate::path::Set::EMPTY;
            set.add_slot(frame, index);
            self.need(state, set);
            return Ok(Value::constant(part));
        }
        if bytes.iter().all(|&byte| byte == Byte::Zero) {
            return Ok(Value::constant(0));
        }
        Ok(Value::number(Number::within_bytes(access.size)))
    }

    /// A load of which it is not known where it is.
    fn load_some(
        &mut self,
        state: &State,
        at: InsnIdx,
        frame: usize,
        span: Span,
        access: Access,
    ) -> Result<Value> {
        let mut zero = true;
        let mut offset = span.start;
        while offset < span.end {
            let (index, first) = place(offset);
            self.read_slot(state, frame, index);
            let slot =
                state.frames.get(frame).and_then(|frame| frame.slot(index)).copied().unwrap_or(Slot::NOTHING);
            let last = (first as i64 + span.end - offset).min(8) as usize;
            let bytes = slot.bytes.get(first..last).unwrap_or_default();
            if let Some((value, _)) = slot.stored().filter(|(value, _)| !value.is_number()) {
                return Err(Rule::Stack.broken(
                    at,
                    format_args!(
                        "{value} is stored where the load may be, and can only be loaded at a constant offset"
                    ),
                ));
            }
            self.readable(at, access, bytes)?;
            zero &= bytes.iter().all(|&byte| byte == Byte::Zero);
            offset += (last - first) as i64;
        }
        if zero {
            return Ok(Value::constant(0));
        }
        Ok(Value::number(Number::within_bytes(access.size)))
    }

    /// Refuses bytes of which a program may not read. What was never written may be anything: programs with privileges may read it (Linux
    /// 6.3), others are not looked at here.
    fn readable(&self, at: InsnIdx, access: Access, bytes: &[Byte]) -> Result<()> {
        if bytes.contains(&Byte::Kept) {
            return Err(Rule::Special.broken(
                at,
                format_args!("some of the {} bytes are of what the kernel keeps on the stack, which only its functions read", access.size),
            ));
        }
        Ok(())
    }

    pub(super) fn store_stack(
        &mut self,
        state: &mut State,
        at: InsnIdx,
        frame: usize,
        pointer: &Value,
        access: Access,
        (src, value): (Operand, Value),
    ) -> Result<()> {
        let span = self.span(state, at, frame, pointer, access)?;
        if frame != state.top()
            && matches!(value.to(), Some(To::Stack { frame }) if usize::from(frame) == state.top())
        {
            return Err(Rule::Stack.broken(
                at,
                format_args!(
                    "a pointer to this function's stack cannot be stored on that of one that called it"
                ),
            ));
        }
        if span.end - span.start != i64::from(access.size) {
            if !value.is_number() {
                return Err(
                    Rule::Stack.broken(at, format_args!("{value} can only be stored at a constant offset"))
                );
            }
            return self.overwrite(state, at, frame, pointer, access);
        }
        let (index, first) = place(span.start);
        if !value.is_number() && access.size != 8 {
            return Err(Rule::Stack.broken(
                at,
                format_args!("{value} can only be stored whole, in eight bytes, found {}", access.size),
            ));
        }
        let zero = value
            .as_constant()
            .is_some_and(|value| Number::constant(value).truncate(access.size).as_constant() == Some(0));
        if first != 0 && zero {
            // What is zero there is never asked why.
            if let Operand::Reg(src) = src {
                self.need_reg(state, src);
            }
        }
        let mut stored = value;
        if first == 0 && value.is_number() {
            self.name(&mut stored);
            if let Operand::Reg(src) = src {
                state.set(src, stored);
            }
            if !fits(&stored.number, access.size) {
                stored = Value::number(stored.number.truncate(access.size));
            }
        }
        let position = self.path.position();
        self.end_kept(state, at, frame, index)?;
        let slot = self.slot_mut(state, frame, index)?;
        if first == 0 {
            slot.scatter();
            for (number, byte) in slot.bytes.iter_mut().enumerate() {
                if number < access.size as usize {
                    *byte = Byte::Stored;
                }
            }
            slot.value = stored;
            if access.size == 8 {
                slot.written = position;
            }
            return self.path.note(Note::Slot { frame: frame as u8, slot: index as u8 });
        }
        slot.scatter();
        let byte = if zero { Byte::Zero } else { Byte::Some };
        if let Some(bytes) = slot.bytes.get_mut(first..first + access.size as usize) {
            bytes.fill(byte);
        }
        Ok(())
    }

    /// Some bytes of a stack become some number: where is not known, or what.
    pub(super) fn overwrite(
        &mut self,
        state: &mut State,
        at: InsnIdx,
        frame: usize,
        pointer: &Value,
        access: Access,
    ) -> Result<()> {
        let span = self.span(state, at, frame, pointer, access)?;
        let certain = span.end - span.start == i64::from(access.size);
        self.overwrite_span(state, at, frame, span, certain)
    }

    pub(super) fn overwrite_span(
        &mut self,
        state: &mut State,
        at: InsnIdx,
        frame: usize,
        span: Span,
        certain: bool,
    ) -> Result<()> {
        let position = self.path.position();
        let mut offset = span.start;
        while offset < span.end {
            let (index, first) = place(offset);
            let last = (first as i64 + span.end - offset).min(8) as usize;
            self.end_kept(state, at, frame, index)?;
            let slot = self.slot_mut(state, frame, index)?;
            slot.scatter();
            for byte in slot.bytes.get_mut(first..last).unwrap_or_default() {
                *byte = Byte::Some;
            }
            if certain && first == 0 && last == 8 {
                slot.written = position;
            }
            offset += (last - first) as i64;
        }
        Ok(())
    }

    /// A helper reads bytes of a stack, or writes them, or both.
    pub(super) fn lend_stack(
        &mut self,
        state: &mut State,
        at: InsnIdx,
        frame: usize,
        pointer: &Value,
        access: Access,
        reads: bool,
    ) -> Result<()> {
        let span = self.span(state, at, frame, pointer, access)?;
        let reads = reads || span.end - span.start != i64::from(access.size);
        let mut offset = span.start;
        while offset < span.end {
            let (index, first) = place(offset);
            if reads {
                self.read_slot(state, frame, index);
            }
            // What is only written is no dynptr either: the helper may be given that as another argument.
            if let Some(slot) = state.frames.get(frame).and_then(|frame| frame.slot(index)) {
                if reads || matches!(slot.kept, Some(Kept::Dynptr(_))) {
                    self.readable(at, access, &slot.bytes)?;
                }
            }
            offset += 8 - first as i64;
        }
        if access.how == Use::Filled {
            let certain = span.end - span.start == i64::from(access.size);
            self.overwrite_span(state, at, frame, span, certain)?;
        }
        Ok(())
    }

    pub(super) fn slot_mut<'s>(
        &self,
        state: &'s mut State,
        frame: usize,
        index: usize,
    ) -> Result<&'s mut Slot> {
        let frames = state.frames.len();
        let frame = &mut state.frames[frame.min(frames - 1)];
        frame.deepen(index + 1)?;
        Ok(&mut frame.stack[index])
    }
}

/// Whether a number is the same when only its low bytes are stored.
fn fits(number: &Number, bytes: u32) -> bool {
    bytes == 8 || (bytes == 4 && number.upper_is_zero()) || number.umax() < 1 << (8 * bytes.min(7))
}

/// The number in some bytes of a slot in which a constant is stored, among zeros perhaps.
pub(super) fn constant_part(slot: &Slot, first: usize, size: u32) -> Option<u64> {
    let (value, _) = slot.stored()?;
    let whole = value.as_constant()?.to_le_bytes();
    let mut part = [0; 8];
    for index in 0..size as usize {
        let byte = match slot.bytes.get(first + index)? {
            Byte::Zero => 0,
            // The stored bytes begin with the slot, on a little-endian machine with the lowest.
            Byte::Stored if cfg!(target_endian = "little") => *whole.get(first + index)?,
            _ => return None,
        };
        *part.get_mut(index)? = byte;
    }
    Some(u64::from_le_bytes(part))
}
