//! The rows.
//!
//! Opcodes, fields and groups are those of RFC 9669; below them stands what Linux added since (`include/uapi/linux/bpf.h`,
//! `kernel/bpf/verifier.c`). The RFC puts `exit` with the calls. LLVM's spelling is that of
//! `llvm/lib/Target/BPF/BPFInstrInfo.td`; where LLVM has none (maps, variables, kernel functions) it is ours.
//! What the braces stand for is in `text/template.rs`.
//!
//! ```text
//! row(code, pick, operation, fields, second slot, group, -mcpu, Linux since, Linux dialect, mnemonic dialect)
//! ```

use super::{Cpu, Fields, Group, InternalRow, Next, Op, Pick, Release, Row};
use crate::{
    AddrKind as P, AluOp as A, AtomicOp as T, Cond as C, Endian as E, LoadKind as L, Movsx as M, OperandKind,
    PacketSize as K, Size as Z, SwapWidth as X, Width,
};

use Cpu::{Later, V1, V2, V3, V4};
use Group::{Atomic32, Atomic64, Base32, Base64, Callx, Divmul32, Divmul64, Linux, Packet};
use Next::{None, Zero};
use Op::{
    AddrSpaceCast, Alu, Atomic, Branch, ByteSwap, CallHelper, CallKfunc, CallLocal, CallReg, Exit, Goto,
    Gotol, Gotox, Load, LoadAbs, LoadAcquire, LoadAddr, LoadImm64, LoadInd, MayGoto, Movsx, Neg, Store,
    StoreRelease,
};
use OperandKind::{Imm, Reg};
use Pick::{Any, Off, Src};
use Width::{W32, W64};

const fn release(major: u8, minor: u8) -> Option<Release> {
    Some(Release { major, minor })
}

const L3_18: Option<Release> = release(3, 18);
const L4_14: Option<Release> = release(4, 14);
const L4_16: Option<Release> = release(4, 16);
const L5_0: Option<Release> = release(5, 0);
const L5_1: Option<Release> = release(5, 1);
const L5_2: Option<Release> = release(5, 2);
const L5_10: Option<Release> = release(5, 10);
const L5_12: Option<Release> = release(5, 12);
const L5_13: Option<Release> = release(5, 13);
const L5_14: Option<Release> = release(5, 14);
const L6_6: Option<Release> = release(6, 6);
const L6_9: Option<Release> = release(6, 9);
const L6_15: Option<Release> = release(6, 15);
const L6_19: Option<Release> = release(6, 19);
const NEVER: Option<Release> = Option::None;

#[allow(clippy::too_many_arguments)]
const fn row(
    code: u8,
    pick: Pick,
    op: Op,
    fields: &str,
    next: Next,
    group: Group,
    cpu: Cpu,
    since: Option<Release>,
    linux: &'static str,
    mnemonic: &'static str,
) -> Row {
    let fields = Fields::parse(fields);
    Row { code, pick, op, fields, next, group, cpu, since, linux, mnemonic }
}

