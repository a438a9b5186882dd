//! An object file, read and not yet loaded: what may be set, and what may be asked.

mod map;
mod program;

pub use map::{Autocreate, MapMut, Pinned};
pub use program::{Autoload, ProgramMut};

pub(crate) use map::{MapSetting, PinSetting};
pub(crate) use program::ProgramSetting;

use crate::error::{Error, ErrorKind, Result};
use crate::{CoreRelocation, Kernel, Loaded, kernel_btf, load};
use skep_btf::{Btf, Literal, Located, TypeId, Value};
use skep_elf::{ElfError, ObjectSpec};
use skep_model::{MapSpec, ProgramSpec};
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::Arc;

/// The largest object file that is read.
const LARGEST: u64 = 1 << 30;

/// An object file: maps, programs and global variables, to be set and then loaded.
///
/// Reading it touches no kernel, and gives the same on every machine. It can be loaded any number of times, also into
/// different kernels.
#[derive(Debug)]
pub struct Object {
    pub(crate) spec: ObjectSpec,
    pub(crate) btf: Option<Arc<Btf<'static>>>,
    /// One for each map, in order.
    pub(crate) maps: Vec<MapSetting>,
    /// One for each program, in order.
    pub(crate) programs: Vec<ProgramSetting>,
    /// What the caller says of the kernel's configuration.
    pub(crate) kconfig: String,
    /// What stands for the kernel's BTF in CO-RE.
    pub(crate) target_btf: Option<TargetBtf>,
}

/// A BTF that CO-RE relocations are answered from.
#[derive(Clone, Debug)]
pub(crate) struct TargetBtf {
    /// What it is called: for a file its path.
    pub(crate) name: String,
    pub(crate) types: TargetTypes,
}

/// Where the types are.
#[derive(Clone, Debug)]
pub(crate) enum TargetTypes {
    /// In a file of the kernel's, still to be read.
    File,
    /// Here, and whole.
    Whole(Arc<Btf<'static>>),
    /// Here, a module's, on the small base of the kernel that it was built for; still to be fitted to another.
    Module(Arc<Btf<'static>>),
}

impl Object {
    /// Reads an object file.
    ///
    /// The file is the program's own and not the kernel's, so it is read by the operating system's file calls and not
    /// through a [`Kernel`]: an embedded kernel has no file system with the object in it. Where a test wants all input
    /// in its hand, there is [`Object::parse`].
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] or [`ErrorKind::Permission`] where the file cannot be read, else as [`Object::parse`].
    pub fn open(path: impl AsRef<Path>) -> Result<Object> {
        let path = path.as_ref();
        let name = path.to_string_lossy().into_owned();
        let spec = read_file(&name, path).map_err(|error| {
            let kind = match error.kind() {
                std::io::ErrorKind::NotFound => ErrorKind::NotFound,
                std::io::ErrorKind::PermissionDenied => ErrorKind::Permission,
                _ => ErrorKind::Object,
            };
            let what = format!("cannot be read: {error}");
            let made = Error::new(kind, what).in_file(&name);
            let errno = error.raw_os_error().and_then(skep_abi::Errno::from_raw);
            match errno {
                Some(errno) => made.with_errno(errno).with_source(error),
                None => made.with_source(error),
            }
        })?;
        Ok(Object::from_spec(spec?))
    }

    /// Reads an object from its bytes; `name` stands for it in messages, and its part before the first dot in the names
    /// of the maps of its data sections.
    ///
    /// # Errors
    /// [`ErrorKind::Object`] where the bytes are no object that this build can read: which section, symbol and
    /// instruction, and what was wanted.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Object> {
        Ok(Object::from_spec(ObjectSpec::parse(name, bytes)?))
    }

    /// Takes an object that has been read already.
    pub fn from_spec(mut spec: ObjectSpec) -> Object {
        Object {
            btf: spec.btf.take().map(Arc::new),
            maps: spec.maps.iter().map(MapSetting::of).collect(),
            programs: spec.programs.iter().map(ProgramSetting::of).collect(),
            target_btf: None,
            spec,
            kconfig: String::new(),
        }
    }

    /// Gives the name of the file, as the caller gave it.
    pub fn file(&self) -> &str {
        &self.spec.file
    }

