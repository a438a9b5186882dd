//! The one table of opcodes.
//!
//! Each row is one instruction: its opcode, the value of the field that tells it from others of the same opcode, the
//! fields it uses, and how it is written in both dialects. Decoder, encoder, both texts, the documentation and the
//! coverage tests derive from the rows; nothing else in this crate knows an opcode's number.

mod rows;

use crate::decode::build;
use crate::facts::Names;
use crate::{
    AddrKind, AluOp, AtomicOp, Cond, Endian, Facts, Kind, LoadKind, Movsx, OperandKind, PacketSize, RawInsn,
    Reg, Size, SwapWidth, Width,
};
use core::fmt;

pub use rows::{INTERNAL, ROWS};

/// Says what a row's instruction does, operands left out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum Op {
    Alu(Width, AluOp, OperandKind),
    Neg(Width),
    Movsx(Movsx),
    ByteSwap(Endian, SwapWidth),
    AddrSpaceCast,
    LoadImm64,
    LoadAddr(AddrKind),
    LoadAbs(PacketSize),
    LoadInd(PacketSize),
    Load(LoadKind),
    Store(Size, OperandKind),
    Atomic(Width, AtomicOp),
    LoadAcquire(Size),
    StoreRelease(Size),
    Goto,
    Gotol,
    Gotox,
    Branch(Width, Cond, OperandKind),
    MayGoto,
    CallHelper,
    CallLocal,
    CallKfunc,
    CallReg,
    Exit,
}

impl Op {
    /// Counts the values an `Op` can have; each has one row.
    pub const COUNT: usize = 182;

    /// Numbers the values without gaps, so that the row of an `Op` is one array access.
    const fn key(self) -> usize {
        match self {
            Op::Alu(width, op, src) => width as usize * 28 + op as usize * 2 + src as usize,
            Op::Branch(width, cond, src) => 56 + width as usize * 22 + cond as usize * 2 + src as usize,
            Op::Atomic(width, op) => 100 + width as usize * 10 + op as usize,
            Op::ByteSwap(op, width) => 120 + op as usize * 3 + width as usize,
            Op::Store(size, src) => 129 + size as usize * 2 + src as usize,
            Op::Load(kind) => 137 + kind as usize,
            Op::LoadAddr(kind) => 144 + kind as usize,
            Op::Movsx(kind) => 150 + kind as usize,
            Op::LoadAcquire(size) => 155 + size as usize,
            Op::StoreRelease(size) => 159 + size as usize,
            Op::LoadAbs(size) => 163 + size as usize,
            Op::LoadInd(size) => 166 + size as usize,
            Op::Neg(width) => 169 + width as usize,
            Op::AddrSpaceCast => 171,
            Op::LoadImm64 => 172,
            Op::Goto => 173,
            Op::Gotol => 174,
            Op::Gotox => 175,
            Op::MayGoto => 176,
            Op::CallHelper => 177,
            Op::CallLocal => 178,
            Op::CallKfunc => 179,
            Op::CallReg => 180,
            Op::Exit => 181,
        }
    }

    /// Returns the operation's row.
    #[inline]
    pub fn row(self) -> &'static Row {
        &ROWS[usize::from(ROW_OF_OP[self.key()])]
    }
}

/// Names a field of a slot, or of the second slot of a wide instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Field {
    /// The destination register.
    Dst,
    /// The source register.
    Src,
    /// The offset.
    Off,
    /// The immediate.
    Imm,
    /// The opcode of the second slot.
    NextCode,
    /// The destination register of the second slot.
    NextDst,
    /// The source register of the second slot.
    NextSrc,
    /// The offset of the second slot.
    NextOff,
    /// The immediate of the second slot.
    NextImm,
}

impl Field {
    /// Lists the fields that tell instructions of one opcode apart, or may be unused, in the order they are stored.
    pub const FIRST: [Field; 4] = [Field::Dst, Field::Src, Field::Off, Field::Imm];

