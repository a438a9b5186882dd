//! What a helper may reach besides its arguments.

use crate::Packet;
use skep_abi::Errno;
use skep_maps::Map;
use skep_mem::{Bytes, Host, MapIndex, OnCpu};

/// The surroundings of a run. All methods take `&self`, since a helper may call back into the program.
pub trait Env<'m> {
    /// Gives the host: clocks, random numbers, the trace log, tasks, guarded reads.
    fn host(&self) -> &dyn Host;

    /// Gives the logical CPU that the run is on.
    fn on(&self) -> &OnCpu<'_>;

    /// Gives a map of the program.
    fn map(&self, map: MapIndex) -> &'m dyn Map;

    /// Gives the packet, for programs that have one.
    fn packet(&self) -> Option<&Packet<'m>> {
        None
    }

    /// Gives the address that the program's probe is on; 0 where there is none.
    fn func_ip(&self) -> u64 {
        0
    }

    /// Gives the number that the attachment was given.
    fn attach_cookie(&self) -> u64 {
        0
    }

    /// Writes a sample to the perf event that is in a slot of a map.
    ///
    /// # Errors
    /// `E2BIG` beyond the map's end, `ENOENT` for an empty slot, `EOPNOTSUPP` for another CPU's event, `ENOSPC` for a
    /// full ring.
    fn perf_output(
        &self,
        map: MapIndex,
        slot: u32,
        data: Bytes<'m>,
        packet: Option<Bytes<'m>>,
    ) -> Result<(), Errno> {
        let _ = (map, slot, data, packet);
        Err(Errno::EOPNOTSUPP)
    }
}
