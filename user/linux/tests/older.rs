//! The running kernel, seeming older.
#![cfg(target_os = "linux")]

mod common;

use skep_abi::flags::BPF_F_MMAPABLE;
use skep_abi::{AttachType, BtfLoad, Errno, LinkCreate, MapCreate, MapType, ProgLoad, ProgType};
use skep_sys::{
    CallError, FdArray, Kernel, KernelVersion, Older, OpenMode, ProgFd, ProgLists, ProgLoadMemory, Records,
};

fn older(major: u8, minor: u8) -> Kernel {
    Kernel::from_sys(Older::new(&skep_linux::kernel(), KernelVersion::new(major, minor)))
}

fn map(kernel: &Kernel, create: MapCreate) -> Result<(), Errno> {
    let create = MapCreate { max_entries: 64 << 10, ..create };
    kernel.map_create(&create).map(|_| ()).map_err(|error| error.errno())
}

/// Runs `with` on the version before and on that of a feature: the first answers with an errno. A kernel that is older
/// itself cannot play the second.
fn since(major: u8, minor: u8, errno: Errno, with: impl Fn(&Kernel) -> Result<(), Errno>) {
    let before = if minor == 0 { older(major - 1, 99) } else { older(major, minor - 1) };
    assert_eq!(with(&before), Err(errno), "before {major}.{minor}");
    if common::release() >= (u32::from(major), u32::from(minor)) {
        assert_eq!(with(&older(major, minor)), Ok(()), "{major}.{minor}");
    }
}

/// `r0 = 2; exit`.
const TWO: [[u8; 8]; 2] = if cfg!(target_endian = "big") {
    [[0xb7, 0, 0, 0, 0, 0, 0, 2], [0x95, 0, 0, 0, 0, 0, 0, 0]]
} else {
    [[0xb7, 0, 0, 0, 2, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]]
};

fn load(kernel: &Kernel, load: ProgLoad, memory: ProgLoadMemory<'_>) -> Result<ProgFd, CallError> {
    let mut load = ProgLoad { prog_type: ProgType::XDP.0, ..load };
    kernel.prog_load(&mut load, ProgLoadMemory { insns: TWO.as_flattened(), license: "GPL", ..memory })
}

#[test]
fn maps_come_with_their_versions() {
    let Some(machine) = common::bpf("maps_come_with_their_versions") else { return };
    let array = MapCreate { map_type: MapType::ARRAY.0, key_size: 4, value_size: 4, ..Default::default() };
    since(5, 8, Errno::EINVAL, |kernel| {
        map(kernel, MapCreate { map_type: MapType::RINGBUF.0, ..Default::default() })
    });
    since(5, 5, Errno::EINVAL, |kernel| map(kernel, MapCreate { map_flags: BPF_F_MMAPABLE, ..array }));
    // A name was beyond the whole struct of 4.14, and is in the middle of that of 4.15.
    let map_name = *b"name\0\0\0\0\0\0\0\0\0\0\0\0";
    since(4, 15, Errno::EINVAL, |kernel| map(kernel, MapCreate { map_name, ..array }));
    skep_lab_seam::exercise(&older(5, 8), machine).unwrap();
    skep_lab_seam::exercise_programs(&older(5, 8), machine).unwrap();
    let failure = skep_lab_seam::exercise(&older(5, 4), machine).unwrap_err();
    assert_eq!((failure.step, failure.errno), ("create a mappable array", Some(Errno::EINVAL)));
}

