//! The same calls on the running Linux and on the embedded kernel, and the same answers.
#![cfg(target_os = "linux")]

use skep_abi::flags::{
    BPF_ANY, BPF_EXIST, BPF_F_INNER_MAP, BPF_F_LOCK, BPF_F_MMAPABLE, BPF_F_NO_COMMON_LRU, BPF_F_NO_PREALLOC,
    BPF_F_PRESERVE_ELEMS, BPF_F_RDONLY, BPF_F_RDONLY_PROG, BPF_F_WRONLY, BPF_F_WRONLY_PROG, BPF_F_ZERO_SEED,
    BPF_NOEXIST,
};
use skep_abi::{BtfLoad, Errno, MapType, ProgLoad, ProgTestRun, ProgType};
use skep_isa::RawInsn;
use skep_lab_seam::samples;
use skep_sys::{CallError, FdArray, Kernel, ProgLists, ProgLoadMemory, Protection, Records, TestRunMemory};

mod beside;

use beside::{KINDS, compare, insn, load, map, said, version};

const FLAGS: &[u32] = &[
    0,
    BPF_F_NO_PREALLOC,
    BPF_F_NO_COMMON_LRU,
    BPF_F_RDONLY,
    BPF_F_WRONLY,
    BPF_F_RDONLY | BPF_F_WRONLY,
    BPF_F_ZERO_SEED,
    BPF_F_RDONLY_PROG,
    BPF_F_WRONLY_PROG,
    BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG,
    BPF_F_MMAPABLE,
    BPF_F_PRESERVE_ELEMS,
    BPF_F_INNER_MAP,
    BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG,
    1 << 20,
    1 << 31,
];

#[test]
fn maps_are_made_or_refused_alike() {
    compare("maps_are_made_or_refused_alike", |kernel| {
        let mut answers = Vec::new();
        let mut create = |map_type, sizes: [u32; 3], flags| {
            let answer = said(map(kernel, map_type, sizes, flags).map(|map| map.shape().value_stride()));
            answers.push((format!("{map_type} {sizes:?} flags {flags:#x}"), answer));
        };
        for &(map_type, sizes) in KINDS {
            for &flags in FLAGS {
                create(map_type, sizes, flags);
            }
            for size in [0, 1, 3, 4, 5, 8, 12, 512, 513, 4096, 1 << 20, u32::MAX] {
                create(map_type, [size, sizes[1], sizes[2]], 0);
                create(map_type, [sizes[0], size, sizes[2]], 0);
            }
            for entries in [0, 1, 2, 3, 4096, 8192, 4097] {
                create(map_type, [sizes[0], sizes[1], entries], 0);
            }
        }
        for map_type in [1000, u32::MAX] {
            create(MapType(map_type), [4, 4, 4], 0);
        }
        answers
    });
}

