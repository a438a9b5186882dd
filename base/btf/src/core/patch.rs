//! The value of a relocation, written into its instruction.

use core::fmt;

use skep_isa::RawInsn;

use super::value::{Check, Outcome, Resize, Values};

/// The helper that poisoned instructions call, 0xbad2310: no kernel has it, and its verifier names it. libbpf uses the same
/// number, so that logs are recognised.
pub const POISON: i32 = 195_896_080;

const LDDW: u8 = 0x18;
const CALL: u8 = 0x85;
/// Classes of opcodes (RFC 9669 §3.1).
const CLASS: u8 = 0x07;
const ALU: u8 = 0x04;
const ALU64: u8 = 0x07;
const LD: u8 = 0x00;
const LDX: u8 = 0x01;
const ST: u8 = 0x02;
const STX: u8 = 0x03;
/// The bit of an ALU opcode that says that the operand is a register.
const REGISTER: u8 = 0x08;
/// The bits of a load's opcode that say how many bytes, and which number means how many.
const SIZE: u8 = 0x18;
const SIZES: [(u32, u8); 4] = [(4, 0x00), (2, 0x08), (1, 0x10), (8, 0x18)];

/// What was done to an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patched {
    /// The immediate of an arithmetic instruction was set.
    Immediate {
        /// What it was.
        from: i32,
        /// What it is.
        to: i32,
    },
    /// The offset of a load or store was set, and its size where that differs.
    Offset {
        /// What it was.
        from: i16,
        /// What it is.
        to: i16,
        /// How many bytes it accessed and accesses.
        resized: Option<(u32, u32)>,
    },
    /// The immediate of a 64-bit load was set.
    Wide {
        /// What it was.
        from: u64,
        /// What it is.
        to: u64,
    },
    /// It was replaced by a call that no kernel accepts, as was the second slot of a 64-bit load.
    Poisoned,
}

/// Why an instruction cannot take its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatchError {
    /// There is no such instruction.
    Outside,
    /// It is none that holds such a value.
    Unsuitable {
        /// Its opcode.
        code: u8,
    },
    /// It does not hold what the program's own types give.
    Unexpected {
        /// What it should hold.
        wanted: u64,
        /// What it holds.
        found: u64,
    },
    /// The offset does not fit an instruction.
    TooFar(u64),
    /// It accesses another number of bytes than the field has, or the field has one that no instruction accesses.
    Bytes {
        /// The bytes of the field here.
        wanted: u32,
        /// The bytes that the instruction accesses.
        found: u32,
        /// The bytes of the field there.
        target: u32,
    },
}

impl fmt::Display for PatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PatchError::Outside => f.write_str("wanted an instruction of the program, found none there"),
            PatchError::Unsuitable { code } => {
                write!(f, "wanted an instruction with an offset or an immediate, found opcode {code:#04x}")
            }
            PatchError::Unexpected { wanted, found } => {
                let (wanted, found) = (*wanted as i64, *found as i64);
                write!(f, "wanted the object's own value {wanted} in the instruction, found {found}")
            }
            PatchError::TooFar(found) => write!(f, "wanted an offset of at most {}, found {found}", i16::MAX),
            PatchError::Bytes { wanted, found, target } => {
                write!(
                    f,
                    "wanted an access of {wanted} bytes that can become one of {target}, found one of {found}"
                )
            }
        }
    }
}

impl core::error::Error for PatchError {}

/// Writes what a relocation comes to into the instruction at `at`.
///
/// # Errors
///
/// Where the instruction is not one that the relocation can be of.
pub fn patch(insns: &mut [RawInsn], at: usize, outcome: &Outcome) -> Result<Patched, PatchError> {
    let insn = *insns.get(at).ok_or(PatchError::Outside)?;
    let values = match outcome {
        Outcome::Value(values) => values,
        Outcome::Missing => return Ok(poison(insns, at)),
    };
    match insn.code & CLASS {
        ALU | ALU64 if insn.code & REGISTER == 0 => {
            expect(values, i64::from(insn.imm) as u64)?;
            let to = values.target as i32;
            insns[at].imm = to;
            Ok(Patched::Immediate { from: insn.imm, to })
        }
        LDX | ST | STX => access(insns, at, values),
        LD if insn.code == LDDW => wide(insns, at, values),
        _ => Err(PatchError::Unsuitable { code: insn.code }),
    }
}

fn expect(values: &Values, found: u64) -> Result<(), PatchError> {
    match values.check == Check::Lenient || found == values.local {
        true => Ok(()),
        false => Err(PatchError::Unexpected { wanted: values.local, found }),
    }
}

fn access(insns: &mut [RawInsn], at: usize, values: &Values) -> Result<Patched, PatchError> {
    let insn = insns[at];
    expect(values, i64::from(insn.off) as u64)?;
    let to = i16::try_from(values.target).map_err(|_| PatchError::TooFar(values.target))?;
    let (code, resized) = match values.resize {
        Resize::Keep => (insn.code, None),
        Resize::Wrong => return Ok(poison(insns, at)),
        Resize::Change { from, to } => {
            let found =
                SIZES.iter().find(|(_, bits)| *bits == insn.code & SIZE).map_or(0, |(bytes, _)| *bytes);
            let wanted = SIZES.iter().find(|(bytes, _)| *bytes == to).filter(|_| found == from);
            let (_, bits) = wanted.ok_or(PatchError::Bytes { wanted: from, found, target: to })?;
            (insn.code & !SIZE | bits, Some((from, to)))
        }
    };
    insns[at] = RawInsn { code, off: to, ..insn };
    Ok(Patched::Offset { from: insn.off, to, resized })
}

fn wide(insns: &mut [RawInsn], at: usize, values: &Values) -> Result<Patched, PatchError> {
    let Some([low, high, ..]) = insns.get_mut(at..) else { return Err(PatchError::Outside) };
    let second = RawInsn { imm: 0, ..*high };
    if low.src() != 0 || low.off != 0 || second != RawInsn::default() {
        return Err(PatchError::Unsuitable { code: LDDW });
    }
    let from = u64::from(low.imm as u32) | u64::from(high.imm as u32) << 32;
    expect(values, from)?;
    low.imm = values.target as i32;
    high.imm = (values.target >> 32) as i32;
    Ok(Patched::Wide { from, to: values.target })
}

/// Replaces an instruction, both slots of a wide one, so that neither looks like something else.
fn poison(insns: &mut [RawInsn], at: usize) -> Patched {
    let call = RawInsn::new(CALL, 0, 0, 0, POISON);
    // A load of 64 bits without its second slot is none; what stands there is not its own.
    let is_wide = matches!(insns.get(at..), Some([low, high, ..]) if (low.code, high.code) == (LDDW, 0));
    let slots = if is_wide { 2 } else { 1 };
    insns.iter_mut().skip(at).take(slots).for_each(|insn| *insn = call);
    Patched::Poisoned
}
