//! What went wrong, where, and what the kernel said.

use crate::log::Rejection;
use crate::rights::Lack;
use skep_abi::Errno;
use skep_elf::ElfError;
use skep_sys::CallError;
use std::error::Error as StdError;
use std::fmt;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Something could not be done: what, where, and why.
///
/// One pointer wide; `Display` is one line, [`Error::verifier_log`] has the rest where a verifier spoke.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    place: Place,
    /// The call that failed, in Linux's words.
    call: Option<&'static str>,
    what: String,
    errno: Option<Errno>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    log: Option<String>,
    rejection: Option<Rejection>,
    lacks: Vec<Lack>,
}

/// What sort of error it is, for a program to decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The object file is malformed, or needs something that this build does not do.
    Object,
    /// What the caller asked for does not fit the object, the map or the program.
    Setting,
    /// Nothing has that name.
    NotFound,
    /// The verifier refused a program.
    Rejected,
    /// This process may not do it.
    Permission,
    /// This kernel cannot do it.
    Unsupported,
    /// What is pinned under a map's name is another kind of map.
    Incompatible,
    /// Memory shared with the kernel holds what no kernel writes.
    Corrupt,
    /// The kernel refused for another reason: see [`Error::errno`].
    Kernel,
}

/// Where an error is, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The object file, as the caller named it.
    pub file: Option<String>,
    /// The section of the object file.
    pub section: Option<String>,
    /// The program, by its function's name.
    pub program: Option<String>,
    /// The map.
    pub map: Option<String>,
    /// The global variable, or a path into one.
    pub variable: Option<String>,
    /// The instruction slot in the program.
    pub insn: Option<u32>,
    /// A file of the kernel, a pin, an interface.
    pub path: Option<String>,
    /// The feature that the kernel was asked for.
    pub feature: Option<String>,
    /// What a kernel holds, by its kind and its id: `link 5`.
    pub object: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [
            ("", &self.file),
            ("section ", &self.section),
            ("program ", &self.program),
            ("map ", &self.map),
            ("variable ", &self.variable),
            ("", &self.path),
            ("asking for ", &self.feature),
            ("", &self.object),
        ];
        let mut parts: Vec<String> = Vec::new();
        for (what, name) in named {
            parts.extend(name.as_ref().map(|name| format!("{what}{name}")));
        }
        parts.extend(self.insn.map(|insn| format!("instruction {insn}")));
        f.write_str(&parts.join(": "))
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, what: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            kind,
            place: Place::default(),
            call: None,
            what: what.into(),
            errno: None,
            source: None,
            log: None,
            rejection: None,
            lacks: Vec::new(),
        }))
    }

    /// A call that failed.
    pub(crate) fn call(call: &'static str, error: impl Into<CallError>) -> Error {
        let error = error.into();
        let errno = error.errno();
        let (kind, what) = match error {
            CallError::Attr(error) => (ErrorKind::Setting, error.to_string()),
            CallError::Errno(Errno::EPERM | Errno::EACCES) => (ErrorKind::Permission, errno.to_string()),
            CallError::Errno(Errno::EOPNOTSUPP | Errno::ENOTSUPP | Errno::ENOSYS) => {
                (ErrorKind::Unsupported, errno.to_string())
            }
            CallError::Errno(_) => (ErrorKind::Kernel, errno.to_string()),
        };
        let mut made = Error::new(kind, what);
        made.0.call = Some(call);
        made.0.errno = Some(errno);
        made.0.source = Some(Box::new(error));
        made
    }

    pub(crate) fn not_found(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::NotFound, what)
    }

    pub(crate) fn kind_is(mut self, kind: ErrorKind) -> Error {
        self.0.kind = kind;
        self
    }

    pub(crate) fn in_file(mut self, file: &str) -> Error {
        self.0.place.file.get_or_insert_with(|| file.to_owned());
        self
    }

    pub(crate) fn in_section(mut self, section: &str) -> Error {
        self.0.place.section.get_or_insert_with(|| section.to_owned());
        self
    }

    pub(crate) fn in_program(mut self, program: &str) -> Error {
        self.0.place.program.get_or_insert_with(|| program.to_owned());
        self
    }

    pub(crate) fn in_map(mut self, map: &str) -> Error {
        self.0.place.map.get_or_insert_with(|| map.to_owned());
        self
    }

    pub(crate) fn in_variable(mut self, variable: &str) -> Error {
        self.0.place.variable.get_or_insert_with(|| variable.to_owned());
        self
    }

    pub(crate) fn at_insn(mut self, insn: u32) -> Error {
        self.0.place.insn.get_or_insert(insn);
        self
    }

    pub(crate) fn at_path(mut self, path: &str) -> Error {
        self.0.place.path.get_or_insert_with(|| path.to_owned());
        self
    }

    pub(crate) fn of_object(mut self, object: impl fmt::Display) -> Error {
        self.0.place.object.get_or_insert_with(|| object.to_string());
        self
    }

    pub(crate) fn in_feature(mut self, feature: &str) -> Error {
        self.0.place.feature.get_or_insert_with(|| feature.to_owned());
        self
    }

    pub(crate) fn with_errno(mut self, errno: Errno) -> Error {
        self.0.errno = Some(errno);
        self
    }

    /// Says in other words what has failed; the call and the kernel's log stay.
    pub(crate) fn say(mut self, what: &str) -> Error {
        what.clone_into(&mut self.0.what);
        self
    }

    /// Adds what may be done about it.
    pub(crate) fn hint(mut self, hint: &str) -> Error {
        self.0.what.push_str("; ");
        self.0.what.push_str(hint);
        self
    }

    pub(crate) fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Error {
        self.0.source = Some(Box::new(source));
        self
    }

    pub(crate) fn with_log(mut self, log: String) -> Error {
        self.0.log = Some(log).filter(|log| !log.is_empty());
        self
    }

    pub(crate) fn with_rejection(mut self, rejection: Option<Rejection>) -> Error {
        self.0.rejection = rejection;
        self
    }

    pub(crate) fn with_lacks(mut self, lacks: Vec<Lack>) -> Error {
        self.0.lacks = lacks;
        self
    }

    /// Gives what sort of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Gives the kernel's error number, or the one it would have given.
    pub fn errno(&self) -> Option<Errno> {
        self.0.errno
    }

    /// Gives where it happened.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// Gives the call that failed, in Linux's words, as `BPF_MAP_CREATE`.
    pub fn failed_call(&self) -> Option<&'static str> {
        self.0.call
    }

    /// Gives what the kernel's verifier wrote, where it refused a program.
    pub fn verifier_log(&self) -> Option<&str> {
        self.0.log.as_deref()
    }

    /// Gives why the kernel's verifier refused a program, as data.
    pub fn rejection(&self) -> Option<&Rejection> {
        self.0.rejection.as_ref()
    }

    /// Lists what this process lacks to be permitted it, as far as that shows; empty where it was not about that.
    pub fn lacks(&self) -> &[Lack] {
        &self.0.lacks
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.0.place.to_string();
        if !place.is_empty() {
            write!(f, "{place}: ")?;
        }
        if let Some(call) = self.0.call {
            write!(f, "{call}: ")?;
        }
        f.write_str(&self.0.what)?;
        let Some(rejection) = &self.0.rejection else { return Ok(()) };
        write!(f, ": {}", rejection.cause)?;
        if let Some(missing) = &rejection.missing {
            write!(f, ", which stands for {missing}")?;
        }
        match &rejection.source {
            Some(source) => write!(f, " (at {source})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({:?})", self.0.kind)?;
        match &self.0.log {
            Some(log) => write!(f, "\n{log}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}

impl From<ElfError> for Error {
    fn from(error: ElfError) -> Error {
        let place = error.place();
        let mut made = Error::new(ErrorKind::Object, error.problem().to_string()).in_file(&place.file);
        if let Some(section) = &place.section {
            made = made.in_section(section);
        }
        if let Some(symbol) = &place.symbol {
            made = made.at_path(symbol);
        }
        if let Some(insn) = place.insn {
            made = made.at_insn(insn.0);
        }
        made.with_source(error)
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> std::io::Error {
        match error.errno() {
            Some(errno) => std::io::Error::new(std::io::Error::from_raw_os_error(errno.raw()).kind(), error),
            None => std::io::Error::other(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_pointer_and_crosses_threads() {
        fn crosses<T: Send + Sync + 'static>() {}
        crosses::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn it_says_where_what_and_why() {
        let error = Error::call("BPF_MAP_CREATE", Errno::EPERM).in_map("blocked").in_file("x.bpf.o");
        assert_eq!(
            error.to_string(),
            "x.bpf.o: map blocked: BPF_MAP_CREATE: EPERM (operation not permitted)"
        );
        assert_eq!((error.kind(), error.errno()), (ErrorKind::Permission, Some(Errno::EPERM)));
        assert!(error.source().is_some());
    }
}
