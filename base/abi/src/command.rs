//! Which attribute struct each command takes, and which of its fields are pointers.
//!
//! The sources are the handlers of kernel/bpf/syscall.c in Linux 6.18 (and the map kinds' own `*_batch`).

use core::mem::offset_of;

use crate::{
    BtfInfo, BtfLoad, Cmd, EnableStats, GetId, InfoByFd, IterCreate, LinkCreate, LinkCreateCgroup,
    LinkCreateIter, LinkCreateKprobeMulti, LinkCreateNetfilter, LinkCreateNetkit, LinkCreatePerfEvent,
    LinkCreateTcx, LinkCreateTracing, LinkCreateUprobeMulti, LinkDetach, LinkUpdate, MapBatch, MapCreate,
    MapElem, MapFreeze, MapInfo, MapNextKey, ObjPath, ProgAssocStructOps, ProgAttach, ProgBindMap, ProgInfo,
    ProgLoad, ProgQuery, ProgStreamRead, ProgTestRun, RawTracepointOpen, TaskFdQuery, TokenCreate,
};

/// Which way the bytes behind a pointer travel, seen from the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The kernel reads them.
    In,
    /// The kernel writes them.
    Out,
    /// The kernel reads them, then writes them.
    InOut,
}

/// How many bytes lie behind a pointer. Offsets are those of `u32` fields in the same struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// As many bytes as the field at this offset says.
    Bytes(usize),
    /// As many elements of a fixed size as the field says.
    Array {
        /// Offset of the field with the number of elements.
        count: usize,
        /// Bytes per element.
        each: usize,
    },
    /// As many records as one field says, each as long as another says.
    Records {
        /// Offset of the field with the number of records.
        count: usize,
        /// Offset of the field with the bytes per record.
        size: usize,
    },
    /// File descriptors, four bytes each: as many as the field says or, if that is zero, as many as the
    /// instructions refer to.
    FdArray {
        /// Offset of the field with the number of descriptors.
        count: usize,
    },
    /// A string up to and with its NUL.
    CString,
    /// As many addresses as the field says, each of a string that ends with NUL.
    CStrings {
        /// Offset of the field with the number of strings.
        count: usize,
    },
    /// One key of the map.
    MapKey,
    /// One value of the map, as the system call sees it (per-CPU maps: every CPU's, each rounded up to 8).
    MapValue,
    /// As many keys as the field says.
    MapKeys {
        /// Offset of the field with the number of keys.
        count: usize,
    },
    /// As many values as the field says, each as for [`Extent::MapValue`].
    MapValues {
        /// Offset of the field with the number of values.
        count: usize,
    },
    /// A position in a batch: four bytes for hash maps, a key for the others (`generic_map_lookup_batch`),
    /// so that the larger of both is always enough.
    BatchCursor,
}

/// A field that holds an address. All are `u64`; zero stands for no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pointer {
    /// Linux's name of the field.
    pub field: &'static str,
    /// Where it lies in the struct.
    pub offset: usize,
    /// How much memory it spans.
    pub extent: Extent,
    /// Who reads and who writes that memory.
    pub direction: Direction,
}

/// One form of one command's attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// The command.
    pub cmd: Cmd,
    /// The name of the struct in this crate.
    pub shape: &'static str,
    /// Its size in bytes.
    pub size: usize,
    /// Its pointers, by ascending offset.
    pub pointers: &'static [Pointer],
}

impl Layout {
    /// Iterates over the forms that `cmd` has: none for a command this crate does not know, several for
    /// `BPF_LINK_CREATE`, else one.
    pub fn of(cmd: Cmd) -> impl Iterator<Item = &'static Self> {
        LAYOUTS.iter().filter(move |layout| layout.cmd == cmd)
    }

    /// Finds the pointer at `offset`.
    pub fn pointer_at(&self, offset: usize) -> Option<&'static Pointer> {
        self.pointers.iter().find(|pointer| pointer.offset == offset)
    }
}

macro_rules! at {
    ($shape:ident, CString) => {
        Extent::CString
    };
    ($shape:ident, MapKey) => {
        Extent::MapKey
    };
    ($shape:ident, MapValue) => {
        Extent::MapValue
    };
    ($shape:ident, BatchCursor) => {
        Extent::BatchCursor
    };
    ($shape:ident, Bytes($len:ident)) => {
        Extent::Bytes(offset_of!($shape, $len))
    };
    ($shape:ident, Array($count:ident, $each:literal)) => {
        Extent::Array { count: offset_of!($shape, $count), each: $each }
    };
    ($shape:ident, Records($count:ident, $size:ident)) => {
        Extent::Records { count: offset_of!($shape, $count), size: offset_of!($shape, $size) }
    };
    ($shape:ident, $many:ident($count:ident)) => {
        Extent::$many { count: offset_of!($shape, $count) }
    };
}

