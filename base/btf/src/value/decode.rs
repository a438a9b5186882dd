//! Bytes to values. Total: whatever the type and the bytes, there is a value, and the work is bounded by the bytes.

use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU8;

use super::bits;
use super::{FieldValue, Unreadable, Value};
use crate::btf::{Btf, TypeId};
use crate::endian::Endian;
use crate::error::Problem;
use crate::layout::MAX_DEPTH;
use crate::record::Type;
use crate::types::{Array, Composite, Def, Enum, Int, Sign};

/// Parts that any value may have, whatever its size.
const FREE_PARTS: usize = 4096;
/// Parts that it may have for each byte: bitfields, and unions that read bytes more than once.
const PARTS_PER_BYTE: usize = 16;

impl<'a> Btf<'a> {
    /// Reads a value of type `id`, in the byte order of this BTF.
    ///
    /// It always returns a value: parts that cannot be read are [`Value::Unreadable`]. Bytes past the type's size
    /// are ignored.
    pub fn value(&self, id: TypeId, bytes: &[u8]) -> Value<'_> {
        self.value_in(id, bytes, self.endian())
    }

    /// Reads a value of type `id`, in that byte order.
    pub fn value_in(&self, id: TypeId, bytes: &[u8], endian: Endian) -> Value<'_> {
        let parts = bytes.len().saturating_mul(PARTS_PER_BYTE).saturating_add(FREE_PARTS);
        Reader { btf: self, bytes, endian, parts }.read(id, 0, None, 0)
    }
}

struct Reader<'b, 'd> {
    btf: &'b Btf<'b>,
    bytes: &'d [u8],
    endian: Endian,
    /// How many parts may still be read.
    parts: usize,
}

/// A number's place.
#[derive(Clone, Copy)]
struct Bits {
    offset: u64,
    width: u32,
}

