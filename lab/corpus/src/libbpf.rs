//! Loading by libbpf.

use crate::load::{Load, Task, Verdict};
use crate::{File, Outcome, sizes};
use libbpf_sys as sys;
use skep_abi::{Errno, MapType};
use std::ffi::{CStr, CString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, PoisonError};

/// Lines of what libbpf said that are kept: the reason is in the last ones.
const LINES: usize = 12;

/// Bytes of one message that are kept; a verifier's log is one message.
const MESSAGE: usize = 1 << 20;

/// Bytes of one message for those who debug libbpf: a line.
const DETAIL: usize = 4 << 10;

/// What libbpf has said since it was last asked. libbpf gives its messages to one function for the whole process.
static SAID: Mutex<String> = Mutex::new(String::new());

/// Loads what is asked of one object.
pub(crate) fn load(mut task: Task<'_>) -> Outcome<()> {
    // SAFETY: `keep` has the type that libbpf calls, and lives as long as the process.
    unsafe { sys::libbpf_set_print(Some(keep)) };
    let path = CString::new(task.file.path.as_os_str().as_bytes())?;
    let programs: Vec<(String, String)> = match Object::open(&path) {
        Err(errno) => return (task.say)(Load::unread(format!("{errno}: {}", said()))),
        Ok(object) => object.programs().map(|program| (program.name(), program.section())).collect(),
    };
    task.go(programs, |index| alone(&path, index))
}

/// Reads and loads a whole object, and tells `loaded` while it is there.
pub(crate) fn whole(file: &File, loaded: &mut dyn FnMut()) -> Outcome<()> {
    // SAFETY: no function is none to call.
    unsafe { sys::libbpf_set_print(None) };
    let refused = |errno: Errno| format!("{errno}");
    let object = Object::open(&CString::new(file.path.as_os_str().as_bytes())?).map_err(refused)?;
    object.set_up(None).and_then(|()| object.load()).map_err(refused)?;
    loaded();
    Ok(())
}

/// What libbpf says, with all details, while it answers the CO-RE relocations of all programs, or of one, from the BTF in
/// another file. What comes after that may fail as it likes: no map is made.
///
/// # Errors
/// Says why the object cannot be read.
pub(crate) fn relocate(elf: &[u8], btf: &CStr, program: Option<&str>) -> Result<String, String> {
    // SAFETY: `keep_all` has the type that libbpf calls, and lives as long as the process.
    unsafe { sys::libbpf_set_print(Some(keep_all)) };
    drop(take());
    let object = match Object::open_against(elf, btf) {
        Ok(object) => object,
        Err(errno) => return Err(format!("{errno}: {}", take().lines().next_back().unwrap_or_default())),
    };
    let autoload = |one: Program<'_>| one.set_autoload(program.is_none_or(|wanted| one.name() == wanted));
    let set =
        object.programs().try_for_each(autoload).and_then(|()| object.maps().try_for_each(Map::leave_out));
    let prepared = set.and_then(|()| object.prepare());
    let mut said = take();
    if let Err(errno) = prepared {
        said += &format!("{errno}\n");
    }
    Ok(said)
}

/// Loads the whole object, or only one program of it, and lets it go.
fn alone(path: &CStr, program: Option<usize>) -> Verdict {
    said();
    let loaded = Object::open(path).and_then(|object| {
        object.set_up(program)?;
        object.load()
    });
    let Err(errno) = loaded else { return Verdict::Loaded };
    let name = errno.name().map_or_else(|| errno.raw().to_string(), str::to_owned);
    Verdict::Refused { errno: Some(name), message: said() }
}

