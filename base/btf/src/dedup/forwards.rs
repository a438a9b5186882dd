//! Forward declarations of which nothing told what they declare: the only struct or union of that name.

use alloc::vec::Vec;

use super::Dedup;
use crate::error::{Error, Problem};
use crate::kind::Kind;

impl Dedup<'_> {
    /// Merges each forward declaration with the struct or union of its name, if there is just one.
    pub(super) fn forwards(&mut self) -> Result<(), Error> {
        let mut named: Vec<(u32, u32)> = Vec::new();
        let len = self.graph.len();
        for id in (1..len).filter(|&id| self.is_composite(id) && self.stays(id)) {
            named.try_reserve(1).map_err(|_| self.error(id, Problem::NoMemory))?;
            named.push((self.graph.name(id), id));
        }
        named.sort_unstable();
        for id in self.graph.first()..len {
            if self.graph.kind(id) != Some(Kind::Fwd) || !self.stays(id) {
                continue;
            }
            let name = self.graph.name(id);
            let start = named.partition_point(|&(found, _)| found < name);
            let mut same = named.iter().skip(start).take_while(|&&(found, _)| found == name);
            if let (Some(&(_, only)), None) = (same.next(), same.next()) {
                if self.may_declare(id, only) {
                    self.map[id as usize] = only;
                }
            }
        }
        Ok(())
    }
}
