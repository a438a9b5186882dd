//! BTF and `.BTF.ext` of all files as one: shared variables and functions once, sections as they are now.

use super::input::{File, FileIdx, is_shared};
use super::layout::{Layout, Share};
use super::symbols::{OutHome, Symbols};
use crate::error::{ElfError, Problem};
use skep_btf::{
    Btf, Builder, Def, Ext, ExtBuilder, Fate, Renumbered, SecInfo, StrOff, TypeId, Var, VarLinkage,
};
use skep_isa::ByteOrder;
use std::collections::HashMap;

/// The sections `.BTF` and `.BTF.ext`.
pub(super) struct Types {
    pub(super) btf: Vec<u8>,
    pub(super) ext: Option<Vec<u8>>,
}

/// The variables of a section of the result, by identifiers of all files' BTF together.
struct Datasec<'f> {
    name: &'f str,
    size: u32,
    vars: Vec<SecInfo>,
}

/// Merges the types of all files; `None` if there are none.
pub(super) fn merge(
    files: &[File<'_>],
    layout: &Layout<'_>,
    symbols: &Symbols<'_>,
) -> Result<Option<Types>, ElfError> {
    let in_btf = |error: skep_btf::Error| ElfError::from(error).in_section(".BTF");
    let endian = match files[0].image.order {
        ByteOrder::Little => skep_btf::Endian::Little,
        ByteOrder::Big => skep_btf::Endian::Big,
    };
    if files.iter().all(|file| file.btf.is_none()) {
        return Ok(None);
    }
    // First everything behind each other, then without what another file's stands for.
    let mut all = Builder::new(endian);
    let mut all_ext = ExtBuilder::new(endian);
    let mut numbers = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let Some(btf) = &file.btf else {
            numbers.push(None);
            continue;
        };
        let appended = all.append(btf).map_err(|error| in_btf(error).in_file(file.name))?;
        if let Some(ext) = &file.ext {
            append_ext(&mut all_ext, &mut all, FileIdx(index), file, ext, &appended, layout)
                .map_err(|error| error.in_section(".BTF.ext").in_file(file.name))?;
        }
        numbers.push(Some(appended));
    }
    let has_ext = files.iter().any(|file| file.ext.is_some());
    let all = Btf::from_vec(all.finish().map_err(in_btf)?).map_err(in_btf)?;
    let fates = fates(files, layout, symbols, &numbers, &all)?;
    let datasecs = datasecs(files, layout, symbols, &numbers, &fates)?;
    let (mut builder, kept) =
        all.select(|ty| fates.get(ty.id().0 as usize).copied().unwrap_or(Fate::Stays)).map_err(in_btf)?;
    check_records(files, layout, &numbers, &kept)?;
    for mut datasec in datasecs {
        for var in &mut datasec.vars {
            var.type_id = kept.id(var.type_id).unwrap_or_default();
        }
        datasec.vars.sort_by_key(|var| var.offset);
        builder.datasec(datasec.name, datasec.size, &datasec.vars);
    }
    let linked = Btf::from_vec(builder.finish().map_err(in_btf)?).map_err(in_btf)?;
    if !has_ext {
        let deduped = linked.dedup(None).map_err(in_btf)?;
        return Ok(Some(Types { btf: deduped.bytes, ext: None }));
    }
    let in_ext = |error: skep_btf::Error| ElfError::from(error).in_section(".BTF.ext");
    let all_ext = all_ext.finish().map_err(in_ext)?;
    let mut ext = ExtBuilder::new(endian);
    let parsed = Ext::parse(&all_ext, &all).map_err(in_ext)?;
    ext.append(&parsed, &kept, |section| Some((kept.string(section)?, 0))).map_err(in_ext)?;
    let ext = ext.finish().map_err(in_ext)?;
    let deduped = linked.dedup(Some(&Ext::parse(&ext, &linked).map_err(in_ext)?)).map_err(in_btf)?;
    Ok(Some(Types { btf: deduped.bytes, ext: deduped.ext }))
}