/// Takes what libbpf has said, its last lines.
fn said() -> String {
    let said = take();
    let lines: Vec<_> = said.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// Takes all that libbpf has said.
fn take() -> String {
    std::mem::take(&mut *SAID.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Keeps a message of libbpf's, unless it is for those who debug libbpf.
///
/// # Safety
/// `format` and `values` are as for `vsnprintf`.
unsafe extern "C" fn keep(
    level: sys::libbpf_print_level,
    format: *const c_char,
    values: *mut sys::__va_list_tag,
) -> c_int {
    if level == sys::LIBBPF_DEBUG {
        return 0;
    }
    // SAFETY: whoever calls this promises it.
    unsafe { add(MESSAGE, format, values) }
}

/// Keeps a message of libbpf's.
///
/// # Safety
/// `format` and `values` are as for `vsnprintf`.
unsafe extern "C" fn keep_all(
    level: sys::libbpf_print_level,
    format: *const c_char,
    values: *mut sys::__va_list_tag,
) -> c_int {
    let bytes = if level == sys::LIBBPF_DEBUG { DETAIL } else { MESSAGE };
    // SAFETY: whoever calls this promises it.
    unsafe { add(bytes, format, values) }
}

/// Keeps the first bytes of a message.
///
/// # Safety
/// `format` and `values` are as for `vsnprintf`.
unsafe fn add(bytes: usize, format: *const c_char, values: *mut sys::__va_list_tag) -> c_int {
    let mut text = vec![0u8; bytes];
    // SAFETY: the buffer has that many bytes, and whoever calls this promises the rest.
    let len = unsafe { vsnprintf(text.as_mut_ptr().cast(), text.len(), format, values) };
    text.truncate(usize::try_from(len).unwrap_or(0).min(bytes - 1));
    SAID.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(&text));
    len
}

// SAFETY: the declaration is C's own (C17, 7.21.6.12), with the `va_list` of this machine.
unsafe extern "C" {
    fn vsnprintf(
        out: *mut c_char,
        len: usize,
        format: *const c_char,
        values: *mut sys::__va_list_tag,
    ) -> c_int;
}

/// An open object, closed when dropped.
struct Object(NonNull<sys::bpf_object>);

impl Object {
    fn open(path: &CStr) -> Result<Self, Errno> {
        // SAFETY: the path ends with a NUL, and no options are as good as default ones.
        let object = unsafe { sys::bpf_object__open_file(path.as_ptr(), ptr::null()) };
        NonNull::new(object).map(Self).ok_or_else(last_errno)
    }

    /// Opens an object whose CO-RE relocations are answered from the BTF in another file.
    fn open_against(elf: &[u8], btf: &CStr) -> Result<Self, Errno> {
        // SAFETY: numbers and pointers may be zero.
        let mut options: sys::bpf_object_open_opts = unsafe { std::mem::zeroed() };
        options.sz = size_of_val(&options) as sys::size_t;
        options.btf_custom_path = btf.as_ptr();
        let (start, len) = (elf.as_ptr().cast(), elf.len() as sys::size_t);
        // SAFETY: there are that many bytes, which libbpf reads before this returns; it copies the path.
        let object = unsafe { sys::bpf_object__open_mem(start, len, &options) };
        NonNull::new(object).map(Self).ok_or_else(last_errno)
    }

    fn programs(&self) -> impl Iterator<Item = Program<'_>> {
        let next = |last: *mut sys::bpf_program| {
            // SAFETY: the object is open, and `last` is null or one of its programs.
            unsafe { sys::bpf_object__next_program(self.0.as_ptr(), last) }
        };
        let first = NonNull::new(next(ptr::null_mut()));
        std::iter::successors(first, move |last| NonNull::new(next(last.as_ptr())))
            .map(|program| Program(program, self))
    }

    fn maps(&self) -> impl Iterator<Item = Map<'_>> {
        let next = |last: *mut sys::bpf_map| {
            // SAFETY: the object is open, and `last` is null or one of its maps.
            unsafe { sys::bpf_object__next_map(self.0.as_ptr(), last) }
        };
        let first = NonNull::new(next(ptr::null_mut()));
        std::iter::successors(first, move |last| NonNull::new(next(last.as_ptr()))).map(|map| Map(map, self))
    }

    /// Leaves all other programs out.
    fn only(&self, wanted: usize) -> Result<(), Errno> {
        for (index, program) in self.programs().enumerate() {
            program.set_autoload(index == wanted)?;
        }
        // A table of struct_ops loads the programs that it names, whatever was said of them.
        let is_in_table =
            |program: Program<'_>| program.section().trim_start_matches('?').starts_with("struct_ops");
        if !self.programs().nth(wanted).is_some_and(is_in_table) {
            for map in self.maps().filter(|map| map.kind() == MapType::STRUCT_OPS) {
                map.leave_out()?;
            }
        }
        Ok(())
    }

    /// Does all that comes before the programs are loaded.
    fn prepare(&self) -> Result<(), Errno> {
        // SAFETY: the object is open and was not loaded before.
        result(unsafe { sys::bpf_object__prepare(self.0.as_ptr()) })
    }

    /// Leaves out all programs but one, if one is named, and sets what a tool would set.
    fn set_up(&self, program: Option<usize>) -> Result<(), Errno> {
        if let Some(wanted) = program {
            self.only(wanted)?;
        }
        self.programs().try_for_each(Program::set_up)?;
        self.maps().try_for_each(Map::set_up)
    }

    fn load(&self) -> Result<(), Errno> {
        // SAFETY: the object is open and was not loaded before.
        result(unsafe { sys::bpf_object__load(self.0.as_ptr()) })
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: the object is open, and nobody uses it after this.
        unsafe { sys::bpf_object__close(self.0.as_ptr()) };
    }
}

