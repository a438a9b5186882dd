//! Maps by the types of Rust.

use super::value::{MapKey, MapValue, PlainKey, StoredValue};
use super::{Keys, Map, PerCpu, When, schema};
use crate::error::{Error, ErrorKind, Result};
use crate::{Fields, Program};
use skep_abi::flags::BPF_F_CPU;
use skep_abi::{Errno, MapType};
use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use zerocopy::{Immutable, IntoBytes, TryFromBytes};

/// A map whose keys and values are types of Rust.
///
/// Made by [`Map::typed`], which borrows the map, or by [`Map::into_typed`], which takes it along. That the sizes fit is
/// checked once, there; [`TypedMap::check_fields`] compares the fields with the types of the object as well.
///
/// | keys `K` | for |
/// | --- | --- |
/// | any type without padding and references (zerocopy's `IntoBytes` and `TryFromBytes`) | arrays, hashes |
/// | [`LpmKey`](crate::LpmKey) | tries of prefixes |
/// | `()` | queues, stacks, Bloom filters |
/// | [`ByFd`](crate::ByFd) | storage that belongs to a socket, process, file or control group |
///
/// | values `V` | for |
/// | --- | --- |
/// | any type as above | all that hold plain values, and sockets' cookies |
/// | [`PerCpu`] | the per-CPU kinds |
/// | [`Map`] | maps of maps |
/// | [`Program`] | arrays of programs |
/// | [`ByFd`](crate::ByFd), to be stored only | maps of sockets, control groups and perf events |
/// | [`Redirect`](crate::Redirect) | maps of devices and CPUs |
/// | [`StackTrace`](crate::StackTrace), to be read only | stack traces |
///
/// Every method is one system call, or as many as it says.
///
/// ```no_run
/// use skep::zerocopy::{FromBytes, Immutable, IntoBytes};
/// use skep::{Kernel, Object};
///
/// #[derive(Debug, Default, FromBytes, IntoBytes, Immutable)]
/// #[zerocopy(crate = "skep::zerocopy")]
/// #[repr(C)]
/// struct Traffic {
///     packets: u64,
///     bytes: u64,
/// }
/// skep::fields!(Traffic { packets, bytes });
///
/// # fn main() -> skep::Result<()> {
/// let loaded = Object::open("traffic.bpf.o")?.load(&Kernel::linux())?;
/// let traffic = loaded.map("traffic")?.typed::<u32, Traffic>()?.check_fields()?;
/// traffic.insert(&7, &Traffic::default())?;
/// for element in traffic.iter() {
///     let (port, seen) = element?;
///     println!("port {port}: {} packets, {} bytes", seen.packets, seen.bytes);
/// }
/// # Ok(())
/// # }
/// ```
pub struct TypedMap<K, V, M = Map> {
    map: M,
    types: PhantomData<fn(K) -> V>,
}

impl Map {
    /// Takes it by types of Rust.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where a size is another, or the kind of map needs another type ([`TypedMap`] has the table);
    /// what the object says of the types is told with it.
    pub fn typed<K: MapKey, V: MapValue>(&self) -> Result<TypedMap<K, V, &Map>> {
        TypedMap::new(self)
    }

    /// Takes it by types of Rust, and keeps it.
    ///
    /// # Errors
    /// As [`Map::typed`].
    pub fn into_typed<K: MapKey, V: MapValue>(self) -> Result<TypedMap<K, V>> {
        TypedMap::new(self)
    }
}

impl<K: MapKey, V: MapValue, M: Borrow<Map>> TypedMap<K, V, M> {
    fn new(map: M) -> Result<TypedMap<K, V, M>> {
        check::<K, V>(map.borrow())?;
        Ok(TypedMap { map, types: PhantomData })
    }

    /// Compares the fields that [`fields!`](crate::fields) has named with those of the object's types: each must lie at
    /// the same place and have the same size. Where the object has no types, there is nothing to compare.
    ///
    /// # Errors
    /// [`ErrorKind::Incompatible`]: each field that differs, with both places.
    pub fn check_fields(self) -> Result<Self>
    where
        K: Fields,
        V: Fields,
    {
        let map = self.map();
        let mut found = Vec::new();
        if let Some(types) = &map.types {
            for (what, id, fields) in [("key", types.key, K::FIELDS), ("value", types.value, V::FIELDS)] {
                let differs = id.map(|id| schema::compare_fields(&types.btf, id, fields)).unwrap_or_default();
                found.extend(differs.into_iter().map(|difference| format!("{what}: {difference}")));
            }
        }
        match found.is_empty() {
            true => Ok(self),
            false => Err(Error::new(ErrorKind::Incompatible, found.join("; ")).in_map(map.name())),
        }
    }

    /// Gives the map, for what is not about types.
    pub fn map(&self) -> &Map {
        self.map.borrow()
    }

    /// Gives the map back.
    pub fn into_inner(self) -> M {
        self.map
    }

