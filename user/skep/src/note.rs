//! What a load did without.

use crate::Feature;
use skep_abi::Errno;
use std::fmt;

/// Something that the kernel lacks, or that nobody has said, and what the load did instead.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// What the kernel lacks; `None` where it refused, and what it lacks is not known.
    pub feature: Option<Feature>,
    /// What was done.
    pub instead: Instead,
    /// The program that it was done to.
    pub program: Option<String>,
    /// The map that it was done to.
    pub map: Option<String>,
    /// How the kernel refused.
    pub errno: Option<Errno>,
    /// Why, where it is not the kernel's doing.
    pub why: Option<String>,
}

/// What a load does where a kernel lacks a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Instead {
    /// The program or map has no name.
    NoName,
    /// Types were replaced by older ones of the same shape.
    OlderTypes,
    /// The kernel has no types of the object, or of the map.
    NoTypes,
    /// The program has no types of functions, and no source lines.
    NoFunctions,
    /// The map cannot be mapped into memory; globals are read and written by calls.
    NotMapped,
    /// The data section has no map; nothing that was loaded refers to it.
    NoData,
    /// The load does not say what the program is to be attached to.
    NoAttachType,
    /// `bpf_probe_read` reads kernel and user memory.
    ProbeRead,
    /// The map is not kept alive by the program.
    NotBound,
    /// Functions that say by a tag which argument is the context have the context's type there.
    ContextType,
    /// The program is left out: nobody has said of what type it is.
    NoProgram,
    /// The map is left out: nobody has said how large it is, and nothing that is loaded refers to it.
    NoMap,
    /// The limit on locked memory (`RLIMIT_MEMLOCK`) was raised.
    MoreLockedMemory,
    /// A token of a BPF file system was used, since this process alone was not permitted it.
    Token,
}

impl Instead {
    fn words(self) -> &'static str {
        match self {
            Instead::NoName => "left the name out",
            Instead::OlderTypes => "replaced types by older ones",
            Instead::NoTypes => "loaded without types",
            Instead::NoFunctions => "loaded without types of functions and source lines",
            Instead::NotMapped => "made a map that cannot be mapped into memory",
            Instead::NoData => "left the data section out",
            Instead::NoAttachType => "did not say what it will be attached to",
            Instead::ProbeRead => "used bpf_probe_read for kernel and user memory",
            Instead::NotBound => "did not bind the map to the program",
            Instead::ContextType => "gave arguments that are the context its type",
            Instead::NoProgram | Instead::NoMap => "left out",
            Instead::MoreLockedMemory => "raised RLIMIT_MEMLOCK",
            Instead::Token => "used a BPF token",
        }
    }
}

impl Note {
    pub(crate) fn new(feature: impl Into<Option<Feature>>, instead: Instead) -> Note {
        Note { feature: feature.into(), instead, program: None, map: None, errno: None, why: None }
    }

    pub(crate) fn in_program(self, program: &str) -> Note {
        Note { program: Some(program.to_owned()), ..self }
    }

    pub(crate) fn in_map(self, map: &str) -> Note {
        Note { map: Some(map.to_owned()), ..self }
    }

    pub(crate) fn because(self, why: String) -> Note {
        Note { why: Some(why), ..self }
    }

    pub(crate) fn with_errno(self, errno: Errno) -> Note {
        Note { errno: Some(errno), ..self }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, name) in [("program ", &self.program), ("map ", &self.map)] {
            if let Some(name) = name {
                write!(f, "{what}{name}: ")?;
            }
        }
        f.write_str(self.instead.words())?;
        let since = self.feature.and_then(Feature::since);
        match (self.feature, since, self.errno) {
            (Some(feature), Some(since), _) => write!(f, ": this kernel has no {feature} (Linux {since})"),
            (Some(feature), None, _) => write!(f, ": this kernel has no {feature}"),
            (None, _, Some(errno)) => write!(f, ": {errno}"),
            (None, _, None) => self.why.as_ref().map_or(Ok(()), |why| write!(f, ": {why}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_and_why() {
        let note = Note::new(Feature::ArrayMmap, Instead::NotMapped).in_map(".bss");
        let wanted = "map .bss: made a map that cannot be mapped into memory: this kernel has no array_mmap (Linux 5.5)";
        assert_eq!(note.to_string(), wanted);
        let note = Note::new(None, Instead::NoTypes).with_errno(Errno::EINVAL);
        assert_eq!(note.to_string(), "loaded without types: EINVAL (invalid argument)");
    }
}
