//! What the host promises, promise by promise.

use super::Check;
use crate::host::{BareHost, Mirror};
use crate::machine::{Interrupts, interrupts};
use crate::timer::{self, OnTick};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use skep_mem::{Host, Locked, ProbeFault, ProbeSpace, RcuSlot};

pub(super) const CHECKS: &[Check] = &[
    Check { name: "a lock keeps interrupts off, and locks nest", run: locks },
    Check { name: "what was read is reclaimed when its readers have left", run: grace_periods },
    Check { name: "nothing is reclaimed in an interrupt", run: nothing_in_interrupts },
    Check { name: "guarded reads fail where reads would fault", run: guarded_reads },
];

fn guarded_reads() {
    let (_, host) = host();
    let Some(probe) = host.probe() else { panic!("no guarded reads") };
    let text = *b"read me\0";
    let at = core::ptr::from_ref(&text).expose_provenance() as u64;
    let mut into = [1; 8];
    assert_eq!(probe.read(ProbeSpace::Kernel, at, &mut into), Ok(()));
    assert_eq!(into, text);
    assert_eq!(probe.read_str(ProbeSpace::Kernel, at, &mut [0; 16]), Ok(8));
    assert_eq!(probe.read_str(ProbeSpace::Kernel, at, &mut into[..5]), Ok(5));
    assert_eq!(&into[..5], b"read\0");
    // The image is not user space's, and the first page is nobody's.
    assert_eq!(probe.read(ProbeSpace::User, at, &mut into), Err(ProbeFault::Unreachable));
    assert_eq!(probe.write_user(at, &[0]), Err(ProbeFault::Unreachable));
    for (addr, why) in
        [(8, ProbeFault::Unreachable), (1 << 47, ProbeFault::Outside), (u64::MAX, ProbeFault::Unreachable)]
    {
        assert_eq!(probe.read(ProbeSpace::Kernel, addr, &mut into), Err(why), "{addr:#x}");
        assert_eq!(probe.read_str(ProbeSpace::Kernel, addr, &mut into), Err(why), "{addr:#x}");
    }
}

fn host() -> (Arc<BareHost>, Arc<dyn Host>) {
    let host = Arc::new(BareHost::new(Mirror::Never));
    (Arc::clone(&host), host)
}

fn locks() {
    let (_, host) = host();
    let (outer, inner) = (Locked::new(&host, 1), Locked::new(&host, 2));
    let first = outer.lock();
    assert_eq!(interrupts(), Interrupts::Off);
    assert!(outer.try_lock().is_none(), "a lock is taken twice");
    let second = inner.lock();
    assert_eq!((*first, *second), (1, 2));
    drop(second);
    assert_eq!(interrupts(), Interrupts::Off, "the outer lock is still held");
    drop(first);
    assert_eq!(interrupts(), Interrupts::On);
    assert!(outer.try_lock().is_some());
    assert_eq!(interrupts(), Interrupts::On, "a guard that is dropped at once");
}

fn grace_periods() {
    let (bare, host) = host();
    let Ok(slot) = RcuSlot::new(&host) else { panic!("no memory") };
    let witness = Arc::new(());
    assert_eq!(slot.replace(Some(Arc::clone(&witness))), Ok(false));
    let Some(reader) = slot.read() else { panic!("it is there") };
    assert_eq!(slot.replace(None), Ok(true));
    bare.settle();
    assert!(Arc::ptr_eq(&reader, &witness) && Arc::strong_count(&witness) == 2, "reclaimed under a reader");
    drop(reader);
    let lock = Locked::new(&host, ());
    let held = lock.lock();
    bare.settle();
    assert_eq!(Arc::strong_count(&witness), 2, "a destructor ran under a lock");
    drop(held);
    bare.settle();
    assert_eq!(Arc::strong_count(&witness), 1, "never reclaimed");
}

/// Tries to reclaim in the interrupt, once.
struct Reclaimer {
    host: Arc<BareHost>,
    is_done: AtomicBool,
}

impl OnTick for Reclaimer {
    fn tick(&self, _ticks: u64) {
        self.host.settle();
        self.is_done.store(true, Ordering::Relaxed);
    }
}

fn nothing_in_interrupts() {
    let (bare, host) = host();
    let Ok(slot) = RcuSlot::new(&host) else { panic!("no memory") };
    let witness = Arc::new(());
    assert_eq!(slot.replace(Some(Arc::clone(&witness))), Ok(false));
    assert_eq!(slot.replace(None), Ok(true));
    let reclaimer = Arc::new(Reclaimer { host: Arc::clone(&bare), is_done: AtomicBool::new(false) });
    drop(timer::listen(Some(Arc::clone(&reclaimer) as _)));
    while !reclaimer.is_done.load(Ordering::Relaxed) {
        core::hint::spin_loop();
    }
    drop(timer::listen(None));
    assert_eq!(Arc::strong_count(&witness), 2, "a destructor ran in an interrupt");
    bare.settle();
    assert_eq!(Arc::strong_count(&witness), 1);
}