    /// Looks a key up; `None` where it is not there.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] where the bytes are no value of the type, as 2 is no `bool`; else as [`Map::lookup`].
    pub fn get(&self, key: &K) -> Result<Option<V>> {
        let map = self.map();
        match key.with_bytes(|key| map.lookup(key))? {
            Some(value) => V::read(map, &value),
            None => Ok(None),
        }
    }

    /// Takes a key out with its value; `None` where it is not there.
    ///
    /// # Errors
    /// As [`Map::take`] and [`TypedMap::get`].
    pub fn take(&self, key: &K) -> Result<Option<V>> {
        let map = self.map();
        match key.with_bytes(|key| map.take(key))? {
            Some(value) => V::read(map, &value),
            None => Ok(None),
        }
    }

    /// Deletes a key; tells whether it was there.
    ///
    /// # Errors
    /// As [`Map::delete`].
    pub fn delete(&self, key: &K) -> Result<bool> {
        key.with_bytes(|key| self.map().delete(key))
    }

    /// Deletes many keys, many at once where the kernel can; those that are not there are passed over.
    ///
    /// # Errors
    /// As [`Map::delete_all`].
    pub fn delete_all<'k>(&self, keys: impl IntoIterator<Item = &'k K>) -> Result<()>
    where
        K: 'k,
    {
        let keys: Vec<_> = keys.into_iter().map(|key| key.with_bytes(<[u8]>::to_vec)).collect();
        self.map().delete_all(&keys)
    }
}

impl<K: MapKey, V: StoredValue, M: Borrow<Map>> TypedMap<K, V, M> {
    /// Stores a value under a key.
    ///
    /// # Errors
    /// As [`Map::insert`].
    pub fn insert(&self, key: &K, value: &V) -> Result<()> {
        self.update(key, value, When::Any)
    }

    /// Stores a value under a key, if the key is there or not.
    ///
    /// # Errors
    /// As [`Map::update`].
    pub fn update(&self, key: &K, value: &V, when: When) -> Result<()> {
        let map = self.map();
        value.with_bytes(map, |value| key.with_bytes(|key| map.update(key, value, when)))
    }

    /// Stores many elements, many at once where the kernel can.
    ///
    /// # Errors
    /// As [`Map::insert_all`].
    pub fn insert_all<'e>(&self, elements: impl IntoIterator<Item = (&'e K, &'e V)>) -> Result<()>
    where
        K: 'e,
        V: 'e,
    {
        let map = self.map();
        let bytes = |(key, value): (&K, &V)| {
            let value = value.with_bytes(map, |value| Ok(value.to_vec()))?;
            Ok((key.with_bytes(<[u8]>::to_vec), value))
        };
        map.insert_all(&elements.into_iter().map(bytes).collect::<Result<Vec<_>>>()?)
    }
}

impl<K: PlainKey, V: MapValue, M: Borrow<Map>> TypedMap<K, V, M> {
    /// Walks over the keys; [`Keys`] says what holds while others change the map.
    ///
    /// # Errors
    /// Of each key as [`Keys`]; [`ErrorKind::Corrupt`] where the bytes are no value of the type.
    pub fn keys(&self) -> impl Iterator<Item = Result<K>> + '_ {
        let map = self.map();
        let keys: Keys<'_> = map.keys();
        keys.map(|key| K::from_key(map, &key?))
    }

    /// Walks over keys and values; what is deleted meanwhile is passed over. [`Keys`] says what holds while others change
    /// the map. Two calls for each element: [`TypedMap::read_all`] makes fewer.
    ///
    /// # Errors
    /// As [`TypedMap::keys`] and [`TypedMap::get`].
    pub fn iter(&self) -> impl Iterator<Item = Result<(K, V)>> + '_ {
        let map = self.map();
        map.iter().filter_map(|element| element.and_then(|(key, value)| pair(map, &key, &value)).transpose())
    }

    /// Reads all elements, many at once where the kernel can.
    ///
    /// # Errors
    /// As [`Map::read_all`] and [`TypedMap::get`].
    pub fn read_all(&self) -> Result<Vec<(K, V)>> {
        self.pairs(self.map().read_all()?)
    }

    /// Takes all elements out, many at once where the kernel can.
    ///
    /// # Errors
    /// As [`Map::drain`] and [`TypedMap::get`].
    pub fn drain(&self) -> Result<Vec<(K, V)>> {
        self.pairs(self.map().drain()?)
    }

    fn pairs(&self, elements: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Vec<(K, V)>> {
        let map = self.map();
        elements.iter().filter_map(|(key, value)| pair(map, key, value).transpose()).collect()
    }
}

fn pair<K: PlainKey, V: MapValue>(map: &Map, key: &[u8], value: &[u8]) -> Result<Option<(K, V)>> {
    let key = K::from_key(map, key)?;
    Ok(V::read(map, value)?.map(|value| (key, value)))
}

