//! Cases of the verifier's rules: a program that breaks one on the instruction that is marked, and its twin that does not.
//!
//! A file in `rules/` holds cases one after the other. What is indented is the program, as in the other cases:
//!
//! ```text
//! test one byte more than was compared
//! type xdp
//!     r2 = *(u32 *)(r1 + 0)
//!     r3 = *(u32 *)(r1 + 4)
//!     r4 = r2
//!     r4 += 14
//!     if r4 > r3 goto out
//!     r0 = *(u8 *)(r2 + 14)    ;! packet-bounds    ;= r0 = *(u8 *)(r2 + 13)
//!     out: r0 = 2
//!     exit
//! says invalid access to packet, off=14 size=1, R2(id=0,off=14,r=14)
//! says R2 offset is outside of the packet
//! ```
//!
//! Maps are those of `lab/world` by its descriptors, and behind these the case's own; `{NAME}` is the number of a type of the kernel.
//!
//! | line | says |
//! | --- | --- |
//! | `test NAME` | a case begins |
//! | `type TYPE` | the program is of this type, as `xdp`; after `;=` the twin |
//! | `attach TYPE` | it expects this attach type, as `trace_raw_tp` |
//! | `target NAME` | it is attached to what the kernel's types call so; after `;=` the twin |
//! | `value TYPE` | it has a map of such values, a hash by numbers of four bytes (`skep_lab_world::ValueType`): the first is `map[fd:23]` |
//! | `licence any` | its licence is not compatible with the GPL |
//! | `sleepable`, `strict` | it may sleep; accesses are aligned |
//! | `function …` | the next function's type, the program's being the first: `static(int)`, `global void(ctx, memory)` (`skep_lab_world::Function`); after `;=` the twin's |
//! | `… ;! RULE` | the program is refused on this instruction, by this rule |
//! | `refused RULE` | it is refused as a whole |
//! | `… ;= TEXT` | in the twin, which is accepted, this line is TEXT; a line of nothing else is the twin's alone |
//! | `  times N INSTRUCTION` | the instruction stands N times: up to a thousand, or up to two millions in a program without jumps |
//! | `errno ERRNO` | what the load fails with, if not what is usual for the rule |
//! | `says TEXT` | what Linux's log says of it, line by line, after the last instruction |
//! | `linux accepts: WHY`, `linux elsewhere: WHY`, `linux errno ERRNO: WHY`, `linux says TEXT` and `linux otherwise: WHY`, `linux nothing: WHY` | where Linux does otherwise: the broken program is loaded; it is refused on another instruction; with another number; in other words (each `linux says` is a line); it cannot be asked |
//! | `twin nothing: WHY` | the twin cannot be loaded into this Linux |

mod committed;
mod load;

pub use committed::{committed, on_subject};
pub use load::{EVERY_WAY, LOG, Loaded, Loader, WAY, starts};

use crate::ParseError;
use skep_abi::{AttachType, Errno, ProgType};
use skep_isa::text::assemble;
use skep_isa::{InsnIdx, RawInsn};
use skep_lab_world::{Function, ValueType};
use skep_model::platform::helper::Licence;
use skep_model::platform::helpers::HELPERS;
use skep_verifier::{Alignment, Sleep};

/// How often one line may stand in a text.
const MOST_LINES: u64 = 1000;
/// How often one instruction may stand.
const MOST_TIMES: u64 = 2_000_000;

/// A program that breaks a rule, and its twin.
#[derive(Clone, Debug)]
pub struct RuleCase {
    /// The file's name and the case's.
    pub name: String,
    /// The line of the file.
    pub line: u32,
    /// The id of the rule that it breaks.
    pub rule: String,
    /// The line of the text on which it does.
    marked: Option<usize>,
    /// The lines, as they are and as they are in the twin.
    lines: Vec<Line>,
    /// Its type, and the twin's.
    kinds: (ProgType, ProgType),
    /// The attach type that it expects.
    pub attach: AttachType,
    /// What it is attached to, and the twin.
    targets: Option<(String, String)>,
    /// The values of maps of its own.
    pub values: Vec<ValueType>,
    /// What its licence allows.
    pub licence: Licence,
    /// Whether it may sleep.
    pub sleep: Sleep,
    /// How accesses must be aligned.
    pub alignment: Alignment,
    /// The types of its functions, and of the twin's; none are known where there are none.
    functions: Vec<(Function, Function)>,
    /// What a load fails with.
    pub errno: Option<Errno>,
    /// What Linux's log says.
    says: Vec<String>,
    /// Where Linux does otherwise.
    pub linux: Linux,
}

