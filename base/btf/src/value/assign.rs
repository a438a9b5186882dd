//! Text to bytes: `cfg.limit = 100` into the bytes of a variable.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::bits;
use super::decode::is_char;
use crate::btf::{Btf, TypeId};
use crate::datasec::Variable;
use crate::error::{Error, Problem};
use crate::field::Field;
use crate::record::Type;
use crate::types::{Array, Def, Enum, Sign};

/// What a variable is to become.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Literal<'t> {
    /// Text, read by the type it is for: numbers (`-5`, `0xff`, `0b101`, `0o17`), `true` and `false`, enumerators,
    /// `'c'`, and for arrays of `char` any text, or text in double quotes with C's escapes.
    Text(&'t str),
    /// An integer.
    Int(i128),
    /// A floating-point number.
    Float(f64),
    /// The bytes as they are in memory; as many as the type has.
    Bytes(&'t [u8]),
}

/// A variable that a path begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located<'b, 'p> {
    /// The section of the variable.
    pub section: TypeId,
    /// The name of the section.
    pub section_name: &'b str,
    /// The variable.
    pub variable: Variable<'b>,
    /// What of the path is left, for [`Btf::assign`].
    pub path: &'p str,
}

/// Says why a variable could not be set.
#[derive(Clone, Debug, PartialEq)]
pub struct AssignError {
    /// The path within the variable.
    pub path: String,
    /// The text, where text was given.
    pub text: Option<String>,
    /// What is wrong.
    pub problem: AssignProblem,
}

/// What is wrong with an assignment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AssignProblem {
    /// The path or its type.
    Type(Error),
    /// The data ends before the variable does.
    Short {
        /// Bytes wanted.
        wanted: u64,
        /// Bytes found.
        found: u64,
    },
    /// An integer was wanted.
    NotAnInteger,
    /// `true` or `false` was wanted.
    NotABoolean,
    /// A floating-point number was wanted.
    NotAFloat,
    /// An enumerator or its number was wanted.
    NotAnEnumerator,
    /// The number does not fit.
    OutOfRange {
        /// The bits there are.
        bits: u32,
        /// Whether one of them is a sign.
        sign: Sign,
    },
    /// The number is larger than a `float` can be.
    FloatOverflow,
    /// The text, with its NUL, is longer than the array.
    TooLong {
        /// Bytes there are, the NUL's included.
        room: u64,
        /// Bytes of the text, the NUL's included.
        found: u64,
    },
    /// The number of bytes is not that of the type.
    WrongSize {
        /// Bytes of the type.
        wanted: u64,
        /// Bytes given.
        found: u64,
    },
    /// The quotes are not closed, or an escape is not one of C's.
    BadQuotes,
    /// Structs, unions and arrays are set member by member.
    NotAScalar,
    /// The number has a width that is beyond this writer.
    Width(u32),
}

impl<'a> Btf<'a> {
    /// The variable, in whatever section, that a path such as `cfg.limit` or `table[2]` begins with. Variables of
    /// the sections `.maps`, `.ksyms` and `.kconfig`, which have no data of their own, are left out.
    pub fn locate<'b, 'p>(&'b self, path: &'p str) -> Option<Located<'b, 'p>> {
        let end = path.find(['.', '[']).unwrap_or(path.len());
        let (name, rest) = path.split_at(end);
        let rest = rest.strip_prefix('.').unwrap_or(rest);
        self.types().find_map(|ty| {
            let Def::Datasec(datasec) = ty.def() else { return None };
            if matches!(ty.name(), ".maps" | ".ksyms" | ".kconfig") {
                return None;
            }
            let variable = self.variables(datasec).find(|variable| variable.name == name)?;
            Some(Located { section: ty.id(), section_name: ty.name(), variable, path: rest })
        })
    }

    /// Sets what `path` leads to within a variable of type `id`, whose bytes are `bytes`.
    ///
    /// Nothing is written unless all of it can be.
    ///
    /// # Errors
    ///
    /// Says what does not fit, and why.
    pub fn assign(
        &self,
        id: TypeId,
        path: &str,
        value: Literal<'_>,
        bytes: &mut [u8],
    ) -> Result<(), AssignError> {
        let text = match value {
            Literal::Text(text) => Some(text),
            _ => None,
        };
        self.assign_field(id, path, value, bytes).map_err(|problem| AssignError {
            path: path.into(),
            text: text.map(Into::into),
            problem,
        })
    }

