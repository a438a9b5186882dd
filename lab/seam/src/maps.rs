//! Maps through system calls and through memory.

use crate::Machine;
use crate::check::{Failure, done, fails, same};
use skep_abi::flags::{BPF_ANY, BPF_EXIST, BPF_F_MMAPABLE, BPF_NOEXIST};
use skep_abi::{Errno, MapCreate, MapType};
use skep_sys::{Kernel, MapFd, ObjectKind, Protection};

pub(crate) fn create(
    kernel: &Kernel,
    step: &'static str,
    map_type: MapType,
    sizes: [u32; 3],
    map_flags: u32,
) -> Result<MapFd, Failure> {
    let [key_size, value_size, max_entries] = sizes;
    let create = MapCreate {
        map_type: map_type.0,
        key_size,
        value_size,
        max_entries,
        map_flags,
        ..MapCreate::default()
    };
    done(step, kernel.map_create(&create))
}

pub(crate) fn hash(kernel: &Kernel) -> Result<(), Failure> {
    let map = create(kernel, "create a hash", MapType::HASH, [4, 8, 2], 0)?;
    let (one, two, three) = (1u32.to_ne_bytes(), 2u32.to_ne_bytes(), 3u32.to_ne_bytes());
    let mut value = [0; 8];
    fails("look up in an empty hash", map.lookup(&one, &mut value, 0), Errno::ENOENT)?;
    fails("replace what is not there", map.update(&one, &[1; 8], BPF_EXIST), Errno::ENOENT)?;
    done("store one", map.update(&one, &[1; 8], BPF_NOEXIST))?;
    fails("store one again as new", map.update(&one, &[9; 8], BPF_NOEXIST), Errno::EEXIST)?;
    done("store two", map.update(&two, &[2; 8], BPF_ANY))?;
    fails("store beyond the end", map.update(&three, &[3; 8], BPF_ANY), Errno::E2BIG)?;
    done("look up one", map.lookup(&one, &mut value, 0))?;
    same("value of one", value, [1; 8])?;

    let (mut first, mut second, mut third) = ([0; 4], [0; 4], [0; 4]);
    done("first key", map.next_key(None, &mut first))?;
    done("second key", map.next_key(Some(&first), &mut second))?;
    fails("key after the last", map.next_key(Some(&second), &mut third), Errno::ENOENT)?;
    let mut keys = [first, second];
    keys.sort_unstable();
    let mut wanted = [one, two];
    wanted.sort_unstable();
    same("keys", keys, wanted)?;

    done("delete one", map.delete(&one))?;
    fails("delete one again", map.delete(&one), Errno::ENOENT)?;
    fails("look up what was deleted", map.lookup(&one, &mut value, 0), Errno::ENOENT)?;

    let clone = done("duplicate the descriptor", map.handle().try_clone())?;
    drop(map);
    let map = done("take the duplicate as a map", kernel.map_from_handle(clone))?;
    done("look up through the duplicate", map.lookup(&two, &mut value, 0))?;
    same("value through the duplicate", value, [2; 8])
}

pub(crate) fn array(kernel: &Kernel, machine: Machine) -> Result<(), Failure> {
    let map = create(kernel, "create an array", MapType::ARRAY, [4, 5, 3], 0)?;
    let last = 2u32.to_ne_bytes();
    let mut value = [0xff; 5];
    done("look up an element never stored", map.lookup(&last, &mut value, 0))?;
    same("value of an element never stored", value, [0; 5])?;
    fails("store a new element", map.update(&last, &[1; 5], BPF_NOEXIST), Errno::EEXIST)?;
    fails("store beyond the end", map.update(&3u32.to_ne_bytes(), &[1; 5], BPF_ANY), Errno::E2BIG)?;
    fails("look up beyond the end", map.lookup(&3u32.to_ne_bytes(), &mut value, 0), Errno::ENOENT)?;
    fails("delete from an array", map.delete(&last), Errno::EINVAL)?;
    done("store the last", map.update(&last, &[1, 2, 3, 4, 5], BPF_ANY))?;
    done("look up the last", map.lookup(&last, &mut value, 0))?;
    same("value of the last", value, [1, 2, 3, 4, 5])?;
    done("freeze", map.freeze())?;
    fails("store in a frozen map", map.update(&last, &[0; 5], BPF_ANY), Errno::EPERM)?;
    // Since 6.5 `map_freeze` asks first whether the map can be written, which a frozen one cannot.
    let frozen = if machine.release >= (6, 5) { Errno::EPERM } else { Errno::EBUSY };
    fails("freeze again", map.freeze(), frozen)?;
    done("look up in a frozen map", map.lookup(&last, &mut value, 0))?;
    let create = MapCreate {
        map_type: MapType::ARRAY.0,
        key_size: 8,
        value_size: 4,
        max_entries: 1,
        ..Default::default()
    };
    fails("create an array with a key of 8", kernel.map_create(&create), Errno::EINVAL)
}