/// Where Linux does otherwise, and why.
#[derive(Clone, Debug, Default)]
pub struct Linux {
    /// It loads the program.
    pub accepts: Option<String>,
    /// It refuses it on another instruction.
    pub elsewhere: Option<String>,
    /// It fails with another number.
    pub errno: Option<(Errno, String)>,
    /// It says something else.
    says: Vec<String>,
    /// Why.
    pub otherwise: Option<String>,
    /// It cannot be asked.
    pub nothing: Option<String>,
    /// It cannot load the twin.
    pub twin_nothing: Option<String>,
}

#[derive(Clone, Debug)]
struct Line {
    at: u32,
    times: u64,
    broken: Option<String>,
    twin: Option<String>,
}

/// Which of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that breaks the rule.
    Broken,
    /// Its twin.
    Twin,
}

/// Whose log it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// This verifier's.
    Skep,
    /// The running Linux's.
    Linux,
}

/// A program, and the slot that is refused.
#[derive(Debug)]
pub struct Written {
    /// The program.
    pub slots: Vec<RawInsn>,
    /// The slot that is marked, where one is.
    pub marked: Option<InsnIdx>,
}

impl RuleCase {
    /// Gives the program's text, with the numbers of the kernel's types in it.
    ///
    /// # Errors
    /// A type that the kernel has not.
    pub fn text(&self, which: Which, types: &dyn Fn(&str) -> Option<u32>) -> Result<String, String> {
        let mut text = String::new();
        for line in &self.lines {
            let Some(insn) = line.of(which) else { continue };
            let insn = with_types(insn, types)?;
            for _ in 0..line.lines() {
                text.push_str(&insn);
                text.push('\n');
            }
        }
        Ok(text)
    }

    /// Assembles the program.
    ///
    /// # Errors
    /// A line that makes no sense, or a type that the kernel has not.
    pub fn program(&self, which: Which, types: &dyn Fn(&str) -> Option<u32>) -> Result<Written, ParseError> {
        let wrong = |message| ParseError { line: self.line, message };
        let text = self.text(which, types).map_err(wrong)?;
        let assembled = assemble(&text, &helper).map_err(|error| {
            let line = self.line_of(which, error.line).unwrap_or(self.line);
            ParseError { line, message: error.to_string() }
        })?;
        let slots = self.stretch(which, assembled.slots(), |slot| assembled.line(slot)).map_err(wrong)?;
        if slots.len() > assembled.slots().len() {
            return Ok(Written { slots, marked: None });
        }
        let slots = assembled.slots().len() as u32;
        // What is marked may not be there in the twin.
        let marked = self.marked.filter(|_| which == Which::Broken).map(|marked| {
            let first = self.lines[..marked].iter().filter(|line| line.of(which).is_some());
            let first = first.map(|line| line.lines()).sum::<u64>() as u32 + 1;
            (0..slots).map(InsnIdx).find(|&slot| assembled.line(slot) == Some(first))
        });
        match marked {
            Some(None) => Err(wrong("`;!` stands on no instruction".to_owned())),
            marked => Ok(Written { slots: assembled.slots().to_vec(), marked: marked.flatten() }),
        }
    }

    /// Lets what stands more often than a text has lines stand so often.
    fn stretch(
        &self,
        which: Which,
        slots: &[RawInsn],
        line_of: impl Fn(InsnIdx) -> Option<u32>,
    ) -> Result<Vec<RawInsn>, String> {
        let mut times = vec![1];
        for line in self.lines.iter().filter(|line| line.of(which).is_some()) {
            times.extend((0..line.lines()).map(|_| line.times / line.lines()));
        }
        if times.iter().all(|&times| times == 1) {
            return Ok(slots.to_vec());
        }
        // Calls of helpers and the exit are of the classes of jumps, too.
        if slots.iter().any(|slot| matches!(slot.code & 7, 5 | 6) && !matches!(slot.code, 0x85 | 0x95)) {
            return Err(format!("what stands more than {MOST_LINES} times wants a program without jumps"));
        }
        let mut stretched = Vec::new();
        for (index, slot) in (0..).zip(slots) {
            let line = line_of(InsnIdx(index)).and_then(|line| times.get(line as usize));
            stretched.extend((0..line.copied().unwrap_or(1)).map(|_| *slot));
        }
        Ok(stretched)
    }