impl<V: StoredValue, M: Borrow<Map>> TypedMap<(), V, M> {
    /// Puts a value into a queue, stack or Bloom filter.
    ///
    /// # Errors
    /// As [`Map::push`].
    pub fn push(&self, value: &V) -> Result<()> {
        self.insert(&(), value)
    }

    /// Puts a value into a queue or stack; where it is full, the oldest one is forgotten.
    ///
    /// # Errors
    /// As [`Map::push`].
    pub fn push_over(&self, value: &V) -> Result<()> {
        self.update(&(), value, When::Present)
    }

    /// Takes the next value off a queue or stack.
    ///
    /// # Errors
    /// As [`Map::pop`] and [`TypedMap::get`].
    pub fn pop(&self) -> Result<Option<V>> {
        self.take(&())
    }

    /// Reads the next value of a queue or stack, and leaves it there.
    ///
    /// # Errors
    /// As [`Map::peek`] and [`TypedMap::get`].
    pub fn peek(&self) -> Result<Option<V>> {
        self.get(&())
    }

    /// Tells whether a Bloom filter may have a value.
    ///
    /// # Errors
    /// As [`Map::may_contain`].
    pub fn may_contain(&self, value: &V) -> Result<bool> {
        let map = self.map();
        value.with_bytes(map, |value| map.may_contain(value))
    }
}

impl<K: MapKey, V, M: Borrow<Map>> TypedMap<K, PerCpu<V>, M>
where
    V: TryFromBytes + IntoBytes + Immutable,
{
    /// Stores the value of one CPU and leaves those of the others, in one call (`BPF_F_CPU`, later than Linux 6.18).
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the kernel cannot: to read all, change one and store all instead would undo what
    /// programs on the other CPUs do meanwhile, so it is for the caller to decide. [`ErrorKind::Setting`] where there is
    /// no such CPU; else as [`Map::update`].
    pub fn update_cpu(&self, key: &K, cpu: u32, value: &V, when: When) -> Result<()> {
        let map = self.map();
        let cpus = map.fd().shape().cpus();
        if cpu >= cpus {
            let what = format!("there is no CPU {cpu}: there may be {cpus}");
            return Err(Error::new(ErrorKind::Setting, what).in_map(map.name()));
        }
        // Room for all CPUs, whatever the kernel makes of the flag.
        let mut room = map.room()?;
        room[..size_of::<V>()].copy_from_slice(value.as_bytes());
        let flags = when.flags() | BPF_F_CPU | u64::from(cpu) << 32;
        let answer = key.with_bytes(|key| map.fd.update(key, &room, flags));
        answer.map_err(|error| match error.errno() {
            Errno::EINVAL => map
                .error("BPF_MAP_UPDATE_ELEM", error)
                .kind_is(ErrorKind::Unsupported)
                .hint("this kernel stores the values of all CPUs only (BPF_F_CPU is later than Linux 6.18)"),
            _ => map.error("BPF_MAP_UPDATE_ELEM", error),
        })
    }
}

impl<K, M: Borrow<Map>> TypedMap<K, Program, M>
where
    K: MapKey,
{
    /// Reads the id of the program in a slot; `None` where it is empty.
    ///
    /// # Errors
    /// As [`Map::lookup`].
    pub fn program_id(&self, key: &K) -> Result<Option<u32>> {
        let found = key.with_bytes(|key| self.map().lookup(key))?;
        Ok(found.and_then(|id| Some(u32::from_ne_bytes(id.try_into().ok()?))))
    }
}

impl<K, V, M: Borrow<Map>> fmt::Debug for TypedMap<K, V, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let map: &Map = self.map.borrow();
        let (key, value) = (std::any::type_name::<K>(), std::any::type_name::<V>());
        write!(f, "TypedMap<{key}, {value}>({})", map.name())
    }
}

/// Checks that keys and values of a map have the sizes of types.
fn check<K: MapKey, V: MapValue>(map: &Map) -> Result<()> {
    let types = map.types.as_ref();
    let layout = |id| match (types, id) {
        (Some(types), Some(id)) => format!(", as {}", schema::layout(&types.btf, id)),
        _ => String::new(),
    };
    let mut wrong = Vec::new();
    if K::SIZE != map.key_size() {
        let name = std::any::type_name::<K>();
        let (wanted, found) = (map.key_size(), K::SIZE);
        let layout = layout(types.and_then(|types| types.key));
        wrong.push(format!("its keys have {wanted} bytes{layout}; {name} has {found}"));
    }
    if let Some(mistake) = V::mistake(map) {
        let layout = layout(types.and_then(|types| types.value));
        wrong.push(format!("its values have {} bytes{layout}; {mistake}", map.value_size()));
    }
    let never = [MapType::RINGBUF, MapType::USER_RINGBUF, MapType::ARENA, MapType::STRUCT_OPS];
    if never.contains(&map.map_type()) {
        wrong.push(format!("a map of type {} has no elements", map.map_type()));
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Setting, wrong.join("; ")).in_map(map.name())),
    }
}