    /// Returns the bits of [`RawInsn::word`] that hold the field; none for those of the second slot.
    const fn mask(self) -> u64 {
        match self {
            Field::Dst => 0xf << 8,
            Field::Src => 0xf << 12,
            Field::Off => 0xffff << 16,
            Field::Imm => 0xffff_ffff << 32,
            _ => 0,
        }
    }

    /// Reads the field of a slot; of the second slot for the fields that are there.
    pub fn read(self, slot: RawInsn) -> i32 {
        match self {
            Field::NextCode => i32::from(slot.code),
            Field::Dst | Field::NextDst => i32::from(slot.dst()),
            Field::Src | Field::NextSrc => i32::from(slot.src()),
            Field::Off | Field::NextOff => i32::from(slot.off),
            Field::Imm | Field::NextImm => slot.imm,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::Dst => "dst",
            Field::Src => "src",
            Field::Off => "off",
            Field::Imm => "imm",
            Field::NextCode => "code of the second slot",
            Field::NextDst => "dst of the second slot",
            Field::NextSrc => "src of the second slot",
            Field::NextOff => "off of the second slot",
            Field::NextImm => "imm of the second slot",
        })
    }
}

/// Says which field, beside the opcode, makes a slot this instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Pick {
    /// None: the opcode suffices.
    Any,
    /// The source field has this value.
    Src(u8),
    /// The offset has this value.
    Off(i16),
    /// The immediate has this value.
    Imm(i32),
}

impl Pick {
    #[inline]
    const fn takes(self, slot: RawInsn) -> bool {
        match self {
            Pick::Any => true,
            Pick::Src(src) => slot.src() == src,
            Pick::Off(off) => slot.off == off,
            Pick::Imm(imm) => slot.imm == imm,
        }
    }

    /// Returns the field and the value that it must have, if one must.
    pub const fn field(self) -> Option<(Field, i32)> {
        match self {
            Pick::Any => None,
            Pick::Src(src) => Some((Field::Src, src as i32)),
            Pick::Off(off) => Some((Field::Off, off as i32)),
            Pick::Imm(imm) => Some((Field::Imm, imm)),
        }
    }
}

/// Says which fields of the slot are operands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Fields(u8);

impl Fields {
    const DST: u8 = 1;
    const SRC: u8 = 2;
    const OFF: u8 = 4;
    const IMM: u8 = 8;

    /// Reads `DSOI`, with `_` for what is unused.
    const fn parse(text: &str) -> Fields {
        let text = text.as_bytes();
        let (letters, mut set, mut i) = (b"DSOI", 0, 0);
        assert!(text.len() == 4, "a letter or _ for each of four fields");
        while i < 4 {
            assert!(text[i] == letters[i] || text[i] == b'_', "the fields in the order DSOI");
            if text[i] != b'_' {
                set |= 1 << i;
            }
            i += 1;
        }
        Fields(set)
    }

    /// Says whether a field of the first slot is an operand.
    pub const fn uses(self, field: Field) -> bool {
        let bit = match field {
            Field::Dst => Self::DST,
            Field::Src => Self::SRC,
            Field::Off => Self::OFF,
            Field::Imm => Self::IMM,
            _ => 0,
        };
        self.0 & bit != 0
    }
}

/// Says what follows the slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Next {
    /// The next instruction.
    None,
    /// A second slot, all zero.
    Zero,
    /// A second slot, zero but for its immediate, which is an operand.
    Imm,
}