    fn assign_field(
        &self,
        id: TypeId,
        path: &str,
        value: Literal<'_>,
        bytes: &mut [u8],
    ) -> Result<(), AssignProblem> {
        let field = self.field(id, path).map_err(AssignProblem::Type)?;
        let ty = self.resolve(field.type_id).map_err(AssignProblem::Type)?;
        if let Literal::Bytes(source) = value {
            return self.put_bytes(&field, source, bytes);
        }
        let width = |size: u32| field.bitfield.map_or(size.saturating_mul(8), |width| width.get().into());
        let (offset, width, raw) = match ty.def() {
            Def::Int(int) => {
                let (offset, width) = match field.bitfield {
                    Some(width) => (field.bit_offset, width.get().into()),
                    None => (field.bit_offset.saturating_add(int.offset.into()), int.bits.into()),
                };
                let sign = if int.encoding.is_signed() { Sign::Signed } else { Sign::Unsigned };
                let number = match int.encoding.is_bool() {
                    true => boolean(value)?,
                    false if is_char(ty, int) => character(value).map_or_else(|| integer(value), Ok)?,
                    false => integer(value)?,
                };
                // A boolean has two values, however many bits hold it.
                let range = if int.encoding.is_bool() { 1 } else { width };
                // Whether C's `char` is signed depends on the target: either range will do.
                let raw = match number.fit(range, sign) {
                    Err(_) if is_char(ty, int) => number.fit(range, Sign::Unsigned)?,
                    raw => raw?,
                };
                (offset, width, raw)
            }
            Def::Enum(item) => {
                let number = enumerator(item, value)?;
                (field.bit_offset, width(item.size), number.fit(width(item.size), item.sign)?)
            }
            Def::Ptr(_) => {
                let width = width(self.pointer_size().bytes());
                (field.bit_offset, width, integer(value)?.fit(width, Sign::Unsigned)?)
            }
            Def::Float(size) => (field.bit_offset, size.saturating_mul(8), float(value, size)?),
            Def::Array(array) => return self.put_text(ty, array, &field, value, bytes),
            _ => return Err(AssignProblem::NotAScalar),
        };
        let found = bytes.len() as u64;
        let wanted = offset.saturating_add(width.into()).div_ceil(8);
        bits::write(bytes, offset, width, raw, self.endian()).ok_or(AssignProblem::Short { wanted, found })
    }

    fn put_text(
        &self,
        ty: Type<'_>,
        array: Array,
        field: &Field,
        value: Literal<'_>,
        bytes: &mut [u8],
    ) -> Result<(), AssignProblem> {
        let elem = self.resolve(array.elem).map_err(AssignProblem::Type)?;
        match (elem.def(), value) {
            (Def::Int(int), Literal::Text(text)) if is_char(elem, int) => {
                let mut text = match text.starts_with('"') {
                    true => unquote(text).ok_or(AssignProblem::BadQuotes)?,
                    false => text.as_bytes().to_vec(),
                };
                text.push(0);
                let (room, found) = (u64::from(array.len), text.len() as u64);
                if found > room {
                    return Err(AssignProblem::TooLong { room, found });
                }
                let place = self.place(ty, field, bytes)?;
                // `found <= room` and `room` is the length of the place.
                let (head, tail) = place.split_at_mut(text.len());
                head.copy_from_slice(&text);
                tail.fill(0);
                Ok(())
            }
            _ => Err(AssignProblem::NotAScalar),
        }
    }

    fn put_bytes(&self, field: &Field, source: &[u8], bytes: &mut [u8]) -> Result<(), AssignProblem> {
        let ty = self.ty(field.type_id).map_err(AssignProblem::Type)?;
        if field.bitfield.is_some() {
            return Err(AssignProblem::NotAScalar);
        }
        let place = self.place(ty, field, bytes)?;
        if place.len() != source.len() {
            let (wanted, found) = (place.len() as u64, source.len() as u64);
            return Err(AssignProblem::WrongSize { wanted, found });
        }
        place.copy_from_slice(source);
        Ok(())
    }

