//! Programs, from bytes, text or the builder.

use core::fmt;
use skep_isa::raw::{self, BytesError};
use skep_isa::structure::{self, Subprogram};
use skep_isa::text::{self, AsmError, Symbols};
use skep_isa::{BuildError, Builder, ByteOrder, DecodeError, InsnIdx, RawInsn, StructureError};
use skep_isa::{Program as Code, structure::Structure};

/// Holds instructions that decode and hang together: jumps lead to instructions, functions end.
///
/// ```
/// use skep_machine::Program;
/// use skep_machine::isa::{Builder, ByteOrder, Reg};
///
/// let text = Program::from_text("r0 = 1\nexit")?;
/// let other = Program::from_text("mov r0, 1\nexit")?;
/// let bytes = Program::from_bytes(
///     &[0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0],
///     ByteOrder::Little,
/// )?;
/// let built = Program::from_builder(Builder::new().mov(Reg::R0, 1).exit())?;
/// assert!(text == other && text == bytes && text == built);
///
/// let error = Program::from_text("r0 = 1\ngoto nowhere\nexit").unwrap_err();
/// assert_eq!(error.to_string(), "2:6: unknown label `nowhere`");
/// # Ok::<(), skep_machine::ProgramError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    code: Code,
    structure: Structure,
}

/// Says why something is no program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgramError {
    /// The bytes are not whole instructions.
    Bytes(BytesError),
    /// A slot is no instruction.
    Decode(DecodeError),
    /// A jump or call leads nowhere, or a function has no end.
    Structure(StructureError),
    /// The text cannot be assembled.
    Text(AsmError),
    /// The builder was used wrongly.
    Build(BuildError),
}

impl ProgramError {
    /// Returns the instruction to blame, where it is one.
    pub fn at(&self) -> Option<InsnIdx> {
        match self {
            ProgramError::Decode(error) => Some(error.at),
            ProgramError::Structure(error) => Some(error.at),
            ProgramError::Bytes(_) | ProgramError::Text(_) | ProgramError::Build(_) => None,
        }
    }
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProgramError::Bytes(error) => error.fmt(f),
            ProgramError::Decode(error) => error.fmt(f),
            ProgramError::Structure(error) => error.fmt(f),
            ProgramError::Text(error) => error.fmt(f),
            ProgramError::Build(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ProgramError {}

impl Program {
    /// Reads bytes, eight for each slot, as in an object's section.
    ///
    /// # Errors
    ///
    /// [`ProgramError`] names the first instruction that is none.
    pub fn from_bytes(bytes: &[u8], order: ByteOrder) -> Result<Program, ProgramError> {
        Program::from_slots(&raw::from_bytes(bytes, order).map_err(ProgramError::Bytes)?)
    }

    /// Decodes slots.
    ///
    /// # Errors
    ///
    /// [`ProgramError`] names the first instruction that is none.
    pub fn from_slots(slots: &[RawInsn]) -> Result<Program, ProgramError> {
        Program::new(Code::decode(slots).map_err(ProgramError::Decode)?)
    }

    /// Assembles text in either dialect, as [`text::assemble`] describes them.
    ///
    /// # Errors
    ///
    /// [`ProgramError::Text`] names the line and column.
    pub fn from_text(text: &str) -> Result<Program, ProgramError> {
        Program::from_text_with(text, &())
    }

    /// Assembles text that calls helpers by name; [`Setup::assemble`](crate::Setup::assemble) knows those of a machine.
    ///
    /// # Errors
    ///
    /// [`ProgramError::Text`] names the line and column.
    pub fn from_text_with(text: &str, symbols: &dyn Symbols) -> Result<Program, ProgramError> {
        Program::from_slots(text::assemble(text, symbols).map_err(ProgramError::Text)?.slots())
    }

    /// Takes what was built.
    ///
    /// # Errors
    ///
    /// [`ProgramError::Build`] names the label that was misused.
    pub fn from_builder(builder: &mut Builder) -> Result<Program, ProgramError> {
        let (code, structure) = builder.finish().map_err(ProgramError::Build)?;
        Ok(Program { code, structure })
    }

    /// Takes decoded instructions.
    ///
    /// # Errors
    ///
    /// [`ProgramError::Structure`] names the instruction that leads nowhere.
    pub fn new(code: Code) -> Result<Program, ProgramError> {
        let structure = structure::check(&code).map_err(ProgramError::Structure)?;
        Ok(Program { code, structure })
    }

    /// Returns the instructions.
    pub fn code(&self) -> &Code {
        &self.code
    }

    pub(crate) fn structure(&self) -> &Structure {
        &self.structure
    }

    /// Returns the functions, sorted by start, the main one first.
    pub fn functions(&self) -> &[Subprogram] {
        self.structure.subprograms()
    }
}

impl TryFrom<Code> for Program {
    type Error = ProgramError;

    fn try_from(code: Code) -> Result<Program, ProgramError> {
        Program::new(code)
    }
}
