//! Where types are read from: files, objects, the running kernel and its modules.

use crate::failure::{Failure, Place};
use crate::{kernel, object};
use skep_btf::{Btf, Kind, Problem, TypeId};
use std::path::Path;
use std::sync::Arc;

/// A place that has types.
pub(crate) enum Source<'a> {
    /// BTF by itself or in an ELF file, with what it continues.
    File { path: &'a Path, base: Option<&'a Path> },
    /// The running kernel.
    Kernel,
    /// What the running kernel has under that id.
    Id(u32),
    /// A module of the running kernel.
    Module(&'a str),
}

/// Reads types.
///
/// # Errors
/// Says which file or kernel has none, or where they are malformed.
pub(crate) fn read(source: &Source<'_>) -> Result<Arc<Btf<'static>>, Failure> {
    match source {
        Source::Kernel => Ok(kernel::linux()?.vmlinux_btf()?),
        Source::Id(id) => Ok(Arc::new(kernel::linux()?.btf_by_id(*id)?)),
        Source::Module(name) => Ok(Arc::new(kernel::linux()?.module_btf(name)?)),
        Source::File { path, base: None } => Ok(Arc::new(whole(path)?)),
        Source::File { path, base: Some(base) } => {
            let base = Arc::new(whole(base)?);
            Btf::from_vec_split(bytes(path)?, base).map(Arc::new).map_err(|error| malformed(path, &error))
        }
    }
}

fn whole(path: &Path) -> Result<Btf<'static>, Failure> {
    Btf::from_vec(bytes(path)?).map_err(|error| {
        let failure = malformed(path, &error);
        match error.problem {
            // Split BTF refers to types and names that the base has.
            Problem::UnknownType(_) | Problem::NameOutside(_) | Problem::Unterminated => {
                failure.help("if these are a module's types, name the kernel's by --base FILE")
            }
            _ => failure,
        }
    })
}

fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    const ELF: &[u8] = b"\x7fELF";
    let bytes = object::read(path)?;
    if !bytes.starts_with(ELF) {
        return Ok(bytes);
    }
    match skep_elf::btf_bytes(&path.display().to_string(), &bytes)? {
        Some(btf) => Ok(btf.to_vec()),
        None => Err(Failure::bad("btf", "wanted a section .BTF, found none").at(Place::file(path))),
    }
}

fn malformed(path: &Path, error: &skep_btf::Error) -> Failure {
    Failure::bad("btf", error).at(Place::file(path))
}

/// Finds the types that the command line names: by number, or by name in the order of [`WANTED`].
///
/// # Errors
/// Says which name is none.
pub(crate) fn roots(btf: &Btf<'_>, names: &[String]) -> Result<Vec<TypeId>, Failure> {
    let find = |name: &String| {
        let found = match name.parse() {
            Ok(id) => btf.get(TypeId(id)).filter(|ty| !ty.id().is_void()).map(|ty| ty.id()),
            Err(_) => named(btf, name),
        };
        found.ok_or_else(|| Failure::usage(format_args!("there is no type called {name}")))
    };
    names.iter().map(find).collect()
}

/// The kinds that have a name worth asking for; the first that has it is meant.
const WANTED: [(Kind, &str); 8] = [
    (Kind::Struct, "struct "),
    (Kind::Union, "union "),
    (Kind::Enum, "enum "),
    (Kind::Enum64, "enum "),
    (Kind::Typedef, ""),
    (Kind::Func, ""),
    (Kind::Int, ""),
    (Kind::Fwd, "struct "),
];

fn named(btf: &Btf<'_>, name: &str) -> Option<TypeId> {
    let keyword =
        WANTED.iter().map(|(_, word)| *word).find(|word| !word.is_empty() && name.starts_with(word));
    let mut kinds = WANTED.iter().filter(|(_, word)| keyword.is_none_or(|wanted| wanted == *word));
    let name = &name[keyword.map_or(0, str::len)..];
    kinds.find_map(|(kind, _)| btf.find(name, *kind))
}
