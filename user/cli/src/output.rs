//! What leaves the command: one answer on stdout, as text or as one JSON document, and diagnostics on stderr.

use crate::failure::{Failure, Status};
use serde::Serialize;
use std::io::{self, ErrorKind, Write};

/// The version of the JSON shapes, which is the first member of every document.
pub(crate) const SHAPES: u32 = 1;

/// The form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Text for people.
    Human,
    /// One JSON document.
    Json,
}

/// The answer of a command.
pub(crate) trait Report {
    /// Writes it for people.
    ///
    /// # Errors
    /// Those of `out`.
    fn human(&self, out: &mut dyn Write) -> io::Result<()>;

    /// Gives the members of the document, without the version.
    fn json(&self) -> serde_json::Value;

    /// Writes the document; for answers that are too long to be put together first.
    ///
    /// # Errors
    /// Those of `out`.
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        document(out, self.json())
    }

    /// Gives the exit status.
    fn status(&self) -> Status {
        Status::Done
    }
}

/// Where the answer goes.
pub(crate) struct Output {
    format: Format,
}

/// A document: the version, then the members of the answer.
#[derive(Serialize)]
struct Document<T: Serialize> {
    skep: u32,
    #[serde(flatten)]
    members: T,
}

#[derive(Serialize)]
struct ErrorMember<'a> {
    error: &'a Failure,
}

impl Output {
    /// An answer in that form.
    pub(crate) fn new(format: Format) -> Output {
        Output { format }
    }

    /// Writes the answer, and gives the status to exit with.
    pub(crate) fn finish(&self, result: Result<Box<dyn Report>, Failure>) -> Status {
        let (written, status) = match &result {
            Ok(report) => (self.report(&**report), report.status()),
            Err(failure) => (self.failure(failure), failure.status),
        };
        match written {
            Ok(()) => status,
            // Whoever read the answer has seen enough of it.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => status,
            Err(error) => {
                complain(&Failure::bad("output", format_args!("cannot write the answer: {error}")));
                status.max(Status::Bad)
            }
        }
    }

    fn report(&self, report: &dyn Report) -> io::Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        match self.format {
            Format::Human => report.human(&mut out)?,
            Format::Json => report.write_json(&mut out)?,
        }
        out.flush()
    }

    fn failure(&self, failure: &Failure) -> io::Result<()> {
        complain(failure);
        match self.format {
            Format::Human => Ok(()),
            Format::Json => error_document(failure),
        }
    }

    /// Writes the document of a failure that has been told on stderr already, and gives the status to exit with.
    pub(crate) fn refuse(&self, failure: &Failure) -> Status {
        // A closed pipe changes nothing: the status says enough.
        let _ = error_document(failure);
        failure.status
    }
}

fn error_document(failure: &Failure) -> io::Result<()> {
    let mut out = io::stdout().lock();
    document(&mut out, ErrorMember { error: failure })?;
    out.flush()
}

fn document(out: &mut dyn Write, members: impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &Document { skep: SHAPES, members }).map_err(io::Error::from)?;
    out.write_all(b"\n")
}

/// Says on stderr what went wrong; where that is closed, there is nobody to tell.
pub(crate) fn complain(failure: &Failure) {
    let mut err = io::stderr().lock();
    let _ = writeln!(err, "skep: {failure}");
    for line in failure.log_tail.iter().flat_map(|log| log.lines()) {
        let _ = writeln!(err, "  | {line}");
    }
    if let Some(help) = &failure.help {
        let _ = writeln!(err, "  help: {help}");
    }
}