#[test]
fn programs_come_with_their_versions() {
    let Some(_) = common::bpf("programs_come_with_their_versions") else { return };
    let empty = ProgLoad::default();
    since(4, 15, Errno::E2BIG, |kernel| {
        let mut named = empty;
        named.prog_name[..4].copy_from_slice(b"name");
        load(kernel, named, ProgLoadMemory::default()).map(|_| ()).map_err(|error| error.errno())
    });
    let array = MapCreate {
        map_type: MapType::ARRAY.0,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        ..MapCreate::default()
    };
    since(5, 14, Errno::E2BIG, |kernel| {
        let array = kernel.map_create(&array).unwrap();
        let fds = [array.fd()];
        let memory = ProgLoadMemory { fd_array: FdArray::ByIndex(&fds), ..ProgLoadMemory::default() };
        load(kernel, empty, memory).map(|_| ()).map_err(|error| error.errno())
    });
    let lines: Vec<u8> = [0u32, 0, 0, 0].into_iter().flat_map(u32::to_ne_bytes).collect();
    let memory =
        ProgLoadMemory { line_info: Records { size: 16, bytes: &lines }, ..ProgLoadMemory::default() };
    let refused = load(&older(4, 19), empty, memory).unwrap_err();
    assert_eq!(refused.errno(), Errno::E2BIG);

    let prog = load(&older(5, 4), empty, ProgLoadMemory::default()).unwrap();
    let info = prog.info().unwrap();
    assert_ne!((info.id, info.xlated_prog_len), (0, 0));
    assert_eq!(info.verified_insns, 0, "Linux 5.4 does not say");
    let mut tags = [[0; 8]];
    let with_tags = ProgLists { prog_tags: &mut tags, ..ProgLists::default() };
    assert_eq!(prog.info_with(with_tags).unwrap().nr_prog_tags, 1);
    let prog = load(&older(4, 19), empty, ProgLoadMemory::default()).unwrap();
    let with_tags = ProgLists { prog_tags: &mut tags, ..ProgLists::default() };
    assert_eq!(prog.info_with(with_tags), Err(CallError::Errno(Errno::E2BIG)));
}

#[test]
fn links_come_with_their_versions() {
    let Some(_) = common::bpf("links_come_with_their_versions") else { return };
    common::own_network();
    let attach = |kernel: &Kernel, attach_type: AttachType| {
        let prog = load(kernel, ProgLoad::default(), ProgLoadMemory::default()).unwrap();
        let link =
            LinkCreate { prog_fd: prog.fd().raw(), target_fd: 1, attach_type: attach_type.0, flags: 0 };
        kernel.link_create(&link).map(|_| ()).map_err(|error| error.errno())
    };
    since(5, 9, Errno::EINVAL, |kernel| attach(kernel, AttachType::XDP));
    assert_eq!(attach(&older(5, 6), AttachType::XDP), Err(Errno::EINVAL));
}

#[test]
fn types_come_with_their_versions() {
    let Some(_) = common::bpf("types_come_with_their_versions") else { return };
    let types = |records: &[&[u32]]| -> Vec<u8> {
        let records = records.concat();
        let len = records.len() as u32 * 4;
        let mut btf = [0xeb9f_u16.to_ne_bytes(), [1, 0]].concat();
        btf.extend([24, 0, len, len, 3].into_iter().flat_map(u32::to_ne_bytes));
        btf.extend(records.into_iter().flat_map(u32::to_ne_bytes));
        btf.extend_from_slice(b"\0f\0");
        btf
    };
    let int: &[u32] = &[1, 1 << 24, 4, 1 << 24 | 32];
    let load = |kernel: &Kernel, btf: &[u8]| {
        let load = kernel.btf_load(&mut BtfLoad::default(), btf, &mut []);
        load.map(|_| ()).map_err(|error| error.errno())
    };
    let float = types(&[int, &[1, 16 << 24, 4]]);
    since(5, 13, Errno::EINVAL, |kernel| load(kernel, &float));
    let without_variables = types(&[int, &[1, 15 << 24, 4]]);
    since(5, 12, Errno::EINVAL, |kernel| load(kernel, &without_variables));
    let enum64 = types(&[int, &[1, 19 << 24 | 1, 8, 1, 0, 0]]);
    since(6, 0, Errno::EINVAL, |kernel| load(kernel, &enum64));
    let global = types(&[int, &[0, 13 << 24, 1], &[1, 12 << 24 | 1, 2]]);
    since(5, 6, Errno::EINVAL, |kernel| load(kernel, &global));
    let plain = types(&[int]);
    since(4, 18, Errno::EINVAL, |kernel| load(kernel, &plain));
}

#[test]
fn files_come_with_their_versions() {
    let open = |kernel: &Kernel| kernel.file_open("/sys/kernel/btf/vmlinux", OpenMode::Read).map(|_| ());
    if open(&skep_linux::kernel()).is_err() {
        println!("skipped: files_come_with_their_versions: this kernel has no BTF of its own");
        return;
    }
    since(5, 4, Errno::ENOENT, |kernel| open(kernel).map_err(|error| error.errno()));
}
