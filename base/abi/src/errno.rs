//! Error numbers, as `asm-generic` defines them (x86, arm, riscv, s390; not alpha, mips, parisc, sparc).

use core::fmt;
use core::num::NonZeroU16;

/// An error number of Linux, between 1 and 4095.
///
/// Never zero, and one type for what a system call reports and what the embedded kernel answers. `Option<Errno>` is two bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Errno(NonZeroU16);

impl Errno {
    /// The largest number a system call can report (`MAX_ERRNO`, include/linux/err.h).
    pub const MAX: u16 = 4095;

    /// Makes an error number of a positive `raw`; `None` if it is not within `1..=4095`.
    pub const fn from_raw(raw: i32) -> Option<Self> {
        if raw < 1 || raw > Self::MAX as i32 {
            return None;
        }
        match NonZeroU16::new(raw as u16) {
            Some(n) => Some(Self(n)),
            None => None,
        }
    }

    /// Reads the result of a system call or helper: `-4095..=-1` is an error, anything else is the value.
    pub const fn from_result(result: i64) -> Result<u64, Self> {
        if result < 0 && result >= -(Self::MAX as i64) {
            if let Some(errno) = Self::from_raw(-result as i32) {
                return Err(errno);
            }
        }
        Ok(result as u64)
    }

    /// Returns the positive number.
    pub const fn raw(self) -> i32 {
        self.0.get() as i32
    }

    /// Returns the number negated, as system calls and helpers report it.
    pub const fn negated(self) -> i64 {
        -(self.0.get() as i64)
    }
}

macro_rules! errnos {
    ($($name:ident = $value:literal, $text:literal;)*) => {
        impl Errno {
            $(
                #[doc = concat!($value, ": ", $text, ".")]
                pub const $name: Self = Self(NonZeroU16::new($value).unwrap());
            )*

            /// Every number that has a name, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Returns the symbol, like `"EACCES"`.
            pub const fn name(self) -> Option<&'static str> {
                match self.0.get() {
                    $($value => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// Looks a number up by its symbol.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($name) => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Returns what the number means, in a few words.
            pub const fn description(self) -> &'static str {
                match self.0.get() {
                    $($value => $text,)*
                    _ => "unknown error",
                }
            }
        }
    };
}

impl Errno {
    /// `EAGAIN` under its other name.
    pub const EWOULDBLOCK: Self = Self::EAGAIN;
    /// `EDEADLK` under its other name.
    pub const EDEADLOCK: Self = Self::EDEADLK;
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.description()),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Errno({})", self.0),
        }
    }
}

impl core::error::Error for Errno {}

