//! A kernel that passes everything on to another, and tells what is about to be loaded.

use crate::Case;
use skep::sys::{self, Call, Fd, Handle, MapFd, Reply, Sys};
use skep::zerocopy::FromBytes;
use skep::{Autoload, Object};
use skep_abi::{Cmd, Errno, MapCreate, MapFreeze, MapInfo, OBJ_NAME_LEN, ProgLoad};
use skep_btf::{Btf, TypeId};
use skep_verifier::{Special, special_fields};
use std::collections::{BTreeMap, BTreeSet};
use std::mem::offset_of;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Gets the kernel, what it is about to be asked, and what a verifier is to be told of that.
pub type Listener = Box<dyn Fn(&sys::Kernel, &Sent, Case) + Send + Sync>;

/// A kernel that is watched.
pub struct Capture {
    inner: sys::Kernel,
    /// The types of that kernel, where it has any.
    types: Option<Arc<Btf<'static>>>,
    /// The program's name, as the kernel gets it.
    name: String,
    listener: Listener,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What was told last: a loader may ask for the same once more.
    last: Option<Sent>,
    known: Known,
}

/// What a kernel does not say of maps, by their ids.
#[derive(Default, Clone)]
pub(crate) struct Known {
    /// What maps of maps hold.
    pub(crate) inner: BTreeMap<u32, MapOf>,
    /// Maps that only programs may still change.
    pub(crate) frozen: BTreeSet<u32>,
}

/// What reaches a kernel with `BPF_PROG_LOAD`.
#[derive(Clone, PartialEq, Eq)]
pub struct Sent {
    /// The attributes, without the log.
    pub attr: ProgLoad,
    /// The instructions.
    pub insns: Vec<u8>,
    /// The licence, without its NUL.
    pub license: Vec<u8>,
    /// The descriptors that instructions name by their position.
    pub fd_array: Vec<i32>,
    /// Types of the functions.
    pub func_info: Vec<u8>,
    /// Source lines.
    pub line_info: Vec<u8>,
    /// CO-RE relocations for the kernel to do.
    pub core_relos: Vec<u8>,
}

impl Sent {
    fn of(attr: &sys::Attr<'_>) -> Option<Sent> {
        let load = ProgLoad::read_from_bytes(attr.bytes()).ok()?;
        let area = |field: usize| {
            let found = attr.areas().find(|area| area.within.is_none() && area.field == field);
            found.map_or_else(Vec::new, |area| area.memory.bytes().to_vec())
        };
        let mut license = area(offset_of!(ProgLoad, license));
        license.pop();
        let numbers = area(offset_of!(ProgLoad, fd_array));
        let numbers = numbers.chunks_exact(4).filter_map(|bytes| bytes.try_into().ok());
        Some(Sent {
            attr: ProgLoad { log_level: 0, log_size: 0, log_true_size: 0, ..load },
            insns: area(offset_of!(ProgLoad, insns)),
            license,
            fd_array: numbers.map(i32::from_ne_bytes).collect(),
            func_info: area(offset_of!(ProgLoad, func_info)),
            line_info: area(offset_of!(ProgLoad, line_info)),
            core_relos: area(offset_of!(ProgLoad, core_relos)),
        })
    }

    /// The name that the kernel gets.
    fn name(&self) -> String {
        let name = &self.attr.prog_name;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        String::from_utf8_lossy(&name[..end]).into_owned()
    }
}

/// A map, as a kernel describes it.
#[derive(Clone)]
pub struct MapOf {
    /// What the kernel says.
    pub info: MapInfo,
    /// What is found in a map of maps.
    pub inner: Option<Box<MapOf>>,
    /// The bytes of its only value, if nobody can change them any more.
    pub frozen: Option<Vec<u8>>,
    /// What of a value is not the program's own.
    pub special: Vec<Special>,
}

/// Opens what a descriptor stands for once more; `None` where it is no map.
pub fn map_fd(kernel: &sys::Kernel, fd: Fd) -> Option<MapFd> {
    kernel.map_from_handle(again(kernel, fd)?).ok()
}

pub(crate) fn again(kernel: &sys::Kernel, fd: Fd) -> Option<Handle> {
    match kernel.call(Call::Dup(fd)).ok()? {
        Reply::Fd(fd) => Some(Handle::new(kernel.clone(), fd)),
        _ => None,
    }
}

/// Reads the types that the kernel has under an id.
fn types_of(kernel: &sys::Kernel, id: u32) -> Option<Btf<'static>> {
    let handle = kernel.fd_by_id(sys::ObjectKind::Btf, id, 0).ok()?;
    Btf::from_vec(sys::BtfFd::from_handle(handle).data().ok()?).ok()
}

impl MapOf {
    /// Asks for all that matters of a map.
    pub(crate) fn of(
        kernel: &sys::Kernel,
        fd: Fd,
        known: &Known,
        kernel_types: Option<&Btf<'_>>,
    ) -> Option<MapOf> {
        let map = map_fd(kernel, fd)?;
        let info = map.info().ok()?;
        let value = TypeId(info.btf_value_type_id);
        let special = match types_of(kernel, info.btf_id) {
            // What is wrong with them the kernel has seen: it finds none either.
            Some(types) if value.0 != 0 => special_fields(&types, value, kernel_types).unwrap_or_default(),
            _ => Vec::new(),
        };
        let inner = known.inner.get(&info.id).cloned().map(Box::new);
        let frozen = known.frozen.contains(&info.id).then(|| contents(&map, &info)).flatten();
        Some(MapOf { frozen, info, inner, special })
    }
}

