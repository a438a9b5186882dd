//! A kernel to load into, and what is known of it.

use crate::error::{Error, Result};
use crate::features::Answers;
use crate::kernel_btf;
use crate::token::Tokens;
use skep_abi::Errno;
use skep_btf::{Btf, Look};
use skep_model::platform::version::Version;
use skep_sys::{Call, CallError, FileCall, Limit, OpenMode, Reply, Sys};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

/// A kernel: the running one, an embedded one, or whatever answers the seam.
///
/// Cheap to clone; maps, programs, links and buffers keep one. What it can do is found out when it matters, once for
/// each value that [`Kernel::linux`] and its siblings make.
#[derive(Clone)]
pub struct Kernel {
    sys: skep_sys::Kernel,
    known: Arc<Known>,
}

/// What has been found out.
#[derive(Default)]
struct Known {
    page_size: OnceLock<usize>,
    release: OnceLock<Version>,
    answers: Answers,
    memlock: Memlock,
    tokens: Tokens,
    /// Kept for as long as someone uses it: it is several megabytes.
    vmlinux: Mutex<Weak<Btf<'static>>>,
}

/// What was done about the limit on locked memory.
#[derive(Default)]
struct Memlock {
    /// Nothing more can be done.
    tried: AtomicBool,
    raised: AtomicBool,
}

/// Memory is accounted to control groups from here on, and `RLIMIT_MEMLOCK` no longer matters (`kernel/bpf/syscall.c`).
const NO_MEMLOCK: Version = Version::new(5, 11);

/// Bytes that are read at once of a file that is read by lines.
const LINES: usize = 16 << 10;

impl Kernel {
    /// Takes the running Linux kernel. Nothing is asked of it yet.
    #[cfg(all(feature = "linux", target_os = "linux"))]
    pub fn linux() -> Kernel {
        Kernel::from(skep_linux::kernel()).with_tokens(Tokens::of_environment())
    }

    /// Makes a kernel in this process; whoever wants to run its hooks keeps the [`crate::embedded::Embedded`] itself and
    /// gives a clone of it to [`Kernel::from_sys`].
    ///
    /// # Errors
    /// Where there is no memory for it.
    #[cfg(feature = "embedded")]
    pub fn embedded(config: skep_embedded::Config) -> Result<Kernel> {
        let embedded =
            skep_embedded::Embedded::new(config).map_err(|errno| Error::call("embedded kernel", errno))?;
        Ok(Kernel::from_sys(embedded))
    }

    /// Takes whatever answers the seam.
    pub fn from_sys(sys: impl Sys + 'static) -> Kernel {
        Kernel::from(skep_sys::Kernel::from_sys(sys))
    }

    /// Gives the seam, for what this crate has no word for.
    pub fn sys(&self) -> &skep_sys::Kernel {
        &self.sys
    }

    /// Tells whether two values are the same kernel, so that one's maps can be given to the other.
    pub fn is_same(&self, other: &Kernel) -> bool {
        self.sys.is_same(&other.sys)
    }

    /// Gives the kernel's version.
    ///
    /// # Errors
    /// Where `/proc/sys/kernel/osrelease` cannot be read.
    pub fn version(&self) -> Result<Version> {
        if let Some(version) = self.known.release.get() {
            return Ok(*version);
        }
        const PATH: &str = "/proc/sys/kernel/osrelease";
        let text = self.read_text(PATH)?;
        let version = Version::parse(text.trim())
            .ok_or_else(|| Error::call("read", Errno::EINVAL).at_path(PATH).hint("it holds no version"))?;
        Ok(*self.known.release.get_or_init(|| version))
    }

    /// Gives the bytes of a page, from the auxiliary vector; 4096 on a kernel that has none to show.
    pub(crate) fn page_size(&self) -> Result<usize> {
        if let Some(size) = self.known.page_size.get() {
            return Ok(*size);
        }
        const PATH: &str = "/proc/self/auxv";
        let size = match self.sys.file_read(PATH) {
            Ok(auxv) => auxv_page_size(&auxv).unwrap_or(4096),
            Err(error) if error.errno() == Errno::ENOENT => 4096,
            Err(error) => return Err(Error::call("read", error).at_path(PATH)),
        };
        Ok(*self.known.page_size.get_or_init(|| size))
    }

    /// Gives the number of CPUs there can ever be, which is how many values a per-CPU map has for each key.
    ///
    /// # Errors
    /// Where `/sys/devices/system/cpu/possible` cannot be read.
    // The seam asks for it when it needs it; to ask before is to know what failed.
    pub fn possible_cpus(&self) -> Result<u32> {
        const PATH: &str = "/sys/devices/system/cpu/possible";
        self.sys.possible_cpus().map_err(|error| Error::call("read", error).at_path(PATH))
    }

