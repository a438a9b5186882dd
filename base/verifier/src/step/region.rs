//! Memory that has a size, and what lies within (`check_mem_region_access`, `check_packet_access` in `kernel/bpf/verifier.c`).

use super::{MOST_OFFSET, Result};
use crate::explore::Explorer;
use crate::rejection::Rule;
use crate::state::State;
use crate::subject::{MapProto, Special, SpecialKind};
use crate::value::{Id, Memory, To, Value};
use skep_abi::MapType;
use skep_abi::flags::{BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG};
use skep_isa::{InsnIdx, Reg};
use skep_model::platform::prog::PacketAccess;

/// An access to memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Access {
    /// The register that points to it.
    pub(super) reg: Reg,
    /// What is added to the pointer.
    pub(super) off: i64,
    /// How many bytes.
    pub(super) size: u32,
    /// What for.
    pub(super) how: Use,
}

/// What memory is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Use {
    Load,
    Store,
    /// A helper reads it.
    Lent,
    /// A helper writes it, or reads it and writes it.
    Filled,
}

impl Use {
    pub(super) fn writes(self) -> bool {
        matches!(self, Use::Store | Use::Filled)
    }
}

impl Explorer<'_> {
    /// The map of a pointer.
    pub(super) fn map(&self, at: InsnIdx, map: crate::value::MapAt) -> Result<&MapProto<'_>> {
        let map = self.subject.maps.get(usize::from(map.0));
        map.ok_or_else(|| Rule::Reference.broken(at, format_args!("no map is known here")))
    }

    /// Refuses an access that leaves what the pointer points to, or is not allowed there.
    pub(super) fn within(
        &mut self,
        state: &State,
        at: InsnIdx,
        pointer: &Value,
        to: To,
        access: Access,
    ) -> Result<()> {
        let (rule, size) = match to {
            To::Packet | To::PacketMeta => {
                self.packet_rights(at, access)?;
                if pointer.number.smin() < 0 {
                    return Err(Rule::Packet.broken(
                        at,
                        format_args!("{} may lie before the packet: its offset may be negative", access.reg),
                    ));
                }
                // The range is counted from where the offset is zero but for what is not constant.
                let start = pointer.fixed.wrapping_add(access.off);
                let end = start.wrapping_add(i64::from(access.size));
                if start < 0 || end > i64::from(pointer.range) {
                    return Err(Rule::Packet.broken(
                        at,
                        format_args!(
                            "wanted {} bytes at {start} within what is known to be there of the packet, which is {} bytes",
                            access.size, pointer.range
                        ),
                    ));
                }
                return Ok(());
            }
            To::MapValue { map, .. } => {
                let map = self.map(at, map)?;
                self.map_rights(at, map, access)?;
                (Rule::Bounds, map.value_size)
            }
            To::MapKey(map) => {
                self.read_only(at, pointer, access)?;
                (Rule::Bounds, self.map(at, map)?.key_size)
            }
            To::Memory { size, kind } => {
                if matches!(kind, Memory::ReadOnly | Memory::Untrusted) {
                    self.read_only(at, pointer, access)?;
                }
                if kind == Memory::Untrusted {
                    // As a probe reads; helpers do not.
                    if access.how == Use::Load {
                        return Ok(());
                    }
                    return Err(Rule::Argument.broken(
                        at,
                        format_args!("wanted memory that is there in {}, found {pointer}", access.reg),
                    ));
                }
                (Rule::Bounds, size)
            }
            To::Buffer(kind) => {
                if kind == Memory::ReadOnly {
                    self.read_only(at, pointer, access)?;
                }
                let start = pointer.offset().map(|offset| offset.wrapping_add(access.off));
                return match start {
                    Some(start) if start >= 0 => Ok(()),
                    _ => Err(Rule::Bounds.broken(
                        at,
                        format_args!(
                            "wanted a constant offset of at least 0 in {}, found {pointer}",
                            access.reg
                        ),
                    )),
                };
            }
            To::FlowKeys => (Rule::Bounds, FLOW_KEYS),
            To::Context
            | To::Stack { .. }
            | To::PacketEnd
            | To::Map(_)
            | To::InnerMap { .. }
            | To::Socket(_)
            | To::Object { .. }
            | To::Own(_)
            | To::Function(_)
            | To::Dynptr => {
                return Err(Rule::Dereference.broken(
                    at,
                    format_args!("{} is {pointer}, which is not memory that may be accessed so", access.reg),
                ));
            }
        };
        let _ = state;
        let off = pointer.fixed.wrapping_add(access.off);
        let (least, most) = (pointer.number.smin().wrapping_add(off), pointer.number.umax());
        let what = |words: core::fmt::Arguments<'_>| {
            Err(rule.broken(
                at,
                format_args!(
                    "wanted {} bytes within the {size} that {} points to, found an offset {words}",
                    access.size, access.reg
                ),
            ))
        };
        if pointer.number.smin() < -MOST_OFFSET || least < 0 {
            return what(format_args!("that may be {}", least));
        }
        if most >= MOST_OFFSET as u64 {
            return what(format_args!("without an upper bound"));
        }
        let last = off.wrapping_add(most as i64);
        if last.wrapping_add(i64::from(access.size)) > i64::from(size) {
            return what(format_args!("that may be {last}"));
        }
        if let To::MapValue { map, .. } = to {
            let map = self.map(at, map)?;
            if let Some(special) = touched(map.special, least, last + i64::from(access.size)) {
                let whole = access.how == Use::Load || access.how == Use::Store;
                if !(whole && matches!(special.kind, SpecialKind::Kptr { .. })) {
                    return Err(Rule::Special.broken(
                        at,
                        format_args!(
                            "the access touches bytes {} to {} of the value, which the kernel keeps for itself",
                            special.offset,
                            special.offset + special.size - 1
                        ),
                    ));
                }
            }
        }
        Ok(())
    }

    fn packet_rights(&self, at: InsnIdx, access: Access) -> Result<()> {
        let allowed = match self.prog.packet {
            PacketAccess::None => false,
            PacketAccess::Look => access.how == Use::Load,
            PacketAccess::Read => !access.how.writes(),
            PacketAccess::ReadWrite | PacketAccess::Buffer => true,
        };
        if allowed {
            return Ok(());
        }
        let what = if access.how.writes() { "write into" } else { "lend helpers" };
        Err(Rule::Rights
            .broken(at, format_args!("a program of type {} may not {what} packets", self.prog.kind)))
    }

    fn map_rights(&self, at: InsnIdx, map: &MapProto<'_>, access: Access) -> Result<()> {
        let (flag, what) =
            if access.how.writes() { (BPF_F_RDONLY_PROG, "written") } else { (BPF_F_WRONLY_PROG, "read") };
        if map.flags & flag == 0 {
            return Ok(());
        }
        Err(Rule::Rights.broken(at, format_args!("the map's values cannot be {what} by programs")))
    }

    pub(super) fn read_only(&self, at: InsnIdx, pointer: &Value, access: Access) -> Result<()> {
        if access.how.writes() {
            return Err(
                Rule::Rights.broken(at, format_args!("{} is {pointer}, which can only be read", access.reg))
            );
        }
        Ok(())
    }

    /// The bytes of a map's only value that nobody can change any more. Of a map that was found in a map of maps only the prototype is
    /// known, which has other contents.
    pub(super) fn constants(&self, to: To) -> Option<&[u8]> {
        let To::MapValue { map, inner: Id::NONE } = to else { return None };
        let map = self.subject.maps.get(usize::from(map.0))?;
        map.frozen.filter(|_| map.kind == MapType::ARRAY && map.max_entries == 1)
    }

    /// The number in bytes that nobody can change any more.
    pub(super) fn frozen(&self, pointer: &Value, to: To, access: Access) -> Option<u64> {
        let bytes = self.constants(to)?;
        let start = usize::try_from(pointer.offset()?.checked_add(access.off)?).ok()?;
        let bytes = bytes.get(start..start.checked_add(access.size as usize)?)?;
        let mut word = [0; 8];
        if cfg!(target_endian = "little") {
            word.get_mut(..bytes.len())?.copy_from_slice(bytes);
            return Some(u64::from_le_bytes(word));
        }
        word.get_mut(8 - bytes.len()..)?.copy_from_slice(bytes);
        Some(u64::from_be_bytes(word))
    }
}

/// The bytes of `struct bpf_flow_keys` (include/uapi/linux/bpf.h).
const FLOW_KEYS: u32 = 56;

/// What the kernel keeps for itself of the bytes from one offset to before another.
pub(crate) fn touched(special: &[Special], start: i64, end: i64) -> Option<Special> {
    let touches = |special: &&Special| {
        let from = i64::from(special.offset);
        start < from + i64::from(special.size) && from < end
    };
    special.iter().find(touches).copied()
}
