//! An object file of the parts of an input, with instructions that hold what the relocations are about.

use super::Asked;
use skep_btf::core::{Outcome, RawInsn, Resolution};
use skep_btf::{Btf, Endian};

/// The most slots of a section; relocations of later ones are of no instruction.
const SLOTS: usize = 64;
/// The most sections with instructions.
const SECTIONS: usize = 4;

/// Bytes of a header of a file, of a section and of a symbol of 64-bit ELF (the System V ABI, "Object Files").
const FILE: usize = 64;
const SYMBOL: usize = 24;

const PROGBITS: u32 = 1;
const SYMTAB: u32 = 2;
const STRTAB: u32 = 3;
/// `SHF_ALLOC | SHF_EXECINSTR`.
const CODE: u64 = 6;
/// `STB_GLOBAL << 4 | STT_FUNC`.
const FUNCTION: u8 = 0x12;

/// Instructions that may hold what a relocation is about, and some that may not.
pub(super) fn every_insn(outcome: &Outcome) -> Vec<Vec<RawInsn>> {
    let value = match outcome {
        Outcome::Value(values) => values.local,
        Outcome::Missing => 7,
    };
    let low = value as i32;
    let imm = |code, imm| vec![RawInsn::new(code, 1, 0, 0, imm)];
    let off = |code, off| vec![RawInsn::new(code, 1, 2, off, 0)];
    let wide = |src, high| vec![RawInsn::new(0x18, 1, src, 0, low), RawInsn::new(0, 0, 0, 0, high)];
    let mut every = vec![wide(0, (value >> 32) as i32), wide(0, 1), wide(1, 0)];
    every.extend([0xb7, 0xb4, 0xbf, 0x95, 0x05].map(|code| imm(code, low)));
    every.push(imm(0x07, low.wrapping_add(1)));
    every.push(vec![RawInsn::new(0x18, 1, 0, 0, low)]);
    for code in [0x61, 0x69, 0x71, 0x79, 0x81, 0x7a, 0x63] {
        every.push(off(code, value as i16));
        every.push(off(code, (value as i16).wrapping_add(1)));
    }
    every
}

/// A section of the file.
struct Section {
    name: String,
    sh_type: u32,
    flags: u64,
    link: u32,
    info: u32,
    bytes: Vec<u8>,
}