#[test]
fn elements_are_stored_and_refused_alike() {
    compare("elements_are_stored_and_refused_alike", |kernel| {
        let mut answers = Vec::new();
        for &(map_type, sizes) in KINDS {
            if [MapType::PROG_ARRAY, MapType::PERF_EVENT_ARRAY].contains(&map_type) {
                continue;
            }
            for flags in [0, BPF_F_RDONLY, BPF_F_WRONLY, BPF_F_RDONLY_PROG] {
                let Ok(map) = map(kernel, map_type, sizes, flags) else { continue };
                let mut note = |what: String, answer: String| {
                    answers.push((format!("{map_type} flags {flags:#x}: {what}"), answer));
                };
                let stride = map.shape().value_stride();
                let mut value = vec![0; stride];
                for index in [0u32, 1, 15, 16, u32::MAX] {
                    let key = &index.to_ne_bytes()[..sizes[0] as usize];
                    let update = |flags| said(map.update(key, &vec![index as u8; stride], flags));
                    note(format!("lookup {index} first"), said(map.lookup(key, &mut value, 0)));
                    for flags in
                        [BPF_EXIST, BPF_NOEXIST, BPF_NOEXIST, BPF_ANY, BPF_EXIST, BPF_F_LOCK, 3, 8, 1 << 40]
                    {
                        note(format!("update {index} flags {flags:#x}"), update(flags));
                    }
                    for flags in [0, BPF_F_LOCK, 1, 8, 1 << 40] {
                        note(
                            format!("lookup {index} flags {flags:#x}"),
                            said(map.lookup(key, &mut value, flags)),
                        );
                    }
                    note(format!("value of {index}"), format!("{value:?}"));
                }
                if sizes[0] == 4 {
                    let mut next = [0; 4];
                    note("next key of 99".into(), said(map.next_key(Some(&[99; 4]), &mut next)));
                    let next_of_last = map.next_key(Some(&15u32.to_ne_bytes()), &mut next);
                    if map_type == MapType::ARRAY {
                        note("next key of the last".into(), said(next_of_last));
                    }
                }
                for index in [0u32, 0, 77] {
                    let key = &index.to_ne_bytes()[..sizes[0] as usize];
                    note(format!("take {index}"), said(map.lookup_and_delete(key, &mut value, 0)));
                    note(format!("take {index} flags 8"), said(map.lookup_and_delete(key, &mut value, 8)));
                    note(format!("delete {index}"), said(map.delete(key)));
                }
                note("freeze".into(), said(map.freeze()));
                note("freeze again".into(), said(map.freeze()));
                let key = &1u32.to_ne_bytes()[..sizes[0] as usize];
                note("update when frozen".into(), said(map.update(key, &vec![1; stride], BPF_ANY)));
                note("delete when frozen".into(), said(map.delete(key)));
                for (offset, len) in [(0, 4096), (4096, 4096), (0, 0), (0, 1), (1, 4096), (0, 1 << 20)] {
                    for protection in [Protection::Read, Protection::ReadWrite] {
                        let mapped = kernel.map(map.handle(), offset, len, protection);
                        let mapped = mapped.map(|memory| memory.len()).map_err(CallError::Errno);
                        note(format!("map {len} at {offset} for {protection:?}"), said(mapped));
                    }
                }
            }
        }
        answers
    });
}

#[test]
#[cfg(target_endian = "little")]
fn programs_load_or_are_refused_alike() {
    let (zero, exit) = (insn(0xb7, 0, 0, 0), insn(0x95, 0, 0, 0));
    let programs: &[(&str, &[[u8; 8]])] = &[
        ("returns", &[zero, exit]),
        ("nothing", &[]),
        ("no result", &[exit]),
        ("no end", &[zero]),
        ("runs off", &[exit, zero]),
        ("jumps away", &[insn(0x05, 0, 7, 0), exit]),
        ("jumps back out", &[insn(0x05, 0, -3, 0), exit]),
        ("unreachable", &[zero, exit, zero, exit]),
        ("no instruction", &[insn(0xff, 0, 0, 0), exit]),
        ("reserved field", &[insn(0xb7, 0, 5, 0), exit]),
        ("register 11", &[insn(0xb7, 11, 0, 0), exit]),
        ("frame pointer", &[insn(0xb7, 10, 0, 0), zero, exit]),
        ("divides by zero", &[zero, insn(0x37, 0, 0, 0), exit]),
        ("shifts by 64", &[zero, insn(0x67, 0, 0, 64), exit]),
        ("half a wide load", &[insn(0x18, 0, 0, 0)]),
        ("second half", &[insn(0x18, 0, 0, 0), insn(1, 0, 0, 0), exit]),
        ("no map", &[insn(0x18, 0x11, 0, 9999), insn(0, 0, 0, 0), zero, exit]),
        ("no helper", &[insn(0x85, 0, 0, 99_999), exit]),
        ("reads r5", &[insn(0xbf, 0x50, 0, 0), exit]),
    ];
    compare("programs_load_or_are_refused_alike", |kernel| {
        let mut answers = Vec::new();
        let types = [
            ProgType::XDP,
            ProgType::SCHED_CLS,
            ProgType::SOCKET_FILTER,
            ProgType::RAW_TRACEPOINT,
            ProgType(999),
        ];
        for prog_type in types {
            for (what, insns) in programs {
                let answer = said(load(kernel, prog_type, insns, "GPL").map(|_| ()));
                answers.push((format!("{prog_type} that {what}"), answer));
            }
        }
        answers
    });
}