    /// The program's type.
    pub fn kind(&self, which: Which) -> ProgType {
        if which == Which::Broken { self.kinds.0 } else { self.kinds.1 }
    }

    /// What the program is attached to.
    pub fn target(&self, which: Which) -> Option<&str> {
        let (broken, twin) = self.targets.as_ref()?;
        Some(if which == Which::Broken { broken } else { twin })
    }

    /// What a log says, with the numbers of the kernel's types in it: Linux's, where it does otherwise.
    ///
    /// # Errors
    /// A type that the kernel has not.
    pub fn says(&self, on: On, types: &dyn Fn(&str) -> Option<u32>) -> Result<Vec<String>, String> {
        let lines =
            if on == On::Linux && !self.linux.says.is_empty() { &self.linux.says } else { &self.says };
        lines.iter().map(|line| with_types(line, types)).collect()
    }

    /// The types of the functions; none are known where there are none.
    pub fn functions(&self, which: Which) -> Vec<Function> {
        let of = |(broken, twin): &(Function, Function)| match which {
            Which::Broken => broken.clone(),
            Which::Twin => twin.clone(),
        };
        self.functions.iter().map(of).collect()
    }

    /// The file's line of a line of the text.
    fn line_of(&self, which: Which, line: u32) -> Option<u32> {
        let mut last = 0;
        let written = self.lines.iter().filter(|line| line.of(which).is_some());
        written.into_iter().find_map(|one| {
            last += one.lines();
            (u64::from(line) <= last).then_some(one.at)
        })
    }
}

impl Line {
    /// How often it stands in the text.
    fn lines(&self) -> u64 {
        if self.times > MOST_LINES { 1 } else { self.times }
    }

    fn of(&self, which: Which) -> Option<&str> {
        match which {
            Which::Broken => self.broken.as_deref(),
            Which::Twin => self.twin.as_deref(),
        }
    }
}

/// Puts the numbers of types in the place of `{NAME}`.
fn with_types(insn: &str, types: &dyn Fn(&str) -> Option<u32>) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = insn;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or("wanted `}` after `{`")?;
        let id = types(name).ok_or_else(|| format!("the kernel has no type called `{name}`"))?;
        text.push_str(before);
        text.push_str(&id.to_string());
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

fn helper(name: &str) -> Option<u32> {
    let name = name.strip_prefix("bpf_").unwrap_or(name);
    HELPERS.iter().find(|helper| helper.name == name).map(|helper| helper.id.0)
}

/// Reads the cases of a file.
///
/// # Errors
/// [`ParseError`] names the first line that says nothing that a case can say.
pub fn parse_rules(file: &str, text: &str) -> Result<Vec<RuleCase>, ParseError> {
    let mut cases: Vec<RuleCase> = Vec::new();
    for (line, whole) in (1..).zip(text.lines()) {
        let error = |message: String| ParseError { line, message };
        if whole.trim().is_empty() || whole.starts_with('#') {
            continue;
        }
        if let Some(name) = whole.strip_prefix("test ") {
            if let Some(done) = cases.last() {
                done.check()?;
            }
            cases.push(RuleCase::new(format!("{file}: {}", name.trim()), line));
            continue;
        }
        let case = cases.last_mut().ok_or_else(|| error("wanted `test NAME` first".to_owned()))?;
        if whole.starts_with(' ') { case.line(line, whole) } else { case.say(whole) }.map_err(error)?;
    }
    if let Some(done) = cases.last() {
        done.check()?;
    }
    Ok(cases)
}

