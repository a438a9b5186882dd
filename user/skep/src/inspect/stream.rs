//! What programs print for whoever looks after them.

use crate::Program;
use crate::error::{ErrorKind, Result};
use skep_abi::Errno;
use skep_abi::flags::{BPF_STREAM_STDERR, BPF_STREAM_STDOUT};

/// A stream of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// What it prints by `bpf_stream_printk`.
    Stdout,
    /// The same, and what the kernel has to say of its runs, such as that one had to be stopped.
    Stderr,
}

impl Stream {
    fn id(self) -> u32 {
        match self {
            Stream::Stdout => BPF_STREAM_STDOUT,
            Stream::Stderr => BPF_STREAM_STDERR,
        }
    }
}

/// The most that is taken at once. A stream holds 100,000 bytes (`BPF_STREAM_MAX_CAPACITY`), and a program may write
/// while it is read.
const MOST: usize = 1 << 20;

impl Program {
    /// Takes what it has written to a stream (Linux 6.17): what is read is gone.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the kernel has no such streams.
    pub fn read_stream(&self, stream: Stream) -> Result<Vec<u8>> {
        const CALL: &str = "BPF_PROG_STREAM_READ_BY_FD";
        let mut taken = Vec::new();
        let mut chunk = [0; 4096];
        while taken.len() < MOST {
            let count = match self.fd().stream_read(stream.id(), &mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                // What was taken is nowhere else any more; the error comes again.
                Err(_) if !taken.is_empty() => break,
                Err(error) => {
                    let made = self.error(CALL, error);
                    return Err(match error.errno() {
                        Errno::EINVAL => {
                            made.kind_is(ErrorKind::Unsupported).hint("streams are there since Linux 6.17")
                        }
                        _ => made,
                    });
                }
            };
            taken.try_reserve(count).map_err(|_| self.error(CALL, Errno::ENOMEM))?;
            taken.extend_from_slice(&chunk[..count]);
        }
        Ok(taken)
    }
}
