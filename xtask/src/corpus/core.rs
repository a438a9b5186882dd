//! CO-RE against the types of other kernels: no kernel but the running one is needed for what they say.

use crate::boot::{self, KERNELS};
use crate::objects::Object;
use crate::outcome::Outcome;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::{Command, Stdio};

/// Compares what becomes of each relocation on one kernel or on all.
pub(super) fn run(program: &Path, version: Option<&str>, objects: &[Object]) -> Result<Outcome> {
    let kernels = match version {
        Some(version) => vec![boot::kernel(version)?],
        None => KERNELS.iter().collect(),
    };
    let mut wanting = Vec::new();
    for kernel in &kernels {
        println!("the types of {}:", kernel.version);
        let mut command = Command::new(program);
        command.arg("core").arg("--btf").arg(boot::types_of(kernel)?);
        command.args(objects.iter().map(|object| &object.file)).stdin(Stdio::null());
        if !command.status().context("cannot run the comparison")?.success() {
            wanting.push(kernel.version);
        }
    }
    Ok(match wanting.is_empty() {
        true => Outcome::Done(format!("{} objects, the types of {} kernels", objects.len(), kernels.len())),
        false => Outcome::Failed(format!("differences with the types of {}", wanting.join(", "))),
    })
}
