//! How long a pointer is, which BTF does not say.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::btf::Btf;
use crate::types::Def;

/// Bytes of a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PointerSize {
    /// Four: types of a 32-bit machine.
    Four,
    /// Eight: types of a 64-bit machine, and those of BPF itself.
    Eight,
}

impl PointerSize {
    /// The number of bytes.
    pub const fn bytes(self) -> u32 {
        match self {
            PointerSize::Four => 4,
            PointerSize::Eight => 8,
        }
    }

    const fn of_bytes(bytes: u32) -> Option<PointerSize> {
        match bytes {
            4 => Some(PointerSize::Four),
            8 => Some(PointerSize::Eight),
            _ => None,
        }
    }
}

/// What is known of it; found out when somebody asks.
#[derive(Debug, Default)]
pub(crate) struct Pointers(AtomicU8);

/// Nothing in the types tells.
const UNTOLD: u8 = 1;

impl Clone for Pointers {
    fn clone(&self) -> Pointers {
        Pointers(AtomicU8::new(self.0.load(Ordering::Relaxed)))
    }
}

/// The names of C's type that is as long as a pointer on each machine that Linux runs on; libbpf goes by these
/// (`determine_ptr_size`).
const LONG: &[&str] = &[
    "long",
    "long int",
    "int long",
    "unsigned long",
    "long unsigned",
    "unsigned long int",
    "unsigned int long",
    "long unsigned int",
    "long int unsigned",
    "int unsigned long",
    "int long unsigned",
];

impl Btf<'_> {
    /// How long pointers are: as it was set, else as the first type called `long` is, else eight bytes.
    pub fn pointer_size(&self) -> PointerSize {
        self.told_pointer_size().unwrap_or(PointerSize::Eight)
    }

    /// Sets how long pointers are, where something better than a type's name tells: the class of an ELF file.
    pub fn set_pointer_size(&mut self, size: PointerSize) {
        self.pointers = Pointers(AtomicU8::new(size.bytes() as u8));
    }

    fn told_pointer_size(&self) -> Option<PointerSize> {
        let known = self.pointers.0.load(Ordering::Relaxed);
        if known != 0 {
            return PointerSize::of_bytes(known.into());
        }
        let told = self.base().and_then(Btf::told_pointer_size).or_else(|| {
            self.own_types().find_map(|ty| match ty.def() {
                Def::Int(int) if LONG.contains(&ty.name()) => PointerSize::of_bytes(int.size),
                _ => None,
            })
        });
        // Whoever asks at the same time finds the same.
        self.pointers.0.store(told.map_or(UNTOLD, |size| size.bytes() as u8), Ordering::Relaxed);
        told
    }
}
