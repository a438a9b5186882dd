//! The types of modules, made small and fitted to another kernel, by both sides.
//!
//! Types are compared as text, a line each with numbers and names: where strings lie is each side's own business.

use crate::Outcome;
use libbpf_sys::{btf, btf__distill_base, btf__free, btf__new, btf__new_split, btf__raw_data, btf__relocate};
use skep::Btf;
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// Whose modules, and for which kernel.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The types of the kernel that the modules are of: BTF by itself.
    #[arg(long)]
    of: PathBuf,
    /// Those of the kernel that they are fitted to.
    #[arg(long)]
    to: PathBuf,
    /// The modules, or their types: BTF by itself.
    #[arg(required = true)]
    modules: Vec<PathBuf>,
}

/// What comes of a module: the small base, what continues it, and what continues the other kernel, or that it does not fit.
#[derive(Debug, PartialEq, Eq)]
struct Fitted {
    base: String,
    split: String,
    fitted: Option<String>,
}

/// Compares.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let (of, to) = (std::fs::read(&options.of)?, std::fs::read(&options.to)?);
    let (mut same, mut fits, mut without) = (0, 0, 0);
    for path in &options.modules {
        let file = std::fs::read(path)?;
        let module = match file.starts_with(b"\x7fELF") {
            true => skep_elf::btf_bytes(&path.display().to_string(), &file)?,
            false => Some(file.as_slice()),
        };
        let Some(module) = module else {
            without += 1;
            continue;
        };
        let (ours, theirs) = (ours(&of, &to, module)?, theirs(&of, &to, module)?);
        if ours != theirs {
            return Err(told(path, &ours, &theirs).into());
        }
        same += 1;
        fits += usize::from(ours.fitted.is_some());
    }
    println!("{same} modules, {fits} of them fit: the same by both; {without} have no types");
    if same == 0 {
        return Err("no module has types".into());
    }
    Ok(())
}

/// The first line that is not the same.
fn told(path: &Path, ours: &Fitted, theirs: &Fitted) -> String {
    let text = |of: &Fitted| {
        format!(
            "base\n{}\nsplit\n{}\nfitted\n{}",
            of.base,
            of.split,
            of.fitted.as_deref().unwrap_or("it does not fit")
        )
    };
    let (ours, theirs) = (text(ours), text(theirs));
    let differs = ours.lines().zip(theirs.lines()).find(|(ours, theirs)| ours != theirs);
    let (ours, theirs) = differs.unwrap_or(("one has more lines", ""));
    format!("{}: skep `{ours}`, libbpf `{theirs}`", path.display())
}

fn text(btf: &Btf<'_>) -> String {
    let mut text = String::new();
    // A string takes whatever is written.
    let _ = btf.write_raw(&mut text);
    text
}

fn ours(of: &[u8], to: &[u8], module: &[u8]) -> Outcome<Fitted> {
    let of = Arc::new(Btf::from_vec(of.to_vec())?);
    let small = Btf::from_vec_split(module.to_vec(), of)?.distill()?;
    let base = Arc::new(Btf::from_vec(small.base)?);
    let split = Btf::from_vec_split(small.split, Arc::clone(&base))?;
    let to = Arc::new(Btf::from_vec(to.to_vec())?);
    let fitted = match split.relocate(&to) {
        Ok(fitted) => Some(text(&Btf::from_vec_split(fitted, to)?)),
        Err(_) => None,
    };
    Ok(Fitted { base: text(&base), split: text(&split), fitted })
}

/// libbpf's BTF, freed at last.
struct Owned(NonNull<btf>);

impl Owned {
    fn new(what: *mut btf) -> Outcome<Owned> {
        Ok(Owned(NonNull::new(what).ok_or_else(std::io::Error::last_os_error)?))
    }

    fn read(bytes: &[u8], base: Option<&Owned>) -> Outcome<Owned> {
        let (at, len) = (bytes.as_ptr().cast(), u32::try_from(bytes.len())?);
        Owned::new(match base {
            // SAFETY: it copies these bytes.
            None => unsafe { btf__new(at, len) },
            // SAFETY: it copies these bytes; the base is freed after it, since its owner is borrowed for longer.
            Some(base) => unsafe { btf__new_split(at, len, base.0.as_ptr()) },
        })
    }

    fn bytes(&self) -> Outcome<Vec<u8>> {
        let mut len = 0;
        // SAFETY: it is BTF.
        let at = unsafe { btf__raw_data(self.0.as_ptr(), &mut len) };
        if at.is_null() {
            return Err(std::io::Error::last_os_error().into());
        }
        // SAFETY: there are as many bytes, until the BTF is changed.
        Ok(unsafe { std::slice::from_raw_parts(at.cast::<u8>(), len as usize) }.to_vec())
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: it is this value's own.
        unsafe { btf__free(self.0.as_ptr()) };
    }
}

fn theirs(of: &[u8], to: &[u8], module: &[u8]) -> Outcome<Fitted> {
    let of = Owned::read(of, None)?;
    let to_bytes = to.to_vec();
    let to = Owned::read(to, None)?;
    let module = Owned::read(module, Some(&of))?;
    let (mut base, mut split) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: it is split BTF, and gives two that are the caller's.
    let done = unsafe { btf__distill_base(module.0.as_ptr(), &mut base, &mut split) };
    if done != 0 {
        return Err(std::io::Error::from_raw_os_error(-done).into());
    }
    // What continues the other is dropped first.
    let base = Owned::new(base)?;
    let split = Owned::new(split)?;
    let small = Arc::new(Btf::from_vec(base.bytes()?)?);
    let split_bytes = split.bytes()?;
    drop(split);
    // Read anew: `btf__raw_data` keeps what it has given once, and `btf__relocate` does not know of that.
    let split = Owned::read(&split_bytes, Some(&base))?;
    let split_text = text(&Btf::from_vec_split(split_bytes, Arc::clone(&small))?);
    // SAFETY: both are BTF, and the other kernel's lives longer.
    let done = unsafe { btf__relocate(split.0.as_ptr(), to.0.as_ptr()) };
    let fitted = match done {
        0 => Some(text(&Btf::from_vec_split(split.bytes()?, Arc::new(Btf::from_vec(to_bytes)?))?)),
        _ => None,
    };
    drop(split);
    Ok(Fitted { base: text(&small), split: split_text, fitted })
}
