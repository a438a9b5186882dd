//! What libbpf says of CO-RE relocations while it debugs (src/relo_core.c, `bpf_core_calc_relo_insn` and
//! `bpf_core_patch_insn`): a few lines of each, the first of them the path in the object's own types.

use super::{Answer, Answers, Ending, Place};
use crate::Outcome;

/// What was heard so far.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) answers: Answers,
    /// Why the object cannot be read.
    pub(super) unread: Option<String>,
    /// The last line of it: why there is no more.
    pub(super) last: String,
}

/// A relocation whose lines are being read.
#[derive(Debug, Default)]
struct Open {
    function: String,
    number: String,
    local: String,
    targets: Vec<String>,
    patched: Option<(u32, Ending)>,
}

impl Heard {
    /// Reads a log. `ours` tells of a relocation that failed where it is: the log does not.
    pub(super) fn listen(&mut self, log: &str, ours: &Answers) -> Outcome<()> {
        let mut open: Option<Open> = None;
        for line in log.lines() {
            let line = line.strip_prefix("libbpf: ").unwrap_or(line);
            self.last = line.to_owned();
            let Some((function, number, said)) = parts(line) else { continue };
            if said.starts_with('<') {
                self.close(open.take())?;
                let (function, number, local) = (function.to_owned(), number.to_owned(), said.to_owned());
                open = Some(Open { function, number, local, ..Open::default() });
                continue;
            }
            let is_its = |open: &&mut Open| open.function == function && open.number == number;
            let failed = said.starts_with("failed to ");
            let Some(its) = open.as_mut().filter(is_its) else {
                // Where the path itself is bad it was not shown.
                if failed {
                    self.failed(function, ours)?;
                }
                continue;
            };
            match failed {
                true => {
                    open = None;
                    self.failed(function, ours)?;
                }
                false => its.take(said)?,
            }
        }
        self.close(open)
    }

    /// Keeps what was said of a relocation. Another try of the same has to come to the same.
    fn close(&mut self, open: Option<Open>) -> Outcome<()> {
        let Some(Open { function, local, targets, patched: Some((insn, ending)), .. }) = open else {
            return Ok(());
        };
        let (matching, target) = (targets.len(), targets.into_iter().next());
        self.keep(Place { function, insn }, Answer { local: Some(local), target, matching, ending })
    }

    fn keep(&mut self, place: Place, answer: Answer) -> Outcome<()> {
        if let Some(known) = self.answers.get(&place).filter(|known| **known != answer) {
            return Err(format!("libbpf answers {place:?} as {known} and as {answer}").into());
        }
        self.answers.insert(place, answer);
        Ok(())
    }

    /// Keeps that a relocation failed: the next one of its function.
    fn failed(&mut self, function: &str, ours: &Answers) -> Outcome<()> {
        let mut open = ours.keys().filter(|place| place.function == function);
        match open.find(|place| !self.answers.contains_key(*place)).cloned() {
            Some(place) => {
                self.keep(place, Answer { local: None, target: None, matching: 0, ending: Ending::Failed })
            }
            None => Ok(()),
        }
    }
}

/// The function, the relocation's number in its section, and what is said of it: `prog 'x': relo #3: …`.
fn parts(line: &str) -> Option<(&str, &str, &str)> {
    let (function, rest) = line.strip_prefix("prog '")?.split_once("': relo #")?;
    let (number, said) = rest.split_once(": ")?;
    Some((function, number, said))
}