    /// Gives the kernel's own BTF: from sysfs, or from an image of its release.
    pub(crate) fn vmlinux(&self) -> Result<Arc<Btf<'static>>> {
        self.vmlinux_for(&mut Look::nothing())
    }

    /// Gives the kernel's own BTF, and looks for something in it.
    pub(crate) fn vmlinux_for(&self, look: &mut Look<'_, '_>) -> Result<Arc<Btf<'static>>> {
        let mut known = self.known.vmlinux.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(btf) = known.upgrade() {
            btf.look(look).map_err(|error| kernel_btf::bad(error, kernel_btf::SYSFS))?;
            return Ok(btf);
        }
        let btf = Arc::new(kernel_btf::vmlinux(self, look)?);
        *known = Arc::downgrade(&btf);
        Ok(btf)
    }

    /// Gives the same kernel, of which nothing is known but where its token comes from.
    pub(crate) fn with_tokens(&self, tokens: Tokens) -> Kernel {
        Kernel { sys: self.sys.clone(), known: Arc::new(Known { tokens, ..Known::default() }) }
    }

    /// Gives the token, if there is one, and where it comes from.
    pub(crate) fn tokens(&self) -> &Tokens {
        &self.known.tokens
    }

    /// Gives what has been found out of features.
    pub(crate) fn answers(&self) -> &Answers {
        &self.known.answers
    }

    /// Reads a whole file of the kernel's as text.
    pub(crate) fn read_text(&self, path: &str) -> Result<String> {
        let bytes = self.sys.file_read(path).map_err(|error| Error::call("read", error).at_path(path))?;
        String::from_utf8(bytes)
            .map_err(|_| Error::call("read", Errno::EINVAL).at_path(path).hint("it holds no text"))
    }

    /// Reads a file of the kernel's line by line, until `each` has seen enough.
    pub(crate) fn read_lines(
        &self,
        path: &str,
        mut each: impl FnMut(&[u8]) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let file = self.sys.file_open(path, OpenMode::Read);
        let file = file.map_err(|error| Error::call("open", error).at_path(path))?;
        let mut buffer = vec![0; LINES];
        let mut filled = 0;
        loop {
            let call = Call::File(FileCall::Read(file.fd(), &mut buffer[filled..]));
            let count = match self.sys.call(call).and_then(Reply::into_count) {
                Ok(count) => (count as usize).min(LINES - filled),
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(Error::call("read", errno).at_path(path)),
            };
            let end = filled + count;
            // The last line ends with the file, and one that no buffer could hold ends with it.
            let whole = match buffer[..end].iter().rposition(|byte| *byte == b'\n') {
                Some(last) if count != 0 => last + 1,
                None if count != 0 && end < LINES => 0,
                _ => end,
            };
            for line in buffer[..whole].split_inclusive(|byte| *byte == b'\n') {
                if each(line)?.is_break() {
                    return Ok(());
                }
            }
            if count == 0 {
                return Ok(());
            }
            buffer.copy_within(whole..end, 0);
            filled = end - whole;
        }
    }

    /// Makes a call that locks memory; where the limit on it may be why it is refused, raises the limit and asks again.
    pub(crate) fn locking<T>(&self, mut call: impl FnMut() -> Result<T, CallError>) -> Result<T, CallError> {
        match call() {
            Err(CallError::Errno(Errno::EPERM)) if self.raise_memlock() => call(),
            answer => answer,
        }
    }

    /// Tells whether the limit on locked memory was raised.
    pub(crate) fn has_raised_memlock(&self) -> bool {
        self.known.memlock.raised.load(Ordering::Relaxed)
    }

    /// Raises `RLIMIT_MEMLOCK` once, on kernels that count BPF memory against it; tells whether it did.
    ///
    /// The release decides, and not [`crate::Feature::MemcgAccounting`]: who may lock no more memory may not ask for that
    /// either.
    fn raise_memlock(&self) -> bool {
        let memlock = &self.known.memlock;
        if self.version().is_ok_and(|version| version >= NO_MEMLOCK)
            || memlock.tried.swap(true, Ordering::Relaxed)
        {
            return false;
        }
        let set = |soft, hard| self.sys.call(Call::Limit(Limit::SetMemlock { soft, hard })).is_ok();
        // Without CAP_SYS_RESOURCE the soft limit may still go up to the hard one.
        let raised = set(u64::MAX, u64::MAX)
            || match self.sys.call(Call::Limit(Limit::Memlock)) {
                Ok(Reply::Limits(soft, hard)) if soft < hard => set(hard, hard),
                _ => false,
            };
        memlock.raised.store(raised, Ordering::Relaxed);
        raised
    }
}

impl From<skep_sys::Kernel> for Kernel {
    fn from(sys: skep_sys::Kernel) -> Kernel {
        Kernel { sys, known: Arc::default() }
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kernel")
    }
}

/// Finds `AT_PAGESZ` (6) in an auxiliary vector: pairs of words (include/uapi/linux/auxvec.h).
fn auxv_page_size(auxv: &[u8]) -> Option<usize> {
    const AT_PAGESZ: usize = 6;
    const WORD: usize = size_of::<usize>();
    let word = |bytes: &[u8]| bytes.try_into().ok().map(usize::from_ne_bytes);
    auxv.chunks_exact(2 * WORD)
        .find(|pair| word(&pair[..WORD]) == Some(AT_PAGESZ))
        .and_then(|pair| word(&pair[WORD..]))
        .filter(|size| size.is_power_of_two() && (4096..=1 << 20).contains(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_size_is_found_or_not() {
        let auxv = |pairs: &[(usize, usize)]| {
            pairs.iter().flat_map(|(key, value)| [key.to_ne_bytes(), value.to_ne_bytes()].concat()).collect()
        };
        let found: Vec<u8> = auxv(&[(3, 64), (6, 16384), (0, 0)]);
        assert_eq!(auxv_page_size(&found), Some(16384));
        assert_eq!(auxv_page_size(&found[..found.len() - 15]), Some(16384));
        for bad in [auxv(&[]), auxv(&[(6, 0)]), auxv(&[(6, 5000)]), auxv(&[(6, 1 << 40)]), vec![6; 7]] {
            let bad: Vec<u8> = bad;
            assert_eq!(auxv_page_size(&bad), None);
        }
    }

    #[test]
    fn kernels_cross_threads() {
        fn crosses<T: Send + Sync + Clone>() {}
        crosses::<Kernel>();
    }
}
