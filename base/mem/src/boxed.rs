//! Boxes and shared pointers whose allocation may fail: `Box::new` and `Arc::new` abort where there is no memory.

use crate::NoMemory;
use alloc::boxed::Box;
use core::alloc::Layout;
use core::any::Any;
use core::fmt;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering, fence};

/// Puts `value` in a box.
///
/// # Errors
/// [`NoMemory`] where the allocator refuses; the value is dropped.
pub fn try_box<T>(value: T) -> Result<Box<T>, NoMemory> {
    let layout = Layout::new::<T>();
    let memory = match layout.size() {
        0 => NonNull::dangling(),
        // SAFETY: the size is not zero.
        _ => NonNull::new(unsafe { alloc::alloc::alloc(layout) }).ok_or(NoMemory)?.cast::<T>(),
    };
    // SAFETY: fresh memory of the layout of T, or none for a type of no size.
    unsafe { memory.as_ptr().write(value) };
    // SAFETY: allocated by the global allocator with T's layout, holds a T, and nobody else has it.
    Ok(unsafe { Box::from_raw(memory.as_ptr()) })
}

/// A shared pointer like `Arc` whose allocation may fail.
pub struct Shared<T: ?Sized> {
    inner: NonNull<Inner<T>>,
}

/// A pointer that does not keep its value alive, like `sync::Weak`.
pub struct Weak<T> {
    inner: NonNull<Inner<T>>,
}

struct Inner<T: ?Sized> {
    /// How many `Shared` there are.
    holders: AtomicUsize,
    /// How many `Weak` there are, and one more while there are holders; at zero the memory is freed.
    watchers: AtomicUsize,
    value: T,
}

// SAFETY: as Arc: the value is shared between holders and dropped by the last, on any of their threads.
unsafe impl<T: ?Sized + Send + Sync> Send for Shared<T> {}
// SAFETY: as for Send.
unsafe impl<T: ?Sized + Send + Sync> Sync for Shared<T> {}
// SAFETY: a weak pointer gives the value only by becoming a holder.
unsafe impl<T: Send + Sync> Send for Weak<T> {}
// SAFETY: as for Send.
unsafe impl<T: Send + Sync> Sync for Weak<T> {}

impl<T> Shared<T> {
    /// Allocates.
    ///
    /// # Errors
    /// [`NoMemory`] where the allocator refuses; the value is dropped.
    pub fn try_new(value: T) -> Result<Shared<T>, NoMemory> {
        let inner = try_box(Inner { holders: AtomicUsize::new(1), watchers: AtomicUsize::new(1), value })?;
        Ok(Shared { inner: NonNull::from(Box::leak(inner)) })
    }

    /// Makes a pointer that does not keep the value alive.
    pub fn downgrade(&self) -> Weak<T> {
        self.inner().watchers.fetch_add(1, Ordering::Relaxed);
        Weak { inner: self.inner }
    }
}

impl<T> Weak<T> {
    fn inner(&self) -> (&AtomicUsize, &AtomicUsize) {
        let inner = self.inner.as_ptr();
        // SAFETY: the memory lives as long as one watcher does, and `self` is one; the counters are never dropped.
        let holders = unsafe { &(*inner).holders };
        // SAFETY: as above.
        let watchers = unsafe { &(*inner).watchers };
        (holders, watchers)
    }

    /// Becomes a holder, if there still is one.
    pub fn upgrade(&self) -> Option<Shared<T>> {
        let one_more = |holders: usize| (holders != 0).then_some(holders + 1);
        // Acquire pairs with the release of the constructor's thread through whoever handed the pointer over.
        self.inner().0.fetch_update(Ordering::Acquire, Ordering::Relaxed, one_more).ok()?;
        Some(Shared { inner: self.inner })
    }
}

impl<T> Drop for Weak<T> {
    fn drop(&mut self) {
        if self.inner().1.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        // SAFETY: no holder and no watcher is left, so the value is dropped and nobody reaches the memory, which
        // `try_box` allocated with this layout.
        unsafe { free(self.inner.cast(), Layout::new::<Inner<T>>()) };
    }
}

impl<T> fmt::Debug for Weak<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Weak")
    }
}

