//! Keys and values that a kind of map has and C has a struct for.

use super::{Map, MapValue, StoredValue};
use crate::Program;
use crate::error::{Error, ErrorKind, Result};
use skep_abi::MapType;
use skep_abi::flags::BPF_F_STACK_BUILD_ID;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The key of a trie of prefixes (`struct bpf_lpm_trie_key`): the number of bits that count, then the bytes of an
/// address, the first of the highest weight.
///
/// A look-up finds the longest prefix that its key begins with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct LpmKey<const N: usize> {
    /// A `u32` in the machine's order; as bytes, so that no length of an address brings padding.
    bits: [u8; 4],
    address: [u8; N],
}

impl<const N: usize> LpmKey<N> {
    /// Takes the first `bits` bits of an address.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where the address has fewer (`kernel/bpf/lpm_trie.c` answers `EINVAL`).
    pub fn new(address: [u8; N], bits: u32) -> Result<LpmKey<N>> {
        if u64::from(bits) > N as u64 * 8 {
            let what = format!("a prefix of {bits} bits, of an address of {}", N * 8);
            return Err(Error::new(ErrorKind::Setting, what));
        }
        Ok(LpmKey { bits: bits.to_ne_bytes(), address })
    }

    /// Takes a whole address, as what is looked up.
    pub fn whole(address: [u8; N]) -> LpmKey<N> {
        LpmKey { bits: (N as u32).saturating_mul(8).to_ne_bytes(), address }
    }

    /// Gives the number of bits that count.
    pub fn bits(&self) -> u32 {
        u32::from_ne_bytes(self.bits)
    }

    /// Gives the address.
    pub fn address(&self) -> [u8; N] {
        self.address
    }
}

impl From<Ipv4Addr> for LpmKey<4> {
    fn from(address: Ipv4Addr) -> LpmKey<4> {
        LpmKey::whole(address.octets())
    }
}

impl From<Ipv6Addr> for LpmKey<16> {
    fn from(address: Ipv6Addr) -> LpmKey<16> {
        LpmKey::whole(address.octets())
    }
}

impl<const N: usize> fmt::Debug for LpmKey<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?}/{}", self.address, self.bits())
    }
}

/// The key of a control group's storage (`struct bpf_cgroup_storage_key`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct CgroupStorageKey {
    /// The inode of the control group's folder.
    pub cgroup_inode_id: u64,
    /// How the program is attached, `enum bpf_attach_type`.
    pub attach_type: u32,
    /// Always 0.
    pub padding: u32,
}

impl CgroupStorageKey {
    /// Names the storage of the programs that are attached to a control group in one way.
    pub fn new(cgroup_inode_id: u64, attach_type: skep_abi::AttachType) -> CgroupStorageKey {
        CgroupStorageKey { cgroup_inode_id, attach_type: attach_type.0, padding: 0 }
    }
}

/// Where a map of devices or CPUs sends packets (`struct bpf_devmap_val`, `struct bpf_cpumap_val`), and which program
/// looks at them there.
#[derive(Clone, Copy, Debug)]
pub struct Redirect<'p> {
    target: u32,
    program: Behind<'p>,
}

#[derive(Clone, Copy, Debug)]
enum Behind<'p> {
    Nothing,
    /// To be stored.
    Run(&'p Program),
    /// That was found.
    Id(u32),
}

impl<'p> Redirect<'p> {
    /// Sends packets to an interface, by its index.
    pub fn interface(index: u32) -> Redirect<'p> {
        Redirect { target: index, program: Behind::Nothing }
    }

    /// Lets packets wait for a CPU in a queue of that length.
    pub fn queue(len: u32) -> Redirect<'p> {
        Redirect { target: len, program: Behind::Nothing }
    }

    /// Runs a program on each packet there. The map's values must have room for it.
    pub fn run(self, program: &'p Program) -> Redirect<'p> {
        Redirect { program: Behind::Run(program), ..self }
    }

    /// Gives the interface's index or the queue's length.
    pub fn target(&self) -> u32 {
        self.target
    }

    /// Gives the id of the program that was found there.
    pub fn program_id(&self) -> Option<u32> {
        match self.program {
            Behind::Id(id) => Some(id),
            Behind::Nothing | Behind::Run(_) => None,
        }
    }
}

impl MapValue for Redirect<'_> {
    fn mistake(map: &Map) -> Option<String> {
        let kinds = [MapType::DEVMAP, MapType::DEVMAP_HASH, MapType::CPUMAP];
        (!kinds.contains(&map.map_type()))
            .then(|| format!("a map of type {} sends packets nowhere", map.map_type()))
    }

    fn read(_: &Map, bytes: &[u8]) -> Result<Option<Self>> {
        let word = |at: usize| {
            bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map_or(0, u32::from_ne_bytes)
        };
        let program = match word(4) {
            0 => Behind::Nothing,
            id => Behind::Id(id),
        };
        Ok(Some(Redirect { target: word(0), program }))
    }
}

