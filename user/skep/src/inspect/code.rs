//! The code of a program as the kernel runs it, with the functions and lines that it came from.

use super::INFO;
use super::program::{function_name, list, words};
use crate::error::Result;
use crate::{Program, SourceLine};
use skep_abi::{FuncInfo, LineInfo};
use skep_btf::{Btf, StrOff};
use skep_sys::{CallError, ProgLists, WITHHELD};
use std::ops::Range;
use std::sync::Arc;

/// The code of a program as the kernel runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProgramCode {
    /// The instructions after the verifier's rewrites, 8 bytes each in the machine's order; `None` where the kernel does
    /// not show them to this process. Addresses of maps are their ids again; calls of helpers hold distances between
    /// functions, or 0 where the kernel does not show addresses.
    pub xlated: Option<Vec<u8>>,
    /// The machine code, all functions in a row; `None` where it is interpreted, or not shown to this process.
    pub jited: Option<Vec<u8>>,
    /// Its functions; the first is where it starts.
    pub functions: Vec<ProgramFunction>,
    /// Where lines of the source begin, by ascending instruction.
    pub lines: Vec<ProgramLine>,
}

/// A function of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProgramFunction {
    /// Its name; `None` where the program has no types.
    pub name: Option<String>,
    /// Its instructions, as slots; `None` where the kernel does not say where it starts.
    pub insns: Option<Range<u32>>,
    /// Its bytes in the machine code.
    pub jited: Option<Range<usize>>,
    /// The address of its machine code; `None` where the kernel does not show it.
    pub address: Option<u64>,
    /// A digest of its instructions.
    pub tag: Option<[u8; 8]>,
}

/// Where a line of the source begins.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProgramLine {
    /// The slot of its first instruction.
    pub insn: u32,
    /// The address of its machine code; `None` where the kernel does not show it.
    pub address: Option<u64>,
    /// The byte in the machine code of the program, as far as that can be told.
    pub jited: Option<usize>,
    /// The line.
    pub source: SourceLine,
}

/// The lists as the kernel gives them.
#[derive(Default)]
struct Lists {
    xlated: Vec<u8>,
    jited: Vec<u8>,
    ksyms: Vec<u64>,
    lens: Vec<u32>,
    functions: Vec<u8>,
    lines: Vec<u8>,
    addresses: Vec<u64>,
    tags: Vec<[u8; 8]>,
}

impl Program {
    /// Reads its code, as the verifier has rewritten it and as machine code, with its functions and lines. It is a few
    /// hundred kilobytes for the largest programs, and never changes.
    ///
    /// # Errors
    /// Where the kernel does not say; where its types cannot be read.
    pub fn code(&self) -> Result<ProgramCode> {
        let fail = |error: CallError| self.error(INFO, error);
        let there = self.info()?;
        let mut lists = Lists {
            xlated: list(there.xlated_prog_len).map_err(fail)?,
            jited: list(there.jited_prog_len).map_err(fail)?,
            ksyms: list(there.nr_jited_ksyms).map_err(fail)?,
            lens: list(there.nr_jited_func_lens).map_err(fail)?,
            functions: list(there.nr_func_info.saturating_mul(FUNC)).map_err(fail)?,
            lines: list(there.nr_line_info.saturating_mul(LINE)).map_err(fail)?,
            addresses: list(there.nr_jited_line_info).map_err(fail)?,
            tags: list(there.nr_prog_tags).map_err(fail)?,
        };
        let lent = ProgLists {
            xlated_insns: &mut lists.xlated,
            jited_insns: &mut lists.jited,
            jited_ksyms: &mut lists.ksyms,
            jited_func_lens: &mut lists.lens,
            func_info: &mut lists.functions,
            line_info: &mut lists.lines,
            jited_line_info: &mut lists.addresses,
            prog_tags: &mut lists.tags,
            ..ProgLists::default()
        };
        let info = self.fd().info_with(lent).map_err(fail)?;
        let shown = |field: u64, len: u32| len != 0 && field != WITHHELD;
        let is_shown = (
            shown(info.xlated_prog_insns, info.xlated_prog_len),
            shown(info.jited_prog_insns, info.jited_prog_len),
        );
        for (field, list) in
            [(info.jited_ksyms, &mut lists.ksyms), (info.jited_line_info, &mut lists.addresses)]
        {
            if field == WITHHELD {
                list.clear();
            }
        }
        if info.jited_func_lens == WITHHELD {
            lists.lens.clear();
        }
        let btf = self.types(&info)?;
        let functions = functions(&lists, btf.as_deref());
        let lines = lines(&lists, &functions, btf);
        Ok(ProgramCode {
            xlated: is_shown.0.then_some(lists.xlated),
            jited: is_shown.1.then_some(lists.jited),
            functions,
            lines,
        })
    }
}

