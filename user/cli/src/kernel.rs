//! The kernels that a command may speak to, and how it is told to stop.

use crate::args::RunKernel;
use crate::failure::Failure;
use skep::Kernel;
use skep_embedded::{Admit, Config, Embedded, Engine, Fault};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A kernel to run in.
pub(crate) struct Target {
    /// The kernel.
    pub(crate) kernel: Kernel,
    /// Its name.
    pub(crate) name: &'static str,
    /// The kernel once more, where it lives in this process and can be looked into.
    embedded: Option<Embedded>,
}

impl Target {
    /// Gives the latest run that was stopped.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.embedded.as_ref()?.faults().last().map(|report| report.fault)
    }

    /// Takes what programs have printed; nothing where somebody else reads that.
    pub(crate) fn printed(&self) -> Option<Vec<String>> {
        let embedded = self.embedded.as_ref()?;
        Some(std::iter::from_fn(|| embedded.take_trace()).collect())
    }
}

/// Finds a kernel by its name.
///
/// # Errors
/// This machine does not have it.
pub(crate) fn target(on: RunKernel, admit: Admit) -> Result<Target, Failure> {
    match on {
        RunKernel::Linux => Ok(Target { kernel: linux()?, name: "linux", embedded: None }),
        RunKernel::Embedded => {
            // Whoever runs a program here wants to see what it does wrong, and what the reference machine says of that.
            let embedded = Embedded::new(Config::new().admit(admit).engine(Engine::Exact))
                .map_err(|errno| Failure::unable("memory", errno))?;
            let kernel = Kernel::from_sys(embedded.clone());
            Ok(Target { kernel, name: "embedded", embedded: Some(embedded) })
        }
    }
}

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

/// Has Ctrl-C and a polite kill set a flag, instead of ending the process; a second one ends it.
///
/// # Errors
/// The operating system refuses.
#[cfg(unix)]
pub(crate) fn interrupts() -> Result<Arc<AtomicBool>, Failure> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_default(signal, Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .map_err(|error| Failure::bad("signal", error))?;
    }
    Ok(stop)
}

/// There are no signals: time ends a run.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub(crate) fn interrupts() -> Result<Arc<AtomicBool>, Failure> {
    Ok(Arc::default())
}