pub(crate) fn array_memory(kernel: &Kernel, machine: Machine) -> Result<(), Failure> {
    let sizes = [4, 8, 4];
    let map = create(kernel, "create a mappable array", MapType::ARRAY, sizes, BPF_F_MMAPABLE)?;
    let one = 1u32.to_ne_bytes();
    done("store one", map.update(&one, &0x1122_3344_5566_7788u64.to_ne_bytes(), BPF_ANY))?;
    let memory = done("map it", kernel.map(map.handle(), 0, machine.page_size, Protection::ReadWrite))?;
    same("bytes mapped", memory.len(), machine.page_size)?;
    same("element one in memory", memory.load_acquire_u64(8), Ok(0x1122_3344_5566_7788))?;
    done("store one again", map.update(&one, &7u64.to_ne_bytes(), BPF_ANY))?;
    same("element one in memory again", memory.load_acquire_u64(8), Ok(7))?;
    same("store in memory", memory.store_release_u64(16, 99), Ok(()))?;
    let mut value = [0; 8];
    done("look up what memory stored", map.lookup(&2u32.to_ne_bytes(), &mut value, 0))?;
    same("value that memory stored", u64::from_ne_bytes(value), 99)?;
    fails("freeze what is mapped for writing", map.freeze(), Errno::EBUSY)?;

    let view = done("map it for reading", kernel.map(map.handle(), 0, machine.page_size, Protection::Read))?;
    same("a store through a read-only mapping is refused", view.store_release_u64(0, 1).is_err(), true)?;
    same("element two in the other mapping", view.load_acquire_u64(16), Ok(99))?;
    drop(memory);
    done("look up once one mapping is gone", map.lookup(&2u32.to_ne_bytes(), &mut value, 0))?;
    same("element two in the mapping left", view.load_acquire_u64(16), Ok(99))?;
    drop(map);
    same("element two once the map is closed", view.load_acquire_u64(16), Ok(99))
}

pub(crate) fn ids(kernel: &Kernel) -> Result<(), Failure> {
    let map = create(kernel, "create a map to be found", MapType::HASH, [4, 16, 8], 0)?;
    let info = done("ask for its info", map.info())?;
    same("its kind", (info.type_, info.key_size, info.value_size, info.max_entries), (1, 4, 16, 8))?;
    same("it has an id", info.id != 0, true)?;
    let before = info.id - 1;
    same("its id is found", done("next id", kernel.next_id(ObjectKind::Map, before))?, Some(info.id))?;
    let other = done("open it by its id", kernel.map_by_id(info.id, 0))?;
    same("its shape", other.shape(), map.shape())?;
    done("store through one", map.update(&[0; 4], &[6; 16], BPF_ANY))?;
    let mut value = [0; 16];
    done("look up through the other", other.lookup(&[0; 4], &mut value, 0))?;
    same("value through the other", value, [6; 16])?;
    let taken = create(kernel, "create a ring of no power of two", MapType::RINGBUF, [0, 0, 5000], 0);
    match taken {
        Err(Failure { errno: Some(Errno::EINVAL), .. }) => Ok(()),
        Err(failure) => Err(failure),
        Ok(_) => same("a ring of 5000 bytes is refused", false, true),
    }
}
