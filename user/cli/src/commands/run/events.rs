//! What programs write into ring and perf buffers, by its type.
//!
//! A buffer's definition has no room for the type of its records, so an object says it in one of these ways, of which the first
//! that is there counts: the map's value type, if it is a struct; a variable `NAME_record`, or a pointer of that name, for the
//! map `NAME` (`RECORDS` in `examples/include/skep/maps.h`); a struct called `event`, if there is only one buffer.
//! Records that are shorter than the type are shown as bytes.

use crate::failure::Failure;
use crate::json;
use crate::shapes::run::Event;
use serde_json::Value as Json;
use skep::{Btf, Loaded, MapType, Object, PerfBuffer, PerfOptions, RingBuffer};
use skep_btf::{Def, Kind, TypeId};
use std::time::Duration;

/// The buffers of a loaded object.
pub(super) struct Buffers<'o> {
    btf: Option<&'o Btf<'static>>,
    rings: Vec<(RingBuffer, Option<TypeId>)>,
    perf: Vec<(PerfBuffer, Option<TypeId>)>,
}

impl<'o> Buffers<'o> {
    /// Opens every buffer.
    ///
    /// # Errors
    /// Names the one that cannot be opened.
    pub(super) fn open(object: &'o Object, loaded: &Loaded) -> Result<Buffers<'o>, Failure> {
        let is_buffer = |kind| matches!(kind, MapType::RINGBUF | MapType::PERF_EVENT_ARRAY);
        let buffers = || loaded.maps().filter(|map| is_buffer(map.map_type()));
        let count = buffers().count();
        let mut opened = Buffers { btf: object.btf(), rings: Vec::new(), perf: Vec::new() };
        for map in buffers() {
            let record = record_type(object, map.name(), count);
            match map.map_type() {
                MapType::RINGBUF => opened.rings.push((RingBuffer::new(map)?, record)),
                _ => opened.perf.push((PerfBuffer::new(map, PerfOptions::default())?, record)),
            }
        }
        Ok(opened)
    }

    /// Takes every record that is there now.
    pub(super) fn drain(&mut self, mut each: impl FnMut(Event)) {
        for (ring, record) in &mut self.rings {
            let map = ring.name().to_owned();
            while let Some(found) = ring.next() {
                let (data, text) = decode(self.btf, *record, found.bytes());
                each(Event { map: map.clone(), cpu: None, data, text });
            }
        }
        for (perf, record) in &mut self.perf {
            let map = perf.name().to_owned();
            while let Some(found) = perf.next() {
                let (data, text) = decode(self.btf, *record, found.bytes());
                each(Event { map: map.clone(), cpu: Some(found.cpu()), data, text });
            }
        }
    }

    /// Counts the records that found no room, as far as the kernel tells.
    pub(super) fn lost(&self) -> u64 {
        self.perf.iter().map(|(perf, _)| perf.lost()).sum()
    }

    /// Waits a little for records; with several buffers each has its turn.
    ///
    /// # Errors
    /// A buffer holds what no kernel writes.
    pub(super) fn wait(&self, time: Duration) -> Result<(), Failure> {
        let count = u32::try_from(self.rings.len() + self.perf.len()).unwrap_or(u32::MAX);
        if count == 0 {
            std::thread::sleep(time);
            return Ok(());
        }
        let each = time / count;
        for (ring, _) in &self.rings {
            if ring.wait(Some(each))? {
                return Ok(());
            }
        }
        for (perf, _) in &self.perf {
            if perf.wait(Some(each))? {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Finds the type of a buffer's records.
fn record_type(object: &Object, map: &str, buffers: usize) -> Option<TypeId> {
    let btf = object.btf()?;
    let is_composite =
        |id: &TypeId| matches!(btf.resolve(*id).map(|ty| ty.def()), Ok(Def::Struct(_) | Def::Union(_)));
    let by_value = || object.map(map).ok()?.value_type.map(|id| TypeId(id.0)).filter(is_composite);
    let by_variable = || {
        let id = btf.locate(&format!("{map}_record"))?.variable.type_id;
        match btf.resolve(id).ok()?.def() {
            Def::Ptr(target) => Some(target),
            _ => Some(id),
        }
    };
    let by_name = || if buffers == 1 { btf.find("event", Kind::Struct) } else { None };
    by_value().or_else(by_variable).or_else(by_name)
}

fn decode(btf: Option<&Btf<'static>>, record: Option<TypeId>, bytes: &[u8]) -> (Json, String) {
    let typed =
        btf.zip(record).filter(|(btf, id)| btf.size_of(*id).is_ok_and(|size| size as usize <= bytes.len()));
    match typed {
        Some((btf, id)) => {
            let value = btf.value(id, bytes);
            (json::value(&value), value.to_string())
        }
        None => (Json::String(json::hex(bytes)), json::hex(bytes)),
    }
}
