//! The whole object.

use crate::error::{ElfError, Problem};
use crate::exceptions::Callbacks;
use crate::externs::{self, ExternSpec};
use crate::functions::{Function, Functions};
use crate::image::{
    Binding, Image, Keep, R_BPF_64_ABS32, R_BPF_64_ABS64, R_BPF_64_NODYLD32, Reloc, SecIdx, SectionKind,
    Symbol,
};
use crate::info::Info;
use crate::maps::{Maps, data_kind};
use crate::parts::Parts;
use crate::pieces;
use crate::programs::{Linker, Place, ReadCode};
use crate::source::{Source, copy};
use crate::summary::{SectionSummary, Sections};
use skep_btf::{Btf, Ext, ObjectLayout, PointerSize, Visibility};
use skep_isa::ByteOrder;
use skep_model::{MapId, MapSpec, ProgramSpec};
use std::cell::RefCell;
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
    pub sections: Sections,
    /// What was read over, for people.
    pub notes: Vec<Note>,
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
        let read = || {
            let mut image = Image::parse(Source::Whole(bytes), Keep::Loadable)?;
            let mut code = |at, into: &mut [u8]| copy(bytes, at, into).is_some();
            let (mut spec, places) = parse(file, &mut image, None, &mut code)?;
            add_info(&mut spec, &places, image.named(EXT).map_or(&[], |section| section.data))?;
            Ok(spec)
        };
        read().map_err(|error: ElfError| error.in_file(file))
    }

    /// Reads what is needed of an object's file, of `len` bytes: one part after the other, so that not all are held at once. `read` fills a
    /// buffer from an offset, and tells whether there was that much. It comes to the same as [`ObjectSpec::parse`] of all.
    ///
    /// `None` is for a file that cannot be taken apart: what is wrong with it, [`ObjectSpec::parse`] says. Memory is taken for
    /// what lies within `len`, once at most, and for the types once more; code that several programs have is read for each.
    ///
    /// # Errors
    /// Those of `read`; the inner one as [`ObjectSpec::parse`].
    pub fn read<E>(
        file: &str,
        len: u64,
        mut read: impl FnMut(u64, &mut [u8]) -> Result<bool, E>,
    ) -> Result<Option<Result<ObjectSpec, ElfError>>, E> {
        let Some(mut parts) = Parts::read(len, &mut read)? else { return Ok(None) };
        let (btf, ext) = (parts.btf.take(), parts.ext.take());
        let mut failed = None;
        let mut code = |at, into: &mut [u8]| {
            let done = read(at, into);
            let is_there = matches!(done, Ok(true));
            failed = failed.take().or((!is_there).then_some(done));
            is_there
        };
        let linked = Image::parse(Source::Parts(&parts), Keep::LoadableInParts)
            .and_then(|mut image| parse(file, &mut image, btf, &mut code));
        drop(parts);
        // Not what the linker makes of it, but why the code is not there.
        if let Some(failed) = failed {
            return failed.map(|_| None);
        }
        let (mut spec, places) = match linked {
            Ok(linked) => linked,
            Err(error) => return Ok(Some(Err(error.in_file(file)))),
        };
        if let Some(range) = ext.filter(|range| !range.is_empty()) {
            let ObjectSpec { programs, sections, btf, .. } = &mut spec;
            let Some(btf) = btf else { return Ok(Some(Ok(spec))) };
            let name = |index| name_of(sections, index);
            if pieces::add((programs, &places), name, btf, &range, &mut read)?.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(Ok(spec)))
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

/// The section of function types, source lines and CO-RE relocations.
const EXT: &str = ".BTF.ext";

/// Adds to the programs what `.BTF.ext` says of the functions that they were linked from.
fn add_info(spec: &mut ObjectSpec, mut places: &[Place], ext: &[u8]) -> Result<(), ElfError> {
    let Some(btf) = spec.btf.as_ref().filter(|_| !ext.is_empty()) else { return Ok(()) };
    let ext = Ext::parse(ext, btf).map_err(|error| ElfError::from(error).in_section(EXT))?;
    let info = Info::read(btf, &ext);
    let sections = &spec.sections;
    let name = |index| name_of(sections, index);
    for program in &mut spec.programs {
        let (of_this, rest) = places.split_at(program.functions.len().min(places.len()));
        info.add(program, of_this, name);
        places = rest;
    }
    Ok(())
}

/// The name of a section. The one with the number 0 is none, and not among them.
fn name_of(sections: &Sections, index: SecIdx) -> &str {
    let section = (index.0 as usize).checked_sub(1).and_then(|at| sections.get(at));
    section.map_or("", |section| section.name)
}

/// Makes the spec of an image, but for what `.BTF.ext` says; `btf` are the bytes of its `.BTF`, where it has them not itself, and
/// `code` reads what it does not hold. With it come the places that the functions of each program were in.
fn parse(
    file: &str,
    image: &mut Image<'_>,
    btf: Option<Vec<u8>>,
    code: &mut ReadCode<'_>,
) -> Result<(ObjectSpec, Vec<Place>), ElfError> {
    let btf = read_btf(image, btf)?;
    let functions = Functions::find(image)?;
    let mut maps = Maps::find(image, btf.as_ref(), &functions)?;
    let (externs, kconfig) = externs::find(image, btf.as_ref())?;
    let kconfig = kconfig.map(|spec| {
        maps.specs.push(spec);
        MapId(maps.specs.len() as u32 - 1)
    });
    maps.add_struct_ops(image, btf.as_ref(), &functions)?;
    let (programs, places) = {
        let by_name: BTreeMap<_, _> = externs.iter().map(|spec| (spec.name.as_str(), spec)).collect();
        let linker = Linker {
            image,
            functions: &functions,
            maps: &maps,
            externs: &by_name,
            kconfig,
            callbacks: &Callbacks::find(btf.as_ref(), &functions),
            code: RefCell::new(code),
        };
        link(&linker)?
    };
    // What follows is in the place of these: a load holds the most where it has read its object.
    drop(functions);
    let maps = maps.into_specs();
    image.forget_symbols();
    let spec = ObjectSpec {
        file: file.to_owned(),
        order: image.order,
        license: license(image)?,
        kernel_version: kernel_version(image)?,
        programs,
        externs,
        sections: summaries(image),
        notes: notes(image),
        maps,
        btf,
    };
    Ok((spec, places))
}

/// Links all programs, in the order of the file.
fn link(linker: &Linker<'_, '_>) -> Result<(Vec<ProgramSpec>, Vec<Place>), ElfError> {
    let functions = linker.functions;
    let count = functions.programs().count();
    only_one_of_each_name(linker)?;
    // Most programs are one function.
    let (mut programs, mut places) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for entry in functions.programs() {
        programs.push(linker.link(entry, &mut places)?);
    }
    Ok((programs, places))
}

fn only_one_of_each_name(linker: &Linker<'_, '_>) -> Result<(), ElfError> {
    let functions = linker.functions;
    let mut names = BTreeSet::new();
    for entry in functions.programs() {
        let Function { name, section, .. } = functions.get(entry);
        if !names.insert(*name) {
            let error = ElfError::from(Problem::Twice((*name).to_owned()));
            return Err(error.in_section(linker.image.section(*section).name).in_symbol(name));
        }
    }
    Ok(())
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
        let is_hidden = |symbol: &Symbol<'d>| symbol.is_func && symbol.visibility == Visibility::Hidden;
        Layout { image, hidden: image.symbols().filter(is_hidden).map(|symbol| symbol.name).collect() }
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

fn summaries(image: &Image<'_>) -> Sections {
    Sections::of(image.sections().skip(1).map(|section| SectionSummary {
        name: section.name,
        size: section.size,
        code: section.kind == SectionKind::Code,
    }))
}

/// Relocations of sections that are no code: those of BTF and DWARF only tell section addresses, which are zero here;
/// in data they are addresses that no loader can fill in.
fn notes(image: &Image<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    for section in image.sections().filter(|section| data_kind(section.name).is_some()) {
        let relocs = image.relocs(section.index);
        let absolute = |reloc: &Reloc| matches!(reloc.r_type, R_BPF_64_ABS64 | R_BPF_64_ABS32);
        let absolute = relocs.clone().filter(absolute).count();
        let other = relocs.filter(|reloc| reloc.r_type != R_BPF_64_NODYLD32).count() - absolute;
        if absolute + other != 0 {
            let text = format!("{} relocations left as they are: data holds no addresses", absolute + other);
            notes.push(Note { section: section.name.to_owned(), text });
        }
    }
    notes
}
