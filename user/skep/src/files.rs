//! What the loader reads of a kernel besides its calls: interfaces, tracepoints.

use crate::Kernel;
use crate::error::{Error, ErrorKind, Result};
use skep_abi::Errno;

/// Where tracefs is mounted; the second is where it was before Linux 4.1, and still is where only debugfs is mounted.
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Reads the index of an interface.
pub(crate) fn interface_index(kernel: &Kernel, name: &str) -> Result<u32> {
    let path = format!("/sys/class/net/{name}/ifindex");
    if name.is_empty() || name.contains(['/', '\0']) || name == "." || name == ".." {
        return Err(Error::new(ErrorKind::Setting, format!("`{name}` is no name of an interface")));
    }
    let text = kernel.read_text(&path).map_err(|error| match error.errno() {
        Some(Errno::ENOENT) => {
            Error::not_found(format!("there is no interface {name}")).with_errno(Errno::ENODEV).at_path(&path)
        }
        _ => error,
    })?;
    number(&text, &path)
}

/// Reads the id of a tracepoint.
pub(crate) fn tracepoint_id(kernel: &Kernel, category: &str, name: &str) -> Result<u32> {
    if [category, name]
        .iter()
        .any(|part| part.is_empty() || part.contains(['/', '\0']) || part.starts_with('.'))
    {
        let what = format!("`{category}/{name}` is no name of a tracepoint");
        return Err(Error::new(ErrorKind::Setting, what));
    }
    let mut missing = None;
    for root in TRACEFS {
        let path = format!("{root}/events/{category}/{name}/id");
        match kernel.read_text(&path) {
            Ok(text) => return number(&text, &path),
            Err(error) if error.errno() == Some(Errno::ENOENT) => missing = missing.or(Some(path)),
            Err(error) => return Err(error),
        }
    }
    let what = format!("there is no tracepoint {category}/{name}, or tracefs is not mounted");
    Err(Error::not_found(what).with_errno(Errno::ENOENT).at_path(missing.as_deref().unwrap_or(TRACEFS[0])))
}

fn number(text: &str, path: &str) -> Result<u32> {
    text.trim()
        .parse()
        .map_err(|_| Error::call("read", Errno::EINVAL).at_path(path).hint("it holds no number"))
}