#[test]
#[cfg(target_endian = "little")]
fn test_runs_answer_alike() {
    compare("test_runs_answer_alike", |kernel| {
        let mut answers = Vec::new();
        let insns = [insn(0xb7, 0, 0, 2), insn(0x95, 0, 0, 0)];
        for prog_type in
            [ProgType::XDP, ProgType::SCHED_CLS, ProgType::SOCKET_FILTER, ProgType::RAW_TRACEPOINT]
        {
            let prog = load(kernel, prog_type, &insns, "GPL").unwrap();
            let mut run = |what: String, attr: ProgTestRun, data: &[u8], ctx: &[u8], room: usize| {
                let (mut attr, mut out) = (attr, vec![0xee; room]);
                let memory = TestRunMemory {
                    data_in: data,
                    data_out: &mut out,
                    ctx_in: &mut ctx.to_vec(),
                    ..TestRunMemory::default()
                };
                let answer = said(prog.test_run(&mut attr, memory));
                let sizes = (attr.retval, attr.data_size_out, attr.ctx_size_out);
                answers.push((format!("{prog_type}, {what}"), format!("{answer} {sizes:?} {out:?}")));
            };
            for len in [0, 1, 13, 14, 60, 1500, 3000] {
                run(format!("{len} bytes"), ProgTestRun::default(), &vec![7; len], &[], 64);
            }
            run("short room".into(), ProgTestRun::default(), &[7; 64], &[], 20);
            run("no room".into(), ProgTestRun::default(), &[7; 64], &[], 0);
            for len in [1, 4, 8, 12, 24, 96, 97, 104, 192] {
                run(format!("context of {len} zeros"), ProgTestRun::default(), &[7; 64], &vec![0; len], 64);
                run(format!("only a context of {len} ones"), ProgTestRun::default(), &[], &vec![1; len], 0);
            }
            for (what, attr) in [
                ("flags", ProgTestRun { flags: 1 << 7, ..ProgTestRun::default() }),
                ("repeat", ProgTestRun { repeat: 3, ..ProgTestRun::default() }),
                ("cpu", ProgTestRun { cpu: 1, ..ProgTestRun::default() }),
                ("batch", ProgTestRun { batch_size: 2, ..ProgTestRun::default() }),
            ] {
                run(what.into(), attr, &[7; 64], &[], 64);
                run(format!("{what} without data"), attr, &[], &[0; 8], 0);
            }
        }
        answers
    });
}

#[test]
fn what_is_not_there_is_not_found_alike() {
    compare("what_is_not_there_is_not_found_alike", |kernel| {
        use skep_sys::ObjectKind::{Btf, Link, Map, Prog};
        let mut answers = Vec::new();
        for kind in [Map, Prog, Btf, Link] {
            for id in [0, i32::MAX as u32, u32::MAX] {
                answers.push((format!("open {kind:?} {id}"), said(kernel.fd_by_id(kind, id, 0).map(|_| ()))));
            }
            for after in [i32::MAX as u32 - 1, i32::MAX as u32, u32::MAX] {
                answers.push((format!("{kind:?} after {after}"), said(kernel.next_id(kind, after))));
            }
        }
        for path in ["/sys/fs/bpf/no/such", "/nowhere", "/proc/sys/kernel/osrelease", "/sys/fs/bpf"] {
            answers.push((format!("get {path}"), said(kernel.obj_get(path, 0).map(|_| ()))));
        }
        assert_eq!(Errno::ENOENT.name(), Some("ENOENT"));
        answers
    });
}