    /// The bytes of a field that starts at a byte.
    fn place<'d>(
        &self,
        ty: Type<'_>,
        field: &Field,
        bytes: &'d mut [u8],
    ) -> Result<&'d mut [u8], AssignProblem> {
        let size = self.size_of(ty.id()).map_err(AssignProblem::Type)?;
        if field.bit_offset % 8 != 0 {
            return Err(AssignProblem::NotAScalar);
        }
        let (start, found) = (field.bit_offset / 8, bytes.len() as u64);
        let wanted = start.saturating_add(size.into());
        if wanted > found {
            return Err(AssignProblem::Short { wanted, found });
        }
        bytes.get_mut(start as usize..wanted as usize).ok_or(AssignProblem::Short { wanted, found })
    }
}

/// An integer of up to 128 bits and a sign.
#[derive(Clone, Copy)]
struct Number {
    sign: Sign,
    magnitude: u128,
}

impl Number {
    fn new(value: i128) -> Number {
        let sign = if value < 0 { Sign::Signed } else { Sign::Unsigned };
        Number { sign, magnitude: value.unsigned_abs() }
    }

    /// The number in `bits` bits of two's complement, if it fits.
    fn fit(self, bits: u32, sign: Sign) -> Result<u128, AssignProblem> {
        if bits > bits::MAX {
            return Err(AssignProblem::Width(bits.div_ceil(8)));
        }
        let most = match sign {
            Sign::Unsigned => bits::mask(bits),
            Sign::Signed => bits::mask(bits.saturating_sub(1)),
        };
        let fits = match (self.sign, sign) {
            (Sign::Unsigned, _) => self.magnitude <= most,
            (Sign::Signed, Sign::Unsigned) => self.magnitude == 0,
            (Sign::Signed, Sign::Signed) => bits > 0 && self.magnitude <= most + 1,
        };
        match (fits, self.sign) {
            (false, _) => Err(AssignProblem::OutOfRange { bits, sign }),
            (true, Sign::Unsigned) => Ok(self.magnitude),
            (true, Sign::Signed) => Ok(self.magnitude.wrapping_neg() & bits::mask(bits)),
        }
    }
}

fn integer(value: Literal<'_>) -> Result<Number, AssignProblem> {
    match value {
        Literal::Int(value) => Ok(Number::new(value)),
        Literal::Text(text) => parse_integer(text.trim()).ok_or(AssignProblem::NotAnInteger),
        _ => Err(AssignProblem::NotAnInteger),
    }
}

fn parse_integer(text: &str) -> Option<Number> {
    let (sign, digits) = match (text.strip_prefix('-'), text.strip_prefix('+')) {
        (Some(rest), _) => (Sign::Signed, rest),
        (_, Some(rest)) => (Sign::Unsigned, rest),
        _ => (Sign::Unsigned, text),
    };
    let prefixes = [("0x", 16), ("0X", 16), ("0b", 2), ("0B", 2), ("0o", 8)];
    let (digits, radix) = prefixes
        .iter()
        .find_map(|&(prefix, radix)| digits.strip_prefix(prefix).map(|digits| (digits, radix)))
        .unwrap_or((digits, 10));
    // `from_str_radix` would take a second sign.
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    let magnitude = u128::from_str_radix(digits, radix).ok()?;
    Some(Number { sign, magnitude })
}

fn boolean(value: Literal<'_>) -> Result<Number, AssignProblem> {
    match value {
        Literal::Text(text) => match text.trim() {
            "true" => Ok(Number::new(1)),
            "false" => Ok(Number::new(0)),
            text => parse_integer(text).ok_or(AssignProblem::NotABoolean),
        },
        Literal::Int(value) => Ok(Number::new(value)),
        _ => Err(AssignProblem::NotABoolean),
    }
}

/// A character in single quotes.
fn character(value: Literal<'_>) -> Option<Number> {
    let Literal::Text(text) = value else { return None };
    let inside = text.strip_prefix('\'')?.strip_suffix('\'')?;
    match *unescape(inside, b'\'')? {
        [byte] => Some(Number::new(byte.into())),
        _ => None,
    }
}