/// Frees the memory of an `Inner`.
///
/// # Safety
/// `memory` was allocated by the global allocator with `layout`, and nobody reaches it any more.
unsafe fn free(memory: NonNull<u8>, layout: Layout) {
    // SAFETY: as the caller promises; an `Inner` has counters, so its size is not zero.
    unsafe { alloc::alloc::dealloc(memory.as_ptr(), layout) };
}

impl<T: Any + Send + Sync> Shared<T> {
    /// Forgets the type.
    pub fn into_any(self) -> Shared<dyn Any + Send + Sync> {
        let inner: NonNull<Inner<dyn Any + Send + Sync>> = self.inner;
        core::mem::forget(self);
        Shared { inner }
    }
}

impl Shared<dyn Any + Send + Sync> {
    /// Finds the type again, or gives the pointer back.
    ///
    /// # Errors
    /// The pointer itself, where the value is no `T`.
    pub fn downcast<T: Any + Send + Sync>(self) -> Result<Shared<T>, Self> {
        if !(*self).is::<T>() {
            return Err(self);
        }
        let inner = self.inner.cast::<Inner<T>>();
        core::mem::forget(self);
        Ok(Shared { inner })
    }
}

impl<T: ?Sized> Shared<T> {
    fn inner(&self) -> &Inner<T> {
        // SAFETY: the allocation lives as long as one holder does, and `self` is one.
        unsafe { self.inner.as_ref() }
    }

    /// Tells whether both are the same value.
    pub fn ptr_eq(&self, other: &Shared<T>) -> bool {
        core::ptr::addr_eq(self.inner.as_ptr(), other.inner.as_ptr())
    }
}

impl<T: ?Sized> Clone for Shared<T> {
    fn clone(&self) -> Shared<T> {
        // Overflow needs isize::MAX forgotten clones; each takes an instruction, so it is out of reach on 64 bits,
        // and saturating on the way up keeps the value alive on 32.
        let before = self.inner().holders.fetch_add(1, Ordering::Relaxed);
        assert!(before < isize::MAX as usize, "too many holders of a shared value");
        Shared { inner: self.inner }
    }
}

impl<T: ?Sized> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner().value
    }
}

impl<T: ?Sized> Drop for Shared<T> {
    fn drop(&mut self) {
        if self.inner().holders.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        let layout = Layout::for_value(self.inner());
        let inner = self.inner.as_ptr();
        // SAFETY: the memory is alive, as the holders' watcher is not given up yet.
        let value = unsafe { &raw mut (*inner).value };
        // SAFETY: this was the last holder, so nobody reaches the value any more; it is dropped once.
        unsafe { core::ptr::drop_in_place(value) };
        // SAFETY: as for `value`; counters are never dropped.
        let watchers = unsafe { &(*inner).watchers };
        if watchers.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            // SAFETY: no watcher is left either; `try_box` allocated this layout.
            unsafe { free(self.inner.cast(), layout) };
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::sync::Arc;

    #[test]
    fn the_last_holder_drops_the_value_once() {
        let witness = Arc::new(());
        let first = Shared::try_new(Arc::clone(&witness)).unwrap();
        let second = first.clone();
        assert!(first.ptr_eq(&second));
        drop(first);
        assert_eq!(Arc::strong_count(&witness), 2);
        let any = second.into_any();
        let any = any.downcast::<u32>().unwrap_err();
        drop(any.downcast::<Arc<()>>().unwrap());
        assert_eq!(Arc::strong_count(&witness), 1);
    }

    #[test]
    fn a_weak_pointer_sees_the_end() {
        let witness = Arc::new(());
        let shared = Shared::try_new(Arc::clone(&witness)).unwrap();
        let weak = shared.downgrade();
        let again = weak.upgrade().unwrap();
        drop(shared);
        assert!(weak.upgrade().is_some());
        drop(again.into_any());
        assert_eq!(Arc::strong_count(&witness), 1);
        assert!(weak.upgrade().is_none());
        let shared = Shared::try_new(5).unwrap();
        drop(shared.downgrade());
        assert_eq!(*shared, 5);
    }

    #[test]
    fn boxes_of_nothing_and_something() {
        assert_eq!(*try_box([7u64; 9]).unwrap(), [7; 9]);
        try_box(()).unwrap();
    }
}
