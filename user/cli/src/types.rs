//! Where types are read from: files, objects, the running kernel and its modules.

use crate::failure::{Failure, Place};
use crate::{kernel, object};
use skep_btf::{Btf, Kind, PointerSize, Problem, TypeId};
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
        Source::File { path, base: None } => {
            let found = bytes(path)?;
            let Some(small) = &found.base else { return Ok(Arc::new(whole(path, found)?)) };
            let small = Btf::from_vec(small.clone()).map_err(|error| malformed(path, &error))?;
            split(path, found.btf.clone(), small, &found).map(Arc::new)
        }
        Source::File { path, base: Some(base) } => {
            let base = whole(base, bytes(base)?)?;
            let found = bytes(path)?;
            let Some(small) = &found.base else {
                return split(path, found.btf.clone(), base, &found).map(Arc::new);
            };
            let small = Btf::from_vec(small.clone()).map_err(|error| malformed(path, &error))?;
            let fitted = split(path, found.btf.clone(), small, &found)?.relocate(&base);
            split(path, fitted.map_err(|error| malformed(path, &error))?, base, &found).map(Arc::new)
        }
    }
}

fn split(path: &Path, bytes: Vec<u8>, base: Btf<'static>, found: &Found) -> Result<Btf<'static>, Failure> {
    let btf = Btf::from_vec_split(bytes, Arc::new(base)).map_err(|error| malformed(path, &error))?;
    Ok(found.with_pointers(btf))
}

fn whole(path: &Path, mut found: Found) -> Result<Btf<'static>, Failure> {
    let btf = Btf::from_vec(std::mem::take(&mut found.btf)).map_err(|error| {
        let failure = malformed(path, &error);
        match error.problem {
            // Split BTF refers to types and names that the base has.
            Problem::UnknownType(_) | Problem::NameOutside(_) | Problem::Unterminated => {
                failure.help("if these are a module's types, name the kernel's by --base FILE")
            }
            _ => failure,
        }
    })?;
    Ok(found.with_pointers(btf))
}

/// What a file has of types.
struct Found {
    btf: Vec<u8>,
    /// How long pointers are, where the file says so.
    pointers: Option<PointerSize>,
    /// What a module's types need of the kernel's (`.BTF.base`).
    base: Option<Vec<u8>>,
}

impl Found {
    fn with_pointers(&self, mut btf: Btf<'static>) -> Btf<'static> {
        if let Some(size) = self.pointers {
            btf.set_pointer_size(size);
        }
        btf
    }
}

fn bytes(path: &Path) -> Result<Found, Failure> {
    const ELF: &[u8] = b"\x7fELF";
    let bytes = object::read(path)?;
    if !bytes.starts_with(ELF) {
        return Ok(Found { btf: bytes, pointers: None, base: None });
    }
    let name = path.display().to_string();
    let base = skep_elf::btf_base_bytes(&name, &bytes)?.map(<[u8]>::to_vec);
    match skep_elf::btf_bytes(&name, &bytes)? {
        Some(btf) => Ok(Found { btf: btf.to_vec(), pointers: skep_elf::pointer_size(&bytes), base }),
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
