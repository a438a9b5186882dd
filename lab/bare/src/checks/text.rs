//! Programs as text.

use alloc::vec::Vec;
use skep_abi::FuncId;
use skep_isa::ByteOrder;
use skep_isa::text::assemble;

/// Makes instructions of a text that is part of this program.
#[track_caller]
pub(super) fn insns(text: &str) -> Vec<[u8; 8]> {
    let helper = |name: &str| FuncId::from_name(name.strip_prefix("bpf_")?).map(|id| id.0);
    match assemble(text, &helper) {
        Ok(program) => program.slots().iter().map(|slot| slot.to_bytes(ByteOrder::Little)).collect(),
        Err(error) => panic!("{error}"),
    }
}
