//! Memory that nobody writes: what a kernel shows of itself.

use crate::{Call, Kernel, RawMapping};
use core::fmt;
use core::ptr::NonNull;
use core::slice;

/// An image as an implementer of the seam gives it: where it is, how long, and a number for its own use.
///
/// It is owned and cannot be copied, so that it is unmapped at most once.
#[derive(Debug, PartialEq, Eq)]
pub struct RawImage(RawMapping);

impl RawImage {
    /// Describes an image of `len` bytes at `base`, which a [`Call::Unmap`] with the same numbers ends.
    ///
    /// # Safety
    /// `base` is not null and has a provenance for all bytes. Until the [`Call::Unmap`] (for ever, if that is never made)
    /// they stay mapped and readable, and nobody writes them: neither this process nor the kernel, another process or a
    /// device. They are no more than `isize::MAX`.
    pub unsafe fn new(base: NonNull<u8>, len: usize, cookie: usize) -> RawImage {
        RawImage(RawMapping::of_parts(base, len, cookie))
    }
}

/// Bytes that nobody writes, unmapped on drop.
pub struct Image {
    raw: RawImage,
    kernel: Kernel,
}

impl Image {
    pub(crate) fn new(kernel: Kernel, raw: RawImage) -> Image {
        Image { raw, kernel }
    }

    /// Gives the bytes.
    pub fn bytes(&self) -> &[u8] {
        let RawImage(raw) = &self.raw;
        // SAFETY: `RawImage::new` promises bytes that are mapped, readable and never written until the `Unmap`, which is
        // in drop, when nobody borrows this value any more.
        unsafe { slice::from_raw_parts(raw.base().as_ptr(), raw.len()) }
    }
}

impl AsRef<[u8]> for Image {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({} bytes)", self.bytes().len())
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // Nothing is left to do about an error: the range is not used any more.
        let _ = self.kernel.call(Call::Unmap(self.raw.0.stand_in()));
    }
}

#[cfg(test)]
mod tests {
    use crate::{Call, Kernel, RawImage, Reply, Sys};
    use alloc::sync::Arc;
    use core::ptr::NonNull;
    use core::sync::atomic::{AtomicUsize, Ordering};
    use skep_abi::Errno;

    static TEXT: [u8; 4] = *b"text";

    /// Shows four bytes, and counts who has given them back.
    #[derive(Default)]
    struct Toy(AtomicUsize);

    impl Sys for Toy {
        fn call(&self, call: Call<'_>) -> Result<Reply, Errno> {
            match call {
                // SAFETY: the bytes are a constant of the program.
                Call::MapBtf => Ok(Reply::Image(unsafe { RawImage::new(NonNull::from(&TEXT).cast(), 4, 9) })),
                Call::Unmap(raw) if (raw.base(), raw.cookie()) == (NonNull::from(&TEXT).cast(), 9) => {
                    self.0.fetch_add(1, Ordering::Relaxed);
                    Ok(Reply::None)
                }
                _ => Err(Errno::EINVAL),
            }
        }
    }

    #[test]
    fn an_image_is_given_back_once() {
        let toy = Arc::new(Toy::default());
        let kernel = Kernel::from_arc(toy.clone());
        let image = kernel.map_btf().unwrap();
        assert_eq!((image.bytes(), toy.0.load(Ordering::Relaxed)), (b"text".as_slice(), 0));
        drop(image);
        assert_eq!(toy.0.load(Ordering::Relaxed), 1);
    }
}
