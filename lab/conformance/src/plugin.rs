//! The plug-in: `plugin [MEMORY] [OPTIONS]`, a program on stdin, r0 on stdout.

use crate::maps::Maps;
use crate::run::{End, Way, execute};
use skep_elf::ObjectSpec;
use skep_isa::{ByteOrder, raw};
use skep_machine::{Engine, Level, Program};

/// What the command line asks for.
///
/// The suite's runner passes the memory as the first argument and all options as the second (`src/bpf_conformance.cc`);
/// either may be empty. Its plug-ins take the program by `--program HEX` too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// What r1 points to.
    pub memory: Vec<u8>,
    /// How to run.
    pub way: Way,
    /// Whether the program is an object file.
    pub form: Form,
    /// The program, where it is not on stdin.
    pub program: Option<String>,
}

/// What the program's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Instructions.
    Instructions,
    /// An object file, whose first program is meant.
    Elf,
}

impl Plugin {
    /// Reads the command line, without the program's name.
    ///
    /// # Errors
    /// A word that is neither memory nor an option.
    pub fn parse(args: &[String]) -> Result<Plugin, String> {
        let mut plugin = Plugin {
            memory: Vec::new(),
            way: Way { engine: Engine::Interpreter, level: Level::O },
            form: Form::Instructions,
            program: None,
        };
        let mut memory = None;
        // An option that the runner passes may be several.
        let is_options = |arg: &&String| arg.trim_start().starts_with("--");
        let mut words = Vec::new();
        for arg in args {
            match is_options(&arg) {
                true => words.extend(arg.split_whitespace().flat_map(|word| word.splitn(2, '='))),
                false => words.push(arg),
            }
        }
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
            match word {
                "--engine" => plugin.way.engine = engine(value()?)?,
                "--opt" => plugin.way.level = level(value()?)?,
                "--program" => plugin.program = Some(value()?.to_owned()),
                "--elf" => plugin.form = Form::Elf,
                "--debug" => {}
                _ if word.starts_with("--") => return Err(format!("unknown option {word}")),
                _ if memory.is_none() => memory = Some(bytes(word)?),
                _ if word.trim().is_empty() => {}
                _ => return Err(format!("unexpected argument `{word}`")),
            }
        }
        plugin.memory = memory.unwrap_or_default();
        Ok(plugin)
    }

    /// Runs a program, given as hexadecimal bytes, and gives r0 in hexadecimal digits.
    ///
    /// # Errors
    /// Says why the program was refused or stopped.
    pub fn run(&self, program: &str) -> Result<String, String> {
        let bytes = bytes(program)?;
        let slots = match self.form {
            Form::Instructions => {
                raw::from_bytes(&bytes, ByteOrder::Little).map_err(|error| error.to_string())?
            }
            Form::Elf => {
                let object = ObjectSpec::parse("stdin", &bytes).map_err(|error| error.to_string())?;
                let program = object.programs.into_iter().next().ok_or("the object has no program")?;
                if let Some(relocation) = program.relocations.first() {
                    return Err(format!("instruction {} wants what only a loader has", relocation.insn.0));
                }
                program.insns
            }
        };
        let program = Program::from_slots(&slots).map_err(|error| error.to_string())?;
        match execute(self.way, program, &Maps::default(), &mut self.memory.clone()) {
            End::Returned(number) => Ok(format!("{number:x}")),
            end @ (End::Refused(_) | End::Stopped(_)) => Err(end.to_string()),
        }
    }
}

fn engine(name: &str) -> Result<Engine, String> {
    let known = Engine::ALL.into_iter().find(|engine| engine.name() == name);
    known.ok_or_else(|| format!("there is no engine `{name}`"))
}

fn level(name: &str) -> Result<Level, String> {
    match name {
        "0" => Ok(Level::O0),
        "1" => Ok(Level::O),
        _ => Err(format!("--opt wants 0 or 1, found `{name}`")),
    }
}

/// Reads bytes between spaces; the suite's runner puts two between each.
fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let byte = |word| u8::from_str_radix(word, 16).map_err(|_| format!("`{word}` is no byte"));
    text.split_whitespace().map(byte).collect()
}

/// Runs the plug-in: the command line without the program's name, and the first line of stdin.
///
/// # Errors
/// Says what is wrong with the command line or the program, or why the run was stopped.
pub fn plugin(args: &[String], read_line: impl FnOnce() -> Result<String, String>) -> Result<String, String> {
    let plugin = Plugin::parse(args)?;
    match &plugin.program {
        Some(program) => plugin.run(program),
        None => plugin.run(&read_line()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str], program: &str) -> Result<String, String> {
        let args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
        plugin(&args, || Ok(program.to_owned()))
    }

    /// r0 = *(u8 *)(r1 + 1); exit, as the runner writes it.
    const SECOND: &str = "71  10  01  00  00  00  00  00  95  00  00  00  00  00  00  00  ";
    /// r0 = r2; exit
    const LENGTH: &str = "bf 20 00 00 00 00 00 00 95 00 00 00 00 00 00 00";

    #[test]
    fn memory_and_options_come_as_the_runner_passes_them() {
        for options in [&[][..], &[""], &["--engine exact"], &["--engine=interpreter --opt=0"], &["--debug"]]
        {
            let args = [&["aa  bc  "], options].concat();
            assert_eq!(run(&args, SECOND), Ok("bc".to_owned()), "{args:?}");
        }
        assert_eq!(run(&["", ""], LENGTH), Ok("0".to_owned()));
        assert_eq!(run(&[], LENGTH), Ok("0".to_owned()));
        assert_eq!(
            run(&["--program", "95 00 00 00 00 00 00 00"], "nothing here"),
            run(&[], "95 00 00 00 00 00 00 00")
        );
    }

    #[test]
    fn all_sixty_four_bits_come_back() {
        let minus_two = "b7 00 00 00 fe ff ff ff 95 00 00 00 00 00 00 00";
        assert_eq!(run(&[], minus_two), Ok("fffffffffffffffe".to_owned()));
    }

    #[test]
    fn what_fails_says_why() {
        let error = |args: &[&str], program| run(args, program).unwrap_err();
        assert!(error(&["aa"], SECOND).starts_with("stopped: instruction 0"));
        assert!(error(&[], "95 01 00 00 00 00 00 00").starts_with("instruction 0"));
        assert_eq!(error(&["--engine fast"], SECOND), "there is no engine `fast`");
        assert_eq!(error(&["aa", "bb"], SECOND), "unexpected argument `bb`");
        assert_eq!(error(&["xx"], SECOND), "`xx` is no byte");
        assert_eq!(error(&["", "--fast"], SECOND), "unknown option --fast");
        assert!(error(&["", "--elf"], SECOND).contains("stdin"));
    }
}