    /// Gives the licence that its programs are loaded under.
    pub fn license(&self) -> &str {
        &self.spec.license
    }

    /// Gives the object's types.
    pub fn btf(&self) -> Option<&Btf<'static>> {
        self.btf.as_deref()
    }

    /// Lists the names of the maps, those of data sections last.
    pub fn maps(&self) -> impl ExactSizeIterator<Item = &str> {
        self.spec.maps.iter().map(|map| map.name.as_str())
    }

    /// Lists the names of the programs, in the order of the file.
    pub fn programs(&self) -> impl ExactSizeIterator<Item = &str> {
        self.spec.programs.iter().map(|program| program.name.as_str())
    }

    /// Gives what the object says of a map.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub fn map(&self, name: &str) -> Result<&MapSpec> {
        self.map_index(name).map(|index| &self.spec.maps[index])
    }

    /// Gives what the object says of a program.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub fn program(&self, name: &str) -> Result<&ProgramSpec> {
        self.program_index(name).map(|index| &self.spec.programs[index])
    }

    /// Gives a map for changes.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub fn map_mut(&mut self, name: &str) -> Result<MapMut<'_>> {
        let index = self.map_index(name)?;
        let programs = self.spec.programs.iter().zip(&self.programs);
        Ok(MapMut {
            file: &self.spec.file,
            programs: programs.map(|(spec, setting)| (spec.name.as_str(), setting.prog_type)).collect(),
            spec: &mut self.spec.maps[index],
            setting: &mut self.maps[index],
            btf: self.btf.as_ref(),
        })
    }

    /// Gives a program for changes.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub fn program_mut(&mut self, name: &str) -> Result<ProgramMut<'_>> {
        let index = self.program_index(name)?;
        Ok(ProgramMut { spec: &self.spec.programs[index], setting: &mut self.programs[index] })
    }

    /// Loads this program and no others.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub fn only_program(&mut self, name: &str) -> Result<&mut Object> {
        let wanted = self.program_index(name)?;
        for (index, setting) in self.programs.iter_mut().enumerate() {
            setting.autoload = Some(if index == wanted { Autoload::Yes } else { Autoload::No });
        }
        Ok(self)
    }

    /// Says what the kernel was configured with, for variables declared `__kconfig`: lines like `CONFIG_HZ=250`. What is
    /// said here counts, whatever the kernel shows; what is not said is looked up in `/boot/config-RELEASE` or
    /// `/proc/config.gz`.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where a line is neither that nor empty nor a comment.
    pub fn set_kconfig(&mut self, text: &str) -> Result<&mut Object> {
        load::kconfig::check(text).map_err(|error| error.in_file(&self.spec.file))?;
        self.kconfig = text.to_owned();
        Ok(self)
    }

    /// Sets a global variable, or a part of one (`cfg.limit`, `table[2]`), from text that is read by its type: numbers,
    /// `true`, enumerators, `'c'`, text for arrays of `char`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such variable; [`ErrorKind::Setting`] where the text does not fit.
    pub fn set_global(&mut self, path: &str, text: &str) -> Result<&mut Object> {
        self.set_global_to(path, Literal::Text(text))
    }

    /// Sets a global variable, or a part of one, to a value.
    ///
    /// # Errors
    /// As [`Object::set_global`].
    pub fn set_global_to(&mut self, path: &str, value: Literal<'_>) -> Result<&mut Object> {
        let place = self.locate(path)?;
        let btf = place.btf;
        let size = self.spec.maps[place.map].value_size as usize;
        let unknown = self.no_variable(path);
        let data = self.spec.maps[place.map].data_mut().ok_or(unknown)?;
        // Zeroes that were too many to hold are held once there is something among them.
        if let Some(more) = size.checked_sub(data.bytes.len()) {
            if data.bytes.try_reserve_exact(more).is_err() {
                return Err(
                    Error::new(ErrorKind::Setting, "there is no memory for its section").in_variable(path)
                );
            }
            data.bytes.resize(size, 0);
        }
        let bytes = data.bytes.get_mut(place.start..place.start + place.len);
        let bytes = bytes.ok_or_else(|| Error::not_found("lies outside its section").in_variable(path));
        let file = &self.spec.file;
        bytes
            .and_then(|bytes| {
                btf.assign(place.type_id, place.rest, value, bytes).map_err(|error| {
                    Error::new(ErrorKind::Setting, error.to_string()).in_variable(path).with_source(error)
                })
            })
            .map_err(|error| error.in_file(file))?;
        Ok(self)
    }

    /// Sets a global variable, or a part of one, to the bytes that it has in memory.
    ///
    /// # Errors
    /// As [`Object::set_global`]; the number of bytes must be the type's.
    pub fn set_global_bytes(&mut self, path: &str, bytes: &[u8]) -> Result<&mut Object> {
        self.set_global_to(path, Literal::Bytes(bytes))
    }

    /// Reads a global variable, or a part of one, as it will be loaded.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such variable.
    pub fn global(&self, path: &str) -> Result<Value<'_>> {
        let place = self.locate(path)?;
        let btf = self.btf.as_deref().ok_or_else(|| self.no_btf(path))?;
        let data = self.spec.maps[place.map].data().ok_or_else(|| self.no_variable(path))?;
        let bytes = data.bytes.get(place.start..place.start + place.len);
        let bytes = bytes.ok_or_else(|| {
            Error::not_found("lies among more zeroes than are held").in_variable(path).in_file(self.file())
        })?;
        read_part(btf, place.type_id, place.rest, bytes).map_err(|error| error.in_file(self.file()))
    }

    /// Answers CO-RE relocations from the BTF in a file, in place of the kernel's and its modules': BTF as it stands in
    /// `/sys/kernel/btf`, or an ELF file with a section `.BTF`. The file is read through the kernel, when the object is
    /// loaded. A module's types that come with the small base of the kernel that they were built for (`.BTF.base`) are fitted to
    /// those of this kernel, and stand beside them.
    pub fn set_target_btf(&mut self, path: &str) -> &mut Object {
        self.target_btf = Some(TargetBtf { name: path.to_owned(), types: TargetTypes::File });
        self
    }

    /// Answers CO-RE relocations from these bytes, in place of the BTF of the kernel and its modules, as [`Object::set_target_btf`]
    /// does from those of a file: BTF, or an ELF file with a section `.BTF`. `name` stands for them in messages.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where they are neither.
    pub fn set_target_btf_bytes(&mut self, name: &str, bytes: Vec<u8>) -> Result<&mut Object> {
        let types = kernel_btf::of_bytes(bytes, name)?;
        self.target_btf = Some(TargetBtf { name: name.to_owned(), types });
        Ok(self)
    }

    /// Says of each CO-RE relocation of the programs that would be loaded what it comes to on a kernel, in the order of
    /// programs and instructions; nothing is loaded.
    ///
    /// # Errors
    /// Where the BTF that relocations are answered from cannot be read. What is wrong with a relocation is said in it.
    pub fn core_relocations(&self, kernel: &Kernel) -> Result<Vec<CoreRelocation>> {
        load::core_relocations(self, kernel).map_err(|error| error.in_file(self.file()))
    }

    /// Loads the object: its BTF, its maps, then those of its programs that are not left out.
    ///
    /// What nobody has said is no reason to refuse the whole object: a program in a section whose name says no type is left
    /// out until [`ProgramMut::set_type`] says one, and so is a map whose size only the application knows, unless a program
    /// that is loaded refers to it. [`Loaded::notes`] names them.
    ///
    /// # Errors
    /// Says which map or program could not be loaded and why; nothing is left of what had been loaded by then, pins
    /// included.
    pub fn load(&self, kernel: &Kernel) -> Result<Loaded> {
        load::load(self, kernel).map_err(|error| error.in_file(self.file()))
    }

    /// Loads the object as [`Object::load`] does, for the last time: references are filled in where the instructions are, so
    /// that there is no second copy of them, and they are let go as soon as the kernel has them.
    ///
    /// # Errors
    /// As [`Object::load`].
    pub fn load_once(self, kernel: &Kernel) -> Result<Loaded> {
        load::load_once(self, kernel)
    }

    fn map_index(&self, name: &str) -> Result<usize> {
        let found = self.spec.maps.iter().position(|map| map.name == name);
        found.ok_or_else(|| Error::not_found("the object has no such map").in_map(name).in_file(self.file()))
    }

    fn program_index(&self, name: &str) -> Result<usize> {
        let found = self.spec.programs.iter().position(|program| program.name == name);
        found.ok_or_else(|| {
            Error::not_found("the object has no such program").in_program(name).in_file(self.file())
        })
    }

    fn locate<'p>(&self, path: &'p str) -> Result<Place<'p>> {
        let btf = self.btf.as_ref().ok_or_else(|| self.no_btf(path))?;
        let located = btf.locate(path).ok_or_else(|| self.no_variable(path))?;
        let Located { section_name, variable, path: rest, .. } = located;
        let map = self.spec.maps.iter().position(|map| is_data_of(map, section_name));
        let map = map.ok_or_else(|| self.no_variable(path))?;
        Ok(Place {
            map,
            start: variable.offset as usize,
            len: variable.size as usize,
            type_id: variable.type_id,
            rest,
            btf: Arc::clone(btf),
        })
    }

    fn no_btf(&self, path: &str) -> Error {
        let what = "the object has no BTF, so its variables have no names; compile with -g";
        Error::new(ErrorKind::Object, what).in_variable(path).in_file(self.file())
    }

    fn no_variable(&self, path: &str) -> Error {
        Error::not_found("the object has no such variable").in_variable(path).in_file(self.file())
    }
}