impl Open {
    fn take(&mut self, said: &str) -> Outcome<()> {
        if let Some(candidate) = said.strip_prefix("matching candidate #") {
            self.targets.push(candidate.split_once(' ').map_or("", |(_, text)| text).to_owned());
        } else if let Some(rest) = said.strip_prefix("substituting insn #") {
            let insn = number(rest.split(' ').next())?;
            // Of a wide one the second slot is said first.
            self.patched = Some((u32::try_from(insn)?, Ending::Poisoned));
        } else if let Some(rest) = said.strip_prefix("patched insn #") {
            let words: Vec<&str> = rest.split(' ').collect();
            let [insn, _, what, from, "->", to] = words[..] else {
                return Err(format!("a line of another form: {said}").into());
            };
            let (insn, from, to) =
                (u32::try_from(number(Some(insn))?)?, number(Some(from))?, number(Some(to))?);
            self.patched = match (what, self.patched) {
                ("imm" | "imm64" | "off", None) => Some((insn, Ending::Patched { from, to, resized: None })),
                ("mem_sz", Some((at, Ending::Patched { from: value, to: there, .. }))) if at == insn => {
                    let resized = Some((u32::try_from(from)?, u32::try_from(to)?));
                    Some((insn, Ending::Patched { from: value, to: there, resized }))
                }
                _ => return Err(format!("a line out of order: {said}").into()),
            };
        }
        Ok(())
    }
}

fn number(word: Option<&str>) -> Outcome<u64> {
    let word = word.ok_or("a line without a number")?;
    Ok(word.parse().map_err(|error| format!("{word}: {error}"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
libbpf: loading object 'a' from buffer
libbpf: sec 'xdp': found 3 CO-RE relocations
libbpf: prog 'one': relo #0: <byte_off> [7] struct a.b (0:1 @ offset 4)
libbpf: prog 'one': relo #0: non-matching candidate #0 <byte_off> [1] struct a
libbpf: prog 'one': relo #0: matching candidate #1 <byte_off> [2] struct a.b (0:0 @ offset 8)
libbpf: prog 'one': relo #0: patched insn #5 (LDX/ST/STX) off 4 -> 8
libbpf: prog 'one': relo #0: patched insn #5 (LDX/ST/STX) mem_sz 4 -> 8
libbpf: prog 'one': relo #1: <type_id> [9] struct gone
libbpf: prog 'one': relo #1: no matching targets found
libbpf: prog 'one': relo #1: substituting insn #8 w/ invalid insn
libbpf: prog 'one': relo #1: substituting insn #7 w/ invalid insn
libbpf: prog 'two': relo #2: <byte_sz> [7] struct a.b (0:1 @ offset 4)
libbpf: prog 'two': relo #2: matching candidate #0 <byte_sz> [2] struct a.b (0:0 @ offset 8)
libbpf: prog 'two': relo #2: field offset ambiguity: 1 != 2
libbpf: prog 'two': relo #2: failed to relocate: -EINVAL
libbpf: failed to perform CO-RE relocations: -EINVAL";

    fn place(function: &str, insn: u32) -> Place {
        Place { function: function.to_owned(), insn }
    }

    #[test]
    fn a_log_says_what_becomes_of_each() {
        let unknown = Answer { local: None, target: None, matching: 0, ending: Ending::Failed };
        let ours = Answers::from([(place("two", 3), unknown.clone())]);
        let mut heard = Heard::default();
        heard.listen(LOG, &ours).expect("a log");
        let text = |text: &str| Some(text.to_owned());
        let first = Answer {
            local: text("<byte_off> [7] struct a.b (0:1 @ offset 4)"),
            target: text("<byte_off> [2] struct a.b (0:0 @ offset 8)"),
            matching: 1,
            ending: Ending::Patched { from: 4, to: 8, resized: Some((4, 8)) },
        };
        let second =
            Answer { local: text("<type_id> [9] struct gone"), ending: Ending::Poisoned, ..unknown.clone() };
        let wanted = [(place("one", 5), first), (place("one", 7), second), (place("two", 3), unknown)];
        assert_eq!(heard.answers, Answers::from(wanted));
        assert!(heard.last.starts_with("failed to perform"));
    }

    #[test]
    fn two_answers_for_one_are_an_error() {
        let mut heard = Heard::default();
        heard.listen(LOG, &Answers::new()).expect("a log");
        heard.listen(LOG, &Answers::new()).expect("the same again");
        assert!(heard.listen(&LOG.replace("off 4 -> 8", "off 4 -> 12"), &Answers::new()).is_err());
    }
}
