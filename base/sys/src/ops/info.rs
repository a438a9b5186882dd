//! What the kernel says of its objects (`BPF_OBJ_GET_INFO_BY_FD`).

use super::obj::LONGEST_NAME;
use super::{BtfFd, CallError, LinkFd, MapFd, ProgFd, len_u32};
use crate::{AreaMemory, Attr, AttrError, Call, Handle};
use alloc::string::String;
use alloc::vec::Vec;
use core::mem::{offset_of, size_of};
use skep_abi::{
    BtfInfo, Cmd, Errno, InfoByFd, LinkInfo, LinkInfoKprobeMulti, LinkInfoPerfEvent, LinkInfoRawTracepoint,
    LinkInfoUprobeMulti, LinkType, MapInfo, PerfEventType, ProgInfo,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The largest list that is read whole (kernel BTF is 6 MB; a program's lists are smaller).
const MOST: u32 = 256 << 20;

/// Asks for an info struct; `lists` lend memory to pointer fields inside it, whose lengths are set in `info` already.
fn info_by_fd<'a, T: FromBytes + IntoBytes + Immutable>(
    handle: &Handle,
    info: &'a mut T,
    lists: impl IntoIterator<Item = (usize, &'a mut [u8])>,
) -> Result<(), CallError> {
    const INFO: usize = offset_of!(InfoByFd, info);
    let info_len = size_of::<T>() as u32;
    let mut by_fd = InfoByFd { bpf_fd: handle.fd().raw(), info_len, info: 0 };
    let mut attr =
        Attr::new(Cmd::OBJ_GET_INFO_BY_FD, &mut by_fd).lend(INFO, AreaMemory::InOut(info.as_mut_bytes()));
    for (field, list) in lists {
        attr = attr.lend_inside(INFO, field, AreaMemory::Out(list));
    }
    handle.kernel().call(Call::Bpf(attr))?;
    Ok(())
}

pub(super) fn map_info(handle: &Handle) -> Result<MapInfo, CallError> {
    let mut info = MapInfo::default();
    info_by_fd(handle, &mut info, [])?;
    Ok(info)
}

/// Makes a zeroed list of a length that the kernel has told.
fn list(len: u32) -> Result<Vec<u8>, CallError> {
    if len > MOST {
        return Err(Errno::EFBIG.into());
    }
    let mut list = Vec::new();
    list.try_reserve_exact(len as usize).map_err(|_| Errno::ENOMEM)?;
    list.resize(len as usize, 0);
    Ok(list)
}

impl MapFd {
    /// Reads what the kernel says of the map.
    ///
    /// # Errors
    /// `EINVAL` before Linux 4.13.
    pub fn info(&self) -> Result<MapInfo, CallError> {
        map_info(self.handle())
    }

    /// Reads the SHA-256 of the map's values.
    ///
    /// # Errors
    /// `EPERM` where the map is not frozen; `EINVAL` where its kind has no such number; `E2BIG` before Linux 6.18.
    pub fn sha256(&self) -> Result<[u8; 32], CallError> {
        let mut hash = [0; 32];
        let mut info = MapInfo { hash_size: hash.len() as u32, ..MapInfo::default() };
        info_by_fd(self.handle(), &mut info, [(offset_of!(MapInfo, hash), hash.as_mut_slice())])?;
        Ok(hash)
    }
}

/// The lists of a program that the kernel is asked for; each is filled as far as it goes.
#[derive(Debug, Default)]
pub struct ProgLists<'a> {
    /// The machine code.
    pub jited_insns: &'a mut [u8],
    /// The instructions after the verifier's rewrites.
    pub xlated_insns: &'a mut [u8],
    /// The ids of the maps that it uses.
    pub map_ids: &'a mut [u32],
    /// The addresses of its functions.
    pub jited_ksyms: &'a mut [u64],
    /// The lengths of its functions' machine code.
    pub jited_func_lens: &'a mut [u32],
    /// `bpf_func_info` records, 8 bytes each.
    pub func_info: &'a mut [u8],
    /// `bpf_line_info` records, 16 bytes each.
    pub line_info: &'a mut [u8],
    /// The address of each line's machine code.
    pub jited_line_info: &'a mut [u64],
    /// The tags of its functions.
    pub prog_tags: &'a mut [[u8; 8]],
}

/// The sizes of records in a program's info, which the kernel wants to be told (`kernel/bpf/syscall.c`,
/// `set_info_rec_size`).
const FUNC_INFO: usize = 8;
const LINE_INFO: usize = 16;
const JITED_LINE_INFO: usize = 8;

fn records(what: &'static str, bytes: &[u8], size: usize) -> Result<u32, AttrError> {
    if bytes.len() % size != 0 {
        let wanted = bytes.len().next_multiple_of(size);
        return Err(AttrError::WrongLength { what, wanted, found: bytes.len() });
    }
    len_u32(what, bytes.len() / size)
}

fn record_size(count: u32, size: usize) -> u32 {
    if count == 0 { 0 } else { size as u32 }
}

impl ProgFd {
    /// Reads what the kernel says of the program, without its lists; the lengths of the lists are there.
    ///
    /// # Errors
    /// `EINVAL` before Linux 4.13.
    pub fn info(&self) -> Result<ProgInfo, CallError> {
        self.info_with(ProgLists::default())
    }

    /// Reads what the kernel says of the program, lists included. The numbers in the info are of all there is. The
    /// pointer field of a list that the kernel does not show reads [`crate::WITHHELD`], others 0.
    ///
    /// # Errors
    /// `EINVAL` before Linux 4.13.
    pub fn info_with(&self, lists: ProgLists<'_>) -> Result<ProgInfo, CallError> {
        let nr_func_info = records("func_info", lists.func_info, FUNC_INFO)?;
        let nr_line_info = records("line_info", lists.line_info, LINE_INFO)?;
        let nr_jited_line_info = len_u32("jited_line_info", lists.jited_line_info.len())?;
        let mut info = ProgInfo {
            jited_prog_len: len_u32("jited_insns", lists.jited_insns.len())?,
            xlated_prog_len: len_u32("xlated_insns", lists.xlated_insns.len())?,
            nr_map_ids: len_u32("map_ids", lists.map_ids.len())?,
            nr_jited_ksyms: len_u32("jited_ksyms", lists.jited_ksyms.len())?,
            nr_jited_func_lens: len_u32("jited_func_lens", lists.jited_func_lens.len())?,
            nr_func_info,
            func_info_rec_size: record_size(nr_func_info, FUNC_INFO),
            nr_line_info,
            line_info_rec_size: record_size(nr_line_info, LINE_INFO),
            nr_jited_line_info,
            jited_line_info_rec_size: record_size(nr_jited_line_info, JITED_LINE_INFO),
            nr_prog_tags: len_u32("prog_tags", lists.prog_tags.len())?,
            ..ProgInfo::default()
        };
        let lists = [
            (offset_of!(ProgInfo, jited_prog_insns), lists.jited_insns),
            (offset_of!(ProgInfo, xlated_prog_insns), lists.xlated_insns),
            (offset_of!(ProgInfo, map_ids), lists.map_ids.as_mut_bytes()),
            (offset_of!(ProgInfo, jited_ksyms), lists.jited_ksyms.as_mut_bytes()),
            (offset_of!(ProgInfo, jited_func_lens), lists.jited_func_lens.as_mut_bytes()),
            (offset_of!(ProgInfo, func_info), lists.func_info),
            (offset_of!(ProgInfo, line_info), lists.line_info),
            (offset_of!(ProgInfo, jited_line_info), lists.jited_line_info.as_mut_bytes()),
            (offset_of!(ProgInfo, prog_tags), lists.prog_tags.as_mut_bytes()),
        ];
        info_by_fd(self.handle(), &mut info, lists)?;
        Ok(info)
    }

    /// Reads the ids of the maps that the program uses.
    ///
    /// # Errors
    /// As [`ProgFd::info`]; `ENOMEM`.
    pub fn map_ids(&self) -> Result<Vec<u32>, CallError> {
        let count = self.info()?.nr_map_ids;
        if count > MOST / 4 {
            return Err(Errno::EFBIG.into());
        }
        let mut ids = Vec::new();
        ids.try_reserve_exact(count as usize).map_err(|_| Errno::ENOMEM)?;
        ids.resize(count as usize, 0);
        let now = self.info_with(ProgLists { map_ids: &mut ids, ..ProgLists::default() })?.nr_map_ids;
        ids.truncate(now as usize);
        Ok(ids)
    }

    /// Reads the instructions after the verifier's rewrites; `None` where the kernel does not show them.
    ///
    /// # Errors
    /// As [`ProgFd::info`]; `ENOMEM`.
    pub fn xlated_insns(&self) -> Result<Option<Vec<u8>>, CallError> {
        let mut insns = list(self.info()?.xlated_prog_len)?;
        let info = self.info_with(ProgLists { xlated_insns: &mut insns, ..ProgLists::default() })?;
        insns.truncate(info.xlated_prog_len as usize);
        Ok((info.xlated_prog_insns != crate::WITHHELD).then_some(insns))
    }
}

impl BtfFd {
    /// Reads what the kernel says of the BTF: its size, id, and whether it is the kernel's own.
    ///
    /// # Errors
    /// `EINVAL` before Linux 4.18.
    pub fn info(&self) -> Result<BtfInfo, CallError> {
        let mut info = BtfInfo::default();
        info_by_fd(self.handle(), &mut info, [])?;
        Ok(info)
    }

    /// Reads the BTF itself.
    ///
    /// # Errors
    /// As [`BtfFd::info`]; `ENOMEM`.
    pub fn data(&self) -> Result<Vec<u8>, CallError> {
        let mut data = list(self.info()?.btf_size)?;
        let mut info = BtfInfo { btf_size: len_u32("btf", data.len())?, ..BtfInfo::default() };
        info_by_fd(self.handle(), &mut info, [(offset_of!(BtfInfo, btf), data.as_mut_slice())])?;
        data.truncate(info.btf_size as usize);
        Ok(data)
    }

    /// Reads the name of the kernel's or a module's BTF; empty for a program's.
    ///
    /// # Errors
    /// As [`BtfFd::info_and_name`].
    pub fn name(&self) -> Result<String, CallError> {
        Ok(self.info_and_name()?.1)
    }

    /// Reads what the kernel says of the BTF, its name included, in one call.
    ///
    /// # Errors
    /// As [`BtfFd::info`]; `E2BIG` before Linux 5.11; `ENOMEM`.
    pub fn info_and_name(&self) -> Result<(BtfInfo, String), CallError> {
        let mut name = list(LONGEST_NAME as u32)?;
        let mut info = BtfInfo { name_len: LONGEST_NAME as u32, ..BtfInfo::default() };
        info_by_fd(self.handle(), &mut info, [(offset_of!(BtfInfo, name), name.as_mut_slice())])?;
        Ok((info, super::until_nul(name)))
    }
}

/// Where in a link's info the part of its kind begins.
const TAIL: usize = offset_of!(LinkInfo, tail);

/// A name in the tail of a link's info: offsets of its pointer and of its 32-bit length.
struct NameFields {
    pointer: usize,
    len: usize,
}

/// Finds where a link's info has a name. A kind that is not here may use the same bytes for another length, so none is
/// ever guessed (`include/uapi/linux/bpf.h`, `struct bpf_link_info`).
fn name_fields(info: &LinkInfo) -> Option<NameFields> {
    let (pointer, len) = match LinkType(info.type_) {
        // The iterator's target name lies at the same place.
        LinkType::RAW_TRACEPOINT | LinkType::ITER => {
            (offset_of!(LinkInfoRawTracepoint, tp_name), offset_of!(LinkInfoRawTracepoint, tp_name_len))
        }
        LinkType::UPROBE_MULTI => {
            (offset_of!(LinkInfoUprobeMulti, path), offset_of!(LinkInfoUprobeMulti, path_size))
        }
        LinkType::PERF_EVENT => {
            // Those without a name here: unspecified ones, and plain events, whose configuration lies at this place.
            const NAMED: &[PerfEventType] = &[
                PerfEventType::UPROBE,
                PerfEventType::URETPROBE,
                PerfEventType::KPROBE,
                PerfEventType::KRETPROBE,
                PerfEventType::TRACEPOINT,
            ];
            let kind = PerfEventType(info.tail_as::<LinkInfoPerfEvent>()?.type_);
            if !NAMED.contains(&kind) {
                return None;
            }
            (offset_of!(LinkInfoPerfEvent, func_name), offset_of!(LinkInfoPerfEvent, name_len))
        }
        _ => return None,
    };
    Some(NameFields { pointer: TAIL + pointer, len: TAIL + len })
}

impl LinkFd {
    /// Reads what the kernel says of the link, without names.
    ///
    /// # Errors
    /// `EINVAL` before Linux 5.8.
    pub fn info(&self) -> Result<LinkInfo, CallError> {
        let mut info = LinkInfo::default();
        info_by_fd(self.handle(), &mut info, [])?;
        Ok(info)
    }

    /// Reads the name in the link's info: the tracepoint's, function's, iterator target's, or the path of the file;
    /// `None` where the kind of link has none.
    ///
    /// # Errors
    /// As [`LinkFd::info`]; `ENOMEM`.
    pub fn info_name(&self) -> Result<Option<String>, CallError> {
        let Some(fields) = name_fields(&self.info()?) else { return Ok(None) };
        let mut name = list(LONGEST_NAME as u32)?;
        let mut info = LinkInfo::default();
        info.as_mut_bytes()[fields.len..fields.len + 4].copy_from_slice(&(LONGEST_NAME as u32).to_ne_bytes());
        info_by_fd(self.handle(), &mut info, [(fields.pointer, name.as_mut_slice())])?;
        Ok(Some(super::until_nul(name)))
    }
}

/// The places that a link to many of them is on, in one order; a list that its kind does not have is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkPlaces {
    /// Addresses of functions, zero where the kernel does not show them; or bytes from a file's start.
    pub at: Vec<u64>,
    /// Where in the file the counter of each place's users is, or 0.
    pub ref_ctr_offsets: Vec<u64>,
    /// The number that the program reads at each place.
    pub cookies: Vec<u64>,
}