/// Where a variable is.
struct Place<'p> {
    map: usize,
    /// Where it starts in its section.
    start: usize,
    /// Its size.
    len: usize,
    type_id: TypeId,
    /// What leads to a part of it.
    rest: &'p str,
    btf: Arc<Btf<'static>>,
}

fn is_data_of(map: &MapSpec, section: &str) -> bool {
    map.data().is_some_and(|data| data.section == section)
}

/// Reads what `path` leads to in a variable.
pub(crate) fn read_part<'b>(
    btf: &'b Btf<'static>,
    type_id: TypeId,
    path: &str,
    bytes: &[u8],
) -> Result<Value<'b>> {
    let bad = |error: skep_btf::Error| {
        Error::new(ErrorKind::NotFound, error.problem.to_string()).in_variable(path).with_source(error)
    };
    if path.is_empty() {
        return Ok(btf.value(type_id, bytes));
    }
    let field = btf.field(type_id, path).map_err(bad)?;
    if field.bitfield.is_some() || field.bit_offset % 8 != 0 {
        // A bitfield is read with its struct, which knows its width.
        let (outer, member) = path.rsplit_once('.').unwrap_or(("", path));
        let mut whole = read_part(btf, type_id, outer, bytes)?;
        if let Value::Struct(fields) | Value::Union(fields) = &mut whole {
            if let Some(at) = fields.iter().position(|field| field.name == member) {
                return Ok(fields.swap_remove(at).value);
            }
        }
        return Err(Error::not_found("is no member that can be read by itself").in_variable(path));
    }
    let start = usize::try_from(field.bit_offset / 8).unwrap_or(usize::MAX);
    Ok(btf.value(field.type_id, bytes.get(start..).unwrap_or_default()))
}

#[allow(
    clippy::disallowed_types,
    reason = "the object file is the caller's, not the kernel's: see Object::open"
)]
fn read_file(name: &str, path: &Path) -> std::io::Result<std::result::Result<ObjectSpec, ElfError>> {
    let mut file = std::fs::File::open(path)?;
    let facts = file.metadata()?;
    if facts.is_file() && facts.len() <= LARGEST {
        let part = |at, into: &mut [u8]| match read_at(&file, at, into) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        };
        if let Some(read) = ObjectSpec::read(name, facts.len(), part)? {
            return Ok(read);
        }
        file.rewind()?;
    }
    let mut bytes = Vec::new();
    // What the file system says of the length is not believed; what is read is bounded.
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(ObjectSpec::parse(name, &bytes))
}

/// Fills a buffer from an offset, wherever the file was.
#[allow(clippy::disallowed_types, reason = "as above")]
fn read_at(file: &std::fs::File, at: u64, into: &mut [u8]) -> std::io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, into, at);
    #[cfg(not(unix))]
    {
        let mut file = file;
        file.seek(std::io::SeekFrom::Start(at))?;
        file.read_exact(into)
    }
}