/// Holds the row of every instruction, sorted by opcode.
#[rustfmt::skip]
pub static ROWS: [Row; Op::COUNT] = [
    row(0x04, Any,              Alu(W32, A::Add, Imm),        "D__I", None,      Base32,   V1,    L3_18, "{wd} += {i}", "add32 {rd}, {i}"),
    row(0x05, Any,              Goto,                         "__O_", None,      Base32,   V1,    L3_18, "goto {l}", "ja {l}"),
    row(0x06, Any,              Gotol,                        "___I", None,      Base32,   V4,    L6_6,  "gotol {k}", "ja32 {k}"),
    row(0x07, Any,              Alu(W64, A::Add, Imm),        "D__I", None,      Base64,   V1,    L3_18, "{rd} += {i}", "add {rd}, {i}"),
    row(0x0c, Any,              Alu(W32, A::Add, Reg),        "DS__", None,      Base32,   V1,    L3_18, "{wd} += {ws}", "add32 {rd}, {rs}"),
    row(0x0d, Any,              Gotox,                        "D___", None,      Linux,    Later, L6_19, "gotox {rd}", "jax {rd}"),
    row(0x0f, Any,              Alu(W64, A::Add, Reg),        "DS__", None,      Base64,   V1,    L3_18, "{rd} += {rs}", "add {rd}, {rs}"),
    row(0x14, Any,              Alu(W32, A::Sub, Imm),        "D__I", None,      Base32,   V1,    L3_18, "{wd} -= {i}", "sub32 {rd}, {i}"),
    row(0x15, Any,              Branch(W64, C::Eq, Imm),      "D_OI", None,      Base64,   V1,    L3_18, "if {rd} == {i} goto {l}", "jeq {rd}, {i}, {l}"),
    row(0x16, Any,              Branch(W32, C::Eq, Imm),      "D_OI", None,      Base32,   V3,    L5_1,  "if {wd} == {i} goto {l}", "jeq32 {rd}, {i}, {l}"),
    row(0x17, Any,              Alu(W64, A::Sub, Imm),        "D__I", None,      Base64,   V1,    L3_18, "{rd} -= {i}", "sub {rd}, {i}"),
    row(0x18, Src(0),           LoadImm64,                    "D__I", Next::Imm, Base64,   V1,    L3_18, "{rd} = {q} ll", "lddw {rd}, {q}"),
    row(0x18, Src(1),           LoadAddr(P::MapFd),           "D__I", Zero,      Base64,   V1,    L3_18, "{rd} = map[fd:{i}] ll", "lddw {rd}, map[fd:{i}]"),
    row(0x18, Src(2),           LoadAddr(P::MapValueFd),      "D__I", Next::Imm, Base64,   V1,    L5_2,  "{rd} = map[fd:{i}][0] + {n} ll", "lddw {rd}, map[fd:{i}][0] + {n}"),
    row(0x18, Src(3),           LoadAddr(P::Variable),        "D__I", Next::Imm, Base64,   V1,    L5_10, "{rd} = var[btf:{u}, fd:{m}] ll", "lddw {rd}, var[btf:{u}, fd:{m}]"),
    row(0x18, Src(4),           LoadAddr(P::Code),            "D__I", Zero,      Base64,   V1,    L5_13, "{rd} = subprog[{f}] ll", "lddw {rd}, subprog[{f}]"),
    row(0x18, Src(5),           LoadAddr(P::MapIndex),        "D__I", Zero,      Base64,   V1,    L5_14, "{rd} = map[idx:{u}] ll", "lddw {rd}, map[idx:{u}]"),
    row(0x18, Src(6),           LoadAddr(P::MapValueIndex),   "D__I", Next::Imm, Base64,   V1,    L5_14, "{rd} = map[idx:{u}][0] + {n} ll", "lddw {rd}, map[idx:{u}][0] + {n}"),
    row(0x1c, Any,              Alu(W32, A::Sub, Reg),        "DS__", None,      Base32,   V1,    L3_18, "{wd} -= {ws}", "sub32 {rd}, {rs}"),
    row(0x1d, Any,              Branch(W64, C::Eq, Reg),      "DSO_", None,      Base64,   V1,    L3_18, "if {rd} == {rs} goto {l}", "jeq {rd}, {rs}, {l}"),
    row(0x1e, Any,              Branch(W32, C::Eq, Reg),      "DSO_", None,      Base32,   V3,    L5_1,  "if {wd} == {ws} goto {l}", "jeq32 {rd}, {rs}, {l}"),
    row(0x1f, Any,              Alu(W64, A::Sub, Reg),        "DS__", None,      Base64,   V1,    L3_18, "{rd} -= {rs}", "sub {rd}, {rs}"),
    row(0x20, Any,              LoadAbs(K::W),                "___I", None,      Packet,   V1,    L3_18, "r0 = *(u32 *)skb[{i}]", "ldabsw {i}"),
    row(0x24, Any,              Alu(W32, A::Mul, Imm),        "D__I", None,      Divmul32, V1,    L3_18, "{wd} *= {i}", "mul32 {rd}, {i}"),
    row(0x25, Any,              Branch(W64, C::Gt, Imm),      "D_OI", None,      Base64,   V1,    L3_18, "if {rd} > {i} goto {l}", "jgt {rd}, {i}, {l}"),
    row(0x26, Any,              Branch(W32, C::Gt, Imm),      "D_OI", None,      Base32,   V3,    L5_1,  "if {wd} > {i} goto {l}", "jgt32 {rd}, {i}, {l}"),
    row(0x27, Any,              Alu(W64, A::Mul, Imm),        "D__I", None,      Divmul64, V1,    L3_18, "{rd} *= {i}", "mul {rd}, {i}"),
    row(0x28, Any,              LoadAbs(K::H),                "___I", None,      Packet,   V1,    L3_18, "r0 = *(u16 *)skb[{i}]", "ldabsh {i}"),
    row(0x2c, Any,              Alu(W32, A::Mul, Reg),        "DS__", None,      Divmul32, V1,    L3_18, "{wd} *= {ws}", "mul32 {rd}, {rs}"),
    row(0x2d, Any,              Branch(W64, C::Gt, Reg),      "DSO_", None,      Base64,   V1,    L3_18, "if {rd} > {rs} goto {l}", "jgt {rd}, {rs}, {l}"),
    row(0x2e, Any,              Branch(W32, C::Gt, Reg),      "DSO_", None,      Base32,   V3,    L5_1,  "if {wd} > {ws} goto {l}", "jgt32 {rd}, {rs}, {l}"),
    row(0x2f, Any,              Alu(W64, A::Mul, Reg),        "DS__", None,      Divmul64, V1,    L3_18, "{rd} *= {rs}", "mul {rd}, {rs}"),
    row(0x30, Any,              LoadAbs(K::B),                "___I", None,      Packet,   V1,    L3_18, "r0 = *(u8 *)skb[{i}]", "ldabsb {i}"),
    row(0x34, Off(0),           Alu(W32, A::Div, Imm),        "D__I", None,      Divmul32, V1,    L3_18, "{wd} /= {i}", "div32 {rd}, {i}"),
    row(0x34, Off(1),           Alu(W32, A::Sdiv, Imm),       "D__I", None,      Divmul32, V4,    L6_6,  "{wd} s/= {i}", "sdiv32 {rd}, {i}"),
    row(0x35, Any,              Branch(W64, C::Ge, Imm),      "D_OI", None,      Base64,   V1,    L3_18, "if {rd} >= {i} goto {l}", "jge {rd}, {i}, {l}"),
    row(0x36, Any,              Branch(W32, C::Ge, Imm),      "D_OI", None,      Base32,   V3,    L5_1,  "if {wd} >= {i} goto {l}", "jge32 {rd}, {i}, {l}"),
    row(0x37, Off(0),           Alu(W64, A::Div, Imm),        "D__I", None,      Divmul64, V1,    L3_18, "{rd} /= {i}", "div {rd}, {i}"),
    row(0x37, Off(1),           Alu(W64, A::Sdiv, Imm),       "D__I", None,      Divmul64, V4,    L6_6,  "{rd} s/= {i}", "sdiv {rd}, {i}"),
    row(0x3c, Off(0),           Alu(W32, A::Div, Reg),        "DS__", None,      Divmul32, V1,    L3_18, "{wd} /= {ws}", "div32 {rd}, {rs}"),
    row(0x3c, Off(1),           Alu(W32, A::Sdiv, Reg),       "DS__", None,      Divmul32, V4,    L6_6,  "{wd} s/= {ws}", "sdiv32 {rd}, {rs}"),
    row(0x3d, Any,              Branch(W64, C::Ge, Reg),      "DSO_", None,      Base64,   V1,    L3_18, "if {rd} >= {rs} goto {l}", "jge {rd}, {rs}, {l}"),
    row(0x3e, Any,              Branch(W32, C::Ge, Reg),      "DSO_", None,      Base32,   V3,    L5_1,  "if {wd} >= {ws} goto {l}", "jge32 {rd}, {rs}, {l}"),
    row(0x3f, Off(0),           Alu(W64, A::Div, Reg),        "DS__", None,      Divmul64, V1,    L3_18, "{rd} /= {rs}", "div {rd}, {rs}"),
    row(0x3f, Off(1),           Alu(W64, A::Sdiv, Reg),       "DS__", None,      Divmul64, V4,    L6_6,  "{rd} s/= {rs}", "sdiv {rd}, {rs}"),
    row(0x40, Any,              LoadInd(K::W),                "_S_I", None,      Packet,   V1,    L3_18, "r0 = *(u32 *)skb[{rs}{j}]", "ldindw {rs}, {i}"),
    row(0x44, Any,              Alu(W32, A::Or, Imm),         "D__I", None,      Base32,   V1,    L3_18, "{wd} |= {i}", "or32 {rd}, {i}"),
    row(0x45, Any,              Branch(W64, C::Set, Imm),     "D_OI", None,      Base64,   V1,    L3_18, "if {rd} & {i} goto {l}", "jset {rd}, {i}, {l}"),
    row(0x46, Any,              Branch(W32, C::Set, Imm),     "D_OI", None,      Base32,   V3,    L5_1,  "if {wd} & {i} goto {l}", "jset32 {rd}, {i}, {l}"),
    row(0x47, Any,              Alu(W64, A::Or, Imm),         "D__I", None,      Base64,   V1,    L3_18, "{rd} |= {i}", "or {rd}, {i}"),
    row(0x48, Any,              LoadInd(K::H),                "_S_I", None,      Packet,   V1,    L3_18, "r0 = *(u16 *)skb[{rs}{j}]", "ldindh {rs}, {i}"),
    row(0x4c, Any,              Alu(W32, A::Or, Reg),         "DS__", None,      Base32,   V1,    L3_18, "{wd} |= {ws}", "or32 {rd}, {rs}"),
    row(0x4d, Any,              Branch(W64, C::Set, Reg),     "DSO_", None,      Base64,   V1,    L3_18, "if {rd} & {rs} goto {l}", "jset {rd}, {rs}, {l}"),
    row(0x4e, Any,              Branch(W32, C::Set, Reg),     "DSO_", None,      Base32,   V3,    L5_1,  "if {wd} & {ws} goto {l}", "jset32 {rd}, {rs}, {l}"),
    row(0x4f, Any,              Alu(W64, A::Or, Reg),         "DS__", None,      Base64,   V1,    L3_18, "{rd} |= {rs}", "or {rd}, {rs}"),
    row(0x50, Any,              LoadInd(K::B),                "_S_I", None,      Packet,   V1,    L3_18, "r0 = *(u8 *)skb[{rs}{j}]", "ldindb {rs}, {i}"),
    row(0x54, Any,              Alu(W32, A::And, Imm),        "D__I", None,      Base32,   V1,    L3_18, "{wd} &= {i}", "and32 {rd}, {i}"),
    row(0x55, Any,              Branch(W64, C::Ne, Imm),      "D_OI", None,      Base64,   V1,    L3_18, "if {rd} != {i} goto {l}", "jne {rd}, {i}, {l}"),
    row(0x56, Any,              Branch(W32, C::Ne, Imm),      "D_OI", None,      Base32,   V3,    L5_1,  "if {wd} != {i} goto {l}", "jne32 {rd}, {i}, {l}"),
    row(0x57, Any,              Alu(W64, A::And, Imm),        "D__I", None,      Base64,   V1,    L3_18, "{rd} &= {i}", "and {rd}, {i}"),
    row(0x5c, Any,              Alu(W32, A::And, Reg),        "DS__", None,      Base32,   V1,    L3_18, "{wd} &= {ws}", "and32 {rd}, {rs}"),
    row(0x5d, Any,              Branch(W64, C::Ne, Reg),      "DSO_", None,      Base64,   V1,    L3_18, "if {rd} != {rs} goto {l}", "jne {rd}, {rs}, {l}"),
    row(0x5e, Any,              Branch(W32, C::Ne, Reg),      "DSO_", None,      Base32,   V3,    L5_1,  "if {wd} != {ws} goto {l}", "jne32 {rd}, {rs}, {l}"),
    row(0x5f, Any,              Alu(W64, A::And, Reg),        "DS__", None,      Base64,   V1,    L3_18, "{rd} &= {rs}", "and {rd}, {rs}"),
    row(0x61, Any,              Load(L::U32),                 "DSO_", None,      Base32,   V1,    L3_18, "{rd} = *(u32 *)({rs}{o})", "ldxw {rd}, [{rs}{o}]"),
    row(0x62, Any,              Store(Z::W, Imm),             "D_OI", None,      Base32,   V1,    L3_18, "*(u32 *)({rd}{o}) = {i}", "stw [{rd}{o}], {i}"),
    row(0x63, Any,              Store(Z::W, Reg),             "DSO_", None,      Base32,   V1,    L3_18, "*(u32 *)({rd}{o}) = {rs}", "stxw [{rd}{o}], {rs}"),
    row(0x64, Any,              Alu(W32, A::Lsh, Imm),        "D__I", None,      Base32,   V1,    L3_18, "{wd} <<= {i}", "lsh32 {rd}, {i}"),
    row(0x65, Any,              Branch(W64, C::Sgt, Imm),     "D_OI", None,      Base64,   V1,    L3_18, "if {rd} s> {i} goto {l}", "jsgt {rd}, {i}, {l}"),
    row(0x66, Any,              Branch(W32, C::Sgt, Imm),     "D_OI", None,      Base32,   V3,    L5_1,  "if {wd} s> {i} goto {l}", "jsgt32 {rd}, {i}, {l}"),
    row(0x67, Any,              Alu(W64, A::Lsh, Imm),        "D__I", None,      Base64,   V1,    L3_18, "{rd} <<= {i}", "lsh {rd}, {i}"),
    row(0x69, Any,              Load(L::U16),                 "DSO_", None,      Base32,   V1,    L3_18, "{rd} = *(u16 *)({rs}{o})", "ldxh {rd}, [{rs}{o}]"),
    row(0x6a, Any,              Store(Z::H, Imm),             "D_OI", None,      Base32,   V1,    L3_18, "*(u16 *)({rd}{o}) = {i}", "sth [{rd}{o}], {i}"),
    row(0x6b, Any,              Store(Z::H, Reg),             "DSO_", None,      Base32,   V1,    L3_18, "*(u16 *)({rd}{o}) = {rs}", "stxh [{rd}{o}], {rs}"),
    row(0x6c, Any,              Alu(W32, A::Lsh, Reg),        "DS__", None,      Base32,   V1,    L3_18, "{wd} <<= {ws}", "lsh32 {rd}, {rs}"),
    row(0x6d, Any,              Branch(W64, C::Sgt, Reg),     "DSO_", None,      Base64,   V1,    L3_18, "if {rd} s> {rs} goto {l}", "jsgt {rd}, {rs}, {l}"),
    row(0x6e, Any,              Branch(W32, C::Sgt, Reg),     "DSO_", None,      Base32,   V3,    L5_1,  "if {wd} s> {ws} goto {l}", "jsgt32 {rd}, {rs}, {l}"),
    row(0x6f, Any,              Alu(W64, A::Lsh, Reg),        "DS__", None,      Base64,   V1,    L3_18, "{rd} <<= {rs}", "lsh {rd}, {rs}"),
    row(0x71, Any,              Load(L::U8),                  "DSO_", None,      Base32,   V1,    L3_18, "{rd} = *(u8 *)({rs}{o})", "ldxb {rd}, [{rs}{o}]"),
    row(0x72, Any,              Store(Z::B, Imm),             "D_OI", None,      Base32,   V1,    L3_18, "*(u8 *)({rd}{o}) = {i}", "stb [{rd}{o}], {i}"),
    row(0x73, Any,              Store(Z::B, Reg),             "DSO_", None,      Base32,   V1,    L3_18, "*(u8 *)({rd}{o}) = {rs}", "stxb [{rd}{o}], {rs}"),
    row(0x74, Any,              Alu(W32, A::Rsh, Imm),        "D__I", None,      Base32,   V1,    L3_18, "{wd} >>= {i}", "rsh32 {rd}, {i}"),
    row(0x75, Any,              Branch(W64, C::Sge, Imm),     "D_OI", None,      Base64,   V1,    L3_18, "if {rd} s>= {i} goto {l}", "jsge {rd}, {i}, {l}"),
    row(0x76, Any,              Branch(W32, C::Sge, Imm),     "D_OI", None,      Base32,   V3,    L5_1,  "if {wd} s>= {i} goto {l}", "jsge32 {rd}, {i}, {l}"),
    row(0x77, Any,              Alu(W64, A::Rsh, Imm),        "D__I", None,      Base64,   V1,    L3_18, "{rd} >>= {i}", "rsh {rd}, {i}"),
    row(0x79, Any,              Load(L::U64),                 "DSO_", None,      Base64,   V1,    L3_18, "{rd} = *(u64 *)({rs}{o})", "ldxdw {rd}, [{rs}{o}]"),
    row(0x7a, Any,              Store(Z::Dw, Imm),            "D_OI", None,      Base64,   V1,    L3_18, "*(u64 *)({rd}{o}) = {i}", "stdw [{rd}{o}], {i}"),
    row(0x7b, Any,              Store(Z::Dw, Reg),            "DSO_", None,      Base64,   V1,    L3_18, "*(u64 *)({rd}{o}) = {rs}", "stxdw [{rd}{o}], {rs}"),
    row(0x7c, Any,              Alu(W32, A::Rsh, Reg),        "DS__", None,      Base32,   V1,    L3_18, "{wd} >>= {ws}", "rsh32 {rd}, {rs}"),
    row(0x7d, Any,              Branch(W64, C::Sge, Reg),     "DSO_", None,      Base64,   V1,    L3_18, "if {rd} s>= {rs} goto {l}", "jsge {rd}, {rs}, {l}"),
    row(0x7e, Any,              Branch(W32, C::Sge, Reg),     "DSO_", None,      Base32,   V3,    L5_1,  "if {wd} s>= {ws} goto {l}", "jsge32 {rd}, {rs}, {l}"),
    row(0x7f, Any,              Alu(W64, A::Rsh, Reg),        "DS__", None,      Base64,   V1,    L3_18, "{rd} >>= {rs}", "rsh {rd}, {rs}"),
    row(0x81, Any,              Load(L::S32),                 "DSO_", None,      Base32,   V4,    L6_6,  "{rd} = *(s32 *)({rs}{o})", "ldxsw {rd}, [{rs}{o}]"),
    row(0x84, Any,              Neg(W32),                     "D___", None,      Base32,   V1,    L3_18, "{wd} = -{wd}", "neg32 {rd}"),
    row(0x85, Src(0),           CallHelper,                   "___I", None,      Base32,   V1,    L3_18, "call {h}", "call {h}"),
    row(0x85, Src(1),           CallLocal,                    "___I", None,      Base32,   V3,    L4_16, "call {f}", "call local {f}"),
    row(0x85, Src(2),           CallKfunc,                    "__OI", None,      Base32,   V3,    L5_13, "call kfunc[btf:{u}, fd:{b}]", "call kfunc[btf:{u}, fd:{b}]"),
    row(0x87, Any,              Neg(W64),                     "D___", None,      Base64,   V1,    L3_18, "{rd} = -{rd}", "neg {rd}"),
    row(0x89, Any,              Load(L::S16),                 "DSO_", None,      Base32,   V4,    L6_6,  "{rd} = *(s16 *)({rs}{o})", "ldxsh {rd}, [{rs}{o}]"),
    row(0x8d, Any,              CallReg,                      "D___", None,      Callx,    V1,    NEVER, "callx {rd}", "callx {rd}"),
    row(0x91, Any,              Load(L::S8),                  "DSO_", None,      Base32,   V4,    L6_6,  "{rd} = *(s8 *)({rs}{o})", "ldxsb {rd}, [{rs}{o}]"),
    row(0x94, Off(0),           Alu(W32, A::Mod, Imm),        "D__I", None,      Divmul32, V1,    L3_18, "{wd} %= {i}", "mod32 {rd}, {i}"),
    row(0x94, Off(1),           Alu(W32, A::Smod, Imm),       "D__I", None,      Divmul32, V4,    L6_6,  "{wd} s%= {i}", "smod32 {rd}, {i}"),
    row(0x95, Any,              Exit,                         "____", None,      Base32,   V1,    L3_18, "exit", "exit"),
    row(0x97, Off(0),           Alu(W64, A::Mod, Imm),        "D__I", None,      Divmul64, V1,    L3_18, "{rd} %= {i}", "mod {rd}, {i}"),
    row(0x97, Off(1),           Alu(W64, A::Smod, Imm),       "D__I", None,      Divmul64, V4,    L6_6,  "{rd} s%= {i}", "smod {rd}, {i}"),
    row(0x9c, Off(0),           Alu(W32, A::Mod, Reg),        "DS__", None,      Divmul32, V1,    L3_18, "{wd} %= {ws}", "mod32 {rd}, {rs}"),
    row(0x9c, Off(1),           Alu(W32, A::Smod, Reg),       "DS__", None,      Divmul32, V4,    L6_6,  "{wd} s%= {ws}", "smod32 {rd}, {rs}"),
    row(0x9f, Off(0),           Alu(W64, A::Mod, Reg),        "DS__", None,      Divmul64, V1,    L3_18, "{rd} %= {rs}", "mod {rd}, {rs}"),
    row(0x9f, Off(1),           Alu(W64, A::Smod, Reg),       "DS__", None,      Divmul64, V4,    L6_6,  "{rd} s%= {rs}", "smod {rd}, {rs}"),
    row(0xa4, Any,              Alu(W32, A::Xor, Imm),        "D__I", None,      Base32,   V1,    L3_18, "{wd} ^= {i}", "xor32 {rd}, {i}"),
    row(0xa5, Any,              Branch(W64, C::Lt, Imm),      "D_OI", None,      Base64,   V2,    L4_14, "if {rd} < {i} goto {l}", "jlt {rd}, {i}, {l}"),
    row(0xa6, Any,              Branch(W32, C::Lt, Imm),      "D_OI", None,      Base32,   V3,    L5_1,  "if {wd} < {i} goto {l}", "jlt32 {rd}, {i}, {l}"),
    row(0xa7, Any,              Alu(W64, A::Xor, Imm),        "D__I", None,      Base64,   V1,    L3_18, "{rd} ^= {i}", "xor {rd}, {i}"),
    row(0xac, Any,              Alu(W32, A::Xor, Reg),        "DS__", None,      Base32,   V1,    L3_18, "{wd} ^= {ws}", "xor32 {rd}, {rs}"),
    row(0xad, Any,              Branch(W64, C::Lt, Reg),      "DSO_", None,      Base64,   V2,    L4_14, "if {rd} < {rs} goto {l}", "jlt {rd}, {rs}, {l}"),
    row(0xae, Any,              Branch(W32, C::Lt, Reg),      "DSO_", None,      Base32,   V3,    L5_1,  "if {wd} < {ws} goto {l}", "jlt32 {rd}, {rs}, {l}"),
    row(0xaf, Any,              Alu(W64, A::Xor, Reg),        "DS__", None,      Base64,   V1,    L3_18, "{rd} ^= {rs}", "xor {rd}, {rs}"),
    row(0xb4, Any,              Alu(W32, A::Mov, Imm),        "D__I", None,      Base32,   V1,    L3_18, "{wd} = {i}", "mov32 {rd}, {i}"),
    row(0xb5, Any,              Branch(W64, C::Le, Imm),      "D_OI", None,      Base64,   V2,    L4_14, "if {rd} <= {i} goto {l}", "jle {rd}, {i}, {l}"),
    row(0xb6, Any,              Branch(W32, C::Le, Imm),      "D_OI", None,      Base32,   V3,    L5_1,  "if {wd} <= {i} goto {l}", "jle32 {rd}, {i}, {l}"),
    row(0xb7, Any,              Alu(W64, A::Mov, Imm),        "D__I", None,      Base64,   V1,    L3_18, "{rd} = {i}", "mov {rd}, {i}"),
    row(0xbc, Off(0),           Alu(W32, A::Mov, Reg),        "DS__", None,      Base32,   V1,    L3_18, "{wd} = {ws}", "mov32 {rd}, {rs}"),
    row(0xbc, Off(8),           Movsx(M::S8To32),             "DS__", None,      Base32,   V4,    L6_6,  "{wd} = (s8){ws}", "movsx832 {rd}, {rs}"),
    row(0xbc, Off(16),          Movsx(M::S16To32),            "DS__", None,      Base32,   V4,    L6_6,  "{wd} = (s16){ws}", "movsx1632 {rd}, {rs}"),
    row(0xbd, Any,              Branch(W64, C::Le, Reg),      "DSO_", None,      Base64,   V2,    L4_14, "if {rd} <= {rs} goto {l}", "jle {rd}, {rs}, {l}"),
    row(0xbe, Any,              Branch(W32, C::Le, Reg),      "DSO_", None,      Base32,   V3,    L5_1,  "if {wd} <= {ws} goto {l}", "jle32 {rd}, {rs}, {l}"),
    row(0xbf, Off(0),           Alu(W64, A::Mov, Reg),        "DS__", None,      Base64,   V1,    L3_18, "{rd} = {rs}", "mov {rd}, {rs}"),
    row(0xbf, Off(8),           Movsx(M::S8To64),             "DS__", None,      Base64,   V4,    L6_6,  "{rd} = (s8){rs}", "movsx864 {rd}, {rs}"),
    row(0xbf, Off(16),          Movsx(M::S16To64),            "DS__", None,      Base64,   V4,    L6_6,  "{rd} = (s16){rs}", "movsx1664 {rd}, {rs}"),
    row(0xbf, Off(32),          Movsx(M::S32To64),            "DS__", None,      Base64,   V4,    L6_6,  "{rd} = (s32){rs}", "movsx3264 {rd}, {rs}"),
    row(0xbf, Off(1),           AddrSpaceCast,                "DS_I", None,      Linux,    Later, L6_9,  "{rd} = addr_space_cast({rs}, {ta}, {fa})", "addr_space_cast {rd}, {rs}, {ta}, {fa}"),
    row(0xc3, Pick::Imm(0x0),   Atomic(W32, T::Add),          "DSO_", None,      Atomic32, V1,    L3_18, "lock *(u32 *)({rd}{o}) += {ws}", "lock add32 [{rd}{o}], {rs}"),
    row(0xc3, Pick::Imm(0x40),  Atomic(W32, T::Or),           "DSO_", None,      Atomic32, V3,    L5_12, "lock *(u32 *)({rd}{o}) |= {ws}", "lock or32 [{rd}{o}], {rs}"),
    row(0xc3, Pick::Imm(0x50),  Atomic(W32, T::And),          "DSO_", None,      Atomic32, V3,    L5_12, "lock *(u32 *)({rd}{o}) &= {ws}", "lock and32 [{rd}{o}], {rs}"),
    row(0xc3, Pick::Imm(0xa0),  Atomic(W32, T::Xor),          "DSO_", None,      Atomic32, V3,    L5_12, "lock *(u32 *)({rd}{o}) ^= {ws}", "lock xor32 [{rd}{o}], {rs}"),
    row(0xc3, Pick::Imm(0x1),   Atomic(W32, T::FetchAdd),     "DSO_", None,      Atomic32, V3,    L5_12, "{ws} = atomic_fetch_add((u32 *)({rd}{o}), {ws})", "lock fetch add32 [{rd}{o}], {rs}"),
    row(0xc3, Pick::Imm(0x41),  Atomic(W32, T::FetchOr),      "DSO_", None,      Atomic32, V3,    L5_12, "{ws} = atomic_fetch_or((u32 *)({rd}{o}), {ws})", "lock fetch or32 [{rd}{o}], {rs}"),
    row(0xc3, Pick::Imm(0x51),  Atomic(W32, T::FetchAnd),     "DSO_", None,      Atomic32, V3,    L5_12, "{ws} = atomic_fetch_and((u32 *)({rd}{o}), {ws})", "lock fetch and32 [{rd}{o}], {rs}"),
    row(0xc3, Pick::Imm(0xa1),  Atomic(W32, T::FetchXor),     "DSO_", None,      Atomic32, V3,    L5_12, "{ws} = atomic_fetch_xor((u32 *)({rd}{o}), {ws})", "lock fetch xor32 [{rd}{o}], {rs}"),
    row(0xc3, Pick::Imm(0xe1),  Atomic(W32, T::Xchg),         "DSO_", None,      Atomic32, V3,    L5_12, "{ws} = xchg32_32({rd}{o}, {ws})", "lock xchg32 [{rd}{o}], {rs}"),
    row(0xc3, Pick::Imm(0xf1),  Atomic(W32, T::Cmpxchg),      "DSO_", None,      Atomic32, V3,    L5_12, "w0 = cmpxchg32_32({rd}{o}, w0, {ws})", "lock cmpxchg32 [{rd}{o}], {rs}"),
    row(0xc3, Pick::Imm(0x100), LoadAcquire(Z::W),            "DSO_", None,      Linux,    V4,    L6_15, "{wd} = load_acquire((u32 *)({rs}{o}))", "load_acquire32 {rd}, [{rs}{o}]"),
    row(0xc3, Pick::Imm(0x110), StoreRelease(Z::W),           "DSO_", None,      Linux,    V4,    L6_15, "store_release((u32 *)({rd}{o}), {ws})", "store_release32 [{rd}{o}], {rs}"),
    row(0xc4, Any,              Alu(W32, A::Arsh, Imm),       "D__I", None,      Base32,   V1,    L5_0,  "{wd} s>>= {i}", "arsh32 {rd}, {i}"),
    row(0xc5, Any,              Branch(W64, C::Slt, Imm),     "D_OI", None,      Base64,   V2,    L4_14, "if {rd} s< {i} goto {l}", "jslt {rd}, {i}, {l}"),
    row(0xc6, Any,              Branch(W32, C::Slt, Imm),     "D_OI", None,      Base32,   V3,    L5_1,  "if {wd} s< {i} goto {l}", "jslt32 {rd}, {i}, {l}"),
    row(0xc7, Any,              Alu(W64, A::Arsh, Imm),       "D__I", None,      Base64,   V1,    L3_18, "{rd} s>>= {i}", "arsh {rd}, {i}"),
    row(0xcb, Pick::Imm(0x100), LoadAcquire(Z::H),            "DSO_", None,      Linux,    V4,    L6_15, "{wd} = load_acquire((u16 *)({rs}{o}))", "load_acquire16 {rd}, [{rs}{o}]"),
    row(0xcb, Pick::Imm(0x110), StoreRelease(Z::H),           "DSO_", None,      Linux,    V4,    L6_15, "store_release((u16 *)({rd}{o}), {ws})", "store_release16 [{rd}{o}], {rs}"),
    row(0xcc, Any,              Alu(W32, A::Arsh, Reg),       "DS__", None,      Base32,   V1,    L5_0,  "{wd} s>>= {ws}", "arsh32 {rd}, {rs}"),
    row(0xcd, Any,              Branch(W64, C::Slt, Reg),     "DSO_", None,      Base64,   V2,    L4_14, "if {rd} s< {rs} goto {l}", "jslt {rd}, {rs}, {l}"),
    row(0xce, Any,              Branch(W32, C::Slt, Reg),     "DSO_", None,      Base32,   V3,    L5_1,  "if {wd} s< {ws} goto {l}", "jslt32 {rd}, {rs}, {l}"),
    row(0xcf, Any,              Alu(W64, A::Arsh, Reg),       "DS__", None,      Base64,   V1,    L3_18, "{rd} s>>= {rs}", "arsh {rd}, {rs}"),
    row(0xd3, Pick::Imm(0x100), LoadAcquire(Z::B),            "DSO_", None,      Linux,    V4,    L6_15, "{wd} = load_acquire((u8 *)({rs}{o}))", "load_acquire8 {rd}, [{rs}{o}]"),
    row(0xd3, Pick::Imm(0x110), StoreRelease(Z::B),           "DSO_", None,      Linux,    V4,    L6_15, "store_release((u8 *)({rd}{o}), {ws})", "store_release8 [{rd}{o}], {rs}"),
    row(0xd4, Pick::Imm(16),    ByteSwap(E::ToLe, X::W16),    "D___", None,      Base32,   V1,    L3_18, "{rd} = le16 {rd}", "le16 {rd}"),
    row(0xd4, Pick::Imm(32),    ByteSwap(E::ToLe, X::W32),    "D___", None,      Base32,   V1,    L3_18, "{rd} = le32 {rd}", "le32 {rd}"),
    row(0xd4, Pick::Imm(64),    ByteSwap(E::ToLe, X::W64),    "D___", None,      Base64,   V1,    L3_18, "{rd} = le64 {rd}", "le64 {rd}"),
    row(0xd5, Any,              Branch(W64, C::Sle, Imm),     "D_OI", None,      Base64,   V2,    L4_14, "if {rd} s<= {i} goto {l}", "jsle {rd}, {i}, {l}"),
    row(0xd6, Any,              Branch(W32, C::Sle, Imm),     "D_OI", None,      Base32,   V3,    L5_1,  "if {wd} s<= {i} goto {l}", "jsle32 {rd}, {i}, {l}"),
    row(0xd7, Pick::Imm(16),    ByteSwap(E::Swap, X::W16),    "D___", None,      Base32,   V4,    L6_6,  "{rd} = bswap16 {rd}", "bswap16 {rd}"),
    row(0xd7, Pick::Imm(32),    ByteSwap(E::Swap, X::W32),    "D___", None,      Base32,   V4,    L6_6,  "{rd} = bswap32 {rd}", "bswap32 {rd}"),
    row(0xd7, Pick::Imm(64),    ByteSwap(E::Swap, X::W64),    "D___", None,      Base64,   V4,    L6_6,  "{rd} = bswap64 {rd}", "bswap64 {rd}"),
    row(0xdb, Pick::Imm(0x0),   Atomic(W64, T::Add),          "DSO_", None,      Atomic64, V1,    L3_18, "lock *(u64 *)({rd}{o}) += {rs}", "lock add [{rd}{o}], {rs}"),
    row(0xdb, Pick::Imm(0x40),  Atomic(W64, T::Or),           "DSO_", None,      Atomic64, V3,    L5_12, "lock *(u64 *)({rd}{o}) |= {rs}", "lock or [{rd}{o}], {rs}"),
    row(0xdb, Pick::Imm(0x50),  Atomic(W64, T::And),          "DSO_", None,      Atomic64, V3,    L5_12, "lock *(u64 *)({rd}{o}) &= {rs}", "lock and [{rd}{o}], {rs}"),
    row(0xdb, Pick::Imm(0xa0),  Atomic(W64, T::Xor),          "DSO_", None,      Atomic64, V3,    L5_12, "lock *(u64 *)({rd}{o}) ^= {rs}", "lock xor [{rd}{o}], {rs}"),
    row(0xdb, Pick::Imm(0x1),   Atomic(W64, T::FetchAdd),     "DSO_", None,      Atomic64, V3,    L5_12, "{rs} = atomic_fetch_add((u64 *)({rd}{o}), {rs})", "lock fetch add [{rd}{o}], {rs}"),
    row(0xdb, Pick::Imm(0x41),  Atomic(W64, T::FetchOr),      "DSO_", None,      Atomic64, V3,    L5_12, "{rs} = atomic_fetch_or((u64 *)({rd}{o}), {rs})", "lock fetch or [{rd}{o}], {rs}"),
    row(0xdb, Pick::Imm(0x51),  Atomic(W64, T::FetchAnd),     "DSO_", None,      Atomic64, V3,    L5_12, "{rs} = atomic_fetch_and((u64 *)({rd}{o}), {rs})", "lock fetch and [{rd}{o}], {rs}"),
    row(0xdb, Pick::Imm(0xa1),  Atomic(W64, T::FetchXor),     "DSO_", None,      Atomic64, V3,    L5_12, "{rs} = atomic_fetch_xor((u64 *)({rd}{o}), {rs})", "lock fetch xor [{rd}{o}], {rs}"),
    row(0xdb, Pick::Imm(0xe1),  Atomic(W64, T::Xchg),         "DSO_", None,      Atomic64, V3,    L5_12, "{rs} = xchg_64({rd}{o}, {rs})", "lock xchg [{rd}{o}], {rs}"),
    row(0xdb, Pick::Imm(0xf1),  Atomic(W64, T::Cmpxchg),      "DSO_", None,      Atomic64, V3,    L5_12, "r0 = cmpxchg_64({rd}{o}, r0, {rs})", "lock cmpxchg [{rd}{o}], {rs}"),
    row(0xdb, Pick::Imm(0x100), LoadAcquire(Z::Dw),           "DSO_", None,      Linux,    V4,    L6_15, "{rd} = load_acquire((u64 *)({rs}{o}))", "load_acquire64 {rd}, [{rs}{o}]"),
    row(0xdb, Pick::Imm(0x110), StoreRelease(Z::Dw),          "DSO_", None,      Linux,    V4,    L6_15, "store_release((u64 *)({rd}{o}), {rs})", "store_release64 [{rd}{o}], {rs}"),
    row(0xdc, Pick::Imm(16),    ByteSwap(E::ToBe, X::W16),    "D___", None,      Base32,   V1,    L3_18, "{rd} = be16 {rd}", "be16 {rd}"),
    row(0xdc, Pick::Imm(32),    ByteSwap(E::ToBe, X::W32),    "D___", None,      Base32,   V1,    L3_18, "{rd} = be32 {rd}", "be32 {rd}"),
    row(0xdc, Pick::Imm(64),    ByteSwap(E::ToBe, X::W64),    "D___", None,      Base64,   V1,    L3_18, "{rd} = be64 {rd}", "be64 {rd}"),
    row(0xdd, Any,              Branch(W64, C::Sle, Reg),     "DSO_", None,      Base64,   V2,    L4_14, "if {rd} s<= {rs} goto {l}", "jsle {rd}, {rs}, {l}"),
    row(0xde, Any,              Branch(W32, C::Sle, Reg),     "DSO_", None,      Base32,   V3,    L5_1,  "if {wd} s<= {ws} goto {l}", "jsle32 {rd}, {rs}, {l}"),
    row(0xe5, Src(0),           MayGoto,                      "__O_", None,      Linux,    Later, L6_9,  "may_goto {l}", "may_goto {l}"),
];