/// Appends the records of sections that are kept.
fn append_ext(
    all_ext: &mut ExtBuilder,
    all: &mut Builder,
    index: FileIdx,
    file: &File<'_>,
    ext: &Ext<'_>,
    numbers: &Renumbered,
    layout: &Layout<'_>,
) -> Result<(), ElfError> {
    let Some(btf) = &file.btf else { return Ok(()) };
    let mut missing = None;
    let done = all_ext.append(ext, numbers, |section: StrOff| {
        let name = btf.text(section)?;
        let Some(section) = file.image.named(&name) else {
            missing.get_or_insert_with(|| name.into_owned());
            return None;
        };
        let part = layout.part(index, section.index).filter(|part| part.share == Share::Own)?;
        // A section of the result has less than 4 GiB.
        Some((all.string(section.name.as_bytes()), part.delta as u32))
    });
    done?;
    match missing {
        Some(name) => Err(Problem::BadTarget { target: name, wanted: "a section that exists" }.into()),
        None => Ok(()),
    }
}

/// Refuses records of a type that no symbol stands for: what they are of is not linked.
fn check_records(
    files: &[File<'_>],
    layout: &Layout<'_>,
    numbers: &[Option<Renumbered>],
    kept: &Renumbered,
) -> Result<(), ElfError> {
    for (index, (file, numbers)) in files.iter().zip(numbers).enumerate() {
        let (Some(btf), Some(ext), Some(numbers)) = (&file.btf, &file.ext, numbers) else { continue };
        let is_kept = |name: StrOff| {
            let section = btf.text(name).and_then(|name| file.image.named(&name));
            let part = section.and_then(|section| layout.part(FileIdx(index), section.index));
            part.is_some_and(|part| part.share == Share::Own)
        };
        let functions = ext.func_info().filter(|section| is_kept(section.name));
        let functions = functions.flat_map(|section| section.records.map(|record| record.type_id));
        let relocations = ext.core_relos().filter(|section| is_kept(section.name));
        let relocations = relocations.flat_map(|section| section.records.map(|record| record.type_id));
        let is_gone = |id: &TypeId| numbers.id(*id).and_then(|id| kept.id(id)).is_none();
        if let Some(id) = functions.chain(relocations).find(is_gone) {
            let name = btf.get(id).map_or("", |ty| ty.name());
            let target = format!("type {} {name}", id.0);
            let problem = Problem::BadTarget { target, wanted: "a type of something that is linked" };
            return Err(ElfError::from(problem).in_section(".BTF.ext").in_file(file.name));
        }
    }
    Ok(())
}

/// Whether what a file says of a shared symbol is what the result says of it.
fn is_chosen(symbols: &Symbols<'_>, name: &str, file: FileIdx, id: TypeId) -> bool {
    let global = symbols.global(name);
    global.is_some_and(|global| {
        global.file == file && global.described.is_some_and(|described| described.id == id)
    })
}

/// What becomes of each type of all files' BTF together.
fn fates(
    files: &[File<'_>],
    layout: &Layout<'_>,
    symbols: &Symbols<'_>,
    numbers: &[Option<Renumbered>],
    all: &Btf<'_>,
) -> Result<Vec<Fate>, ElfError> {
    let mut fates = vec![Fate::Stays; all.len() as usize];
    let chosen = |name: &str| {
        let global = symbols.global(name)?;
        let id = global.described?.id;
        numbers[global.file.0].as_ref()?.id(id)
    };
    for (index, (file, numbers)) in files.iter().zip(numbers).enumerate() {
        let (Some(btf), Some(numbers)) = (&file.btf, numbers) else { continue };
        let mut references: HashMap<TypeId, u32> = HashMap::new();
        for target in btf.types().flat_map(|ty| ty.references()) {
            *references.entry(target).or_default() += 1;
        }
        let mut set = |id: TypeId, fate| {
            if let Some(slot) = numbers.id(id).and_then(|id| fates.get_mut(id.0 as usize)) {
                *slot = fate;
            }
        };
        for ty in btf.types() {
            if let Def::Datasec(datasec) = ty.def() {
                set(ty.id(), Fate::Goes);
                // The licence is one variable, however many files have it.
                let section = file.image.named(ty.name());
                let part = section.and_then(|section| layout.part(FileIdx(index), section.index));
                if part.is_some_and(|part| part.share == Share::Same) {
                    datasec.vars.iter().for_each(|info| set(info.type_id, Fate::Goes));
                }
            }
        }
        for ty in btf.types().filter(is_shared) {
            match chosen(ty.name()) {
                Some(_) if is_chosen(symbols, ty.name(), FileIdx(index), ty.id()) => {
                    set(ty.id(), Fate::Stays);
                }
                Some(other) => {
                    set(ty.id(), Fate::Becomes(other));
                    // The prototype of a declaration lacks the names of the parameters.
                    if let (Def::Func(func), Def::Func(other)) = (ty.def(), all.ty(other)?.def()) {
                        if references.get(&func.proto) == Some(&1) {
                            set(func.proto, Fate::Becomes(other.proto));
                        }
                    }
                }
                // No symbol: nobody can mean it.
                None => set(ty.id(), Fate::Goes),
            }
        }
    }
    // A tag goes with what it is on.
    for ty in all.types() {
        if let Def::DeclTag(tag) = ty.def() {
            if fates[tag.target.0 as usize] == Fate::Goes {
                fates[ty.id().0 as usize] = Fate::Goes;
            }
        }
    }
    Ok(fates)
}

/// The variables of each section of the result, in the order of the sections; after those, the ones of sections that
/// only BTF has (`.kconfig`, `.ksyms`).
fn datasecs<'f>(
    files: &'f [File<'_>],
    layout: &Layout<'_>,
    symbols: &Symbols<'_>,
    numbers: &[Option<Renumbered>],
    fates: &[Fate],
) -> Result<Vec<Datasec<'f>>, ElfError> {
    let mut datasecs: Vec<Datasec<'f>> = Vec::new();
    let mut by_name: HashMap<&str, usize> = HashMap::new();
    for (index, (file, numbers)) in files.iter().zip(numbers).enumerate() {
        let (Some(btf), Some(numbers)) = (&file.btf, numbers) else { continue };
        for ty in btf.types() {
            let Def::Datasec(datasec) = ty.def() else { continue };
            // Externs that no file gives a section: what is left of them has no place.
            if ty.name() == ".extern" {
                continue;
            }
            let in_datasec = |error: ElfError| error.in_section(ty.name()).in_file(file.name);
            let section = file.image.named(ty.name());
            let part = section.and_then(|section| layout.part(FileIdx(index), section.index));
            let out = layout.named(ty.name()).map(|out| &layout.sections[out.0]);
            let slot = *by_name.entry(ty.name()).or_insert_with(|| {
                let size = out.map_or(0, |out| out.size as u32);
                datasecs.push(Datasec { name: ty.name(), size, vars: Vec::new() });
                datasecs.len() - 1
            });
            if part.is_some_and(|part| part.share == Share::Same) {
                continue;
            }
            let delta = part.map_or(0, |part| part.delta as u32);
            for info in datasec.vars {
                let var = btf.ty(info.type_id)?;
                let Some(type_id) = numbers.id(info.type_id) else { continue };
                if fates.get(type_id.0 as usize) != Some(&Fate::Stays) {
                    continue;
                }
                let global = symbols.global(var.name()).filter(|_| is_shared(&var));
                let offset = match (global, var.def()) {
                    (Some(global), Def::Var(Var { linkage: VarLinkage::Global, .. })) => {
                        match global.symbol.home {
                            OutHome::Section(_) => global.symbol.value as u32,
                            _ => info.offset,
                        }
                    }
                    _ => {
                        info.offset.checked_add(delta).ok_or_else(|| in_datasec(Problem::TooLarge.into()))?
                    }
                };
                datasecs[slot].vars.push(SecInfo { type_id, offset, size: info.size });
            }
        }
    }
    let place = |datasec: &Datasec<'_>| layout.named(datasec.name).map_or(usize::MAX, |out| out.0);
    datasecs.sort_by_key(place);
    Ok(datasecs)
}