macro_rules! pointers {
    ($shape:ident { $($field:ident: $dir:ident $extent:ident $(($($args:tt)*))?;)* }) => {
        &[$(Pointer {
            field: stringify!($field),
            offset: offset_of!($shape, $field),
            extent: at!($shape, $extent $(($($args)*))?),
            direction: Direction::$dir,
        }),*]
    };
}

macro_rules! layouts {
    ($($cmd:ident $shape:ident { $($body:tt)* })*) => {
        &[$(Layout {
            cmd: Cmd::$cmd,
            shape: stringify!($shape),
            size: size_of::<$shape>(),
            pointers: pointers!($shape { $($body)* }),
        }),*]
    };
}

/// Every command's attributes, by ascending command.
///
/// `BPF_MAP_LOOKUP_ELEM` reads the value too: that is how a Bloom filter is asked (`map_lookup_elem`).
/// `BPF_PROG_TEST_RUN` writes the context of a program of the type `SYSCALL` back to where it was read from
/// (`bpf_prog_test_run_syscall`, net/bpf/test_run.c).
#[rustfmt::skip]
pub const LAYOUTS: &[Layout] = layouts! {
    MAP_CREATE MapCreate { excl_prog_hash: In Bytes(excl_prog_hash_size); }
    MAP_LOOKUP_ELEM MapElem { key: In MapKey; value: InOut MapValue; }
    MAP_UPDATE_ELEM MapElem { key: In MapKey; value: In MapValue; }
    MAP_DELETE_ELEM MapElem { key: In MapKey; }
    MAP_GET_NEXT_KEY MapNextKey { key: In MapKey; next_key: Out MapKey; }
    PROG_LOAD ProgLoad {
        insns: In Array(insn_cnt, 8);
        license: In CString;
        log_buf: Out Bytes(log_size);
        func_info: In Records(func_info_cnt, func_info_rec_size);
        line_info: In Records(line_info_cnt, line_info_rec_size);
        fd_array: In FdArray(fd_array_cnt);
        core_relos: In Records(core_relo_cnt, core_relo_rec_size);
        signature: In Bytes(signature_size);
    }
    OBJ_PIN ObjPath { pathname: In CString; }
    OBJ_GET ObjPath { pathname: In CString; }
    PROG_ATTACH ProgAttach {}
    PROG_DETACH ProgAttach {}
    PROG_TEST_RUN ProgTestRun {
        data_in: In Bytes(data_size_in);
        data_out: Out Bytes(data_size_out);
        ctx_in: InOut Bytes(ctx_size_in);
        ctx_out: Out Bytes(ctx_size_out);
    }
    PROG_GET_NEXT_ID GetId {}
    MAP_GET_NEXT_ID GetId {}
    PROG_GET_FD_BY_ID GetId {}
    MAP_GET_FD_BY_ID GetId {}
    OBJ_GET_INFO_BY_FD InfoByFd { info: InOut Bytes(info_len); }
    PROG_QUERY ProgQuery {
        prog_ids: Out Array(prog_cnt, 4);
        prog_attach_flags: Out Array(prog_cnt, 4);
        link_ids: Out Array(prog_cnt, 4);
        link_attach_flags: Out Array(prog_cnt, 4);
    }
    RAW_TRACEPOINT_OPEN RawTracepointOpen { name: In CString; }
    BTF_LOAD BtfLoad { btf: In Bytes(btf_size); btf_log_buf: Out Bytes(btf_log_size); }
    BTF_GET_FD_BY_ID GetId {}
    TASK_FD_QUERY TaskFdQuery { buf: Out Bytes(buf_len); }
    MAP_LOOKUP_AND_DELETE_ELEM MapElem { key: In MapKey; value: Out MapValue; }
    MAP_FREEZE MapFreeze {}
    BTF_GET_NEXT_ID GetId {}
    MAP_LOOKUP_BATCH MapBatch {
        in_batch: In BatchCursor;
        out_batch: Out BatchCursor;
        keys: Out MapKeys(count);
        values: Out MapValues(count);
    }
    MAP_LOOKUP_AND_DELETE_BATCH MapBatch {
        in_batch: In BatchCursor;
        out_batch: Out BatchCursor;
        keys: Out MapKeys(count);
        values: Out MapValues(count);
    }
    MAP_UPDATE_BATCH MapBatch { keys: In MapKeys(count); values: In MapValues(count); }
    MAP_DELETE_BATCH MapBatch { keys: In MapKeys(count); }
    LINK_CREATE LinkCreate {}
    LINK_CREATE LinkCreateIter { iter_info: In Bytes(iter_info_len); }
    LINK_CREATE LinkCreatePerfEvent {}
    LINK_CREATE LinkCreateKprobeMulti {
        syms: In CStrings(cnt);
        addrs: In Array(cnt, 8);
        cookies: In Array(cnt, 8);
    }
    LINK_CREATE LinkCreateTracing {}
    LINK_CREATE LinkCreateNetfilter {}
    LINK_CREATE LinkCreateTcx {}
    LINK_CREATE LinkCreateUprobeMulti {
        path: In CString;
        offsets: In Array(cnt, 8);
        ref_ctr_offsets: In Array(cnt, 8);
        cookies: In Array(cnt, 8);
    }
    LINK_CREATE LinkCreateNetkit {}
    LINK_CREATE LinkCreateCgroup {}
    LINK_UPDATE LinkUpdate {}
    LINK_GET_FD_BY_ID GetId {}
    LINK_GET_NEXT_ID GetId {}
    ENABLE_STATS EnableStats {}
    ITER_CREATE IterCreate {}
    LINK_DETACH LinkDetach {}
    PROG_BIND_MAP ProgBindMap {}
    TOKEN_CREATE TokenCreate {}
    PROG_STREAM_READ_BY_FD ProgStreamRead { stream_buf: Out Bytes(stream_buf_len); }
    PROG_ASSOC_STRUCT_OPS ProgAssocStructOps {}
};

