//! What callers cannot do: run for ever, and reach memory that they have not lent.

use skep_abi::{Cmd, Errno, MapCreate, MapElem, MapType, ProgLoad, ProgTestRun, ProgType};
use skep_embedded::{Admit, Config, Embedded};
use skep_sys::{Area, AreaMemory, CallError, Kernel, ProgLoadMemory, Reply, TestRunMemory};
use std::mem::offset_of;
use zerocopy::IntoBytes;

#[test]
fn a_run_without_end_is_stopped_when_its_fuel_is_used_up() {
    let embedded = Embedded::new(Config::new().fuel(1000).admit(Admit::Structured)).unwrap();
    let kernel = Kernel::from_sys(embedded.clone());
    // A jump to itself (opcode 0x05, offset -1).
    let insns = [0x05, 0, 0xff, 0xff, 0, 0, 0, 0];
    let mut load = ProgLoad { prog_type: ProgType::XDP.0, ..ProgLoad::default() };
    let memory = ProgLoadMemory { insns: &insns, license: "GPL", ..ProgLoadMemory::default() };
    let prog = kernel.prog_load(&mut load, memory).unwrap();
    let memory = TestRunMemory { data_in: &[0; 64], ..TestRunMemory::default() };
    let run = prog.test_run(&mut ProgTestRun::default(), memory);
    assert_eq!(run, Err(CallError::Errno(Errno::EFAULT)));
    let faults = embedded.faults();
    assert_eq!(faults.iter().map(|report| report.executed).collect::<Vec<_>>(), [1000]);
}

#[test]
fn attributes_of_any_bytes_reach_nothing_but_the_areas() {
    let embedded = Embedded::new(Config::new()).unwrap();
    let create = |size| {
        let attr = MapCreate {
            map_type: MapType::ARRAY.0,
            key_size: 4,
            value_size: 8,
            max_entries: 2,
            ..MapCreate::default()
        };
        let mut bytes = attr.as_bytes().to_vec();
        bytes.resize(size, 0);
        embedded.bpf(Cmd::MAP_CREATE, &mut bytes, [])
    };
    assert!(matches!(create(16), Ok(Reply::Fd(_))), "all that is behind max_entries may be left out");
    assert!(matches!(create(4096), Ok(Reply::Fd(_))), "zeros behind the attributes are none");
    assert_eq!(create(4097).err(), Some(Errno::E2BIG));
    assert_eq!(create(12).err(), Some(Errno::EINVAL));

    let lookup = |key: u64, field, value: &mut [u8]| {
        let mut attr = MapElem { map_fd: 3, key, ..MapElem::default() };
        let area = Area::new(field, AreaMemory::Out(value));
        embedded.bpf(Cmd::MAP_LOOKUP_ELEM, attr.as_mut_bytes(), [area])
    };
    let value = offset_of!(MapElem, value);
    // There is no area behind such a pointer, whatever its number.
    for key in [0, 1, 0x1000, u64::MAX, u64::MAX - 3, 1 << 40, 1 << 63] {
        assert_eq!(lookup(key, value, &mut [0; 8]).err(), Some(Errno::EFAULT), "{key:#x}");
    }
    for field in [size_of::<MapElem>() - 4, 4096, usize::MAX] {
        assert_eq!(lookup(0, field, &mut [0; 8]).err(), Some(Errno::EINVAL), "{field}");
    }
    assert_eq!(embedded.open_descriptors(), 2);
}