/// Calls a helper with a buffer of the stack, whose first byte comes back beside the result.
fn buffer_call(kernel: &Kernel, prog_type: ProgType, before: &[[u8; 8]], id: i32, data: &[u8]) -> String {
    let start = [insn(0xbf, 0x16, 0, 0), insn(0x7a, 10, -8, 0x5555_5555), insn(0x7a, 10, -16, 0x5555_5555)];
    // r7 = r0; r0 = *(u8 *)(r10 - 16); r7 <<= 8; r0 |= r7; exit
    let end = [
        insn(0x85, 0, 0, id),
        insn(0xbf, 0x07, 0, 0),
        insn(0x71, 0xa0, -16, 0),
        insn(0x67, 7, 0, 8),
        insn(0x4f, 0x70, 0, 0),
        insn(0x95, 0, 0, 0),
    ];
    let insns = [&start[..], before, &end].concat();
    let prog = match load(kernel, prog_type, &insns, "GPL") {
        Ok(prog) => prog,
        Err(error) => return format!("not loaded: {}", said::<()>(Err(error))),
    };
    let mut attr = ProgTestRun::default();
    let memory = TestRunMemory { data_in: data, ..TestRunMemory::default() };
    let ran = prog.test_run(&mut attr, memory);
    format!("{} {:#x}", said(ran), attr.retval)
}

fn wide(register: u8, value: u64) -> [[u8; 8]; 2] {
    [insn(0x18, register, 0, value as i32), insn(0, 0, 0, (value >> 32) as i32)]
}

/// `register = r10 - 16`.
fn buffer(register: u8) -> [[u8; 8]; 2] {
    [insn(0xbf, 0xa0 | register, 0, 0), insn(0x07, register, 0, -16)]
}

#[test]
#[cfg(all(target_arch = "x86_64", target_endian = "little"))]
fn guarded_reads_fail_alike() {
    // How many bits an address has depends on the processor, so none is here that only some have.
    compare("guarded_reads_fail_alike", |kernel| {
        let mut answers = Vec::new();
        for id in [4, 45, 112, 113, 114, 115] {
            for addr in [
                0,
                8,
                0x0fff,
                0x1000,
                1 << 63,
                0x7fff_ffff_ffff_ffff,
                0xffff_8000_0000_0000,
                0xffff_ffff_ffff_f000,
                u64::MAX,
            ] {
                for len in [1, 8, 16] {
                    let before = [&buffer(1)[..], &[insn(0xb7, 2, 0, len)], &wide(3, addr)].concat();
                    let answer = buffer_call(kernel, ProgType::RAW_TRACEPOINT, &before, id, &[]);
                    answers.push((format!("helper {id} of {len} bytes at {addr:#x}"), answer));
                }
            }
        }
        answers
    });
}

#[test]
#[cfg(target_endian = "little")]
fn the_current_task_is_a_number_of_the_kernel() {
    compare("the_current_task_is_a_number_of_the_kernel", |kernel| {
        // Whether it is twice the same, is an address of the upper half, and whether a read of it fails.
        let insns = [
            insn(0x85, 0, 0, 35),
            insn(0xbf, 0x06, 0, 0),
            insn(0x85, 0, 0, 35),
            insn(0x1f, 0x60, 0, 0),
            insn(0x77, 6, 0, 47),
            insn(0x4f, 0x60, 0, 0),
            insn(0x95, 0, 0, 0),
        ];
        let mut answers = Vec::new();
        for prog_type in [ProgType::RAW_TRACEPOINT, ProgType::SCHED_CLS, ProgType::XDP] {
            for licence in ["GPL", "BSD"] {
                let answer = load(kernel, prog_type, &insns, licence).and_then(|prog| {
                    let mut attr = ProgTestRun::default();
                    let data: &[u8] = if prog_type == ProgType::RAW_TRACEPOINT { &[] } else { &[0; 64] };
                    prog.test_run(&mut attr, TestRunMemory { data_in: data, ..TestRunMemory::default() })?;
                    Ok(attr.retval)
                });
                answers.push((format!("{prog_type} under {licence}"), said(answer)));
            }
        }
        assert!(answers.iter().any(|(_, answer)| answer == &0x1_ffff.to_string()), "{answers:?}");
        answers
    });
}