/// Names the conformance group of RFC 9669 §2.4 that an instruction belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Group {
    /// Everything not said to be elsewhere.
    Base32,
    /// 64-bit operations.
    Base64,
    /// 32-bit atomics.
    Atomic32,
    /// 64-bit atomics.
    Atomic64,
    /// 32-bit multiplication, division, modulo.
    Divmul32,
    /// 64-bit multiplication, division, modulo.
    Divmul64,
    /// Legacy packet loads.
    Packet,
    /// Calls by register: reserved in the RFC, a group of the public conformance suite.
    Callx,
    /// Added by Linux after the RFC.
    Linux,
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Group::Base32 => "base32",
            Group::Base64 => "base64",
            Group::Atomic32 => "atomic32",
            Group::Atomic64 => "atomic64",
            Group::Divmul32 => "divmul32",
            Group::Divmul64 => "divmul64",
            Group::Packet => "packet",
            Group::Callx => "callx",
            Group::Linux => "linux",
        })
    }
}

/// Names the first `-mcpu` of LLVM whose code may contain the instruction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Cpu {
    /// The original instructions, 32-bit arithmetic included.
    V1,
    /// Jumps on less-than.
    V2,
    /// 32-bit jumps and fetching atomics.
    V3,
    /// Sign extension, signed division, byte swaps, long jumps.
    V4,
    /// Made by no released `-mcpu`, or by intrinsics only.
    Later,
}

/// Names a release of Linux.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Release {
    /// Holds the first number.
    pub major: u8,
    /// Holds the second number.
    pub minor: u8,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Describes one instruction.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Holds the opcode.
    pub code: u8,
    /// Says which other field makes it this instruction.
    pub pick: Pick,
    /// Says what it does.
    pub op: Op,
    /// Says which fields are operands; the rest, but for the picking one, must be zero.
    pub fields: Fields,
    /// Says what follows.
    pub next: Next,
    /// Names the conformance group.
    pub group: Group,
    /// Names the first LLVM `-mcpu`.
    pub cpu: Cpu,
    /// Names the first Linux whose verifier takes it; none for what Linux never took.
    pub since: Option<Release>,
    /// Shows how Linux and LLVM write it: literal text and `{operands}`.
    pub linux: &'static str,
    /// Shows how user-space virtual machines write it.
    pub mnemonic: &'static str,
}

impl Row {
    /// Returns the first field that is not zero though the instruction does not use it.
    pub fn first_unused(&self, slot: RawInsn) -> Option<Field> {
        let picking = self.pick.field().map(|(field, _)| field);
        Field::FIRST.into_iter().find(|&field| {
            !self.fields.uses(field) && picking != Some(field) && slot.word() & field.mask() != 0
        })
    }

    /// Returns the slot with the opcode and the picking field set, all else zero.
    #[inline]
    pub const fn base(&self) -> RawInsn {
        let code = self.code;
        match self.pick {
            Pick::Any => RawInsn::new(code, 0, 0, 0, 0),
            Pick::Src(src) => RawInsn::new(code, 0, src, 0, 0),
            Pick::Off(off) => RawInsn::new(code, 0, 0, off, 0),
            Pick::Imm(imm) => RawInsn::new(code, 0, 0, 0, imm),
        }
    }
}

/// Holds what decoding needs of a row, made from it while this is compiled, and packed so that the whole table stays in the first
/// level cache.
#[derive(Clone, Copy)]
pub(crate) struct HotRow {
    /// Masks the bits of [`RawInsn::word`] that are no operand.
    mask: u64,
    /// Holds what those bits must be.
    value: u64,
    names: Names,
    pub(crate) op: Op,
    pub(crate) next: Next,
    kind: Kind,
}

impl HotRow {
    const fn new(row: &Row) -> HotRow {
        let mut mask = 0xff;
        let mut i = 0;
        while i < Field::FIRST.len() {
            if !row.fields.uses(Field::FIRST[i]) {
                mask |= Field::FIRST[i].mask();
            }
            i += 1;
        }
        let probe = build(row.op, row.base(), Names::DST, Names::SRC, 0);
        HotRow {
            mask,
            value: row.base().word(),
            names: Names::from_probe(probe.reads(), probe.writes()),
            op: row.op,
            next: row.next,
            kind: Kind::of(row.op),
        }
    }