impl LinkFd {
    /// Reads the places that a link to many functions, or to many places of a file, is on; `None` for other kinds.
    ///
    /// # Errors
    /// As [`LinkFd::info`]; `ENOMEM`.
    pub fn places(&self) -> Result<Option<LinkPlaces>, CallError> {
        // Neither the kind of a link nor its number of places ever changes.
        let info = self.info()?;
        let mut places = LinkPlaces::default();
        match LinkType(info.type_) {
            LinkType::KPROBE_MULTI => {
                let tail: LinkInfoKprobeMulti = info.tail_as().ok_or(Errno::EPROTO)?;
                let count = tail.count;
                (places.at, places.cookies) = (numbers(count)?, numbers(count)?);
                let mut asked = LinkInfo::default();
                asked.set_tail(&LinkInfoKprobeMulti { count, ..Default::default() }).ok_or(Errno::EPROTO)?;
                let lists = [
                    (TAIL + offset_of!(LinkInfoKprobeMulti, addrs), places.at.as_mut_slice().as_mut_bytes()),
                    (
                        TAIL + offset_of!(LinkInfoKprobeMulti, cookies),
                        places.cookies.as_mut_slice().as_mut_bytes(),
                    ),
                ];
                info_by_fd(self.handle(), &mut asked, lists)?;
            }
            LinkType::UPROBE_MULTI => {
                let tail: LinkInfoUprobeMulti = info.tail_as().ok_or(Errno::EPROTO)?;
                let count = tail.count;
                (places.at, places.ref_ctr_offsets) = (numbers(count)?, numbers(count)?);
                places.cookies = numbers(count)?;
                let mut asked = LinkInfo::default();
                asked.set_tail(&LinkInfoUprobeMulti { count, ..Default::default() }).ok_or(Errno::EPROTO)?;
                let refs = places.ref_ctr_offsets.as_mut_slice().as_mut_bytes();
                let lists = [
                    (
                        TAIL + offset_of!(LinkInfoUprobeMulti, offsets),
                        places.at.as_mut_slice().as_mut_bytes(),
                    ),
                    (TAIL + offset_of!(LinkInfoUprobeMulti, ref_ctr_offsets), refs),
                    (
                        TAIL + offset_of!(LinkInfoUprobeMulti, cookies),
                        places.cookies.as_mut_slice().as_mut_bytes(),
                    ),
                ];
                info_by_fd(self.handle(), &mut asked, lists)?;
            }
            _ => return Ok(None),
        }
        Ok(Some(places))
    }
}