impl StoredValue for Redirect<'_> {
    fn with_bytes<R>(&self, map: &Map, then: impl FnOnce(&[u8]) -> Result<R>) -> Result<R> {
        let fail = |what: &str| Err(Error::new(ErrorKind::Setting, what).in_map(map.name()));
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&self.target.to_ne_bytes());
        match (self.program, map.value_size()) {
            (Behind::Id(_), _) => {
                return fail("a program that was read back is to be opened before it is stored");
            }
            (Behind::Nothing, 4) => return then(&bytes[..4]),
            (Behind::Run(_), 4) => return fail("its values have no room for a program"),
            // No program is -1; 0 would be a descriptor (include/uapi/linux/bpf.h).
            (Behind::Nothing, _) => bytes[4..].copy_from_slice(&(-1i32).to_ne_bytes()),
            (Behind::Run(program), _) if !program.kernel().is_same(map.kernel()) => {
                return fail("is to hold what is in another kernel");
            }
            (Behind::Run(program), _) => {
                bytes[4..].copy_from_slice(&program.fd().fd().raw().to_ne_bytes());
            }
        }
        then(&bytes)
    }
}

/// A stack that a program has stored (`bpf_get_stackid`), the innermost frame first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StackTrace {
    /// The frames.
    pub frames: Vec<Frame>,
}

/// A frame of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Frame {
    /// An address; of a map with build ids, one whose file could not be told (`BPF_STACK_BUILD_ID_IP`).
    Address(u64),
    /// A place in a file (`BPF_STACK_BUILD_ID_VALID`).
    File {
        /// The build id of the file.
        build_id: [u8; 20],
        /// The offset in the file, in bytes.
        offset: u64,
    },
}

/// `struct bpf_stack_build_id` (include/uapi/linux/bpf.h).
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct BuildIdFrame {
    status: i32,
    build_id: [u8; 20],
    place: u64,
}

const BUILD_ID_EMPTY: i32 = 0;
const BUILD_ID_VALID: i32 = 1;

impl MapValue for StackTrace {
    fn mistake(map: &Map) -> Option<String> {
        (map.map_type() != MapType::STACK_TRACE)
            .then(|| format!("a map of type {} holds no stacks", map.map_type()))
    }

    fn read(map: &Map, bytes: &[u8]) -> Result<Option<StackTrace>> {
        let frames = match map.flags()? & BPF_F_STACK_BUILD_ID {
            0 => addresses(bytes),
            _ => files(bytes),
        };
        Ok(Some(StackTrace { frames }))
    }
}

/// Reads addresses; a stack that is shorter than there is room for ends in zeroes (`bpf_stackmap_copy`,
/// kernel/bpf/stackmap.c).
fn addresses(bytes: &[u8]) -> Vec<Frame> {
    let words = bytes.chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_ne_bytes));
    words.take_while(|address| *address != 0).map(Frame::Address).collect()
}

fn files(bytes: &[u8]) -> Vec<Frame> {
    let frames = bytes.chunks_exact(size_of::<BuildIdFrame>());
    let frames = frames.filter_map(|frame| BuildIdFrame::read_from_bytes(frame).ok());
    let frames = frames.take_while(|frame| frame.status != BUILD_ID_EMPTY);
    let meaning = |frame: BuildIdFrame| match frame.status {
        BUILD_ID_VALID => Frame::File { build_id: frame.build_id, offset: frame.place },
        _ => Frame::Address(frame.place),
    };
    frames.map(meaning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_no_longer_than_addresses() {
        assert_eq!(LpmKey::new([10, 0, 0, 0], 8).unwrap().bits(), 8);
        assert_eq!(LpmKey::from(Ipv6Addr::LOCALHOST).bits(), 128);
        assert_eq!(LpmKey::new([0; 6], 49).unwrap_err().kind(), ErrorKind::Setting);
        assert_eq!(size_of::<LpmKey<6>>(), 10);
    }

    #[test]
    fn stacks_end_where_the_kernel_has_filled_up() {
        let words = [7u64, 9, 0, 0];
        let frames = addresses(words.as_bytes());
        assert_eq!(frames, [Frame::Address(7), Frame::Address(9)]);
        let stack = [
            BuildIdFrame { status: 1, build_id: [3; 20], place: 64 },
            BuildIdFrame { status: 2, build_id: [0; 20], place: 4096 },
            BuildIdFrame { status: 0, build_id: [0; 20], place: 0 },
            BuildIdFrame { status: 1, build_id: [9; 20], place: 1 },
        ];
        let found = files(stack.as_bytes());
        assert_eq!(found, [Frame::File { build_id: [3; 20], offset: 64 }, Frame::Address(4096)]);
        assert_eq!((addresses(&[]), files(&[1; 31])), (vec![], vec![]));
    }
}