/// The file.
pub(super) fn elf(
    local: &Btf<'_>,
    btf: &[u8],
    ext: &[u8],
    asked: &[Asked<'_>],
    answers: &[Option<Resolution>],
) -> Vec<u8> {
    let endian = local.endian();
    let mut names: Vec<&str> = Vec::new();
    for asked in asked {
        if !names.contains(&asked.section) && names.len() < SECTIONS {
            names.push(asked.section);
        }
    }
    let plain = |name: &str, sh_type, flags, bytes| Section {
        name: name.to_owned(),
        sh_type,
        flags,
        link: 0,
        info: 0,
        bytes,
    };
    let mut sections: Vec<Section> = Vec::new();
    let mut strings = vec![0];
    let mut symbols = vec![0; SYMBOL];
    for name in names {
        let code = code(endian, name, asked, answers);
        symbols.extend(endian.bytes32(strings.len() as u32));
        symbols.extend([FUNCTION, 0]);
        symbols.extend(endian.bytes16(sections.len() as u16 + 1));
        symbols.extend(word64(endian, 0));
        symbols.extend(word64(endian, code.len() as u64));
        strings.extend(format!("f{}\0", sections.len()).as_bytes());
        sections.push(plain(name, PROGBITS, CODE, code));
    }
    sections.push(plain(".BTF", PROGBITS, 0, btf.to_vec()));
    sections.push(plain(".BTF.ext", PROGBITS, 0, ext.to_vec()));
    let strtab = sections.len() as u32 + 2;
    sections.push(Section { link: strtab, info: 1, ..plain(".symtab", SYMTAB, 0, symbols) });
    let mut starts = Vec::new();
    for name in sections.iter().map(|section| section.name.as_str()).chain([".strtab"]) {
        starts.push(strings.len() as u32);
        strings.extend(name.as_bytes());
        strings.push(0);
    }
    sections.push(plain(".strtab", STRTAB, 0, strings));
    lay_out(endian, &sections, &starts)
}

/// A section's instructions: each relocation's own is one of the kinds in turns, all others load a number.
fn code(endian: Endian, name: &str, asked: &[Asked<'_>], answers: &[Option<Resolution>]) -> Vec<u8> {
    let here = || asked.iter().zip(answers).filter(|(asked, _)| asked.section == name);
    let slot = |asked: &Asked<'_>| asked.record.insn_off as usize / 8;
    let slots = here().map(|(asked, _)| slot(asked) + 3).max().unwrap_or(1).min(SLOTS);
    let mut insns = vec![RawInsn::new(0xb7, 0, 0, 0, 0); slots];
    for (nth, (asked, answer)) in here().enumerate() {
        let every = every_insn(&answer.as_ref().map_or(Outcome::Missing, |answer| answer.outcome));
        let chosen = &every[nth % every.len()];
        if let Some(room) = insns.get_mut(slot(asked)..slot(asked) + chosen.len()) {
            room.copy_from_slice(chosen);
        }
    }
    if let Some(last) = insns.last_mut() {
        *last = RawInsn::new(0x95, 0, 0, 0, 0);
    }
    let bytes = insns.into_iter().flat_map(|insn| {
        let regs = match endian {
            Endian::Little => insn.src() << 4 | insn.dst(),
            Endian::Big => insn.dst() << 4 | insn.src(),
        };
        let [low, high] = endian.bytes16(insn.off as u16);
        let [a, b, c, d] = endian.bytes32(insn.imm as u32);
        [insn.code, regs, low, high, a, b, c, d]
    });
    bytes.collect()
}

/// The header, the sections behind it, and their headers.
fn lay_out(endian: Endian, sections: &[Section], names: &[u32]) -> Vec<u8> {
    let mut headers = vec![0; 64];
    let mut bodies = Vec::new();
    for (section, name) in sections.iter().zip(names) {
        bodies.resize(bodies.len().next_multiple_of(8), 0);
        headers.extend(endian.bytes32(*name));
        headers.extend(endian.bytes32(section.sh_type));
        headers.extend(word64(endian, section.flags));
        headers.extend(word64(endian, 0));
        headers.extend(word64(endian, (FILE + bodies.len()) as u64));
        headers.extend(word64(endian, section.bytes.len() as u64));
        headers.extend(endian.bytes32(section.link));
        headers.extend(endian.bytes32(section.info));
        headers.extend(word64(endian, 8));
        headers.extend(word64(endian, if section.sh_type == SYMTAB { SYMBOL as u64 } else { 0 }));
        bodies.extend(&section.bytes);
    }
    bodies.resize(bodies.len().next_multiple_of(8), 0);
    let order = match endian {
        Endian::Little => 1,
        Endian::Big => 2,
    };
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, order, 1];
    file.resize(16, 0);
    // ET_REL for EM_BPF.
    for half in [1, 247] {
        file.extend(endian.bytes16(half));
    }
    file.extend(endian.bytes32(1));
    for word in [0, 0, (FILE + bodies.len()) as u64] {
        file.extend(word64(endian, word));
    }
    file.extend(endian.bytes32(0));
    for half in [FILE, 0, 0, 64, sections.len() + 1, sections.len()] {
        file.extend(endian.bytes16(half as u16));
    }
    file.extend(bodies);
    file.extend(headers);
    file
}

fn word64(endian: Endian, word: u64) -> [u8; 8] {
    match endian {
        Endian::Little => word.to_le_bytes(),
        Endian::Big => word.to_be_bytes(),
    }
}
