//! The whole object.

use crate::error::{ElfError, Problem};
use crate::exceptions::Callbacks;
use crate::externs::{self, ExternSpec};
use crate::functions::Functions;
use crate::image::{
    Binding, Image, Keep, R_BPF_64_ABS32, R_BPF_64_ABS64, R_BPF_64_NODYLD32, SectionKind, Symbol,
};
use crate::info::Info;
use crate::maps::{Maps, data_kind};
use crate::parts::Parts;
use crate::programs::Linker;
use crate::source::Source;
use skep_btf::{Btf, Ext, ObjectLayout, PointerSize, Visibility};
use skep_isa::ByteOrder;
use skep_model::{MapId, MapSpec, ProgramSpec};
use std::collections::{BTreeMap, BTreeSet};

/// An object file as plain data: what it defines, before any kernel sees it.
#[derive(Debug)]
pub struct ObjectSpec {
    /// The file, as the caller named it.
    pub file: String,
    /// The byte order of its instructions and data.
    pub order: ByteOrder,
    /// The licence; empty where the object states none.
    pub license: String,
    /// The version in a `version` section, which kernels before 5.0 compared with their own.
    pub kernel_version: Option<u32>,
    /// The maps, those of data sections last.
    pub maps: Vec<MapSpec>,
    /// The programs, in the order of the file.
    pub programs: Vec<ProgramSpec>,
    /// The symbols that a kernel must define.
    pub externs: Vec<ExternSpec>,
    /// The types; sizes and offsets that compilers leave open in `.BTF` are filled in ([`Btf::from_object`]).
    pub btf: Option<Btf<'static>>,
    /// What the file's sections are, for people.
    pub sections: Vec<SectionSummary>,
    /// What was read over, for people.
    pub notes: Vec<Note>,
}

/// One section, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionSummary {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it holds instructions.
    pub code: bool,
}

/// Something in an object that has no effect here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The section.
    pub section: String,
    /// What was read over, and why.
    pub text: String,
}

impl ObjectSpec {
    /// Reads an object; `file` is its name in messages.
    ///
    /// # Errors
    /// Says which file, section, symbol and instruction is malformed or not supported, and how.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<ObjectSpec, ElfError> {
        let read = || parse(file, &Image::parse(Source::Whole(bytes), Keep::Loadable)?, None);
        read().map_err(|error| error.in_file(file))
    }

    /// Reads an object from those parts of its file that are needed; it comes to the same as [`ObjectSpec::parse`] of all.
    ///
    /// # Errors
    /// As [`ObjectSpec::parse`].
    pub fn from_parts(file: &str, mut parts: Parts) -> Result<ObjectSpec, ElfError> {
        let btf = parts.btf.take();
        let read = || parse(file, &Image::parse(Source::Parts(&parts), Keep::LoadableWithoutBtf)?, btf);
        read().map_err(|error| error.in_file(file))
    }

    /// Tells whether its instructions and data have the byte order of this machine.
    pub fn is_native(&self) -> bool {
        self.order == ByteOrder::NATIVE
    }

    /// Finds a program by its function's name.
    pub fn program(&self, name: &str) -> Option<&ProgramSpec> {
        self.programs.iter().find(|program| program.name == name)
    }

    /// Finds a map by its name.
    pub fn map(&self, name: &str) -> Option<(MapId, &MapSpec)> {
        let index = self.maps.iter().position(|map| map.name == name)?;
        Some((MapId(index as u32), &self.maps[index]))
    }
}

/// Makes the spec of an image; `btf` are the bytes of its `.BTF`, where it has them not itself.
fn parse(file: &str, image: &Image<'_>, btf: Option<Vec<u8>>) -> Result<ObjectSpec, ElfError> {
    let btf = read_btf(image, btf)?;
    let info = match (&btf, image.named(".BTF.ext")) {
        (Some(btf), Some(section)) if !section.data.is_empty() => {
            let ext =
                Ext::parse(section.data, btf).map_err(|e| ElfError::from(e).in_section(section.name))?;
            Some(Info::read(btf, &ext))
        }
        _ => None,
    };
    let functions = Functions::find(image)?;
    let mut maps = Maps::find(image, btf.as_ref(), &functions)?;
    let (externs, kconfig) = externs::find(image, btf.as_ref())?;
    let kconfig = kconfig.map(|spec| {
        maps.specs.push(spec);
        MapId(maps.specs.len() as u32 - 1)
    });
    maps.add_struct_ops(image, btf.as_ref(), &functions)?;
    let programs = {
        let by_name: BTreeMap<_, _> = externs.iter().map(|spec| (spec.name.as_str(), spec)).collect();
        let linker = Linker {
            image,
            functions: &functions,
            maps: &maps,
            externs: &by_name,
            kconfig,
            info: info.as_ref(),
            callbacks: &Callbacks::find(btf.as_ref(), &functions),
        };
        link(&linker)?
    };
    // What follows is in the place of these: a load holds the most where it has read its object.
    drop((info, functions));
    Ok(ObjectSpec {
        file: file.to_owned(),
        order: image.order,
        license: license(image)?,
        kernel_version: kernel_version(image)?,
        programs,
        externs,
        sections: summaries(image),
        notes: notes(image),
        maps: maps.specs,
        btf,
    })
}

