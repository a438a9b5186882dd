//! Linux's formats for programs: what `bpf_bprintf_prepare` lets through of `vsnprintf`.

use core::net::{Ipv4Addr, Ipv6Addr};
use skep_abi::Errno;
use skep_mem::{Bytes, Probe, ProbeSpace};

/// The most bytes of all strings of one call (`MAX_BPRINTF_BIN_ARGS`).
const MOST_STRING: usize = 512;

/// One value to print.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'m> {
    /// A number, or an address.
    Int(u64),
    /// A pointer into memory that the program may read.
    Bytes(Bytes<'m>),
    /// The number that the engine made of such a pointer, and the memory.
    Pointer(u64, Bytes<'m>),
}

impl Value<'_> {
    fn number(&self) -> u64 {
        match self {
            Value::Int(value) | Value::Pointer(value, _) => *value,
            Value::Bytes(bytes) => bytes.addr() as u64,
        }
    }
}

/// Text being printed into a buffer: what does not fit is counted and dropped, as by `snprintf`.
pub(crate) struct Out<'b> {
    buffer: &'b mut [u8],
    /// Bytes the text would have.
    len: usize,
}

impl<'b> Out<'b> {
    pub(crate) fn new(buffer: &'b mut [u8]) -> Out<'b> {
        Out { buffer, len: 0 }
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.buffer.get_mut(self.len) {
            *place = byte;
        }
        self.len += 1;
    }

    /// Bytes the text would have had with room for all.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The text, cut so that a NUL fits behind it.
    pub(crate) fn text(&self) -> &[u8] {
        &self.buffer[..self.len.min(self.buffer.len().saturating_sub(1))]
    }
}

impl core::fmt::Write for Out<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        text.bytes().for_each(|byte| self.push(byte));
        Ok(())
    }
}

/// Flags and width of a conversion.
#[derive(Clone, Copy, Debug, Default)]
struct Field {
    zero: bool,
    left: bool,
    plus: bool,
    space: bool,
    width: usize,
}

/// The widest field that is printed (`vsnprintf`: `FIELD_WIDTH_MAX` is larger than any buffer here).
const MOST_WIDTH: usize = 4096;

/// A conversion after its flags and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conversion {
    Signed(Size),
    Unsigned(Size),
    Hex(Size, Case),
    Char,
    Str(ProbeSpace),
    Pointer,
    Ip { six: bool, plain: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Int,
    Long,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Lower,
    Upper,
}

