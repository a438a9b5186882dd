//! What the kernel that the structs are generated from does not have yet, and small readers.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::LinkInfo;

/// The attributes of `BPF_PROG_ASSOC_STRUCT_OPS` (later than Linux 6.18: include/uapi/linux/bpf.h, `prog_assoc_struct_ops`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ProgAssocStructOps {
    /// The struct_ops map.
    pub map_fd: u32,
    /// The program.
    pub prog_fd: u32,
    /// Zero.
    pub flags: u32,
}

impl LinkInfo {
    /// Reads the tail as the struct of one link type, like [`LinkInfoXdp`](crate::LinkInfoXdp).
    ///
    /// It is for the caller to have looked at `type_`. `None` if `T` is longer than the tail.
    pub fn tail_as<T: FromBytes + KnownLayout + Immutable>(&self) -> Option<T> {
        T::read_from_prefix(self.tail.as_bytes()).ok().map(|(tail, _)| tail)
    }

    /// Writes the struct of one link type into the tail and zeros the rest.
    ///
    /// `None` if `T` is longer than the tail, which then stays as it was.
    pub fn set_tail<T: IntoBytes + Immutable>(&mut self, tail: &T) -> Option<()> {
        let mut words = [0u64; 6];
        tail.write_to_prefix(words.as_mut_bytes()).ok()?;
        self.tail = words;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkInfo, LinkInfoXdp, LinkType, ProgLoad};

    #[test]
    fn tails_go_in_and_out() {
        let mut info = LinkInfo { type_: LinkType::XDP.0, tail: [u64::MAX; 6], ..Default::default() };
        assert_eq!(info.set_tail(&LinkInfoXdp { ifindex: 7 }), Some(()));
        assert_eq!(info.tail_as::<LinkInfoXdp>(), Some(LinkInfoXdp { ifindex: 7 }));
        assert_eq!(info.tail[1..], [0; 5]);
        assert_eq!(info.tail_as::<ProgLoad>(), None);
        assert_eq!(info.set_tail(&ProgLoad::default()), None);
    }
}