/// Links all programs, in the order of the file.
fn link(linker: &Linker<'_, '_>) -> Result<Vec<ProgramSpec>, ElfError> {
    let functions = linker.functions;
    let mut programs = Vec::with_capacity(functions.programs().count());
    let mut names = BTreeSet::new();
    for entry in functions.programs() {
        let program = linker.link(entry)?;
        if !names.insert(functions.get(entry).name) {
            let error = ElfError::from(Problem::Twice(program.name.clone()));
            return Err(error.in_section(&program.section).in_symbol(&program.name));
        }
        programs.push(program);
    }
    Ok(programs)
}

fn read_btf(image: &Image<'_>, bytes: Option<Vec<u8>>) -> Result<Option<Btf<'static>>, ElfError> {
    let Some(section) = image.named(".BTF") else { return Ok(None) };
    let bytes = bytes.unwrap_or_else(|| section.data.to_vec());
    if bytes.is_empty() {
        return Ok(None);
    }
    let btf = Btf::from_object(bytes, &Layout::of(image));
    let mut btf = btf.map_err(|error| ElfError::from(error).in_section(section.name))?;
    // Those of BPF, whatever a type is called.
    btf.set_pointer_size(PointerSize::Eight);
    Ok(Some(btf))
}

/// What BTF cannot know of its object.
struct Layout<'i, 'd> {
    image: &'i Image<'d>,
    /// Functions that are seen within the object only: made static for the same reason as [`crate::functions`] does.
    hidden: BTreeSet<&'d str>,
}

impl<'i, 'd> Layout<'i, 'd> {
    fn of(image: &'i Image<'d>) -> Layout<'i, 'd> {
        let is_hidden = |symbol: &&Symbol<'d>| symbol.is_func && symbol.visibility == Visibility::Hidden;
        Layout { image, hidden: image.symbols.iter().filter(is_hidden).map(|symbol| symbol.name).collect() }
    }
}

impl ObjectLayout for Layout<'_, '_> {
    fn section_size(&self, section: &str) -> Option<u32> {
        u32::try_from(self.image.named(section)?.size).ok()
    }

    fn symbol(&self, section: &str, name: &str) -> Option<skep_btf::Symbol> {
        let section = self.image.named(section)?;
        let symbol = self
            .image
            .symbols_in(section.index)
            .find(|symbol| symbol.name == name && symbol.binding != Binding::Local)?;
        let offset = u32::try_from(symbol.value).ok()?;
        Some(skep_btf::Symbol { offset, visibility: symbol.visibility })
    }

    fn hides_function(&self, name: &str) -> bool {
        self.hidden.contains(name)
    }
}

fn license(image: &Image<'_>) -> Result<String, ElfError> {
    let Some(section) = image.named("license") else { return Ok(String::new()) };
    let fail = || ElfError::from(Problem::BadLicense).in_section(section.name);
    let end = section.data.iter().position(|byte| *byte == 0).ok_or_else(fail)?;
    let text = std::str::from_utf8(&section.data[..end]).map_err(|_| fail())?;
    Ok(text.to_owned())
}

fn kernel_version(image: &Image<'_>) -> Result<Option<u32>, ElfError> {
    let Some(section) = image.named("version") else { return Ok(None) };
    let Ok(word) = <[u8; 4]>::try_from(section.data) else {
        let problem = Problem::OddSize { unit: 4, found: section.data.len() as u64 };
        return Err(ElfError::from(problem).in_section(section.name));
    };
    Ok(Some(match image.order {
        ByteOrder::Little => u32::from_le_bytes(word),
        ByteOrder::Big => u32::from_be_bytes(word),
    }))
}

fn summaries(image: &Image<'_>) -> Vec<SectionSummary> {
    (image.sections.iter().skip(1))
        .map(|section| SectionSummary {
            name: section.name.to_owned(),
            size: section.size,
            code: section.kind == SectionKind::Code,
        })
        .collect()
}

/// Relocations of sections that are no code: those of BTF and DWARF only tell section addresses, which are zero here;
/// in data they are addresses that no loader can fill in.
fn notes(image: &Image<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    for section in &image.sections {
        let absolute =
            section.relocs.iter().filter(|r| matches!(r.r_type, R_BPF_64_ABS64 | R_BPF_64_ABS32)).count();
        let other =
            section.relocs.iter().filter(|reloc| reloc.r_type != R_BPF_64_NODYLD32).count() - absolute;
        if data_kind(section.name).is_some() && absolute + other != 0 {
            let text = format!("{} relocations left as they are: data holds no addresses", absolute + other);
            notes.push(Note { section: section.name.to_owned(), text });
        }
    }
    notes
}