#[test]
#[cfg(target_endian = "little")]
fn bytes_from_a_header_on_are_alike() {
    let data: Vec<u8> = (1..=64).collect();
    compare("bytes_from_a_header_on_are_alike", |kernel| {
        let mut answers = Vec::new();
        for prog_type in [ProgType::SCHED_CLS, ProgType::SOCKET_FILTER, ProgType::XDP] {
            for offset in [0, 1, 35, 36, 49, 50, 51, 63, 64, 0xffff, 0x1_0000, -1] {
                for len in [1, 14, 16] {
                    for header in [0, 1, 2, -1] {
                        let before = [
                            &[insn(0xbf, 0x61, 0, 0), insn(0xb7, 2, 0, offset)][..],
                            &buffer(3),
                            &[insn(0xb7, 4, 0, len), insn(0xb7, 5, 0, header)],
                        ];
                        let answer = buffer_call(kernel, prog_type, &before.concat(), 68, &data);
                        let what = format!("{prog_type}: {len} bytes at {offset} from header {header}");
                        answers.push((what, answer));
                    }
                }
            }
        }
        answers
    });
}

/// What both say of the same program, but for what is a kernel's own: numbers, times, machine code and the
/// instructions after Linux has rewritten them.
#[test]
fn info_of_programs() {
    if version() < (6, 18) {
        println!("skipped: info_of_programs: tags are SHA-256 since Linux 6.18");
        return;
    }
    compare("info_of_programs", |kernel| {
        let array = map(kernel, MapType::ARRAY, [4, 8, 1], 0).unwrap();
        let types = kernel.btf_load(&mut BtfLoad::default(), &samples::btf(), &mut []).unwrap();
        let (func_info, line_info) = (samples::func_info(), samples::line_info());
        let fd = array.fd().raw() as i32;
        // Nothing, a map by descriptor, a value's address with an offset, a map by index.
        let loads = [None, Some((1, fd, 0)), Some((2, fd, 4)), Some((5, 0, 0))];
        let mut answers = Vec::new();
        for prog_type in
            [ProgType::XDP, ProgType::SCHED_CLS, ProgType::SOCKET_FILTER, ProgType::RAW_TRACEPOINT]
        {
            for license in ["GPL", "MIT"] {
                for wide in loads {
                    let wide = wide.into_iter().flat_map(|(kind, imm, next)| {
                        [RawInsn::new(0x18, 1, kind, 0, imm), RawInsn::new(0, 0, 0, 0, next)]
                    });
                    let wide = wide.map(|slot| slot.to_bytes(skep_isa::ByteOrder::NATIVE));
                    let insns: Vec<_> = wide.chain(samples::returning(1)).collect();
                    let mut load = ProgLoad {
                        prog_type: prog_type.0,
                        prog_btf_fd: types.fd().raw(),
                        prog_name: *b"info_of_program\0",
                        ..ProgLoad::default()
                    };
                    let fds = [array.fd()];
                    let memory = ProgLoadMemory {
                        insns: insns.as_flattened(),
                        license,
                        fd_array: FdArray::ByIndex(&fds),
                        func_info: Records { size: 8, bytes: &func_info },
                        line_info: Records { size: 16, bytes: &line_info },
                        ..ProgLoadMemory::default()
                    };
                    let prog = kernel.prog_load(&mut load, memory).unwrap();
                    let mut tags = [[0; 8]; 2];
                    let lists = ProgLists { prog_tags: &mut tags, ..ProgLists::default() };
                    let info = prog.info_with(lists).unwrap();
                    let own_maps = prog.map_ids().unwrap() == vec![array.info().unwrap().id; insns.len() / 4];
                    let own_types = info.btf_id == types.info().unwrap().id;
                    let said = (info.type_, info.tag, info.nr_prog_tags, tags, info.name, info.flags);
                    let counts = (info.nr_map_ids, info.nr_func_info, info.nr_line_info, info.created_by_uid);
                    let text = format!("{said:?} {counts:?} {own_maps} {own_types} {}", info.load_time > 0);
                    answers.push((format!("{prog_type} {license} {} slots", insns.len()), text));
                }
            }
        }
        answers
    });
}
