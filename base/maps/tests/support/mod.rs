//! A map, its host, and byte slices instead of shared memory.
#![allow(dead_code, reason = "each test binary uses a part")]

use skep_abi::{Errno, MapType};
use skep_maps::{Map, MapDef, create};
use skep_mem::testing::{TestHost, TestHostOptions, to_vec};
use skep_mem::{Bytes, Host, OnCpu};
use std::ops::ControlFlow;
use std::sync::Arc;

/// What a map of this kind and these sizes is made from.
pub(crate) fn def(map_type: MapType, key_size: u32, value_size: u32, max_entries: u32) -> MapDef {
    MapDef { map_type, key_size, value_size, max_entries, flags: 0, extra: 0, numa_node: 0 }
}

pub(crate) fn with_flags(def: MapDef, flags: u32) -> MapDef {
    MapDef { flags, ..def }
}

pub(crate) struct Fixture {
    pub(crate) host: Arc<TestHost>,
    pub(crate) map: Box<dyn Map>,
}

impl Fixture {
    pub(crate) fn new(def: MapDef) -> Fixture {
        Fixture::on(TestHostOptions::default(), def)
    }

    pub(crate) fn on(options: TestHostOptions, def: MapDef) -> Fixture {
        let host = TestHost::with(options);
        let map = create(&host.as_dyn(), &def).expect("the map is made");
        Fixture { host, map }
    }

    pub(crate) fn cpu(&self) -> OnCpu<'_> {
        OnCpu::enter(self.host.cpus())
    }

    // As programs do.

    pub(crate) fn lookup(&self, key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        lend(key, |key| self.map.lookup(&self.cpu(), key).map(to_vec))
    }

    pub(crate) fn update(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        flags: u64,
    ) -> Result<(), Errno> {
        lend(key, |key| lend(value, |value| self.map.update(&self.cpu(), key, value, flags)))
    }

    pub(crate) fn delete(&self, key: impl AsRef<[u8]>) -> Result<(), Errno> {
        lend(key, |key| self.map.delete(&self.cpu(), key))
    }

    pub(crate) fn all(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut seen = Vec::new();
        let visited = self.map.for_each(&self.cpu(), &mut |key, value| {
            seen.push((to_vec(key), to_vec(value)));
            ControlFlow::Continue(())
        });
        assert_eq!(visited, Ok(seen.len() as u64));
        seen
    }

    // As system calls do.

    pub(crate) fn sys_lookup(&self, key: impl AsRef<[u8]>, flags: u64) -> Result<Vec<u8>, Errno> {
        let mut value = vec![0xaa; self.map.sys_value_size()];
        lend(key, |key| self.map.sys_lookup(&self.cpu(), key, Bytes::from_mut(&mut value), flags))?;
        Ok(value)
    }

    pub(crate) fn sys_update(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        flags: u64,
    ) -> Result<(), Errno> {
        lend(key, |key| lend(value, |value| self.map.sys_update(&self.cpu(), key, value, flags)))
    }

    pub(crate) fn sys_delete(&self, key: impl AsRef<[u8]>) -> Result<(), Errno> {
        lend(key, |key| self.map.sys_delete(&self.cpu(), key))
    }

    pub(crate) fn sys_take(&self, key: impl AsRef<[u8]>, flags: u64) -> Result<Vec<u8>, Errno> {
        let mut value = vec![0xaa; self.map.sys_value_size()];
        lend(key, |key| self.map.sys_take(&self.cpu(), key, Bytes::from_mut(&mut value), flags))?;
        Ok(value)
    }

    pub(crate) fn next_key(&self, key: Option<&[u8]>) -> Result<Vec<u8>, Errno> {
        let mut next = vec![0xaa; self.map.def().key_size as usize];
        let mut key = key.map(<[u8]>::to_vec);
        let key = key.as_mut().map(|key| Bytes::from_mut(key));
        self.map.sys_next_key(&self.cpu(), key, Bytes::from_mut(&mut next))?;
        Ok(next)
    }

    /// All keys, as a dump by system calls finds them.
    pub(crate) fn keys(&self) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        while let Ok(key) = self.next_key(keys.last().map(Vec::as_slice)) {
            assert!(!keys.contains(&key), "{key:?} comes twice");
            keys.push(key);
        }
        keys
    }
}

/// Lends a copy of a slice as shared memory.
pub(crate) fn lend<R>(slice: impl AsRef<[u8]>, work: impl FnOnce(Bytes<'_>) -> R) -> R {
    let mut copy = slice.as_ref().to_vec();
    work(Bytes::from_mut(&mut copy))
}

/// The key or value of a number.
pub(crate) fn u32_bytes(n: u32) -> [u8; 4] {
    n.to_ne_bytes()
}

pub(crate) fn u64_bytes(n: u64) -> [u8; 8] {
    n.to_ne_bytes()
}