/// The bytes of a map that nobody can change any more, once it is frozen (`bpf_map_is_rdonly`, kernel/bpf/verifier.c).
fn contents(map: &MapFd, info: &MapInfo) -> Option<Vec<u8>> {
    let is_array = skep_abi::MapType(info.type_) == skep_abi::MapType::ARRAY && info.max_entries == 1;
    if !is_array || info.map_flags & skep_abi::flags::BPF_F_RDONLY_PROG == 0 {
        return None;
    }
    let mut bytes = vec![0; info.value_size as usize];
    map.lookup(&[0; 4], &mut bytes, 0).is_ok().then_some(bytes)
}

impl Capture {
    /// Watches a kernel until a program of this name is loaded.
    pub fn new(
        kernel: &skep::Kernel,
        types: Option<Arc<Btf<'static>>>,
        program: &str,
        listener: Listener,
    ) -> Capture {
        // As the loader makes it: what the kernel takes no letter for is an underline (`bpf_obj_name_cpy`).
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '.';
        let name = program.chars().take(OBJ_NAME_LEN - 1);
        let name = name.map(|letter| if allowed(letter) { letter } else { '_' }).collect();
        Capture { inner: kernel.sys().clone(), types, name, listener, state: Mutex::default() }
    }

    /// Tells what is about to be loaded, unless it was told last.
    fn tell(&self, sent: Sent) {
        let known = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if sent.name() != self.name || state.last.as_ref() == Some(&sent) {
                return;
            }
            state.last = Some(sent.clone());
            state.known.clone()
        };
        let case = Case::of(&self.inner, &sent, &known, self.types.clone());
        (self.listener)(&self.inner, &sent, case);
    }

    /// Describes the map that a new one will hold.
    fn inner_of(&self, create: &MapCreate) -> Option<MapOf> {
        let fd = self.fd(create.inner_map_fd)?;
        let known = self.state.lock().unwrap_or_else(PoisonError::into_inner).known.clone();
        MapOf::of(&self.inner, fd, &known, self.types.as_deref())
    }

    /// A descriptor of the kernel, as numbers in attributes name it.
    fn fd(&self, number: u32) -> Option<Fd> {
        let number = i32::try_from(number).ok().filter(|number| *number > 0)?;
        [Fd::Os(number), Fd::Virtual(number)].into_iter().find(|fd| again(&self.inner, *fd).is_some())
    }

    fn id_of(&self, map: Fd) -> Option<u32> {
        Some(map_fd(&self.inner, map)?.info().ok()?.id)
    }
}

impl Sys for Capture {
    fn call(&self, call: Call<'_>) -> Result<Reply, Errno> {
        let (mut inner, mut frozen) = (None, None);
        if let Call::Bpf(attr) = &call {
            match attr.cmd() {
                Cmd::PROG_LOAD => {
                    if let Some(sent) = Sent::of(attr) {
                        self.tell(sent);
                    }
                }
                Cmd::MAP_CREATE => {
                    let create = MapCreate::read_from_prefix(attr.bytes()).ok();
                    inner = create.and_then(|(create, _)| self.inner_of(&create));
                }
                Cmd::MAP_FREEZE => {
                    let freeze = MapFreeze::read_from_prefix(attr.bytes()).ok();
                    frozen = freeze.and_then(|(freeze, _)| self.fd(freeze.map_fd));
                }
                _ => {}
            }
        }
        let reply = self.inner.call(call)?;
        let noted = match (&reply, inner, frozen) {
            (Reply::Fd(fd), Some(inner), _) => self.id_of(*fd).map(|id| (id, Some(inner))),
            (_, _, Some(fd)) => self.id_of(fd).map(|id| (id, None)),
            _ => None,
        };
        if let Some((id, inner)) = noted {
            let known = &mut self.state.lock().unwrap_or_else(PoisonError::into_inner).known;
            match inner {
                Some(inner) => drop(known.inner.insert(id, inner)),
                None => drop(known.frozen.insert(id)),
            }
        }
        Ok(reply)
    }
}

/// Does something with each program of an object, as it reaches a kernel that is asked to load it alone.
///
/// # Errors
/// Where the object cannot be read.
pub fn each_case<T: Default + Send + 'static>(
    kernel: &skep::Kernel,
    types: Option<&Arc<Btf<'static>>>,
    path: &Path,
    tally: &mut T,
    each: impl Fn(&str, (&sys::Kernel, &Sent), Case, &mut T) + Clone + Send + Sync + 'static,
) -> Result<(), Box<dyn std::error::Error>> {
    let bytes = std::fs::read(path)?;
    let file = path.display().to_string();
    let names: Vec<String> = Object::parse(&file, &bytes)?.programs().map(str::to_owned).collect();
    for name in names {
        let mut object = Object::parse(&file, &bytes)?;
        object.only_program(&name)?;
        object.program_mut(&name)?.set_autoload(Autoload::Yes);
        let maps: Vec<String> = object.maps().map(str::to_owned).collect();
        for map in maps {
            object.map_mut(&map)?.do_not_pin();
        }
        let shared = Arc::new(Mutex::new(std::mem::take(tally)));
        let into = Arc::clone(&shared);
        let (program, each) = (format!("{file} {name}"), each.clone());
        let listener = move |kernel: &sys::Kernel, sent: &Sent, case: Case| {
            let mut tally = into.lock().unwrap_or_else(PoisonError::into_inner);
            each(&program, (kernel, sent), case, &mut tally);
        };
        let capture = Capture::new(kernel, types.cloned(), &name, Box::new(listener));
        // Whether the kernel takes it is not the question.
        let _ = object.load(&skep::Kernel::from_sys(capture));
        *tally = std::mem::take(&mut *shared.lock().unwrap_or_else(PoisonError::into_inner));
    }
    Ok(())
}