impl<'b> Reader<'b, '_> {
    fn read(&mut self, id: TypeId, offset: u64, bitfield: Option<NonZeroU8>, depth: usize) -> Value<'b> {
        let Some(parts) = self.parts.checked_sub(1) else { return Value::Unreadable(Unreadable::TooMany) };
        self.parts = parts;
        let ty = match self.btf.resolve(id) {
            Ok(ty) => ty,
            Err(error) => return Value::Unreadable(Unreadable::Type(error.problem)),
        };
        if depth >= MAX_DEPTH {
            return Value::Unreadable(Unreadable::Type(Problem::TooDeep));
        }
        let whole =
            |size: u32| Bits { offset, width: bitfield.map_or(size.saturating_mul(8), |w| w.get().into()) };
        match ty.def() {
            Def::Int(int) => self.int(ty, int, offset, bitfield),
            Def::Enum(item) => self.enumeration(item, whole(item.size)),
            Def::Ptr(_) => match self.bits(whole(self.btf.pointer_size().bytes())) {
                Ok(value) => Value::Ptr(value as u64),
                Err(why) => Value::Unreadable(why),
            },
            Def::Float(size) => self.float(size, offset),
            Def::Struct(composite) => {
                let mut fields = Vec::new();
                self.fields(composite, offset, depth, &mut fields);
                Value::Struct(fields)
            }
            Def::Union(composite) => {
                let mut fields = Vec::new();
                self.fields(composite, offset, depth, &mut fields);
                Value::Union(fields)
            }
            Def::Array(array) => self.array(array, offset, depth),
            Def::Var(var) => self.read(var.type_id, offset, None, depth + 1),
            _ => Value::Unreadable(Unreadable::Type(Problem::Unsized)),
        }
    }

    fn bits(&self, place: Bits) -> Result<u128, Unreadable> {
        if place.width > bits::MAX {
            return Err(Unreadable::Width(place.width.div_ceil(8)));
        }
        bits::read(self.bytes, place.offset, place.width, self.endian).ok_or(Unreadable::Short {
            wanted: place.offset.saturating_add(place.width.into()).div_ceil(8),
            found: self.bytes.len() as u64,
        })
    }

    fn int(&self, ty: Type<'b>, int: Int, offset: u64, bitfield: Option<NonZeroU8>) -> Value<'b> {
        let place = match bitfield {
            Some(width) => Bits { offset, width: width.get().into() },
            None => Bits { offset: offset.saturating_add(int.offset.into()), width: int.bits.into() },
        };
        let value = match self.bits(place) {
            Ok(value) => value,
            Err(why) => return Value::Unreadable(why),
        };
        if int.encoding.is_bool() && value <= 1 {
            Value::Bool(value == 1)
        } else if is_char(ty, int) && bitfield.is_none() {
            Value::Char(value as u8)
        } else if int.encoding.is_signed() {
            Value::Signed(bits::sign_extend(value, place.width))
        } else {
            Value::Unsigned(value)
        }
    }

    fn enumeration(&self, item: Enum<'b>, place: Bits) -> Value<'b> {
        let raw = match self.bits(place) {
            // Eight bytes at most, or else an unsigned value might not fit.
            Ok(_) if place.width > 64 => return Value::Unreadable(Unreadable::Width(item.size)),
            Ok(raw) => raw,
            Err(why) => return Value::Unreadable(why),
        };
        let value = match item.sign {
            Sign::Unsigned => raw as i128,
            Sign::Signed => bits::sign_extend(raw, place.width),
        };
        // A name that is empty, which the kernel refuses to load, would say nothing.
        let mut values = item.values().filter(|named| !named.name.is_empty());
        let name = values.find(|named| named.value == value).map(|named| named.name);
        Value::Enum { name, value }
    }

    fn float(&self, size: u32, offset: u64) -> Value<'b> {
        let raw = match self.bits(Bits { offset, width: size.saturating_mul(8) }) {
            Ok(raw) => raw,
            Err(why) => return Value::Unreadable(why),
        };
        match size {
            4 => Value::Float(f32::from_bits(raw as u32).into()),
            8 => Value::Float(f64::from_bits(raw as u64)),
            _ => Value::Unreadable(Unreadable::Width(size)),
        }
    }

    fn fields(&mut self, composite: Composite<'b>, offset: u64, depth: usize, out: &mut Vec<FieldValue<'b>>) {
        for member in composite.members {
            let at = offset.saturating_add(member.bit_offset.into());
            if !member.name.is_empty() {
                let value = self.read(member.type_id, at, member.bitfield, depth + 1);
                let is_last = value == Value::Unreadable(Unreadable::TooMany);
                out.push(FieldValue { name: member.name, value });
                if is_last {
                    return;
                }
                continue;
            }
            // An anonymous struct or union lends its members; any other member without a name is padding.
            let Some(parts) = self.parts.checked_sub(1) else { return };
            self.parts = parts;
            let inner = self.btf.resolve(member.type_id).map(|ty| ty.def());
            if let (Ok(Def::Struct(inner) | Def::Union(inner)), true) = (inner, depth + 1 < MAX_DEPTH) {
                self.fields(inner, at, depth + 1, out);
            }
        }
    }

    fn array(&mut self, array: Array, offset: u64, depth: usize) -> Value<'b> {
        let stride = match self.btf.size_of(array.elem) {
            Ok(size) => u64::from(size) * 8,
            Err(error) => return Value::Unreadable(Unreadable::Type(error.problem)),
        };
        if let Some(text) = self.text(array, offset) {
            return Value::Text(text);
        }
        let mut values = Vec::new();
        for index in 0..u64::from(array.len) {
            let at = stride.checked_mul(index).and_then(|at| at.checked_add(offset)).unwrap_or(u64::MAX);
            let end = at.saturating_add(stride).div_ceil(8);
            if end > self.bytes.len() as u64 {
                let short = Unreadable::Short { wanted: end, found: self.bytes.len() as u64 };
                values.push(Value::Unreadable(short));
                break;
            }
            let value = self.read(array.elem, at, None, depth + 1);
            let is_last = value == Value::Unreadable(Unreadable::TooMany);
            values.push(value);
            if is_last {
                break;
            }
        }
        Value::Array(values)
    }

    /// The text of a char array, if it has a NUL and is printable up to there.
    fn text(&self, array: Array, offset: u64) -> Option<String> {
        let elem = self.btf.resolve(array.elem).ok()?;
        match elem.def() {
            Def::Int(int) if is_char(elem, int) && offset % 8 == 0 => {}
            _ => return None,
        }
        let start = usize::try_from(offset / 8).ok()?;
        let bytes = self.bytes.get(start..start.checked_add(array.len as usize)?)?;
        let end = bytes.iter().position(|&byte| byte == 0)?;
        let text = core::str::from_utf8(bytes.get(..end)?).ok()?;
        let is_printable = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
        text.chars().all(is_printable).then(|| text.into())
    }
}

/// Whether it is C's `char`. LLVM never writes the CHAR encoding (BTFDebug.cpp, `BTFTypeInt`), so the name counts.
pub(super) fn is_char(ty: Type<'_>, int: Int) -> bool {
    int.size == 1 && int.bits == 8 && (int.encoding.is_char() || ty.name() == "char")
}
