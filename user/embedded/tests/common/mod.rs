//! What both tests of the kernel's BTF need.

use skep_btf::{Builder, Endian, Int, IntEncoding};
use skep_embedded::{Config, Embedded, Tracepoint};
use skep_sys::{BtfFd, CallError, Kernel, ObjectKind};

/// Where Linux shows it.
pub(crate) const PATH: &str = "/sys/kernel/btf/vmlinux";

/// A kernel, and what keeps its tracepoints.
pub(crate) fn embedded(tracepoints: &[&str]) -> (Kernel, Vec<Tracepoint>) {
    let embedded = Embedded::new(Config::new().seed(1)).unwrap();
    let tracepoints = tracepoints.iter().map(|name| embedded.add_tracepoint("lab", name).unwrap()).collect();
    (Kernel::from_sys(embedded), tracepoints)
}

/// Opens BTF by its number.
pub(crate) fn open(kernel: &Kernel, id: u32) -> Result<BtfFd, CallError> {
    kernel.fd_by_id(ObjectKind::Btf, id, 0).map(BtfFd::from_handle)
}

/// BTF of one `int`.
pub(crate) fn small() -> Vec<u8> {
    let mut builder = Builder::new(Endian::NATIVE);
    builder.int("int", Int { size: 4, bits: 32, offset: 0, encoding: IntEncoding::SIGNED });
    builder.finish().unwrap()
}
