//! The types of the kernels, out of themselves: a kernel is booted once for its BTF, which then stays in the cache.

use super::{Guest, Kernel, run_in};
use crate::cache;
use anyhow::{Result, bail};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Where a kernel shows its types.
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// How long a guest may take: several megabytes go through a serial line.
const LIMIT: Duration = Duration::from_secs(300);

/// The file with a kernel's types.
pub(crate) fn types_of(kernel: &Kernel) -> Result<PathBuf> {
    let file = cache::dir("btf")?.join(format!("vmlinux-{}", kernel.version));
    if file.exists() {
        return Ok(file);
    }
    let mut guest = Guest::new(LIMIT);
    guest.command = ["/bin/cat", BTF].map(str::to_owned).to_vec();
    let ran = run_in(kernel, &guest)?;
    if ran.status != 0 || ran.stdout.is_empty() {
        bail!("{}: cat {BTF}: exit status {}", kernel.version, ran.status);
    }
    // Under its own name only when it is whole, and under a name of this process's before: another may fetch it too.
    let part = file.with_extension(format!("{}.part", std::process::id()));
    fs::write(&part, &ran.stdout)?;
    fs::rename(&part, &file)?;
    Ok(file)
}