/// The sizes of the kernel's records.
const FUNC: u32 = size_of::<FuncInfo>() as u32;
const LINE: u32 = size_of::<LineInfo>() as u32;

/// Puts together what the lists say of each function; they have one order, and some may be missing.
fn functions(lists: &Lists, btf: Option<&Btf<'_>>) -> Vec<ProgramFunction> {
    let records: Vec<[u32; 2]> = lists.functions.chunks_exact(FUNC as usize).map(words).collect();
    let slots = (lists.xlated.len() / 8) as u32;
    let count = records.len().max(lists.ksyms.len()).max(lists.lens.len()).max(lists.tags.len());
    let mut jited = 0usize;
    let function = |index: usize| {
        let record = records.get(index);
        let start = match record {
            Some(&[start, _]) => Some(start),
            // A program of one function has no need of records.
            None if count == 1 => Some(0),
            None => None,
        };
        let end = records.get(index + 1).map_or(slots, |next| next[0]);
        let len = lists.lens.get(index).copied();
        let range = len.map(|len| jited..jited.saturating_add(len as usize));
        jited = range.as_ref().map_or(jited, |range| range.end);
        ProgramFunction {
            name: record.zip(btf).and_then(|(&[_, type_id], btf)| function_name(btf, type_id)),
            insns: start.filter(|&start| start <= end).map(|start| start..end),
            jited: range,
            address: lists.ksyms.get(index).copied().filter(|&address| address != 0),
            tag: lists.tags.get(index).copied(),
        }
    };
    (0..count).map(function).collect()
}

fn lines(lists: &Lists, functions: &[ProgramFunction], btf: Option<Arc<Btf<'static>>>) -> Vec<ProgramLine> {
    let records = lists.lines.chunks_exact(LINE as usize).map(words);
    let text = |offset: u32| {
        let text = btf.as_ref().and_then(|btf| btf.text(StrOff(offset)));
        text.map_or_else(String::new, |text| text.into_owned())
    };
    let line = |(index, [insn, file, line, column]): (usize, [u32; 4])| {
        let address = lists.addresses.get(index).copied().filter(|&address| address != 0);
        ProgramLine {
            insn,
            address,
            jited: address.and_then(|address| offset_of(functions, address)),
            // `BPF_LINE_INFO_LINE_NUM` and `_COL` (include/uapi/linux/bpf.h).
            source: SourceLine {
                file: text(file),
                line: column >> 10,
                column: column & 0x3ff,
                text: text(line),
            },
        }
    };
    records.enumerate().map(line).collect()
}

/// Finds the byte of the machine code that lies at an address.
fn offset_of(functions: &[ProgramFunction], address: u64) -> Option<usize> {
    functions.iter().find_map(|function| {
        let (start, range) = (function.address?, function.jited.as_ref()?);
        let distance = usize::try_from(address.checked_sub(start)?).ok()?;
        (distance < range.len()).then(|| range.start + distance)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_are_missing_leave_out_what_they_say() {
        let lists = Lists {
            xlated: vec![0; 80],
            functions: [0u32, 1, 6, 2].iter().flat_map(|word| word.to_ne_bytes()).collect(),
            lens: vec![40, 24],
            ..Lists::default()
        };
        let found = functions(&lists, None);
        assert_eq!(found.iter().map(|f| f.insns.clone().unwrap()).collect::<Vec<_>>(), [0..6, 6..10]);
        assert_eq!(found.iter().map(|f| f.jited.clone().unwrap()).collect::<Vec<_>>(), [0..40, 40..64]);
        assert!(found.iter().all(|f| f.address.is_none() && f.tag.is_none() && f.name.is_none()));
        let lists = Lists { ksyms: vec![0x1000, 0x2000], addresses: vec![0x2004], ..lists };
        let found = functions(&lists, None);
        assert_eq!(offset_of(&found, 0x1000), Some(0));
        assert_eq!(offset_of(&found, 0x2004), Some(44));
        assert_eq!([0xfff, 0x1028, 0x2018].map(|at| offset_of(&found, at)), [None; 3]);
        // What starts behind its end has no instructions.
        let backwards = Lists {
            functions: [9u32, 1, 2, 1].iter().flat_map(|word| word.to_ne_bytes()).collect(),
            ..Lists::default()
        };
        assert_eq!(functions(&backwards, None)[0].insns, None);
        let alone = Lists { xlated: vec![0; 16], tags: vec![[7; 8]], ..Lists::default() };
        assert_eq!(functions(&alone, None)[0].insns, Some(0..2));
    }
}
