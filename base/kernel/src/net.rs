//! Interfaces: where packets come in, registered by whoever embeds the kernel.

use crate::context::{Context, PacketFields};
use crate::error::Result;
use crate::hook::Hook;
use crate::runner::Runner;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::ControlFlow;
use skep_abi::{AttachType, Errno};
use skep_helpers::{Packet, PacketKind};
use skep_mem::{Block, Host, Locked};

/// Programs on one tc hook (`BPF_MPROG_MAX`).
const MOST_TCX: usize = 64;
/// The longest name, its NUL included (`IFNAMSIZ`).
const NAME: usize = 16;
/// Room before a packet (`XDP_PACKET_HEADROOM`) and behind it.
const ROOM: usize = 256;

/// `XDP_PASS`.
const XDP_PASS: u64 = 2;
/// `XDP_ABORTED`, which a run that was stopped counts as.
const XDP_ABORTED: u64 = 0;
/// `TCX_NEXT`: the next program decides.
const TCX_NEXT: u64 = u32::MAX as u64;
/// `TC_ACT_OK`.
const TC_OK: u64 = 0;

/// One interface.
#[derive(Debug)]
pub(crate) struct InterfaceObject {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) xdp: Arc<Hook>,
    ingress: Arc<Hook>,
    egress: Arc<Hook>,
}

impl InterfaceObject {
    /// Gives a tc hook.
    pub(crate) fn tcx(&self, attach_type: AttachType) -> Option<&Arc<Hook>> {
        match attach_type {
            AttachType::TCX_INGRESS => Some(&self.ingress),
            AttachType::TCX_EGRESS => Some(&self.egress),
            _ => None,
        }
    }

    /// Runs the XDP program on a frame; `XDP_PASS` where there is none.
    pub(crate) fn receive_xdp(&self, frame: &mut Vec<u8>) -> Result<u64> {
        if self.xdp.is_empty() {
            return Ok(XDP_PASS);
        }
        let block = placed(frame)?;
        let packet = Packet::new(PacketKind::Xdp, block.bytes(), ROOM, frame.len())?;
        let fields = PacketFields { ingress_ifindex: self.index, ..PacketFields::default() };
        let mut verdict = XDP_PASS;
        self.xdp.run(&Context::Packet(&packet, &fields), |outcome| {
            verdict = outcome.unwrap_or(XDP_ABORTED);
            ControlFlow::Break(())
        });
        take(&packet, frame)?;
        Ok(verdict)
    }

    /// Runs the programs of a tc hook on a frame until one decides; `TC_ACT_OK` where none does.
    pub(crate) fn run_tcx(&self, attach_type: AttachType, frame: &mut Vec<u8>) -> Result<u64> {
        let Some(hook) = self.tcx(attach_type).filter(|hook| !hook.is_empty()) else { return Ok(TC_OK) };
        let block = placed(frame)?;
        let packet = Packet::new(PacketKind::Skb, block.bytes(), ROOM, frame.len())?;
        let ether_type = match frame.get(12..14) {
            Some([high, low]) => u16::from_be_bytes([*high, *low]),
            _ => 0,
        };
        let fields = PacketFields {
            ifindex: self.index,
            ingress_ifindex: if attach_type == AttachType::TCX_INGRESS { self.index } else { 0 },
            protocol: u32::from(ether_type.to_be()),
            wire_len: frame.len() as u32,
            ..PacketFields::default()
        };
        let mut verdict = TC_OK;
        hook.run(&Context::Packet(&packet, &fields), |outcome| match outcome.map(|value| value & TCX_NEXT) {
            Ok(TCX_NEXT) | Err(_) => ControlFlow::Continue(()),
            Ok(decided) => {
                verdict = decided;
                ControlFlow::Break(())
            }
        });
        take(&packet, frame)?;
        Ok(verdict)
    }
}

/// Puts a frame into memory with room around it.
fn placed(frame: &[u8]) -> Result<Block> {
    let len = frame.len().checked_add(2 * ROOM).ok_or(Errno::EINVAL)?;
    let block = Block::zeroed(len)?;
    block.bytes().copy_in(ROOM, frame).map_err(|_| Errno::EINVAL)?;
    Ok(block)
}

/// Takes what the program has made of the frame.
fn take(packet: &Packet<'_>, frame: &mut Vec<u8>) -> Result<()> {
    let data = packet.data();
    frame.try_reserve(data.len().saturating_sub(frame.len())).map_err(|_| Errno::ENOMEM)?;
    frame.resize(data.len(), 0);
    data.copy_out(0, frame).map_err(|_| Errno::EFAULT)
}

/// The interfaces of a kernel.
#[derive(Debug)]
pub(crate) struct Interfaces {
    list: Locked<Vec<Arc<InterfaceObject>>>,
}

impl Interfaces {
    pub(crate) fn new(host: &Arc<dyn Host>) -> Interfaces {
        Interfaces { list: Locked::new(host, Vec::new()) }
    }

    /// Adds one and gives it the lowest free index above the loopback's.
    ///
    /// # Errors
    /// `EEXIST`, `EINVAL` for a name that is none, `ENOMEM`.
    pub(crate) fn add(
        &self,
        host: &Arc<dyn Host>,
        runner: &Arc<Runner>,
        name: &str,
    ) -> Result<Arc<InterfaceObject>> {
        let valid = !name.is_empty() && name.len() < NAME && !name.contains(['/', ':', ' ', '\0']);
        if !valid || name == "." || name == ".." {
            return Err(Errno::EINVAL);
        }
        let hook = |most| Hook::new(host, runner, most).map(Arc::new);
        let (xdp, ingress, egress) = (hook(1)?, hook(MOST_TCX)?, hook(MOST_TCX)?);
        let mut list = self.list.lock();
        if list.iter().any(|known| known.name == name) {
            return Err(Errno::EEXIST);
        }
        let index =
            (2..).find(|index| list.iter().all(|known| known.index != *index)).ok_or(Errno::ENOSPC)?;
        let interface = Arc::new(InterfaceObject { index, name: name.into(), xdp, ingress, egress });
        list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        list.push(Arc::clone(&interface));
        Ok(interface)
    }

    /// Takes one out; what is attached stays attached to nothing.
    pub(crate) fn remove(&self, index: u32) {
        let mut list = self.list.lock();
        let at = list.iter().position(|known| known.index == index);
        let removed = at.map(|at| list.swap_remove(at));
        drop(list);
        drop(removed);
    }

    /// Finds one.
    ///
    /// # Errors
    /// `ENODEV`.
    pub(crate) fn find(&self, index: u32) -> Result<Arc<InterfaceObject>> {
        let list = self.list.lock();
        list.iter().find(|known| known.index == index).cloned().ok_or(Errno::ENODEV)
    }

    /// Lists them.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn all(&self) -> Result<Vec<Arc<InterfaceObject>>> {
        crate::kernel::collect(self.list.lock().iter().cloned().map(Ok))
    }
}