fn enumerator(item: Enum<'_>, value: Literal<'_>) -> Result<Number, AssignProblem> {
    if let Literal::Text(text) = value {
        if let Some(named) = item.values().find(|named| named.name == text.trim()) {
            return Ok(Number::new(named.value));
        }
    }
    integer(value).map_err(|_| AssignProblem::NotAnEnumerator)
}

fn float(value: Literal<'_>, size: u32) -> Result<u128, AssignProblem> {
    let wide: f64 = match value {
        Literal::Float(value) => value,
        Literal::Int(value) => value as f64,
        Literal::Text(text) => text.trim().parse().map_err(|_| AssignProblem::NotAFloat)?,
        Literal::Bytes(_) => return Err(AssignProblem::NotAFloat),
    };
    match size {
        4 if wide.is_finite() && !(wide as f32).is_finite() => Err(AssignProblem::FloatOverflow),
        4 => Ok((wide as f32).to_bits().into()),
        8 => Ok(wide.to_bits().into()),
        _ => Err(AssignProblem::Width(size)),
    }
}

/// The bytes of text in double quotes.
fn unquote(text: &str) -> Option<Vec<u8>> {
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    unescape(inside, b'"')
}

/// The bytes of text that stood between quotes of that kind.
fn unescape(text: &str, quote: u8) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            byte if byte == quote => return None,
            b'\\' => match rest.next()? {
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                b'0' => 0,
                b'x' => {
                    let mut digit = || char::from(rest.next()?).to_digit(16);
                    let (high, low) = (digit()?, digit()?);
                    (high << 4 | low) as u8
                }
                same @ (b'\\' | b'"' | b'\'') => same,
                _ => return None,
            },
            byte => byte,
        };
        bytes.push(byte);
    }
    Some(bytes)
}

impl From<Error> for AssignProblem {
    fn from(error: Error) -> AssignProblem {
        AssignProblem::Type(error)
    }
}

impl fmt::Display for AssignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}", self.problem)?;
        match &self.text {
            Some(text) => write!(f, " (given {text:?})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for AssignProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AssignProblem::Type(error) => match error.problem {
                // The place within the BTF helps nobody who mistyped a name.
                problem @ (Problem::NoMember | Problem::NoElement { .. } | Problem::BadPath) => {
                    write!(f, "{problem}")
                }
                _ => write!(f, "{error}"),
            },
            AssignProblem::Short { wanted, found } => {
                write!(f, "wanted {wanted} bytes of data, found {found}")
            }
            AssignProblem::NotAnInteger => f.write_str("wanted an integer, found something else"),
            AssignProblem::NotABoolean => f.write_str("wanted true or false, found something else"),
            AssignProblem::NotAFloat => f.write_str("wanted a floating-point number, found something else"),
            AssignProblem::NotAnEnumerator => {
                f.write_str("wanted an enumerator or its number, found something else")
            }
            AssignProblem::OutOfRange { bits, sign: Sign::Unsigned } => {
                write!(f, "wanted a number from 0 to {}, found another", bits::mask(*bits))
            }
            AssignProblem::OutOfRange { bits, sign: Sign::Signed } => {
                let most = bits::mask(bits.saturating_sub(1)) as i128;
                write!(f, "wanted a number from {} to {most}, found another", -most - 1)
            }
            AssignProblem::FloatOverflow => {
                f.write_str("wanted a number that fits a float, found a larger one")
            }
            AssignProblem::TooLong { room, found } => {
                write!(f, "wanted text of at most {room} bytes with its NUL, found {found}")
            }
            AssignProblem::WrongSize { wanted, found } => write!(f, "wanted {wanted} bytes, found {found}"),
            AssignProblem::BadQuotes => f.write_str("wanted closed quotes and C's escapes, found others"),
            AssignProblem::NotAScalar => {
                f.write_str("wanted a number or text, found a struct, union or array")
            }
            AssignProblem::Width(bytes) => {
                write!(f, "wanted a number that is understood, found one of {bytes} bytes")
            }
        }
    }
}

impl core::error::Error for AssignError {}