    /// Says what the row's instruction does with these registers.
    #[inline(always)]
    pub(crate) const fn facts(&self, dst: Reg, src: Reg) -> Facts {
        let (reads, writes) = self.names.with(dst, src);
        Facts { reads, writes, kind: self.kind }
    }
}

/// Returns the row that a slot is an instruction of, registers and second slot aside: opcode and picking field are the row's, and
/// unused fields zero. If there is none, [`find`] and [`Row::first_unused`] tell why.
#[inline(always)]
pub(crate) fn find_hot(slot: RawInsn) -> Option<&'static HotRow> {
    let (first, count) = ROWS_OF_CODE[usize::from(slot.code)];
    let word = slot.word();
    // Most opcodes have one row; where there is none, the opcode is not that of the row that is looked at.
    let row = &HOT_ROWS[usize::from(first)];
    if word & row.mask == row.value {
        return Some(row);
    }
    let others = HOT_ROWS.iter().skip(usize::from(first)).take(usize::from(count)).skip(1);
    others.into_iter().find(|row| word & row.mask == row.value)
}

/// Is a form that the kernel makes for itself while it loads a program, and refuses from outside.
#[derive(Clone, Copy, Debug)]
pub struct InternalRow {
    /// Holds the opcode.
    pub code: u8,
    /// Says which other field makes it this form.
    pub pick: Pick,
    /// Holds the kernel's name of it.
    pub name: &'static str,
}

/// Returns all rows of an opcode, contiguous in [`ROWS`]; empty if there are none.
#[inline]
pub fn rows_of(code: u8) -> &'static [Row] {
    let (first, count) = ROWS_OF_CODE[usize::from(code)];
    &ROWS[usize::from(first)..usize::from(first) + usize::from(count)]
}

/// Returns the row whose opcode and picking field a slot has.
#[inline]
pub fn find(slot: RawInsn) -> Option<&'static Row> {
    rows_of(slot.code).iter().find(|row| row.pick.takes(slot))
}

/// Returns the name of the kernel-internal form that has an opcode; each opcode has one at most.
pub fn internal_name(code: u8) -> Option<&'static str> {
    INTERNAL.iter().find(|row| row.code == code).map(|row| row.name)
}

/// Returns the kernel-internal form that a slot is, if it is one.
pub fn find_internal(slot: RawInsn) -> Option<&'static InternalRow> {
    INTERNAL.iter().find(|row| row.code == slot.code && row.pick.takes(slot))
}

static ROWS_OF_CODE: [(u8, u8); 256] = index_codes();
static ROW_OF_OP: [u8; Op::COUNT] = index_ops();

static HOT_ROWS: [HotRow; Op::COUNT] = hot_rows();

const fn hot_rows() -> [HotRow; Op::COUNT] {
    let mut hot = [HotRow::new(&ROWS[0]); Op::COUNT];
    let mut i = 0;
    while i < ROWS.len() {
        hot[i] = HotRow::new(&ROWS[i]);
        i += 1;
    }
    hot
}

const fn index_codes() -> [(u8, u8); 256] {
    let mut index = [(0, 0); 256];
    let mut i = 0;
    while i < ROWS.len() {
        let code = ROWS[i].code as usize;
        assert!(i == 0 || ROWS[i - 1].code <= ROWS[i].code, "rows are sorted by opcode");
        if index[code].1 == 0 {
            index[code].0 = i as u8;
        }
        index[code].1 += 1;
        i += 1;
    }
    index
}

const fn index_ops() -> [u8; Op::COUNT] {
    assert!(ROWS.len() == Op::COUNT && Op::COUNT < 255, "one row for each operation");
    let mut index = [u8::MAX; Op::COUNT];
    let mut i = 0;
    while i < ROWS.len() {
        let key = ROWS[i].op.key();
        assert!(index[key] == u8::MAX, "two rows for one operation");
        index[key] = i as u8;
        i += 1;
    }
    index
}
