//! Arguments of Linux's tracepoints, for those that a kernel which is not Linux is likely to have, too.
//!
//! They are `TP_PROTO` of include/trace/events/*.h in Linux 6.18; older versions have some of these tracepoints with
//! other arguments. A tracepoint that is not in the table has arguments that only its host knows.

use super::ctype::CType::{
    self, Bool, ConstPointer, Int, Long, Pointer, U32, U64, UnsignedInt, UnsignedLong,
};
use super::ctype::Pointee::{Char, Struct, Void};

/// One tracepoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tracepoint {
    /// Its name, by which raw programs are attached.
    pub name: &'static str,
    /// The types of its arguments.
    pub args: &'static [CType],
}

const fn of(name: &'static str, args: &'static [CType]) -> Tracepoint {
    Tracepoint { name, args }
}

const TASK: CType = Pointer(Struct("task_struct"));
const REGS: CType = Pointer(Struct("pt_regs"));
const SKB: CType = Pointer(Struct("sk_buff"));

/// The table, by name.
pub static TRACEPOINTS: &[Tracepoint] = &[
    of("bpf_trace_printk", &[ConstPointer(Char)]),
    of("consume_skb", &[SKB, Pointer(Void)]),
    of("cpu_frequency", &[UnsignedInt, UnsignedInt]),
    of("cpu_idle", &[UnsignedInt, UnsignedInt]),
    of("irq_handler_entry", &[Int, Pointer(Struct("irqaction"))]),
    of("irq_handler_exit", &[Int, Pointer(Struct("irqaction")), Int]),
    of("kfree", &[UnsignedLong, ConstPointer(Void)]),
    of("mm_page_free", &[Pointer(Struct("page")), UnsignedInt]),
    of("net_dev_queue", &[SKB]),
    of("net_dev_start_xmit", &[ConstPointer(Struct("sk_buff")), ConstPointer(Struct("net_device"))]),
    of("net_dev_xmit", &[SKB, Int, Pointer(Struct("net_device")), UnsignedInt]),
    of("netif_receive_skb", &[SKB]),
    of("netif_rx", &[SKB]),
    of("page_fault_kernel", &[UnsignedLong, REGS, UnsignedLong]),
    of("page_fault_user", &[UnsignedLong, REGS, UnsignedLong]),
    of("sched_migrate_task", &[TASK, Int]),
    of("sched_process_exec", &[TASK, Int, Pointer(Struct("linux_binprm"))]),
    of("sched_process_exit", &[TASK, Bool]),
    of("sched_process_fork", &[TASK, TASK]),
    of("sched_process_free", &[TASK]),
    of("sched_switch", &[Bool, TASK, TASK, UnsignedInt]),
    of("sched_wakeup", &[TASK]),
    of("sched_wakeup_new", &[TASK]),
    of("sched_waking", &[TASK]),
    of("softirq_entry", &[UnsignedInt]),
    of("softirq_exit", &[UnsignedInt]),
    of("softirq_raise", &[UnsignedInt]),
    of("sys_enter", &[REGS, Long]),
    of("sys_exit", &[REGS, Long]),
    of("task_newtask", &[TASK, U64]),
    of("task_rename", &[TASK, ConstPointer(Char)]),
    of("xdp_exception", &[ConstPointer(Struct("net_device")), ConstPointer(Struct("bpf_prog")), U32]),
];

/// Finds a tracepoint by its name.
pub fn find(name: &str) -> Option<&'static Tracepoint> {
    let at = TRACEPOINTS.binary_search_by(|row| row.name.cmp(name)).ok()?;
    TRACEPOINTS.get(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_ascends() {
        assert!(TRACEPOINTS.windows(2).all(|pair| pair[0].name < pair[1].name));
        for row in TRACEPOINTS {
            assert_eq!(find(row.name), Some(row));
        }
        assert_eq!(find("sys_"), None);
    }
}
