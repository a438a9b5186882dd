//! The BTF of a kernel: where it is, and how it is read.

use crate::Kernel;
use crate::error::{Error, ErrorKind, Result};
use crate::object::TargetTypes;
use skep_abi::Errno;
use skep_btf::{Btf, Look};
use skep_sys::{Call, CallError, FileCall, Handle, OpenMode};
use std::sync::Arc;

/// Where a kernel shows its own BTF, since Linux 5.4.
pub(crate) const SYSFS: &str = "/sys/kernel/btf/vmlinux";

/// Where the image of a kernel of that release may be, which has BTF in a section; libbpf looks there in this order
/// (`btf__load_vmlinux_btf`).
fn images(release: &str) -> [String; 7] {
    [
        format!("/boot/vmlinux-{release}"),
        format!("/lib/modules/{release}/vmlinux-{release}"),
        format!("/lib/modules/{release}/build/vmlinux"),
        format!("/usr/lib/modules/{release}/kernel/vmlinux"),
        format!("/usr/lib/debug/boot/vmlinux-{release}"),
        format!("/usr/lib/debug/boot/vmlinux-{release}.debug"),
        format!("/usr/lib/debug/lib/modules/{release}/vmlinux"),
    ]
}

/// Takes the BTF of the kernel itself, and looks for something in it meanwhile.
pub(crate) fn vmlinux(kernel: &Kernel, look: &mut Look<'_, '_>) -> Result<Btf<'static>> {
    // What cannot be mapped is read, whatever the reason: reading says why nothing goes.
    if let Ok(image) = kernel.sys().map_btf() {
        return Btf::skim_for(Arc::new(image), look).map_err(|error| bad(error, SYSFS));
    }
    let missing =
        match kernel.sys().file_read(SYSFS).map_err(|error| Error::call("read", error).at_path(SYSFS)) {
            Ok(bytes) => {
                return Btf::skim_for(Arc::new(bytes), look).map_err(|error| bad(error, SYSFS));
            }
            Err(error) if error.errno() == Some(Errno::ENOENT) => error,
            Err(error) => return Err(error),
        };
    // A kernel without a release has no images either.
    let Ok(release) = kernel.read_text("/proc/sys/kernel/osrelease") else { return Err(missing) };
    for path in images(release.trim()) {
        match read(kernel, &path) {
            Ok(btf) => {
                btf.look(look).map_err(|error| bad(error, &path))?;
                return Ok(btf);
            }
            // An image without BTF, or one that may not be read, is no reason not to look at the next.
            Err(_) => continue,
        }
    }
    Err(missing)
}

/// Reads BTF from a file: as it stands in `/sys/kernel/btf`, or in the section `.BTF` of an ELF file. A module's, which comes
/// with what it needs of the kernel that it was built for (`.BTF.base`), is fitted to the types of this kernel.
pub(crate) fn read_fitted(kernel: &Kernel, path: &str) -> Result<Btf<'static>> {
    let file = open(kernel, path)?;
    let Some(small) = section(&file, path, ".BTF.base")? else { return read_open(kernel, &file, path) };
    let split = section(&file, path, ".BTF")?.ok_or_else(|| no_section(path))?;
    let failed = |error: skep_btf::Error| bad(error, path);
    let small = Arc::new(Btf::from_vec(small).map_err(failed)?);
    let split = Btf::from_vec_split(split, small).map_err(failed)?;
    fit(kernel, &split, path)
}

/// Fits a module's types, on the small base of the kernel that it was built for, to the types of this kernel.
pub(crate) fn fit(kernel: &Kernel, split: &Btf<'static>, path: &str) -> Result<Btf<'static>> {
    let failed = |error: skep_btf::Error| bad(error, path);
    let vmlinux = kernel.vmlinux()?;
    let fitted = split.relocate(&vmlinux).map_err(|error| {
        let ty = error.place.type_id.and_then(|id| split.get(id));
        let what = ty.map_or_else(String::new, |ty| {
            let kind = ty.kind().map_or("type", |kind| kind.name());
            format!("it is for a kernel with {kind} {}", ty.name())
        });
        failed(error).hint(&what)
    })?;
    Btf::from_vec_split(fitted, vmlinux).map_err(failed)
}

/// Reads BTF from bytes: BTF itself, or an ELF file with a section `.BTF`.
pub(crate) fn of_bytes(bytes: Vec<u8>, name: &str) -> Result<TargetTypes> {
    let bad = |error: skep_btf::Error| {
        Error::new(ErrorKind::Setting, error.to_string()).at_path(name).with_source(error)
    };
    if !bytes.starts_with(b"\x7fELF") {
        return Ok(TargetTypes::Whole(Arc::new(Btf::from_vec(bytes).map_err(bad)?)));
    }
    let bad_file = |error: skep_elf::ElfError| {
        Error::new(ErrorKind::Setting, error.to_string()).at_path(name).with_source(error)
    };
    let section = skep_elf::btf_bytes(name, &bytes).map_err(bad_file)?;
    let types = section.ok_or_else(|| no_section(name).kind_is(ErrorKind::Setting))?.to_vec();
    if let Some(small) = skep_elf::btf_base_bytes(name, &bytes).map_err(bad_file)? {
        let small = Arc::new(Btf::from_vec(small.to_vec()).map_err(bad)?);
        return Ok(TargetTypes::Module(Arc::new(Btf::from_vec_split(types, small).map_err(bad)?)));
    }
    let mut btf = Btf::from_vec(types).map_err(bad)?;
    if let Some(size) = skep_elf::pointer_size(&bytes) {
        btf.set_pointer_size(size);
    }
    Ok(TargetTypes::Whole(Arc::new(btf)))
}

/// Reads BTF from a file: as it stands in `/sys/kernel/btf`, or in the section `.BTF` of an ELF file.
fn read(kernel: &Kernel, path: &str) -> Result<Btf<'static>> {
    read_open(kernel, &open(kernel, path)?, path)
}