/// Makes a zeroed list of numbers of a length that the kernel has told.
fn numbers(count: u32) -> Result<Vec<u64>, CallError> {
    if count > MOST / 8 {
        return Err(Errno::EFBIG.into());
    }
    let mut list = Vec::new();
    list.try_reserve_exact(count as usize).map_err(|_| Errno::ENOMEM)?;
    list.resize(count as usize, 0);
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_abi::LinkInfoIter;

    #[test]
    fn names_are_only_where_a_kind_has_them() {
        assert_eq!(offset_of!(LinkInfoIter, target_name), offset_of!(LinkInfoRawTracepoint, tp_name));
        assert_eq!(offset_of!(LinkInfoIter, target_name_len), offset_of!(LinkInfoRawTracepoint, tp_name_len));
        let of = |link_type: LinkType, first: u64| {
            let info = LinkInfo { type_: link_type.0, tail: [first, 0, 0, 0, 0, 0], ..LinkInfo::default() };
            name_fields(&info).map(|fields| (fields.pointer, fields.len))
        };
        assert_eq!(of(LinkType::RAW_TRACEPOINT, 0), Some((16, 24)));
        assert_eq!(of(LinkType::UPROBE_MULTI, 0), Some((16, 48)));
        assert_eq!(of(LinkType::XDP, 0), None);
        assert_eq!(of(LinkType::KPROBE_MULTI, 0), None);
        let kind = |kind: PerfEventType| {
            LinkInfoPerfEvent { type_: kind.0, ..Default::default() }.as_bytes()[..8]
                .try_into()
                .map(u64::from_ne_bytes)
        };
        assert_eq!(of(LinkType::PERF_EVENT, kind(PerfEventType::KPROBE).unwrap()), Some((24, 32)));
        assert_eq!(of(LinkType::PERF_EVENT, kind(PerfEventType::EVENT).unwrap()), None);
    }
}
