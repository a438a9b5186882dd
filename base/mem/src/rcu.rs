//! Values that readers find without a lock and writers replace, freed after a grace period.

use crate::{Block, Host, NoMemory, ReadSide, RetireNode, try_box};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// A fixed number of places, each empty or with a value that may be replaced while others read it.
pub struct RcuArray<T> {
    host: Arc<dyn Host>,
    /// Pointers to nodes of `T`; null where a place is empty.
    places: Block,
    nodes: PhantomData<AtomicPtr<Node<T>>>,
}

/// One such place.
pub struct RcuSlot<T>(RcuArray<T>);

/// What is retired; the link comes first, so that the address of the link is that of the node.
#[repr(C)]
struct Node<T> {
    link: RetireNode,
    value: T,
}

/// Keeps a value from being freed while it is looked at.
pub struct RcuRef<'a, T> {
    /// No reference: leaving the read side may free the value while this is still being dropped.
    value: NonNull<T>,
    _side: ReadSide<'a>,
}

/// A read side that many looks share.
pub struct Reading {
    host: Arc<dyn Host>,
    token: usize,
    not_send: PhantomData<*mut ()>,
}

impl Reading {
    /// Enters; what was found meanwhile is not freed until this is dropped.
    pub fn enter(host: &Arc<dyn Host>) -> Reading {
        Reading { host: Arc::clone(host), token: host.rcu().read(), not_send: PhantomData }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.host.rcu().unread(self.token);
    }
}

impl<T> RcuArray<T> {
    fn places(&self) -> &[AtomicPtr<Node<T>>] {
        let (base, len) = (self.places.bytes().as_ptr(), self.places.bytes().len());
        // SAFETY: the block is aligned for pointers, owned, zeroed at first (null pointers), never lent to anybody
        // else, and reached through these atomics only.
        unsafe { core::slice::from_raw_parts(base.cast().as_ptr(), len / size_of::<AtomicPtr<Node<T>>>()) }
    }
}

impl<T: Send + Sync + 'static> RcuArray<T> {
    /// Makes `count` empty places.
    ///
    /// # Errors
    /// [`NoMemory`] where the allocator refuses.
    pub fn new(host: &Arc<dyn Host>, count: usize) -> Result<RcuArray<T>, NoMemory> {
        let size = count.checked_mul(size_of::<AtomicPtr<Node<T>>>()).ok_or(NoMemory)?;
        Ok(RcuArray { host: Arc::clone(host), places: Block::zeroed(size)?, nodes: PhantomData })
    }

    /// Gives the number of places.
    pub fn count(&self) -> usize {
        self.places().len()
    }

    /// Looks at the value of place `index`; `None` where the place is empty or does not exist.
    pub fn read(&self, index: usize) -> Option<RcuRef<'_, T>> {
        let place = self.places().get(index)?;
        let side = ReadSide::enter(self.host.rcu());
        let node = NonNull::new(place.load(Ordering::Acquire))?;
        // SAFETY: the node was published whole and is alive: it is freed a grace period after it is unpublished,
        // which cannot end before `side`.
        let value = unsafe { &raw mut (*node.as_ptr()).value };
        let value = NonNull::new(value)?;
        Some(RcuRef { value, _side: side })
    }

    /// Looks at the value of place `index` while somebody reads anyway; `None` where the place is empty or does not exist, and where
    /// who reads does it on another host.
    #[inline]
    pub fn look<'r>(&'r self, index: usize, reading: &'r Reading) -> Option<&'r T> {
        if !Arc::ptr_eq(&self.host, &reading.host) {
            return None;
        }
        let node = NonNull::new(self.places().get(index)?.load(Ordering::Acquire))?;
        // SAFETY: the node was published whole, nobody writes it, and it is alive: it is freed a grace period of this host after
        // it is unpublished, which cannot end before `reading`, nor with the array, which is borrowed.
        Some(unsafe { &(*node.as_ptr()).value })
    }

    /// Puts `value` into place `index` where that is empty, and tells whether it was.
    ///
    /// # Errors
    /// [`NoMemory`] where the allocator refuses.
    pub fn fill(&self, index: usize, value: T) -> Result<bool, NoMemory> {
        let Some(place) = self.places().get(index) else { return Ok(false) };
        let new = Box::into_raw(node(value)?);
        match place.compare_exchange(ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(true),
            Err(_) => {
                // SAFETY: the node came from a box just now and was not published.
                drop(unsafe { Box::from_raw(new) });
                Ok(false)
            }
        }
    }

    /// Puts `value` (or nothing) into place `index`, and tells whether something was there; that is dropped after a
    /// grace period. Does nothing where the place does not exist.
    ///
    /// # Errors
    /// [`NoMemory`] where the allocator refuses; the place is as before.
    pub fn replace(&self, index: usize, value: Option<T>) -> Result<bool, NoMemory> {
        let Some(place) = self.places().get(index) else { return Ok(false) };
        let new = match value {
            None => ptr::null_mut(),
            Some(value) => Box::into_raw(node(value)?),
        };
        let old = place.swap(new, Ordering::AcqRel);
        let Some(old) = NonNull::new(old) else { return Ok(false) };
        // SAFETY: the node came from a box, is unpublished by the swap, which gives it to this caller only, and its
        // first field is the link (repr(C)); `reclaim` frees it once.
        unsafe { self.host.rcu().retire(old.cast()) };
        Ok(true)
    }
}