/// A program of an open object.
struct Program<'o>(
    NonNull<sys::bpf_program>,
    #[allow(dead_code, reason = "keeps the object open")] &'o Object,
);

impl Program<'_> {
    fn name(&self) -> String {
        // SAFETY: the object is open.
        text(unsafe { sys::bpf_program__name(self.0.as_ptr()) })
    }

    fn section(&self) -> String {
        // SAFETY: the object is open.
        text(unsafe { sys::bpf_program__section_name(self.0.as_ptr()) })
    }
}

impl Program<'_> {
    fn set_autoload(&self, autoload: bool) -> Result<(), Errno> {
        // SAFETY: the object is open and not loaded.
        result(unsafe { sys::bpf_program__set_autoload(self.0.as_ptr(), autoload) })
    }

    /// Does what its tool would.
    fn set_up(self) -> Result<(), Errno> {
        // SAFETY: the object is open.
        let stated = unsafe { sys::bpf_program__type(self.0.as_ptr()) };
        match sizes::prog_type(&self.section()) {
            Some(prog_type) if stated == sys::BPF_PROG_TYPE_UNSPEC => {
                // SAFETY: the object is open and not loaded.
                result(unsafe { sys::bpf_program__set_type(self.0.as_ptr(), prog_type.0) })
            }
            _ => Ok(()),
        }
    }
}

/// A map of an open object.
struct Map<'o>(NonNull<sys::bpf_map>, #[allow(dead_code, reason = "keeps the object open")] &'o Object);

impl Map<'_> {
    fn kind(&self) -> MapType {
        // SAFETY: the object is open.
        MapType(unsafe { sys::bpf_map__type(self.0.as_ptr()) })
    }

    /// Has it not made.
    fn leave_out(self) -> Result<(), Errno> {
        // SAFETY: the object is open and not loaded.
        result(unsafe { sys::bpf_map__set_autocreate(self.0.as_ptr(), false) })
    }

    /// Does what its tool would, and keeps it out of the BPF file system.
    fn set_up(self) -> Result<(), Errno> {
        let at = self.0.as_ptr();
        // SAFETY: the object is open and not loaded; no path is no pin.
        result(unsafe { sys::bpf_map__set_pin_path(at, ptr::null()) })?;
        // SAFETY: the object is open.
        let entries = unsafe { sys::bpf_map__max_entries(at) };
        if let Some(entries) = sizes::entries(self.kind(), entries) {
            // SAFETY: the object is open and not loaded.
            result(unsafe { sys::bpf_map__set_max_entries(at, entries) })?;
        }
        // SAFETY: the object is open.
        let value = unsafe { sys::bpf_map__value_size(at) };
        if let Some(bytes) = sizes::value_size(self.kind(), value) {
            // SAFETY: the object is open and not loaded.
            result(unsafe { sys::bpf_map__set_value_size(at, bytes) })?;
        }
        Ok(())
    }
}

fn text(at: *const c_char) -> String {
    if at.is_null() {
        return String::new();
    }
    // SAFETY: libbpf's names end with a NUL, and live as long as their object, which the caller holds.
    let text = unsafe { CStr::from_ptr(at) };
    text.to_string_lossy().into_owned()
}

fn result(value: c_int) -> Result<(), Errno> {
    if value < 0 { Err(Errno::from_raw(-value).unwrap_or_else(last_errno)) } else { Ok(()) }
}

fn last_errno() -> Errno {
    let raw = std::io::Error::last_os_error().raw_os_error();
    raw.and_then(Errno::from_raw).unwrap_or(Errno::EINVAL)
}