impl RuleCase {
    fn new(name: String, line: u32) -> RuleCase {
        RuleCase {
            name,
            line,
            rule: String::new(),
            marked: None,
            lines: Vec::new(),
            kinds: (ProgType::SOCKET_FILTER, ProgType::SOCKET_FILTER),
            attach: AttachType::CGROUP_INET_INGRESS,
            targets: None,
            values: Vec::new(),
            licence: Licence::Gpl,
            sleep: Sleep::Never,
            alignment: Alignment::Machine,
            functions: Vec::new(),
            errno: None,
            says: Vec::new(),
            linux: Linux::default(),
        }
    }

    fn line(&mut self, at: u32, whole: &str) -> Result<(), String> {
        let (rest, twin) = match whole.split_once(";=") {
            Some((rest, twin)) => (rest, Some(twin.trim())),
            None => (whole, None),
        };
        let (insn, rule) = match rest.split_once(";!") {
            Some((insn, rule)) => (insn.trim(), Some(rule.trim())),
            None => (rest.trim(), None),
        };
        let (times, insn) = match insn.strip_prefix("times ") {
            Some(rest) => {
                let (count, insn) = rest.split_once(' ').ok_or("wanted `times NUMBER INSTRUCTION`")?;
                (count.parse().map_err(|_| format!("`{count}` is no number"))?, insn)
            }
            None => (1, insn),
        };
        if times > MOST_TIMES {
            return Err(format!("wanted at most {MOST_TIMES} times"));
        }
        if let Some(rule) = rule {
            self.breaks(rule)?;
            self.marked = Some(self.lines.len());
        }
        let written = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let broken = written(insn);
        let twin = twin.map_or_else(|| broken.clone(), written);
        self.lines.push(Line { at, times, broken, twin });
        Ok(())
    }

    fn breaks(&mut self, rule: &str) -> Result<(), String> {
        if !self.rule.is_empty() {
            return Err("a case breaks one rule".to_owned());
        }
        rule.clone_into(&mut self.rule);
        Ok(())
    }

    fn say(&mut self, whole: &str) -> Result<(), String> {
        let (word, rest) = whole.split_once(' ').unwrap_or((whole, ""));
        let rest = rest.trim();
        match word {
            "type" => {
                let (broken, twin) = both(rest);
                self.kinds = (prog_type(broken)?, prog_type(twin)?);
            }
            "attach" => {
                let name = format!("BPF_{}", rest.to_ascii_uppercase());
                self.attach =
                    AttachType::from_name(&name).ok_or_else(|| format!("`{rest}` is no attach type"))?;
            }
            "target" => {
                let (broken, twin) = both(rest);
                self.targets = Some((broken.to_owned(), twin.to_owned()));
            }
            "value" => self.values.push(ValueType::parse(rest)?),
            "licence" if rest == "any" => self.licence = Licence::Any,
            "sleepable" => self.sleep = Sleep::Allowed,
            "strict" => self.alignment = Alignment::Strict,
            "function" => {
                let (broken, twin) = both(rest);
                self.functions.push((Function::parse(broken)?, Function::parse(twin)?));
            }
            "refused" => self.breaks(rest)?,
            "errno" => self.errno = Some(errno(rest)?),
            "says" => self.says.push(rest.to_owned()),
            "linux" => self.other(rest)?,
            "twin" => match rest.split_once(": ") {
                Some(("nothing", why)) => self.linux.twin_nothing = Some(why.to_owned()),
                _ => return Err(format!("`{rest}` says nothing of a twin")),
            },
            _ => return Err(format!("`{word}` says nothing here")),
        }
        Ok(())
    }

