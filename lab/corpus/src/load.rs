//! One side's work on one object.

use crate::sent::{self, Sent};
use crate::{File, Outcome, Side, Unit, libbpf, ours, refused, seam};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::PathBuf;

/// What to load, and by whom.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Who loads.
    #[arg(long)]
    by: Side,
    /// What is loaded at once.
    #[arg(long, default_value = "program")]
    unit: Unit,
    /// Note what reaches `bpf(2)`.
    #[arg(long)]
    record: bool,
    /// Have the kernel seem to know no tags on declarations, as before Linux 5.16. Of what is not noted nothing is hidden.
    #[arg(long, requires = "record")]
    without_tags: bool,
    /// Ask for no logs of what is refused: only whether it is. Of what is noted nothing is left out.
    #[arg(long, conflicts_with = "record")]
    verdicts: bool,
    /// Leave so many programs out: an earlier process has died of the last of them.
    #[arg(long, default_value_t = 0)]
    skip: usize,
    /// The object.
    file: PathBuf,
}

/// One load, or why there was none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Load {
    /// The program; none where the whole object was loaded, or could not be read.
    pub(crate) program: Option<String>,
    /// Its section.
    pub(crate) section: Option<String>,
    /// How it ended.
    pub(crate) verdict: Verdict,
    /// What reached `bpf(2)`, where that was asked for and the kernel has taken it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sent: Option<Sent>,
}

impl Load {
    /// The answer for an object that could not be read.
    pub(crate) fn unread(message: String) -> Self {
        Self { program: None, section: None, verdict: Verdict::Unread { message }, sent: None }
    }
}

/// What is to be loaded of an object, and what is to be told of it.
pub(crate) struct Task<'a> {
    /// The object.
    pub(crate) file: &'a File,
    /// What is loaded at once.
    pub(crate) unit: Unit,
    /// Programs to leave out.
    pub(crate) skip: usize,
    /// Whether to note what reaches `bpf(2)`.
    pub(crate) record: Record,
    /// Gets each answer as soon as it is there.
    pub(crate) say: &'a mut dyn FnMut(Load) -> Outcome<()>,
}

/// Whether what reaches `bpf(2)` is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    /// It is.
    Yes,
    /// It is not: the load is all there is to see.
    No,
}

impl Task<'_> {
    /// Does the loads: of each of the programs (names and sections), or of the object at once.
    pub(crate) fn go(
        &mut self,
        programs: Vec<(String, String)>,
        mut load: impl FnMut(Option<usize>) -> Verdict,
    ) -> Outcome<()> {
        let names: Vec<String> = programs.iter().map(|(name, _)| name.clone()).collect();
        let units: Vec<Option<usize>> = match self.unit {
            Unit::Object => vec![None],
            Unit::Program => (0..programs.len()).skip(self.skip).map(Some).collect(),
        };
        for unit in units {
            let (verdict, calls) = match self.record {
                Record::Yes => seam::listen(|| load(unit)),
                Record::No => (load(unit), Vec::new()),
            };
            let of = unit.map_or(&names[..], |index| &names[index..=index]);
            let sent = (self.record == Record::Yes && verdict.is_loaded()).then(|| sent::of(&calls, of));
            let (program, section) = unit.map(|index| programs[index].clone()).unzip();
            (self.say)(Load { program, section, verdict, sent })?;
        }
        Ok(())
    }
}

/// How a load ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The kernel has taken it.
    Loaded,
    /// It was refused, by the kernel or by the loader.
    Refused {
        /// The error's name.
        errno: Option<String>,
        /// What the loader said.
        message: String,
    },
    /// The object could not be read.
    Unread {
        /// What the loader said.
        message: String,
    },
    /// The loader's process has died of it.
    Died {
        /// How.
        how: String,
    },
}

impl Verdict {
    /// Whether the kernel has it.
    pub(crate) fn is_loaded(&self) -> bool {
        *self == Self::Loaded
    }

    /// Why not, in a line or several.
    pub(crate) fn why(&self) -> String {
        match self {
            Self::Loaded => String::new(),
            Self::Refused { errno: Some(errno), message } => format!("{errno}: {message}"),
            Self::Refused { errno: None, message } | Self::Unread { message } => message.clone(),
            Self::Died { how } => format!("the loader died: {how}"),
        }
    }
}

/// Loads, and prints a line for each load as soon as it ended.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let mut say = |load: Load| -> Outcome<()> {
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, &load)?;
        writeln!(out)?;
        out.flush()?;
        Ok(())
    };
    if options.without_tags {
        seam::hide_tags();
    }
    if options.verdicts {
        refused::keep_all();
    }
    let task = Task {
        file: &File { path: options.file.clone() },
        unit: options.unit,
        skip: options.skip,
        record: if options.record { Record::Yes } else { Record::No },
        say: &mut say,
    };
    match options.by {
        Side::Skep => ours::load(task),
        Side::Libbpf => libbpf::load(task),
    }
}
