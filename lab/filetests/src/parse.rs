//! Reading a file of cases.

use crate::{Case, ENGINES, Expected, Input, Place};
use skep_isa::InsnIdx;
use skep_isa::text::assemble;
use skep_model::platform::ProgType;
use skep_model::platform::helpers::HELPERS;
use std::fmt;

/// What a run may execute unless its case says otherwise.
const FUEL: u64 = 100_000;

/// How often one line may stand.
const MOST_TIMES: u64 = 100_000;

/// What is wrong with a file, and on which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for ParseError {}

/// A case as far as it has been read.
#[derive(Default)]
struct Draft {
    name: String,
    line: u32,
    text: String,
    /// The file's line of each line of the text.
    lines: Vec<u32>,
    memory: Option<Vec<u8>>,
    kind: Option<ProgType>,
    meta: Vec<u8>,
    packet: Option<Vec<u8>>,
    fields: Vec<(String, u64)>,
    fuel: Option<u64>,
    unwritten_is_zero: bool,
    register_calls: bool,
    returns: Option<u64>,
    /// The line and the words of each `;!`.
    stops: Vec<(u32, String)>,
    /// What `on` says.
    besides: Vec<(&'static str, Expected)>,
    leaves: Option<Vec<u8>>,
}

/// Reads the cases of a file.
///
/// # Errors
/// [`ParseError`] names the first line that says nothing that a case can say.
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>, ParseError> {
    let mut cases = Vec::new();
    let mut draft: Option<Draft> = None;
    for (line, whole) in (1..).zip(text.lines()) {
        let error = |message: &str| ParseError { line, message: message.to_owned() };
        if whole.trim().is_empty() || whole.starts_with('#') {
            continue;
        }
        if let Some(name) = whole.strip_prefix("test ") {
            if let Some(done) = draft.take() {
                cases.push(done.finish(file)?);
            }
            draft = Some(Draft { name: name.trim().to_owned(), line, ..Draft::default() });
            continue;
        }
        let draft = draft.as_mut().ok_or_else(|| error("wanted `test NAME` first"))?;
        if whole.starts_with(' ') {
            draft.program(line, whole).map_err(|message| ParseError { line, message })?;
        } else {
            let (word, rest) = whole.split_once(' ').unwrap_or((whole, ""));
            draft.say(word, rest.trim()).map_err(|message| ParseError { line, message })?;
        }
    }
    if let Some(done) = draft.take() {
        cases.push(done.finish(file)?);
    }
    let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ParseError { line: 1, message: format!("two cases are called `{}`", pair[0]) }),
        None => Ok(cases),
    }
}

impl Draft {
    fn program(&mut self, line: u32, whole: &str) -> Result<(), String> {
        let (count, insn) = match whole.trim_start().strip_prefix("times ") {
            Some(rest) => {
                let (count, insn) = rest.split_once(' ').ok_or("wanted `times NUMBER INSTRUCTION`")?;
                (number(count)?, insn)
            }
            None => (1, whole),
        };
        if count > MOST_TIMES {
            return Err(format!("wanted at most {MOST_TIMES} times"));
        }
        self.stops.extend(whole.split(";!").skip(1).map(|words| (line, words.trim().to_owned())));
        for _ in 0..count {
            self.text.push_str(insn);
            self.text.push('\n');
            self.lines.push(line);
        }
        Ok(())
    }

    fn say(&mut self, word: &str, rest: &str) -> Result<(), String> {
        match word {
            "memory" => self.memory = Some(hex(rest)?),
            "type" => self.kind = Some(prog_type(rest)?),
            "packet" => self.packet = Some(hex(rest)?),
            "meta" => self.meta = hex(rest)?,
            "field" => {
                let (name, value) = rest.split_once(' ').ok_or("wanted `field NAME NUMBER`")?;
                self.fields.push((name.to_owned(), number(value)?));
            }
            "fuel" => self.fuel = Some(number(rest)?),
            "calls" if rest == "through registers" => self.register_calls = true,
            "unwritten" if rest == "zero" => self.unwritten_is_zero = true,
            "on" => self.on(rest)?,
            "returns" => self.returns = Some(number(rest)?),
            "leaves" => self.leaves = Some(hex(rest)?),
            _ => return Err(format!("`{word}` says nothing here")),
        }
        Ok(())
    }