// include/uapi/asm-generic/errno-base.h, errno.h; ENOTSUPP is the kernel's own (include/linux/errno.h) and
// reaches user space from `bpf(2)` all the same.
errnos! {
    EPERM = 1, "operation not permitted";
    ENOENT = 2, "no such file, entry or key";
    ESRCH = 3, "no such process";
    EINTR = 4, "interrupted by a signal";
    EIO = 5, "input or output error";
    ENXIO = 6, "no such device or address";
    E2BIG = 7, "too big: list, program, map or attribute";
    ENOEXEC = 8, "not an executable format";
    EBADF = 9, "bad file descriptor";
    ECHILD = 10, "no child process";
    EAGAIN = 11, "try again";
    ENOMEM = 12, "out of memory";
    EACCES = 13, "permission denied";
    EFAULT = 14, "bad address";
    ENOTBLK = 15, "not a block device";
    EBUSY = 16, "device or resource busy";
    EEXIST = 17, "exists already";
    EXDEV = 18, "link across devices";
    ENODEV = 19, "no such device";
    ENOTDIR = 20, "not a directory";
    EISDIR = 21, "is a directory";
    EINVAL = 22, "invalid argument";
    ENFILE = 23, "too many open files in the system";
    EMFILE = 24, "too many open files";
    ENOTTY = 25, "not the right device for this ioctl";
    ETXTBSY = 26, "file is being executed";
    EFBIG = 27, "file too large";
    ENOSPC = 28, "no space left";
    ESPIPE = 29, "cannot seek";
    EROFS = 30, "read-only file system";
    EMLINK = 31, "too many links";
    EPIPE = 32, "broken pipe";
    EDOM = 33, "argument outside the domain of the function";
    ERANGE = 34, "result out of range";
    EDEADLK = 35, "deadlock would occur";
    ENAMETOOLONG = 36, "name too long";
    ENOLCK = 37, "no locks available";
    ENOSYS = 38, "no such system call";
    ENOTEMPTY = 39, "directory not empty";
    ELOOP = 40, "too many symbolic links";
    ENOMSG = 42, "no message of the wanted type";
    EIDRM = 43, "identifier removed";
    ECHRNG = 44, "channel number out of range";
    EL2NSYNC = 45, "level 2 not synchronized";
    EL3HLT = 46, "level 3 halted";
    EL3RST = 47, "level 3 reset";
    ELNRNG = 48, "link number out of range";
    EUNATCH = 49, "protocol driver not attached";
    ENOCSI = 50, "no CSI structure available";
    EL2HLT = 51, "level 2 halted";
    EBADE = 52, "invalid exchange";
    EBADR = 53, "invalid request descriptor";
    EXFULL = 54, "exchange full";
    ENOANO = 55, "no anode";
    EBADRQC = 56, "invalid request code";
    EBADSLT = 57, "invalid slot";
    EBFONT = 59, "bad font file";
    ENOSTR = 60, "not a stream";
    ENODATA = 61, "no data";
    ETIME = 62, "timer expired";
    ENOSR = 63, "out of stream resources";
    ENONET = 64, "not on the network";
    ENOPKG = 65, "package not installed";
    EREMOTE = 66, "object is remote";
    ENOLINK = 67, "link severed";
    EADV = 68, "advertise error";
    ESRMNT = 69, "srmount error";
    ECOMM = 70, "communication error on send";
    EPROTO = 71, "protocol error";
    EMULTIHOP = 72, "multihop attempted";
    EDOTDOT = 73, "RFS error";
    EBADMSG = 74, "bad message";
    EOVERFLOW = 75, "value too large for its type";
    ENOTUNIQ = 76, "name not unique on the network";
    EBADFD = 77, "descriptor in a bad state";
    EREMCHG = 78, "remote address changed";
    ELIBACC = 79, "cannot access a needed shared library";
    ELIBBAD = 80, "corrupted shared library";
    ELIBSCN = 81, "corrupted .lib section";
    ELIBMAX = 82, "too many shared libraries";
    ELIBEXEC = 83, "cannot execute a shared library";
    EILSEQ = 84, "invalid byte sequence";
    ERESTART = 85, "interrupted call should be restarted";
    ESTRPIPE = 86, "stream pipe error";
    EUSERS = 87, "too many users";
    ENOTSOCK = 88, "not a socket";
    EDESTADDRREQ = 89, "destination address required";
    EMSGSIZE = 90, "message too long";
    EPROTOTYPE = 91, "wrong protocol for the socket";
    ENOPROTOOPT = 92, "protocol option not available";
    EPROTONOSUPPORT = 93, "protocol not supported";
    ESOCKTNOSUPPORT = 94, "socket type not supported";
    EOPNOTSUPP = 95, "operation not supported";
    EPFNOSUPPORT = 96, "protocol family not supported";
    EAFNOSUPPORT = 97, "address family not supported";
    EADDRINUSE = 98, "address in use";
    EADDRNOTAVAIL = 99, "address not available";
    ENETDOWN = 100, "network is down";
    ENETUNREACH = 101, "network unreachable";
    ENETRESET = 102, "connection dropped by a network reset";
    ECONNABORTED = 103, "connection aborted";
    ECONNRESET = 104, "connection reset";
    ENOBUFS = 105, "no buffer space";
    EISCONN = 106, "already connected";
    ENOTCONN = 107, "not connected";
    ESHUTDOWN = 108, "endpoint is shut down";
    ETOOMANYREFS = 109, "too many references";
    ETIMEDOUT = 110, "timed out";
    ECONNREFUSED = 111, "connection refused";
    EHOSTDOWN = 112, "host is down";
    EHOSTUNREACH = 113, "no route to host";
    EALREADY = 114, "already in progress";
    EINPROGRESS = 115, "now in progress";
    ESTALE = 116, "stale handle";
    EUCLEAN = 117, "structure needs cleaning";
    ENOTNAM = 118, "not a XENIX named file";
    ENAVAIL = 119, "no XENIX semaphores";
    EISNAM = 120, "is a named file";
    EREMOTEIO = 121, "remote input or output error";
    EDQUOT = 122, "quota exceeded";
    ENOMEDIUM = 123, "no medium";
    EMEDIUMTYPE = 124, "wrong medium type";
    ECANCELED = 125, "cancelled";
    ENOKEY = 126, "key not available";
    EKEYEXPIRED = 127, "key has expired";
    EKEYREVOKED = 128, "key has been revoked";
    EKEYREJECTED = 129, "key was rejected";
    EOWNERDEAD = 130, "owner died";
    ENOTRECOVERABLE = 131, "state not recoverable";
    ERFKILL = 132, "blocked by RF-kill";
    EHWPOISON = 133, "memory page has a hardware error";
    ENOTSUPP = 524, "not supported by this kernel object";
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn shows_name_and_meaning() {
        assert_eq!(Errno::EACCES.to_string(), "EACCES (permission denied)");
        assert_eq!(Errno::from_raw(4000).unwrap().to_string(), "errno 4000");
    }

    #[test]
    fn only_one_to_4095() {
        for raw in [i32::MIN, -1, 0, 4096, 65537, i32::MAX] {
            assert_eq!(Errno::from_raw(raw), None, "{raw}");
        }
        assert_eq!(Errno::from_raw(4095).map(Errno::raw), Some(4095));
    }

    #[test]
    fn results_split_at_minus_4095() {
        assert_eq!(Errno::from_result(-2), Err(Errno::ENOENT));
        assert_eq!(Errno::from_result(0), Ok(0));
        assert_eq!(Errno::from_result(-4096), Ok(-4096i64 as u64));
        assert_eq!(Errno::from_result(i64::MIN), Ok(i64::MIN as u64));
        assert_eq!(Errno::from_result(-4095).unwrap_err().negated(), -4095);
    }

    #[test]
    fn names_round_trip_and_ascend() {
        for pair in Errno::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
        }
        for &errno in Errno::ALL {
            assert_eq!(Errno::from_name(errno.name().unwrap()), Some(errno));
            assert!(!errno.description().is_empty());
        }
        assert_eq!(size_of::<Option<Errno>>(), 2);
    }
}
