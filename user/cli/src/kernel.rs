//! The kernels that a command may speak to.

use crate::failure::Failure;
use skep::Kernel;

/// The running kernel.
///
/// # Errors
/// Where this is no Linux.
#[cfg(target_os = "linux")]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it is an error")]
pub(crate) fn linux() -> Result<Kernel, Failure> {
    Ok(Kernel::linux())
}

/// The running kernel.
///
/// # Errors
/// This is no Linux.
#[cfg(not(target_os = "linux"))]
pub(crate) fn linux() -> Result<Kernel, Failure> {
    Err(Failure::unable("unsupported", "this machine does not run Linux"))
}
