//! The document of `skep check`.

use crate::failure::Failure;
use crate::source::Source;
use serde::Serialize;

/// One object.
#[derive(Debug, Serialize)]
pub(crate) struct CheckedObject {
    pub(crate) path: String,
    pub(crate) error: Option<Failure>,
    pub(crate) programs: Vec<CheckedProgram>,
}

/// One program.
#[derive(Debug, Serialize)]
pub(crate) struct CheckedProgram {
    pub(crate) section: String,
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) insns: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) embedded: Option<KernelVerdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) linux: Option<KernelVerdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rejection: Option<RejectionShape>,
    /// The rejection for people, over the source.
    #[serde(skip)]
    pub(crate) text: String,
}

impl CheckedProgram {
    /// The verdicts there are.
    pub(crate) fn verdicts(&self) -> impl Iterator<Item = Verdict> {
        [&self.embedded, &self.linux].into_iter().flatten().map(|of| of.verdict)
    }
}

/// What a kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Accepted,
    Rejected,
    Unsupported,
}

/// What a kernel says, and what it took.
#[derive(Debug, Serialize)]
pub(crate) struct KernelVerdict {
    pub(crate) verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) errno: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) processed_insns: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) states: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peak_states: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) time_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_tail: Option<String>,
}

impl KernelVerdict {
    pub(crate) fn new(verdict: Verdict) -> KernelVerdict {
        KernelVerdict {
            verdict,
            errno: None,
            reason: None,
            processed_insns: None,
            states: None,
            peak_states: None,
            time_ns: None,
            log_tail: None,
        }
    }

    pub(crate) fn unsupported(reason: impl Into<String>) -> KernelVerdict {
        KernelVerdict { reason: Some(reason.into()), ..KernelVerdict::new(Verdict::Unsupported) }
    }
}

/// Why skep's verifier rejects a program.
#[derive(Debug, Serialize)]
pub(crate) struct RejectionShape {
    pub(crate) id: &'static str,
    pub(crate) category: &'static str,
    pub(crate) insn: Option<u32>,
    pub(crate) source: Option<Source>,
    pub(crate) message: String,
    pub(crate) help: &'static str,
    /// What led to it, by the order of the path.
    pub(crate) notes: Vec<NoteShape>,
}

/// Something that led to a rejection.
#[derive(Debug, Serialize)]
pub(crate) struct NoteShape {
    pub(crate) insn: u32,
    pub(crate) source: Option<Source>,
    pub(crate) message: String,
}