fn open(kernel: &Kernel, path: &str) -> Result<Handle> {
    let file = kernel.sys().file_open(path, OpenMode::Read);
    file.map_err(|error| Error::call("open", error).at_path(path))
}

fn read_open(kernel: &Kernel, file: &Handle, path: &str) -> Result<Btf<'static>> {
    let mut magic = [0; 4];
    let filled = read_at(file, 0, &mut magic).map_err(|error| Error::call("pread", error).at_path(path))?;
    if filled < magic.len() || magic != *b"\x7fELF" {
        let bytes = kernel.sys().read_to_end(file);
        return parse(bytes.map_err(|error| Error::call("read", error).at_path(path))?, path);
    }
    let mut btf = parse(section(file, path, ".BTF")?.ok_or_else(|| no_section(path))?, path)?;
    let mut class = [0; skep_elf::CLASS_END];
    read_at(file, 0, &mut class).map_err(|error| Error::call("pread", error).at_path(path))?;
    if let Some(size) = skep_elf::pointer_size(&class) {
        btf.set_pointer_size(size);
    }
    Ok(btf)
}

/// Reads a section of an ELF file; `None` where it has none of that name, or is no ELF file.
fn section(file: &Handle, path: &str, name: &str) -> Result<Option<Vec<u8>>> {
    let part = |error: CallError| Error::call("pread", error).at_path(path);
    let whole = |at, into: &mut [u8]| Ok(read_at(file, at, into)? == into.len());
    match skep_elf::find_section(name, whole).map_err(part)? {
        Some(range) => read_range(file, range.start, range.end - range.start).map_err(part),
        None => Ok(None),
    }
}

fn no_section(path: &str) -> Error {
    let what = "wanted an ELF file with a section .BTF, found none in it";
    Error::new(ErrorKind::Unsupported, what).at_path(path).with_errno(Errno::ENODATA)
}

fn parse(bytes: Vec<u8>, path: &str) -> Result<Btf<'static>> {
    // It is megabytes, of which little is asked.
    Btf::skim(bytes).map_err(|error| bad(error, path))
}

/// Says that a file's BTF is none.
pub(crate) fn bad(error: skep_btf::Error, path: &str) -> Error {
    Error::new(ErrorKind::Unsupported, error.to_string()).at_path(path).with_source(error)
}

/// Reads until the buffer is full or the file ends.
fn read_at(file: &Handle, at: u64, into: &mut [u8]) -> Result<usize, CallError> {
    let mut filled = 0;
    while filled < into.len() {
        let offset = at.checked_add(filled as u64).ok_or(Errno::EINVAL)?;
        let call = FileCall::ReadAt(file.fd(), offset, &mut into[filled..]);
        match file.kernel().call(Call::File(call)).and_then(skep_sys::Reply::into_count) {
            Ok(0) => break,
            Ok(count) => filled += (count as usize).min(into.len() - filled),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(filled)
}

/// Reads a part of a file; `None` where it ends before. Memory grows with what is there, not with what a header says.
fn read_range(file: &Handle, start: u64, len: u64) -> Result<Option<Vec<u8>>, CallError> {
    const STEP: usize = 1 << 20;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < len {
        let filled = bytes.len();
        let step = usize::try_from(len - filled as u64).unwrap_or(usize::MAX).min(STEP);
        bytes.try_reserve(step).map_err(|_| Errno::ENOMEM)?;
        bytes.resize(filled + step, 0);
        if read_at(file, start + filled as u64, &mut bytes[filled..])? != step {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}