    /// Reads what stands after `linux`.
    fn other(&mut self, rest: &str) -> Result<(), String> {
        if let Some(text) = rest.strip_prefix("says ") {
            self.linux.says.push(text.to_owned());
            return Ok(());
        }
        let (what, why) = rest.split_once(": ").ok_or("wanted `: ` and why Linux does otherwise")?;
        let why = why.to_owned();
        match what.split_once(' ') {
            Some(("errno", name)) => self.linux.errno = Some((errno(name)?, why)),
            None if what == "otherwise" => self.linux.otherwise = Some(why),
            None if what == "accepts" => self.linux.accepts = Some(why),
            None if what == "elsewhere" => self.linux.elsewhere = Some(why),
            None if what == "nothing" => self.linux.nothing = Some(why),
            _ => return Err(format!("`{what}` says nothing of Linux")),
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ParseError> {
        let error = |message: &str| Err(ParseError { line: self.line, message: message.to_owned() });
        if self.rule.is_empty() {
            return error("a case breaks a rule, by `;!` or `refused`");
        }
        if self.linux.says.is_empty() != self.linux.otherwise.is_none() {
            return error("`linux says` goes with `linux otherwise`, which says why");
        }
        let same = self.lines.iter().all(|line| line.broken == line.twin)
            && self.functions.iter().all(|(broken, twin)| broken == twin)
            && self.targets.iter().all(|(broken, twin)| broken == twin);
        if same && self.kinds.0 == self.kinds.1 {
            return error("the twin is the same program");
        }
        Ok(())
    }
}

/// What stands before `;=`, and what stands behind it.
fn both(rest: &str) -> (&str, &str) {
    let (broken, twin) = rest.split_once(";=").unwrap_or((rest, rest));
    (broken.trim(), twin.trim())
}

/// A program type by its name, or by its number where none has it.
fn prog_type(name: &str) -> Result<ProgType, String> {
    if let Ok(number) = name.parse() {
        return Ok(ProgType(number));
    }
    let known = ProgType::from_name(&format!("BPF_PROG_TYPE_{}", name.to_ascii_uppercase()));
    known.ok_or_else(|| format!("`{name}` is no program type"))
}

fn errno(name: &str) -> Result<Errno, String> {
    Errno::from_name(name).ok_or_else(|| format!("`{name}` is no error number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_say_nothing_are_named() {
        for (text, line, message) in [
            ("type xdp", 1, "wanted `test NAME` first"),
            ("test a\n  exit", 1, "a case breaks a rule, by `;!` or `refused`"),
            ("test a\n  exit ;! insn-known", 1, "the twin is the same program"),
            ("test a\n  exit ;! insn-known ;=\nrefused insn-known", 3, "a case breaks one rule"),
            ("test a\n  times x exit", 2, "`x` is no number"),
            ("test a\nvalue {0 int}:4", 2, "wanted `:`, found `}:4`"),
            ("test a\ntype xpd", 2, "`xpd` is no program type"),
            ("test a\nattach xpd", 2, "`xpd` is no attach type"),
            ("test a\nfunction f", 2, "`f` says nothing of a function"),
            ("test a\nlinux accepts", 2, "wanted `: ` and why Linux does otherwise"),
            ("test a\nlinux errno EWHY: so", 2, "`EWHY` is no error number"),
            ("test a\nlinux refuses: so", 2, "`refuses` says nothing of Linux"),
            ("test a\ntwin", 2, "`` says nothing of a twin"),
        ] {
            let error = parse_rules("f", text).unwrap_err();
            assert_eq!((error.line, error.message.as_str()), (line, message));
        }
    }

    #[test]
    fn what_stands_often_is_no_text() {
        let text = "test a\n  times 2 r1 = 1 ll\n  times 5000 r0 = 0 ;= r0 = 1\n  exit\nrefused limit-instructions\n";
        let case = &parse_rules("f", text).unwrap()[0];
        let types = |_: &str| None;
        assert_eq!(case.text(Which::Broken, &types).unwrap().lines().count(), 4);
        assert_eq!(case.program(Which::Broken, &types).unwrap().slots.len(), 4 + 5000 + 1);
        let with_jump = text.replace("  exit", "  goto +0\n  exit");
        assert!(parse_rules("f", &with_jump).unwrap()[0].program(Which::Broken, &types).is_err());
    }

    #[test]
    fn twins_are_written_beside() {
        let text = "test a\n  r1 = 1 ll\n  r0 = {one} ;! insn-known ;= r0 = 2\n  ;= r0 = 3\n  exit ;=\n";
        let case = &parse_rules("f", text).unwrap()[0];
        let types = |name: &str| (name == "one").then_some(1);
        let broken = case.program(Which::Broken, &types).unwrap();
        assert_eq!((broken.slots.len(), broken.marked), (4, Some(InsnIdx(2))));
        assert_eq!(case.text(Which::Twin, &types).unwrap(), "r1 = 1 ll\nr0 = 2\nr0 = 3\n");
        assert!(case.text(Which::Broken, &|_| None).is_err());
    }
}
