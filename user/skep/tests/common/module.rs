//! A kernel that seems to have a module with types, as seen through the seam.

use skep::sys::{Call, Reply, Sys};
use skep::{Errno, Kernel, Object};
use skep_abi::{BtfInfo, Cmd, GetId, InfoByFd, ProgLoad};
use skep_btf::{Btf, Builder, Distilled, Endian, Int, IntEncoding, Kind, Member, TypeId};
use std::collections::BTreeSet;
use std::mem::offset_of;
use std::sync::{Arc, Mutex, PoisonError};

/// What the module is called.
pub(crate) const NAME: &str = "skep_module";
/// A tracepoint of the kernel's that seems to be the module's.
pub(crate) const TRACEPOINT: &str = "sched_process_exit";
/// Types of tracepoints have such names.
const OF_TRACEPOINT: &str = "btf_trace_sched_process_exit";

/// The number of the kernel's own types, which come first (`btf_vmlinux_init`, kernel/bpf/btf.c).
const VMLINUX: u32 = 1;
/// The number of the module's types.
const MODULE: u32 = 0x7000_0000;
/// Behind all numbers.
const LAST: u32 = i32::MAX as u32;

/// The types of a module: those of an object, the type of a tracepoint, and a struct that has one of the kernel's in it.
fn types(mut module: Builder, first: TypeId, list: TypeId, object: &Object) -> Vec<u8> {
    let own = object.btf().unwrap();
    // Type 1 of the object is the first of the module.
    let moved = |id: TypeId| if id.0 == 0 { id } else { TypeId(id.0 + first.0 - 1) };
    for ty in own.own_types() {
        module.copy(ty, moved);
    }
    let links = Member { name: "links", type_id: list, bit_offset: 0, bitfield: None };
    let driver = module.structure("skep_driver", 16, &[links]);
    module.typedef(OF_TRACEPOINT, driver);
    module.finish().unwrap()
}

/// Makes the types of a module that was built for another kernel, with their small base.
pub(crate) fn distilled(object: &Object) -> Distilled {
    let mut other = Builder::new(Endian::NATIVE);
    other.int("int", Int { size: 4, bits: 32, offset: 0, encoding: IntEncoding::SIGNED });
    let list = other.structure("list_head", 16, &[]);
    let other = Arc::new(Btf::from_vec(other.finish().unwrap()).unwrap());
    let module = Builder::split(&other);
    let first = module.next_id();
    let module = types(module, first, list, object);
    Btf::from_vec_split(module, other).unwrap().distill().unwrap()
}

/// What is known of the module.
pub(crate) struct Module {
    types: Vec<u8>,
    /// The types of the tracepoint: the module's and the kernel's.
    tracepoint: (u32, u32),
}

impl Module {
    /// Makes a module of the running kernel.
    pub(crate) fn new(object: &Object) -> Module {
        let vmlinux = Kernel::linux().vmlinux_btf().unwrap();
        let find = |btf: &Btf<'_>, name, kind| btf.find(name, kind).unwrap();
        let module = Builder::split(&vmlinux);
        let first = module.next_id();
        let types = types(module, first, find(&vmlinux, "list_head", Kind::Struct), object);
        let own = find(&vmlinux, OF_TRACEPOINT, Kind::Typedef);
        let btf = Btf::from_vec_split(types.clone(), vmlinux).unwrap();
        let theirs = btf.find_own(OF_TRACEPOINT, Kind::Typedef).unwrap();
        Module { types, tracepoint: (theirs.0, own.0) }
    }
}

/// Answers as a kernel does that has the module. Of all types only the kernel's own and the module's are shown, and whatever is
/// asked of the module's is asked of the kernel's: so each question reaches the kernel, and may fail there.
pub(crate) struct WithModule {
    inner: skep::sys::Kernel,
    module: Arc<Module>,
    /// Descriptors that stand for the module's types.
    open: Mutex<BTreeSet<u32>>,
}

impl WithModule {
    pub(crate) fn new(kernel: &Kernel, module: &Arc<Module>) -> WithModule {
        WithModule { inner: kernel.sys().clone(), module: Arc::clone(module), open: Mutex::default() }
    }

    fn is_open(&self, fd: u32) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).contains(&fd)
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn set_word(bytes: &mut [u8], at: usize, word: u32) {
    bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
}

impl Sys for WithModule {
    fn call(&self, call: Call<'_>) -> Result<Reply, Errno> {
        let mut attr = match call {
            Call::Bpf(attr) => attr,
            Call::Close(fd) => {
                self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&fd.raw());
                return self.inner.call(Call::Close(fd));
            }
            call => return self.inner.call(call),
        };
        let cmd = attr.cmd();
        // What is asked instead: where in the attributes, what stands there, and what for the kernel.
        let at = |field| word(attr.bytes(), field);
        let swap = match cmd {
            Cmd::BTF_GET_NEXT_ID => {
                let field = offset_of!(GetId, start_id);
                Some((field, at(field), if at(field) <= VMLINUX { 0 } else { LAST }))
            }
            Cmd::BTF_GET_FD_BY_ID => {
                let field = offset_of!(GetId, start_id);
                Some((field, at(field), if at(field) == MODULE { VMLINUX } else { at(field) }))
            }
            Cmd::PROG_LOAD if self.is_open(at(offset_of!(ProgLoad, attach_prog_fd))) => {
                let field = offset_of!(ProgLoad, attach_btf_id);
                assert_eq!(at(field), self.module.tracepoint.0);
                Some((field, at(field), self.module.tracepoint.1))
            }
            _ => None,
        };
        if let Some((field, _, asked)) = swap {
            set_word(attr.parts_mut().0, field, asked);
        }
        let reply = self.inner.call(Call::Bpf(attr.reborrow()));
        if let Some((field, given, _)) = swap {
            set_word(attr.parts_mut().0, field, given);
        }
        let reply = reply?;
        let given = swap.map(|(_, given, _)| given);
        match cmd {
            Cmd::BTF_GET_NEXT_ID if given == Some(VMLINUX) => {
                set_word(attr.parts_mut().0, offset_of!(GetId, next_id), MODULE);
            }
            Cmd::BTF_GET_FD_BY_ID if given == Some(MODULE) => {
                if let Reply::Fd(fd) = reply {
                    self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(fd.raw());
                }
            }
            Cmd::OBJ_GET_INFO_BY_FD if self.is_open(word(attr.bytes(), offset_of!(InfoByFd, bpf_fd))) => {
                let (_, areas) = attr.parts_mut();
                for area in areas {
                    let Some(bytes) = area.memory.bytes_mut() else { continue };
                    match (area.within, area.field) {
                        (None, _) => {
                            set_word(bytes, offset_of!(BtfInfo, btf_size), self.module.types.len() as u32);
                            set_word(bytes, offset_of!(BtfInfo, id), MODULE);
                        }
                        (Some(_), field) if field == offset_of!(BtfInfo, name) => {
                            bytes.fill(0);
                            bytes[..NAME.len()].copy_from_slice(NAME.as_bytes());
                        }
                        (Some(_), _) => {
                            let len = bytes.len().min(self.module.types.len());
                            bytes[..len].copy_from_slice(&self.module.types[..len]);
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(reply)
    }
}