/// Prints `format`, up to its NUL, with `values`.
///
/// # Errors
/// `EINVAL` where there is no NUL, a byte is not printable ASCII, a conversion is not one that programs may use, or
/// there are fewer values than conversions; `ENOSPC` where the strings are too long together.
pub(crate) fn print(
    out: &mut Out<'_>,
    format: &[u8],
    values: &[Value<'_>],
    probe: Option<&dyn Probe>,
) -> Result<(), Errno> {
    let end = format.iter().position(|byte| *byte == 0).ok_or(Errno::EINVAL)?;
    let mut rest = &format[..end];
    let mut values = values.iter();
    let mut room = MOST_STRING;
    while let [byte, tail @ ..] = rest {
        // isspace() knows 9 to 13 and the space; isprint() the rest.
        if !matches!(byte, b' '..=b'~' | b'\t'..=b'\r') {
            return Err(Errno::EINVAL);
        }
        rest = tail;
        match (byte, tail) {
            (b'%', [b'%', tail @ ..]) => {
                out.push(b'%');
                rest = tail;
            }
            (b'%', _) => {
                let value = values.next().ok_or(Errno::EINVAL)?;
                let (field, conversion, tail) = parse(tail).ok_or(Errno::EINVAL)?;
                convert(out, field, conversion, value, probe, &mut room)?;
                rest = tail;
            }
            _ => out.push(*byte),
        }
    }
    Ok(())
}

/// Reads a conversion after its `%`.
fn parse(mut rest: &[u8]) -> Option<(Field, Conversion, &[u8])> {
    let mut field = Field::default();
    while let [flag @ (b'0' | b'+' | b'-' | b' '), tail @ ..] = rest {
        match flag {
            b'0' => field.zero = true,
            b'+' => field.plus = true,
            b'-' => field.left = true,
            _ => field.space = true,
        }
        rest = tail;
    }
    while let [digit @ b'0'..=b'9', tail @ ..] = rest {
        field.width = (field.width * 10 + usize::from(digit - b'0')).min(MOST_WIDTH);
        rest = tail;
    }
    let (conversion, rest) = match rest {
        [b'p', tail @ ..] => pointer(tail)?,
        [b's', tail @ ..] => (Conversion::Str(ProbeSpace::Kernel), tail),
        [b'c', tail @ ..] => (Conversion::Char, tail),
        [b'l', b'l', kind, tail @ ..] | [b'l', kind, tail @ ..] => (number(*kind, Size::Long)?, tail),
        [kind, tail @ ..] => (number(*kind, Size::Int)?, tail),
        [] => return None,
    };
    Some((field, conversion, rest))
}

fn number(kind: u8, size: Size) -> Option<Conversion> {
    Some(match kind {
        b'd' | b'i' => Conversion::Signed(size),
        b'u' => Conversion::Unsigned(size),
        b'x' => Conversion::Hex(size, Case::Lower),
        b'X' => Conversion::Hex(size, Case::Upper),
        _ => return None,
    })
}

/// Reads what follows `%p`.
fn pointer(rest: &[u8]) -> Option<(Conversion, &[u8])> {
    Some(match rest {
        [b'k', b's', tail @ ..] => (Conversion::Str(ProbeSpace::Kernel), tail),
        [b'u', b's', tail @ ..] => (Conversion::Str(ProbeSpace::User), tail),
        [case @ (b'i' | b'I'), four @ (b'4' | b'6'), tail @ ..] => {
            (Conversion::Ip { six: *four == b'6', plain: *case == b'i' }, tail)
        }
        [b'K' | b'x' | b's' | b'S' | b'B', tail @ ..] => (Conversion::Pointer, tail),
        [] => (Conversion::Pointer, rest),
        [next, ..] if next.is_ascii_whitespace() || *next == 0x0b || next.is_ascii_punctuation() => {
            (Conversion::Pointer, rest)
        }
        _ => return None,
    })
}

fn convert(
    out: &mut Out<'_>,
    field: Field,
    conversion: Conversion,
    value: &Value<'_>,
    probe: Option<&dyn Probe>,
    room: &mut usize,
) -> Result<(), Errno> {
    let raw = value.number();
    match conversion {
        Conversion::Signed(size) => {
            let value = if size == Size::Int { i64::from(raw as i32) } else { raw as i64 };
            let sign = match value < 0 {
                true => Some(b'-'),
                false if field.plus => Some(b'+'),
                false if field.space => Some(b' '),
                false => None,
            };
            digits(out, field, sign, value.unsigned_abs(), Radix::Ten);
        }
        Conversion::Unsigned(size) => digits(out, field, None, narrow(raw, size), Radix::Ten),
        Conversion::Hex(size, case) => digits(out, field, None, narrow(raw, size), Radix::Sixteen(case)),
        // Linux prints a hash of the address; the address here is that of the embedding program's own memory.
        Conversion::Pointer => {
            let field = Field { zero: !field.left, width: field.width.max(16), ..field };
            digits(out, field, None, raw, Radix::Sixteen(Case::Lower));
        }
        Conversion::Char => padded(out, field, &[raw as u8]),
        Conversion::Str(space) => {
            let mut text = [0; MOST_STRING];
            let len = string(value, space, probe, &mut text[..*room])?;
            *room -= (len + 1).min(*room);
            padded(out, field, &text[..len]);
        }
        Conversion::Ip { six, plain } => {
            let mut address = [0; 16];
            let len = if six { 16 } else { 4 };
            read(value, probe, &mut address[..len]);
            let mut text = [0; 48];
            let mut line = Out::new(&mut text);
            ip(&mut line, address, six, plain);
            padded(out, field, line.text());
        }
    }
    Ok(())
}

fn narrow(raw: u64, size: Size) -> u64 {
    match size {
        Size::Int => u64::from(raw as u32),
        Size::Long => raw,
    }
}

#[derive(Clone, Copy)]
enum Radix {
    Ten,
    Sixteen(Case),
}

fn digits(out: &mut Out<'_>, field: Field, sign: Option<u8>, mut value: u64, radix: Radix) {
    let mut text = [0; 20];
    let mut at = text.len();
    let (base, alphabet) = match radix {
        Radix::Ten => (10, b"0123456789abcdef"),
        Radix::Sixteen(Case::Lower) => (16, b"0123456789abcdef"),
        Radix::Sixteen(Case::Upper) => (16, b"0123456789ABCDEF"),
    };
    while at == text.len() || value != 0 {
        at -= 1;
        text[at] = alphabet[(value % base) as usize];
        value /= base;
    }
    let len = text.len() - at + usize::from(sign.is_some());
    let pad = field.width.saturating_sub(len);
    let zeroes = field.zero && !field.left;
    if !zeroes && !field.left {
        (0..pad).for_each(|_| out.push(b' '));
    }
    sign.into_iter().for_each(|sign| out.push(sign));
    if zeroes {
        (0..pad).for_each(|_| out.push(b'0'));
    }
    text[at..].iter().for_each(|byte| out.push(*byte));
    if field.left {
        (0..pad).for_each(|_| out.push(b' '));
    }
}

fn padded(out: &mut Out<'_>, field: Field, text: &[u8]) {
    let pad = field.width.saturating_sub(text.len());
    if !field.left {
        (0..pad).for_each(|_| out.push(b' '));
    }
    text.iter().for_each(|byte| out.push(*byte));
    if field.left {
        (0..pad).for_each(|_| out.push(b' '));
    }
}

/// Copies a string; one that cannot be read is empty, as on Linux.
fn string(
    value: &Value<'_>,
    space: ProbeSpace,
    probe: Option<&dyn Probe>,
    into: &mut [u8],
) -> Result<usize, Errno> {
    if into.is_empty() {
        return Err(Errno::ENOSPC);
    }
    match value {
        Value::Bytes(bytes) | Value::Pointer(_, bytes) => {
            let most = bytes.len().min(into.len());
            for (i, place) in into[..most].iter_mut().enumerate() {
                *place = bytes.load_u8(i).unwrap_or(0);
                if *place == 0 {
                    return Ok(i);
                }
            }
            Ok(most.min(into.len() - 1))
        }
        Value::Int(addr) => {
            let len = probe.and_then(|probe| probe.read_str(space, *addr, into).ok());
            Ok(len.map_or(0, |len| len.saturating_sub(1)))
        }
    }
}

/// Fills an address; one that cannot be read is zero, as on Linux.
fn read(value: &Value<'_>, probe: Option<&dyn Probe>, into: &mut [u8]) {
    let done = match value {
        Value::Bytes(bytes) | Value::Pointer(_, bytes) => bytes.copy_out(0, into).is_ok(),
        Value::Int(addr) => probe.is_some_and(|probe| probe.read(ProbeSpace::Kernel, *addr, into).is_ok()),
    };
    if !done {
        into.fill(0);
    }
}

/// Prints an address: `%pI4` and `%pI6` with dots and colons, `%pi4` with leading zeroes, `%pi6` without colons
/// (Documentation/core-api/printk-formats.rst).
fn ip(out: &mut Out<'_>, address: [u8; 16], six: bool, plain: bool) {
    use core::fmt::Write;
    let [a, b, c, d, ..] = address;
    let done = match (six, plain) {
        (false, false) => write!(out, "{}", Ipv4Addr::new(a, b, c, d)),
        (false, true) => write!(out, "{a:03}.{b:03}.{c:03}.{d:03}"),
        (true, plain) => Ipv6Addr::from(address).segments().iter().enumerate().try_for_each(|(i, part)| {
            let colon = if i == 0 || plain { "" } else { ":" };
            write!(out, "{colon}{part:04x}")
        }),
    };
    debug_assert!(done.is_ok(), "printing into memory does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn printed(format: &str, values: &[u64]) -> Result<String, Errno> {
        let mut format = format.as_bytes().to_vec();
        format.push(0);
        let values: alloc::vec::Vec<_> = values.iter().map(|value| Value::Int(*value)).collect();
        let mut buffer = [0; 256];
        let mut out = Out::new(&mut buffer);
        print(&mut out, &format, &values, None)?;
        Ok(String::from_utf8(out.text().to_vec()).unwrap())
    }

    #[test]
    fn conversions() {
        for (format, values, wanted) in [
            ("plain 100%%", &[][..], "plain 100%"),
            ("%d %i", &[u64::MAX, 7], "-1 7"),
            ("%u %lu", &[u64::MAX, u64::MAX], "4294967295 18446744073709551615"),
            ("%lld", &[i64::MIN as u64], "-9223372036854775808"),
            ("%x %X %llx", &[0xbeef, 0xbeef, 0x1_0000_0000], "beef BEEF 100000000"),
            ("[%5d|%-5d|%05d|%+d|% d]", &[42, 42, (-42i64) as u64, 42, 42], "[   42|42   |-0042|+42| 42]"),
            ("%c%c", &[104, 105], "hi"),
            ("[%s]", &[0], "[]"),
            ("%px", &[0xdead], "000000000000dead"),
            ("%p.", &[1], "0000000000000001."),
        ] {
            assert_eq!(printed(format, values).as_deref(), Ok(wanted), "{format}");
        }
    }

    #[test]
    fn refusals() {
        for format in
            ["%d %d", "%o", "%lc", "%", "%5", "%l", "\u{1}", "\u{e9}", "%pZ", "%.3d", "%#x", "%--------"]
        {
            assert_eq!(printed(format, &[1]), Err(Errno::EINVAL), "{format}");
        }
        assert_eq!(print(&mut Out::new(&mut []), b"no end", &[], None), Err(Errno::EINVAL));
    }

    #[test]
    fn memory_is_read_where_it_is() {
        let mut text = *b"skep\0rest";
        let mut four = [10, 77, 0, 1];
        let mut six = [0; 16];
        six[0] = 0xfe;
        six[1] = 0x80;
        six[15] = 1;
        let bytes = |slice| Value::Bytes(Bytes::from_mut(slice));
        let values = [bytes(&mut text), bytes(&mut four), bytes(&mut six)];
        let mut buffer = [0; 128];
        let mut out = Out::new(&mut buffer);
        print(&mut out, b"%6s %pI4 %pI6\0", &values, None).unwrap();
        assert_eq!(out.text(), b"  skep 10.77.0.1 fe80:0000:0000:0000:0000:0000:0000:0001");
        let mut out = Out::new(&mut buffer);
        print(&mut out, b"%pi4 %pi6\0", &values[1..], None).unwrap();
        assert_eq!(out.text(), b"010.077.000.001 fe800000000000000000000000000001");
    }

    #[test]
    fn text_is_cut_and_counted() {
        let mut buffer = [0xee; 4];
        let mut out = Out::new(&mut buffer);
        print(&mut out, b"%d\0", &[Value::Int(123_456)], None).unwrap();
        assert_eq!((out.len(), out.text()), (6, &b"123"[..]));
    }
}
