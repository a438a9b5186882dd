//! The table: number, needs, function.

use crate::args::{Answer, Args};
use crate::{Env, Invoker, maps, misc, packet, print, probe, ring, task, time};
use skep_abi::FuncId as F;
use skep_mem::Host;

/// A helper's code.
pub(crate) type Run = for<'m> fn(&dyn Env<'m>, Args<'_, 'm>, Invoker<'_, 'm>) -> Answer<'m>;

/// What a helper needs of the host; where that is absent, the helper is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// Clocks.
    Clock,
    /// Random numbers.
    Random,
    /// The trace log.
    Trace,
    /// The current task.
    Tasks,
    /// Guarded reads.
    Probe,
}

impl Needs {
    /// Tells whether a host has what is needed.
    pub fn met_by(self, host: &dyn Host) -> bool {
        match self {
            Needs::Nothing => true,
            Needs::Clock => host.clock().is_some(),
            Needs::Random => host.random().is_some(),
            Needs::Trace => host.trace().is_some(),
            Needs::Tasks => host.tasks().is_some(),
            Needs::Probe => host.probe().is_some(),
        }
    }
}

/// One helper.
#[derive(Clone, Copy)]
pub struct Row {
    /// Its number.
    pub id: F,
    /// What it needs of the host.
    pub needs: Needs,
    pub(crate) run: Run,
}

const fn row(id: F, needs: Needs, run: Run) -> Row {
    Row { id, needs, run }
}

/// By number. `tail_call` is not here: it replaces the running program, which is the engine's own business.
const ROWS: &[Row] = &[
    row(F::MAP_LOOKUP_ELEM, Needs::Nothing, maps::lookup_elem),
    row(F::MAP_UPDATE_ELEM, Needs::Nothing, maps::update_elem),
    row(F::MAP_DELETE_ELEM, Needs::Nothing, maps::delete_elem),
    row(F::PROBE_READ, Needs::Probe, probe::probe_read),
    row(F::KTIME_GET_NS, Needs::Clock, time::ktime_get_ns),
    row(F::TRACE_PRINTK, Needs::Trace, print::trace_printk),
    row(F::GET_PRANDOM_U32, Needs::Random, misc::get_prandom_u32),
    row(F::GET_SMP_PROCESSOR_ID, Needs::Nothing, task::get_smp_processor_id),
    row(F::SKB_STORE_BYTES, Needs::Nothing, packet::skb_store_bytes),
    row(F::L3_CSUM_REPLACE, Needs::Nothing, packet::l3_csum_replace),
    row(F::L4_CSUM_REPLACE, Needs::Nothing, packet::l4_csum_replace),
    row(F::GET_CURRENT_PID_TGID, Needs::Tasks, task::get_current_pid_tgid),
    row(F::GET_CURRENT_UID_GID, Needs::Tasks, task::get_current_uid_gid),
    row(F::GET_CURRENT_COMM, Needs::Tasks, task::get_current_comm),
    row(F::PERF_EVENT_OUTPUT, Needs::Nothing, ring::perf_event_output),
    row(F::SKB_LOAD_BYTES, Needs::Nothing, packet::skb_load_bytes),
    row(F::CSUM_DIFF, Needs::Nothing, crate::csum::csum_diff),
    row(F::GET_CURRENT_TASK, Needs::Tasks, task::get_current_task),
    row(F::SKB_PULL_DATA, Needs::Nothing, packet::skb_pull_data),
    row(F::GET_NUMA_NODE_ID, Needs::Nothing, task::get_numa_node_id),
    row(F::XDP_ADJUST_HEAD, Needs::Nothing, packet::xdp_adjust_head),
    row(F::PROBE_READ_STR, Needs::Probe, probe::probe_read_str),
    row(F::XDP_ADJUST_META, Needs::Nothing, packet::xdp_adjust_meta),
    row(F::XDP_ADJUST_TAIL, Needs::Nothing, packet::xdp_adjust_tail),
    row(F::SKB_LOAD_BYTES_RELATIVE, Needs::Nothing, packet::skb_load_bytes_relative),
    row(F::MAP_PUSH_ELEM, Needs::Nothing, maps::push_elem),
    row(F::MAP_POP_ELEM, Needs::Nothing, maps::pop_elem),
    row(F::MAP_PEEK_ELEM, Needs::Nothing, maps::peek_elem),
    row(F::PROBE_READ_USER, Needs::Probe, probe::probe_read_user),
    row(F::PROBE_READ_KERNEL, Needs::Probe, probe::probe_read_kernel),
    row(F::PROBE_READ_USER_STR, Needs::Probe, probe::probe_read_user_str),
    row(F::PROBE_READ_KERNEL_STR, Needs::Probe, probe::probe_read_kernel_str),
    row(F::JIFFIES64, Needs::Clock, time::jiffies64),
    row(F::KTIME_GET_BOOT_NS, Needs::Clock, time::ktime_get_boot_ns),
    row(F::RINGBUF_OUTPUT, Needs::Nothing, ring::output),
    row(F::RINGBUF_RESERVE, Needs::Nothing, ring::reserve),
    row(F::RINGBUF_SUBMIT, Needs::Nothing, ring::submit),
    row(F::RINGBUF_DISCARD, Needs::Nothing, ring::discard),
    row(F::RINGBUF_QUERY, Needs::Nothing, ring::query),
    row(F::KTIME_GET_COARSE_NS, Needs::Clock, time::ktime_get_coarse_ns),
    row(F::FOR_EACH_MAP_ELEM, Needs::Nothing, maps::for_each_map_elem),
    row(F::SNPRINTF, Needs::Nothing, print::snprintf),
    row(F::GET_FUNC_IP, Needs::Nothing, misc::get_func_ip),
    row(F::GET_ATTACH_COOKIE, Needs::Nothing, misc::get_attach_cookie),
    row(F::TRACE_VPRINTK, Needs::Trace, print::trace_vprintk),
    row(F::LOOP, Needs::Nothing, misc::bpf_loop),
    row(F::STRNCMP, Needs::Nothing, misc::strncmp),
    row(F::XDP_GET_BUFF_LEN, Needs::Nothing, packet::xdp_get_buff_len),
    row(F::XDP_LOAD_BYTES, Needs::Nothing, packet::xdp_load_bytes),
    row(F::XDP_STORE_BYTES, Needs::Nothing, packet::xdp_store_bytes),
    row(F::MAP_LOOKUP_PERCPU_ELEM, Needs::Nothing, maps::lookup_percpu_elem),
    row(F::KTIME_GET_TAI_NS, Needs::Clock, time::ktime_get_tai_ns),
];