fn node<T>(value: T) -> Result<Box<Node<T>>, NoMemory> {
    try_box(Node { link: RetireNode { next: AtomicUsize::new(0), reclaim: reclaim::<T> }, value })
}

/// # Safety
/// `link` is the first field of a `Node<T>` from a box, and nobody uses it any more.
unsafe fn reclaim<T>(link: NonNull<RetireNode>) {
    // SAFETY: the caller's contract.
    drop(unsafe { Box::from_raw(link.cast::<Node<T>>().as_ptr()) });
}

impl<T> Drop for RcuArray<T> {
    fn drop(&mut self) {
        for place in self.places() {
            if let Some(node) = NonNull::new(place.load(Ordering::Acquire)) {
                // SAFETY: the node came from a box; every reader borrows the array, so there is none.
                drop(unsafe { Box::from_raw(node.as_ptr()) });
            }
        }
    }
}

impl<T: Send + Sync + 'static> RcuSlot<T> {
    /// Makes an empty place.
    ///
    /// # Errors
    /// [`NoMemory`] where the allocator refuses.
    pub fn new(host: &Arc<dyn Host>) -> Result<RcuSlot<T>, NoMemory> {
        RcuArray::new(host, 1).map(RcuSlot)
    }

    /// Tells whether the place is empty: one load.
    pub fn is_empty(&self) -> bool {
        self.0.places().first().is_none_or(|place| place.load(Ordering::Relaxed).is_null())
    }

    /// Looks at the value; `None` where there is none.
    pub fn read(&self) -> Option<RcuRef<'_, T>> {
        self.0.read(0)
    }

    /// Puts `value` in where there is none, and tells whether there was none.
    ///
    /// # Errors
    /// [`NoMemory`] where the allocator refuses.
    pub fn fill(&self, value: T) -> Result<bool, NoMemory> {
        self.0.fill(0, value)
    }

    /// Puts `value` (or nothing) in, and tells whether something was there; that is dropped after a grace period.
    ///
    /// # Errors
    /// [`NoMemory`] where the allocator refuses; the place is as before.
    pub fn replace(&self, value: Option<T>) -> Result<bool, NoMemory> {
        self.0.replace(0, value)
    }
}

impl<T> Deref for RcuRef<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the value is alive as long as the read side, which ends after the last use of `self`; nobody
        // writes it.
        unsafe { self.value.as_ref() }
    }
}

impl<T> fmt::Debug for RcuArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RcuArray({} places)", self.places().len())
    }
}

impl<T> fmt::Debug for RcuSlot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RcuSlot")
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reading")
    }
}

impl<T: fmt::Debug> fmt::Debug for RcuRef<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::testing::TestHost;
    use alloc::vec::Vec;

    #[test]
    fn a_replaced_value_outlives_its_readers_only() {
        let host = TestHost::new();
        let slot = RcuSlot::new(&host.as_dyn()).unwrap();
        let witness = Arc::new(());
        assert!(slot.is_empty());
        assert_eq!(slot.replace(Some(Arc::clone(&witness))), Ok(false));
        let reader = slot.read().unwrap();
        assert_eq!(slot.replace(None), Ok(true));
        assert!(slot.read().is_none());
        assert_eq!(Arc::strong_count(&witness), 2);
        assert!(Arc::ptr_eq(&reader, &witness));
        drop(reader);
        assert_eq!(Arc::strong_count(&witness), 1);
        assert_eq!(slot.fill(Arc::clone(&witness)), Ok(true));
        assert_eq!(slot.fill(Arc::new(())), Ok(false));
        assert!(Arc::ptr_eq(&slot.read().unwrap(), &witness));
        drop(slot);
        assert_eq!(Arc::strong_count(&witness), 1);
    }

    #[test]
    fn what_was_looked_at_stays_as_long_as_somebody_reads() {
        let (host, other) = (TestHost::new().as_dyn(), TestHost::new().as_dyn());
        let array = RcuArray::new(&host, 2).unwrap();
        let witness = Arc::new(());
        assert_eq!(array.fill(1, Arc::clone(&witness)), Ok(true));
        let reading = Reading::enter(&host);
        assert!(array.look(0, &reading).is_none());
        assert!(array.look(2, &reading).is_none());
        assert!(array.look(1, &Reading::enter(&other)).is_none(), "that host frees nothing of this one");
        let found = array.look(1, &reading).unwrap();
        assert_eq!(array.replace(1, None), Ok(true));
        assert!(array.look(1, &reading).is_none());
        assert!(Arc::ptr_eq(found, &witness));
        assert_eq!(Arc::strong_count(&witness), 2);
        drop(reading);
        assert_eq!(Arc::strong_count(&witness), 1);
    }

    #[test]
    fn readers_never_see_a_freed_value() {
        let host = TestHost::new();
        let slot = RcuSlot::new(&host.as_dyn()).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..5_000 {
                        if let Some(value) = slot.read() {
                            let value: &Vec<u64> = &value;
                            assert!(value.iter().all(|v| *v == value[0]));
                        }
                    }
                });
            }
            for round in 0..5_000u64 {
                slot.replace((round % 7 > 0).then(|| alloc::vec![round; 16])).unwrap();
            }
        });
    }
}
