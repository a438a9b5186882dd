//! Functions of the kernel that programs call by its types (kfuncs), as far as they are modelled: those that programs of every type may
//! call and that take no objects of the kernel (`common_btf_ids` in `kernel/bpf/helpers.c`).

use super::version::{Version, v};

/// One function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kfunc {
    /// Its name.
    pub name: &'static str,
    /// The version that brought it.
    pub since: Version,
    /// How many arguments it takes.
    pub args: u8,
    /// What it does.
    pub does: Does,
}

/// What a function does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Does {
    /// It makes an iterator over numbers, in eight bytes of stack, from the second argument to before the third (`KF_ITER_NEW`).
    NumNew,
    /// It returns a pointer to the iterator's next number, or null (`KF_ITER_NEXT`).
    NumNext,
    /// It ends the iterator (`KF_ITER_DESTROY`).
    NumDestroy,
    /// It begins a section in which nothing goes away that RCU protects.
    RcuLock,
    /// It ends that.
    RcuUnlock,
    /// It keeps the program on its CPU.
    PreemptDisable,
    /// It ends that.
    PreemptEnable,
}

const fn kfunc(name: &'static str, since: Version, args: u8, does: Does) -> Kfunc {
    Kfunc { name, since, args, does }
}

/// All of them.
pub static KFUNCS: &[Kfunc] = &[
    kfunc("bpf_iter_num_new", v(6, 4), 3, Does::NumNew),
    kfunc("bpf_iter_num_next", v(6, 4), 1, Does::NumNext),
    kfunc("bpf_iter_num_destroy", v(6, 4), 1, Does::NumDestroy),
    kfunc("bpf_rcu_read_lock", v(6, 2), 0, Does::RcuLock),
    kfunc("bpf_rcu_read_unlock", v(6, 2), 0, Does::RcuUnlock),
    kfunc("bpf_preempt_disable", v(6, 10), 0, Does::PreemptDisable),
    kfunc("bpf_preempt_enable", v(6, 10), 0, Does::PreemptEnable),
];

/// Finds a function by its name, if the version has it and it is modelled.
pub fn find(name: &str, version: Version) -> Option<&'static Kfunc> {
    KFUNCS.iter().find(|kfunc| kfunc.name == name && kfunc.since <= version)
}