/// Holds the forms that Linux makes for itself and never accepts: `include/linux/filter.h`.
pub static INTERNAL: [InternalRow; 29] = [
    internal(0xbf, Off(-1), "mov_percpu"),
    internal(0xc2, Any, "NOSPEC"),
    internal(0xf5, Any, "TAIL_CALL"),
    internal(0x21, Any, "PROBE_MEM"),
    internal(0x29, Any, "PROBE_MEM"),
    internal(0x31, Any, "PROBE_MEM"),
    internal(0x39, Any, "PROBE_MEM"),
    internal(0x41, Any, "PROBE_MEMSX"),
    internal(0x49, Any, "PROBE_MEMSX"),
    internal(0x51, Any, "PROBE_MEMSX"),
    internal(0xa1, Any, "PROBE_MEM32"),
    internal(0xa9, Any, "PROBE_MEM32"),
    internal(0xb1, Any, "PROBE_MEM32"),
    internal(0xb9, Any, "PROBE_MEM32"),
    internal(0xa2, Any, "PROBE_MEM32"),
    internal(0xaa, Any, "PROBE_MEM32"),
    internal(0xb2, Any, "PROBE_MEM32"),
    internal(0xba, Any, "PROBE_MEM32"),
    internal(0xa3, Any, "PROBE_MEM32"),
    internal(0xab, Any, "PROBE_MEM32"),
    internal(0xb3, Any, "PROBE_MEM32"),
    internal(0xbb, Any, "PROBE_MEM32"),
    internal(0xc1, Any, "PROBE_MEM32SX"),
    internal(0xc9, Any, "PROBE_MEM32SX"),
    internal(0xd1, Any, "PROBE_MEM32SX"),
    internal(0xe3, Any, "PROBE_ATOMIC"),
    internal(0xeb, Any, "PROBE_ATOMIC"),
    internal(0xf3, Any, "PROBE_ATOMIC"),
    internal(0xfb, Any, "PROBE_ATOMIC"),
];

const fn internal(code: u8, pick: Pick, name: &'static str) -> InternalRow {
    InternalRow { code, pick, name }
}