/// The pointers inside [`ProgInfo`], which `BPF_OBJ_GET_INFO_BY_FD` reads from the struct that it then fills
/// (`bpf_prog_get_info_by_fd`).
#[rustfmt::skip]
pub const PROG_INFO_POINTERS: &[Pointer] = pointers!(ProgInfo {
    jited_prog_insns: Out Bytes(jited_prog_len);
    xlated_prog_insns: Out Bytes(xlated_prog_len);
    map_ids: Out Array(nr_map_ids, 4);
    jited_ksyms: Out Array(nr_jited_ksyms, 8);
    jited_func_lens: Out Array(nr_jited_func_lens, 4);
    func_info: Out Records(nr_func_info, func_info_rec_size);
    line_info: Out Records(nr_line_info, line_info_rec_size);
    jited_line_info: Out Records(nr_jited_line_info, jited_line_info_rec_size);
    prog_tags: Out Array(nr_prog_tags, 8);
});

/// The pointers inside [`MapInfo`] (`bpf_map_get_info_by_fd`).
pub const MAP_INFO_POINTERS: &[Pointer] = pointers!(MapInfo { hash: Out Bytes(hash_size); });

/// The pointers inside [`BtfInfo`] (`btf_get_info_by_fd`).
#[rustfmt::skip]
pub const BTF_INFO_POINTERS: &[Pointer] = pointers!(BtfInfo {
    btf: Out Bytes(btf_size);
    name: Out Bytes(name_len);
});

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn every_command_has_a_layout() {
        for &cmd in Cmd::ALL {
            assert!(Layout::of(cmd).next().is_some(), "{cmd}");
        }
        assert_eq!(Layout::of(Cmd(999)).count(), 0);
    }

    #[test]
    fn pointers_lie_inside_ascending_and_aligned() {
        for layout in LAYOUTS {
            let mut end = 0;
            for pointer in layout.pointers {
                assert!(pointer.offset >= end && pointer.offset % 8 == 0, "{layout:?}");
                end = pointer.offset + 8;
                if let Extent::Bytes(len) | Extent::Array { count: len, .. } = pointer.extent {
                    assert!(len + 4 <= layout.size);
                }
            }
            assert!(end <= layout.size, "{layout:?}");
        }
        assert!(LAYOUTS.windows(2).all(|pair| pair[0].cmd <= pair[1].cmd));
    }
}
