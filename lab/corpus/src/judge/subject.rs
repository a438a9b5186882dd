//! skep's verifier on a program that Linux is asked to load, and what that program needs.

use super::verdict::Ours;
use skep_abi::{FuncId, MapType, ProgType};
use skep_btf::Def;
use skep_isa::{Addr, Insn, Program};
use skep_lab_oracle::Case;
use skep_verifier::{Special, SpecialKind};
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::time::Instant;

thread_local! {
    /// The words of the last panic.
    static PANICKED: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Has skep's verifier look at a program.
pub(crate) fn verify(case: &Case) -> Ours {
    keep_panics();
    let start = Instant::now();
    let answer = panic::catch_unwind(AssertUnwindSafe(|| case.verify(&case.slots)));
    let time = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    match answer {
        Ok(answer) => Ours::of(&answer, time),
        Err(_) => Ours::died(PANICKED.with(|said| said.borrow().clone())),
    }
}

/// Keeps the words of panics for the answer, instead of printing them.
fn keep_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|info| {
            let text = info.to_string().replace('\n', ": ");
            PANICKED.with(|said| *said.borrow_mut() = text);
        }));
    });
}

/// Lists what of the kernel's own types a program needs.
pub(crate) fn needs(case: &Case) -> Vec<String> {
    let mut needs = Vec::new();
    if TYPED.contains(&case.kind) {
        needs.push("a context of the kernel's types");
    }
    for (_, insn) in case.program().iter().flat_map(Program::iter) {
        match insn {
            Insn::CallKfunc { .. } => needs.push("kernel functions"),
            Insn::LoadAddr { addr: Addr::Variable { .. }, .. } => needs.push("kernel variables"),
            Insn::CallHelper { id } if TYPED_HELPERS.contains(&FuncId(id)) => {
                needs.push("helpers with pointers of the kernel's types");
            }
            _ => {}
        }
    }
    let of_kernel = |special: &Special| matches!(special.kind, SpecialKind::Kptr { .. } | SpecialKind::Other);
    if case.maps.iter().any(|(map, _)| map.special.iter().any(of_kernel)) {
        needs.push("objects of the kernel in maps");
    }
    if case.maps.iter().any(|(map, _)| MapType(map.info.type_) == MapType::ARENA) {
        needs.push("an arena");
    }
    if let Some(types) = &case.types {
        let tagged = types.types().any(|ty| match ty.def() {
            Def::DeclTag(tag) => {
                ty.name().starts_with("arg:")
                    && case.functions.iter().any(|function| function.type_id == tag.target)
            }
            _ => false,
        });
        if tagged {
            needs.push("functions whose arguments have tags");
        }
    }
    needs.sort_unstable();
    needs.dedup();
    needs.into_iter().map(str::to_owned).collect()
}

/// Types of programs whose contexts are of the kernel's types.
const TYPED: &[ProgType] = &[ProgType::TRACING, ProgType::LSM, ProgType::STRUCT_OPS, ProgType::EXT];

/// Helpers that take or return pointers of the kernel's types (`ARG_PTR_TO_BTF_ID`, `RET_PTR_TO_BTF_ID` and their kin in the
/// prototypes of Linux 6.18).
const TYPED_HELPERS: &[FuncId] = &[
    FuncId::GET_CURRENT_TASK_BTF,
    FuncId::TASK_PT_REGS,
    FuncId::SKC_TO_TCP6_SOCK,
    FuncId::SKC_TO_TCP_SOCK,
    FuncId::SKC_TO_TCP_TIMEWAIT_SOCK,
    FuncId::SKC_TO_TCP_REQUEST_SOCK,
    FuncId::SKC_TO_UDP6_SOCK,
    FuncId::SKC_TO_UNIX_SOCK,
    FuncId::SKC_TO_MPTCP_SOCK,
    FuncId::SOCK_FROM_FILE,
    FuncId::PER_CPU_PTR,
    FuncId::THIS_CPU_PTR,
    FuncId::KPTR_XCHG,
    FuncId::TASK_STORAGE_GET,
    FuncId::TASK_STORAGE_DELETE,
    FuncId::INODE_STORAGE_GET,
    FuncId::INODE_STORAGE_DELETE,
    FuncId::CGRP_STORAGE_GET,
    FuncId::CGRP_STORAGE_DELETE,
    FuncId::GET_TASK_STACK,
    FuncId::FIND_VMA,
    FuncId::SEQ_PRINTF,
    FuncId::SEQ_WRITE,
    FuncId::SEQ_PRINTF_BTF,
    FuncId::D_PATH,
    FuncId::COPY_FROM_USER_TASK,
];