    /// Reads what stands after `on`.
    fn on(&mut self, rest: &str) -> Result<(), String> {
        let (engines, words) = engines(rest);
        let expected = match kind_and_message(words) {
            ("ends", None) => Expected::Ends,
            ("anything", None) => Expected::Anything,
            ("nothing", None) => Expected::NotHere,
            ("refused", message @ Some(_)) => Expected::Refused(None, message),
            (words, None) if words.starts_with("returns ") => {
                Expected::Returns(number(words.trim_start_matches("returns "))?)
            }
            _ => return Err(format!("`{words}` says nothing of an engine")),
        };
        if engines.is_empty() {
            return Err(format!("wanted the name of an engine ({})", ENGINES.join(", ")));
        }
        self.besides.extend(engines.into_iter().map(|engine| (engine, expected.clone())));
        Ok(())
    }

    fn finish(self, file: &str) -> Result<Case, ParseError> {
        let error = |message: String| ParseError { line: self.line, message };
        let helper = |name: &str| {
            let name = name.strip_prefix("bpf_").unwrap_or(name);
            HELPERS.iter().find(|helper| helper.name == name).map(|helper| helper.id.0)
        };
        let assembled = assemble(&self.text, &helper).map_err(|asm| {
            let line = self.lines.get(asm.line as usize - 1).copied().unwrap_or(self.line);
            ParseError { line, message: asm.to_string() }
        })?;
        let slots = assembled.slots().to_vec();
        let line_of = |slot: usize| {
            let line = assembled.line(InsnIdx(slot as u32))?;
            self.lines.get(line as usize - 1).copied()
        };
        let lines: Vec<u32> = (0..slots.len()).map(|slot| line_of(slot).unwrap_or(0)).collect();
        let (mut expected, mut besides) = (self.returns.map(Expected::Returns), self.besides);
        for (line, words) in &self.stops {
            let slot = lines.iter().position(|at| at == line);
            let slot = slot.ok_or_else(|| error("`;!` stands on no instruction".to_owned()))? as u32;
            let (engines, words) = engines(words);
            let stop = stop(Place { line: *line, slot }, words);
            if engines.is_empty() && expected.replace(stop.clone()).is_some() {
                return Err(error("a case says either `returns` or `;!`, and once".to_owned()));
            }
            besides.extend(engines.into_iter().map(|engine| (engine, stop.clone())));
        }
        let expected =
            expected.ok_or_else(|| error("a case says either `returns` or `;!`, and once".to_owned()))?;
        for name in ENGINES {
            if besides.iter().filter(|(engine, _)| *engine == name).count() > 1 {
                return Err(error(format!("a case says one thing of `{name}`")));
            }
        }
        let input = match (self.kind, self.memory) {
            (None, memory) if self.packet.is_none() => Input::Memory(memory.unwrap_or_default()),
            (Some(kind), None) => Input::Context {
                kind,
                meta: self.meta,
                packet: self.packet.unwrap_or_default(),
                fields: self.fields,
            },
            _ => return Err(error("`memory` goes without `type`, and `packet` with it".to_owned())),
        };
        Ok(Case {
            name: format!("{file}: {}", self.name),
            slots,
            lines,
            input,
            fuel: self.fuel.unwrap_or(FUEL),
            unwritten_is_zero: self.unwritten_is_zero,
            register_calls: self.register_calls,
            expected,
            besides,
            leaves: self.leaves,
        })
    }
}

/// Takes names of engines from the front.
fn engines(words: &str) -> (Vec<&'static str>, &str) {
    let (mut found, mut rest) = (Vec::new(), words);
    while let Some((word, after)) = rest.split_once(' ') {
        let Some(engine) = ENGINES.into_iter().find(|engine| *engine == word) else { break };
        found.push(engine);
        rest = after.trim_start();
    }
    (found, rest)
}

/// Reads what stands after `;!` and the names of engines.
fn stop(place: Place, words: &str) -> Expected {
    let (kind, message) = kind_and_message(words);
    match kind {
        "refused" => Expected::Refused(Some(place), message),
        _ => Expected::Stops(place, kind.to_owned(), message),
    }
}

fn kind_and_message(words: &str) -> (&str, Option<String>) {
    match words.split_once(':') {
        Some((kind, message)) => (kind.trim(), Some(message.trim().to_owned())),
        None => (words, None),
    }
}

