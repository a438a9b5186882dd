//! One side's work on one object.

use crate::{File, Outcome, Side, Unit, libbpf, ours};
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
    let file = File { path: options.file.clone() };
    let mut say = |load: Load| -> Outcome<()> {
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, &load)?;
        writeln!(out)?;
        out.flush()?;
        Ok(())
    };
    match options.by {
        Side::Skep => ours::load(&file, options.unit, options.skip, &mut say),
        Side::Libbpf => libbpf::load(&file, options.unit, options.skip, &mut say),
    }
}
