//! Helpers that the users of rbpf and uBPF know, without their pointers.
//!
//! | helper | arguments | answer |
//! | --- | --- | --- |
//! | [`gather_bytes`] | five bytes | one number of them |
//! | [`memfrob`] | memory, its length | 0; each byte was changed by exclusive or with 42 |
//! | [`sqrti`] | a number | its square root, rounded down |
//! | [`strcmp`] | two strings | 0 if they are equal |
//! | [`rand`] | least, most | a random number |
//! | [`time`] | | nanoseconds on a clock that never goes back |
//! | [`trace_printf`] | two numbers that are not looked at, three numbers | the length of the line |
//! | [`unwind`] | a number | the same; if it is zero, the run ends |
//!
//! [`rand`], [`time`] and [`trace_printf`] take what they need from the state of the [`Cpu`](crate::Cpu): a [`Random`], a [`Clock`], a [`Trace`].
//!
//! ```
//! use skep_machine::{Cpu, Input, Setup, helpers};
//!
//! let setup = Setup::<()>::new().helper(1, helpers::memfrob()).helper(2, helpers::sqrti());
//! let program = setup.assemble("r6 = r1\ncall memfrob\nr1 = *(u8 *)(r6 + 0)\ncall sqrti\nexit")?;
//! let machine = setup.load(program)?;
//! let mut memory = [100 ^ 42, 0];
//! assert_eq!(machine.run(&mut Cpu::default(), Input::Memory(&mut memory))?, 10);
//! assert_eq!(memory, [100, 42]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::{Args, Helper, HelperEnd, Param};
use core::fmt::{self, Write};
use skep_mem::{Clock, Random, Trace};

/// The number of [`time`] in rbpf, as of `bpf_ktime_get_ns` in Linux.
pub const TIME: u32 = 5;
/// The number of [`trace_printf`] in rbpf, as of `bpf_trace_printk` in Linux.
pub const TRACE_PRINTF: u32 = 6;

/// The number of [`unwind`] in uBPF's tests and in the public conformance suite.
pub const UNWIND: u32 = 5;

/// The longest string that [`strcmp`] looks at, in bytes.
pub const STRING_BYTES: u32 = 4096;

/// Makes one number of five bytes, the first of which is the highest.
pub fn gather_bytes<'m, S>() -> Helper<'m, S> {
    Helper::numbers("gather_bytes", |_: &mut S, [a, b, c, d, e]: [u64; 5]| {
        Ok(a << 32 | b << 24 | c << 16 | d << 8 | e)
    })
}

/// Changes each byte of memory by exclusive or with 42.
pub fn memfrob<'m, S>() -> Helper<'m, S> {
    Helper::new("memfrob", &[Param::READ_WRITE, Param::Len], |_: &mut S, args: &Args<'_>| {
        let bytes = args.bytes(0);
        for offset in 0..bytes.len() {
            let outside = |_| HelperEnd::Argument(0);
            let byte = bytes.load_u8(offset).map_err(outside)?;
            bytes.store_u8(offset, byte ^ 42).map_err(outside)?;
        }
        Ok(0)
    })
}

/// Gives the square root of a number, rounded down.
pub fn sqrti<'m, S>() -> Helper<'m, S> {
    Helper::new("sqrti", &[Param::Int], |_: &mut S, args: &Args<'_>| Ok(args.int(0).isqrt()))
}

/// Compares two strings of at most [`STRING_BYTES`], their NULs included: the distance of the first bytes that differ, 0
/// where none does, -1 where one is null.
pub fn strcmp<'m, S>() -> Helper<'m, S> {
    const STRING: Param = Param::Str(STRING_BYTES);
    Helper::new("strcmp", &[STRING, STRING], |_: &mut S, args: &Args<'_>| {
        if args.is_null(0) || args.is_null(1) {
            return Ok(u64::MAX);
        }
        let (a, b) = (args.bytes(0), args.bytes(1));
        // Past the end of a string is its NUL.
        let byte = |bytes: crate::Bytes<'_>, at| bytes.load_u8(at).unwrap_or(0);
        let distances = (0..a.len().max(b.len())).map(|at| byte(a, at).abs_diff(byte(b, at)));
        Ok(distances.into_iter().find(|distance| *distance != 0).unwrap_or(0).into())
    })
}

/// Gives a random number from r1 to r2, both included; any number where r1 is not below r2.
pub fn rand<'m, S: Random>() -> Helper<'m, S> {
    Helper::new("rand", &[Param::Int, Param::Int], |state: &mut S, args: &Args<'_>| {
        let (least, most) = (args.int(0), args.int(1));
        let any = u64::from(state.next_u32()) << 32 | u64::from(state.next_u32());
        let span = if least < most { (most - least).checked_add(1) } else { None };
        Ok(span.map_or(any, |span| any % span + least))
    })
}

/// Gives nanoseconds on a clock that never goes back.
pub fn time<'m, S: Clock>() -> Helper<'m, S> {
    Helper::new("bpf_time_getns", &[], |state: &mut S, _: &Args<'_>| Ok(state.monotonic_ns()))
}

/// Writes a line with r3, r4 and r5 in hexadecimal, and gives its length.
pub fn trace_printf<'m, S: Trace>() -> Helper<'m, S> {
    Helper::numbers("bpf_trace_printf", |state: &mut S, [_, _, a, b, c]: [u64; 5]| {
        let mut line = Line { bytes: [0; LINE_BYTES], len: 0 };
        writeln!(line, "bpf_trace_printf: {a:#x}, {b:#x}, {c:#x}")
            .map_err(|_| HelperEnd::Fail("the line is too long"))?;
        state.message(&line.bytes[..line.len]);
        Ok(line.len as u64)
    })
}

/// Gives back its first argument, and ends the run with zero if that is zero.
///
/// This is uBPF's "unwind" function as its interpreter has it (`vm/ubpf_vm.c`: a call of the index that was set by
/// `ubpf_set_unwind_function_index` returns from the program where r0 is then zero), which the public conformance suite
/// calls with -1 and goes on after (`tests/callx.data`).
pub fn unwind<'m, S>() -> Helper<'m, S> {
    Helper::new("unwind", &[Param::Int], |_: &mut S, args: &Args<'_>| match args.int(0) {
        0 => Err(HelperEnd::Unwind(0)),
        number => Ok(number),
    })
}

/// The words of the line, and three numbers of at most 16 digits.
const LINE_BYTES: usize = "bpf_trace_printf: 0x, 0x, 0x\n".len() + 3 * 16;

struct Line {
    bytes: [u8; LINE_BYTES],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let rest = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(fmt::Error)?;
        rest.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}