/// Finds a program type by Linux's name in small letters, without `BPF_PROG_TYPE_`.
fn prog_type(name: &str) -> Result<ProgType, String> {
    let kind = ProgType::from_name(&format!("BPF_PROG_TYPE_{}", name.to_ascii_uppercase()));
    kind.ok_or_else(|| format!("`{name}` is no program type"))
}

fn number(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let parsed = match (text.strip_prefix("0x"), text.strip_prefix('-')) {
        (Some(digits), _) => u64::from_str_radix(digits, 16).ok(),
        (None, Some(_)) => text.parse::<i64>().ok().map(|number| number as u64),
        (None, None) => text.parse().ok(),
    };
    parsed.ok_or_else(|| format!("`{text}` is no number"))
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let byte = |pair: &[char]| {
        let text: String = pair.iter().collect();
        let byte = u8::from_str_radix(&text, 16).ok().filter(|_| pair.len() == 2);
        byte.ok_or_else(|| format!("`{text}` is no byte"))
    };
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_say_nothing_are_named() {
        for (text, line, message) in [
            ("memory 00", 1, "wanted `test NAME` first"),
            ("test a\n  exit\nreturn 0", 3, "`return` says nothing here"),
            ("test a\nreturns x", 2, "`x` is no number"),
            ("test a\nmemory 0", 2, "`0` is no byte"),
            ("test a\ntype xpd", 2, "`xpd` is no program type"),
            ("test a\n  exit", 1, "a case says either `returns` or `;!`, and once"),
            ("test a\n  exit ;! fuel\nreturns 0", 1, "a case says either `returns` or `;!`, and once"),
            ("test a\n  exit ;! fuel ;! fuel", 1, "a case says either `returns` or `;!`, and once"),
            ("test a\n  exit ;! linux fuel", 1, "a case says either `returns` or `;!`, and once"),
            (
                "test a\n  exit ;! linux exact fuel\non linux ends\nreturns 0",
                1,
                "a case says one thing of `linux`",
            ),
            ("test a\n  times 1", 2, "wanted `times NUMBER INSTRUCTION`"),
            ("test a\n  times x exit", 2, "`x` is no number"),
            ("test a\n  times 100001 exit", 2, "wanted at most 100000 times"),
            ("test a\non windows ends", 2, "`windows ends` says nothing of an engine"),
            ("test a\non ends", 2, "wanted the name of an engine (exact, embedded, interpreter, jit, linux)"),
            ("test a\non linux refused", 2, "`refused` says nothing of an engine"),
            ("test a\n  ;! fuel\n  exit", 1, "`;!` stands on no instruction"),
            ("test a\n\n  r11 = 0\nreturns 0", 3, "1:3: expected an instruction, found `r11`"),
            ("test a\n  exit\nreturns 0\ntest a\n  exit\nreturns 0", 1, "two cases are called `f: a`"),
        ] {
            let error = parse("f", text).unwrap_err();
            assert_eq!(error.line, line, "{error}");
            assert!(error.message == message || text.contains("r11"), "{error}");
        }
    }

    #[test]
    fn slots_know_their_lines() {
        let text = "test wide\n  r1 = 1 ll\n  # nothing\n  r0 = r2 ;! uninitialised: text: more\n  exit\n";
        let cases = parse("f", text).unwrap();
        assert_eq!(cases[0].lines, [2, 2, 4, 5]);
        let place = Place { line: 4, slot: 2 };
        let expected = Expected::Stops(place, "uninitialised".into(), Some("text: more".into()));
        assert_eq!(cases[0].expected, expected);
    }

    #[test]
    fn engines_have_expectations_of_their_own() {
        let text = "test own\n  r0 = r2 ;! fuel ;! linux exact refused: why\n  exit\non embedded returns 3\n";
        let case = &parse("f", text).unwrap()[0];
        let place = Place { line: 2, slot: 0 };
        assert_eq!(case.expected, Expected::Stops(place, "fuel".into(), None));
        let refused = Expected::Refused(Some(place), Some("why".into()));
        assert_eq!(case.besides("linux"), Some(&refused));
        assert_eq!(case.besides("exact"), Some(&refused));
        assert_eq!(case.besides("embedded"), Some(&Expected::Returns(3)));
    }
}
