//! A program as a list whose jumps follow the instructions that they lead to, so that instructions can be taken out and put in.

use skep_btf::{FuncInfo, TypeId};
use skep_isa::{Addr, Flow, Insn, InsnIdx, Program, RawInsn};

/// An instruction, and where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The instruction; the distance in it counts for nothing.
    pub insn: Insn,
    /// The line that it jumps to, calls, or takes the address of.
    pub to: Option<usize>,
}

/// A program without distances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The instructions.
    pub lines: Vec<Line>,
    /// Lines at which functions begin whose types are known, with these.
    pub functions: Vec<(usize, TypeId)>,
}

impl Listing {
    /// Reads a program; `None` where a slot is no instruction, or something leads to none.
    pub fn of(slots: &[RawInsn], functions: &[FuncInfo]) -> Option<Listing> {
        let program = Program::decode(slots).ok()?;
        let mut line_at = vec![None; slots.len()];
        for (line, (at, _)) in program.iter().enumerate() {
            *line_at.get_mut(at.index())? = Some(line);
        }
        let line_of = |at: InsnIdx| line_at.get(at.index()).copied().flatten();
        let mut lines = Vec::with_capacity(slots.len());
        for (at, insn) in program.iter() {
            let to = match insn.jump_target(at).or_else(|| insn.call_target(at)) {
                // It leads to before the first.
                None if leads(insn) => return None,
                None => None,
                Some(to) => Some(line_of(to)?),
            };
            lines.push(Line { insn, to });
        }
        let function = |info: &FuncInfo| Some((line_of(InsnIdx(info.insn_off))?, info.type_id));
        Some(Listing { lines, functions: functions.iter().map(function).collect::<Option<_>>()? })
    }

    /// Writes the program; `None` where something leads too far, or behind the end.
    pub fn write(&self) -> Option<(Vec<RawInsn>, Vec<FuncInfo>)> {
        let mut starts = Vec::with_capacity(self.lines.len());
        let mut next = 0_i64;
        for line in &self.lines {
            starts.push(next);
            next += i64::from(line.insn.slots());
        }
        let mut slots = Vec::with_capacity(next as usize);
        for (line, start) in self.lines.iter().zip(&starts) {
            let insn = match line.to {
                None => line.insn,
                Some(to) => leading(line.insn, starts.get(to)? - start - 1)?,
            };
            slots.extend_from_slice(&insn.encode());
        }
        let mut functions = Vec::with_capacity(self.functions.len());
        for (line, type_id) in &self.functions {
            functions
                .push(FuncInfo { insn_off: u32::try_from(*starts.get(*line)?).ok()?, type_id: *type_id });
        }
        Some((slots, functions))
    }

    /// Takes lines out. What led to them leads to what follows; functions that are gone are forgotten.
    pub fn without(&self, from: usize, count: usize) -> Listing {
        let end = (from + count).min(self.lines.len());
        let moved = |line: usize| match line {
            line if line < from => line,
            line if line < end => from,
            line => line - (end - from),
        };
        let stays = |line: usize| !(from..end).contains(&line);
        let lines = self.lines.iter().enumerate().filter(|(at, _)| stays(*at));
        let lines: Vec<Line> = lines.map(|(_, line)| Line { to: line.to.map(moved), ..*line }).collect();
        let mut functions: Vec<(usize, TypeId)> = Vec::new();
        for &(line, type_id) in &self.functions {
            // A function whose first lines go begins at the next, unless that is another's beginning.
            let at = moved(line);
            let taken = functions.last().is_some_and(|(last, _)| *last == at);
            let is_others = !stays(line) && self.functions.iter().any(|(other, _)| *other == end);
            if !taken && !is_others && at < lines.len() {
                functions.push((at, type_id));
            }
        }
        Listing { lines, functions }
    }

    /// Puts a line in front of another; what led to that leads to the new one.
    pub fn insert(&mut self, at: usize, line: Line) {
        let moved = |to: usize| if to > at { to + 1 } else { to };
        for line in &mut self.lines {
            line.to = line.to.map(moved);
        }
        for (start, _) in &mut self.functions {
            *start = moved(*start);
        }
        let at = at.min(self.lines.len());
        self.lines.insert(at, Line { to: line.to.map(moved), ..line });
    }
}

/// Whether an instruction has a distance.
fn leads(insn: Insn) -> bool {
    insn.function_offset().is_some() || matches!(insn.flow(), Flow::Jump { .. } | Flow::Branch { .. })
}

/// An instruction with a distance.
fn leading(insn: Insn, distance: i64) -> Option<Insn> {
    let short = i16::try_from(distance).ok();
    let long = i32::try_from(distance).ok();
    Some(match insn {
        Insn::Goto { .. } => Insn::Goto { off: short? },
        Insn::MayGoto { .. } => Insn::MayGoto { off: short? },
        Insn::Branch { width, cond, dst, src, .. } => Insn::Branch { width, cond, dst, src, off: short? },
        Insn::Gotol { .. } => Insn::Gotol { off: long? },
        Insn::CallLocal { .. } => Insn::CallLocal { off: long? },
        Insn::LoadAddr { dst, addr: Addr::Code { .. } } => {
            Insn::LoadAddr { dst, addr: Addr::Code { off: long? } }
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_isa::{Builder, Cond, Reg};

    fn program() -> Vec<RawInsn> {
        let mut b = Builder::new();
        let (end, function) = (b.label(), b.label());
        b.mov(Reg::R0, 0).branch(Cond::Eq, Reg::R1, 0, end).imm64(Reg::R2, 7).call_local(function);
        b.bind(end).exit();
        b.bind(function).mov(Reg::R0, 1).exit();
        b.finish().unwrap().0.encode().collect()
    }

    #[test]
    fn what_is_read_is_written_again() {
        let slots = program();
        let functions =
            [FuncInfo { insn_off: 0, type_id: TypeId(1) }, FuncInfo { insn_off: 6, type_id: TypeId(2) }];
        let (written, infos) = Listing::of(&slots, &functions).unwrap().write().unwrap();
        assert_eq!((written, infos.as_slice()), (slots, &functions[..]));
    }

    #[test]
    fn jumps_and_functions_follow_what_is_taken_out_and_put_in() {
        let functions =
            [FuncInfo { insn_off: 0, type_id: TypeId(1) }, FuncInfo { insn_off: 6, type_id: TypeId(2) }];
        let listing = Listing::of(&program(), &functions).unwrap();
        let mut shorter = listing.without(2, 1);
        assert_eq!(shorter.lines[1].to, Some(3));
        assert_eq!(shorter.lines[2].to, Some(4));
        assert_eq!(shorter.functions, [(0, TypeId(1)), (4, TypeId(2))]);
        shorter.insert(2, listing.lines[2]);
        assert_eq!(shorter, listing);
        let without_function = listing.without(5, 2);
        assert_eq!(without_function.functions, [(0, TypeId(1))]);
        assert!(without_function.write().is_none());
    }
}