/// Lists the helpers, by number.
pub fn rows() -> &'static [Row] {
    ROWS
}

/// Finds a helper by its number.
pub fn find(id: F) -> Option<&'static Row> {
    ROWS.binary_search_by_key(&id, |row| row.id).ok().map(|at| &ROWS[at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use skep_model::platform::Platform;

    #[test]
    fn the_table_ascends_and_each_row_has_a_prototype() {
        assert!(ROWS.windows(2).all(|pair| pair[0].id < pair[1].id));
        for row in ROWS {
            let helper = Platform::LINUX_6_18
                .helper(row.id)
                .ok()
                .unwrap_or_else(|| panic!("{:?} is not in the platform", row.id));
            assert!(helper.prototype.is_some(), "{} has no prototype", helper.name);
            assert_eq!(find(row.id).map(|row| row.id), Some(row.id));
        }
        assert!(find(F::TAIL_CALL).is_none());
    }

    /// What programs of XDP, tc, socket filters and tracepoints call; `tail_call` besides.
    const COMMON: &[&str] = &[
        "map_lookup_elem",
        "map_update_elem",
        "map_delete_elem",
        "map_lookup_percpu_elem",
        "map_push_elem",
        "map_pop_elem",
        "map_peek_elem",
        "for_each_map_elem",
        "ktime_get_ns",
        "ktime_get_boot_ns",
        "ktime_get_coarse_ns",
        "ktime_get_tai_ns",
        "jiffies64",
        "get_prandom_u32",
        "get_smp_processor_id",
        "get_numa_node_id",
        "trace_printk",
        "trace_vprintk",
        "snprintf",
        "strncmp",
        "ringbuf_output",
        "ringbuf_reserve",
        "ringbuf_submit",
        "ringbuf_discard",
        "ringbuf_query",
        "perf_event_output",
        "loop",
        "csum_diff",
        "l3_csum_replace",
        "l4_csum_replace",
        "xdp_adjust_head",
        "xdp_adjust_tail",
        "xdp_adjust_meta",
        "xdp_get_buff_len",
        "xdp_load_bytes",
        "xdp_store_bytes",
        "skb_load_bytes",
        "skb_load_bytes_relative",
        "skb_store_bytes",
        "skb_pull_data",
        "get_current_pid_tgid",
        "get_current_uid_gid",
        "get_current_comm",
        "get_current_task",
        "probe_read",
        "probe_read_str",
        "probe_read_kernel",
        "probe_read_kernel_str",
        "probe_read_user",
        "probe_read_user_str",
        "get_func_ip",
        "get_attach_cookie",
    ];

    #[test]
    fn the_common_helpers_are_all_here_and_no_others() {
        let mut found: Vec<&str> = ROWS
            .iter()
            .map(|row| Platform::LINUX_6_18.helper(row.id).map_or("?", |helper| helper.name))
            .collect();
        let mut wanted = COMMON.to_vec();
        found.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(found, wanted);
    }
}
