//! A kernel that refuses everything, and says of a program which of its instructions is poisoned, in Linux's words.

use skep_abi::{Cmd, Errno};
use skep_btf::core::POISON;
use skep_sys::{AreaMemory, Attr, Call, Reply, Sys};

/// `BPF_JMP | BPF_CALL`.
const CALL: u8 = 0x85;

pub(super) struct Refusing;

impl Sys for Refusing {
    fn call(&self, call: Call<'_>) -> Result<Reply, Errno> {
        match call {
            Call::Bpf(mut attr) if attr.cmd() == Cmd::PROG_LOAD => {
                explain(&mut attr);
                Err(Errno::EINVAL)
            }
            Call::Close(_) => Ok(Reply::None),
            Call::File(_) => Err(Errno::ENOENT),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// Writes a log that names the first poisoned instruction.
fn explain(attr: &mut Attr<'_>) {
    let (_, areas) = attr.parts_mut();
    let mut poisoned = None;
    for area in areas {
        if let (Some(at), AreaMemory::Out(log) | AreaMemory::InOut(log)) = (poisoned, &mut area.memory) {
            let text = format!("{at}: (85) call unknown#{POISON}\ninvalid func unknown#{POISON}\n\0");
            if let Some(start) = log.get_mut(..text.len()) {
                start.copy_from_slice(text.as_bytes());
            }
        } else if let AreaMemory::In(bytes) = &area.memory {
            let is_poison = |slot: &[u8]| slot[0] == CALL && slot[4..] == POISON.to_le_bytes();
            poisoned = poisoned.or_else(|| bytes.chunks_exact(8).position(is_poison));
        }
    }
}
