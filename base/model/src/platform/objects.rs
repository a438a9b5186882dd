//! What is known of pointers to objects of the kernel that its types do not say: which of those that programs are given may be null,
//! and which of those that are found in others are there.

use super::MapType;

/// What a pointer that a tracepoint passes may be, besides a pointer to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Odd {
    /// The argument of this number, from 0, may be null.
    Null(u8),
    /// The argument of this number may be an error number.
    Error(u8),
}

const fn null(arg: u8) -> Odd {
    Odd::Null(arg)
}

const fn error(arg: u8) -> Odd {
    Odd::Error(arg)
}

/// Tracepoints whose arguments are not all pointers to objects that are there, by ascending name (`raw_tp_null_args`,
/// kernel/bpf/btf.c).
static TRACEPOINTS: &[(&str, &[Odd])] = &[
    ("afs_flock_ev", &[null(1)]),
    ("afs_make_fs_call", &[null(1)]),
    ("afs_make_fs_call1", &[null(1)]),
    ("afs_make_fs_call2", &[null(1)]),
    ("afs_make_fs_calli", &[null(1)]),
    ("afs_protocol_error", &[null(0)]),
    ("break_lease_block", &[null(1)]),
    ("break_lease_noblock", &[null(1)]),
    ("break_lease_unblock", &[null(1)]),
    ("cachefiles_io_error", &[null(0)]),
    ("cachefiles_lookup", &[null(0), error(2)]),
    ("cachefiles_mark_active", &[null(0)]),
    ("cachefiles_mark_failed", &[null(0)]),
    ("cachefiles_mark_inactive", &[null(0)]),
    ("cachefiles_ondemand_close", &[null(0)]),
    ("cachefiles_ondemand_copen", &[null(0)]),
    ("cachefiles_ondemand_cread", &[null(0)]),
    ("cachefiles_ondemand_fd_release", &[null(0)]),
    ("cachefiles_ondemand_fd_write", &[null(0)]),
    ("cachefiles_ondemand_open", &[null(0)]),
    ("cachefiles_ondemand_read", &[null(0)]),
    ("cachefiles_prep_read", &[null(0)]),
    ("cachefiles_rename", &[null(0)]),
    ("cachefiles_unlink", &[null(0)]),
    ("cachefiles_vfs_error", &[null(0)]),
    ("device_pm_callback_start", &[null(1)]),
    ("ext4_mballoc_discard", &[null(1)]),
    ("ext4_mballoc_free", &[null(1)]),
    ("fcntl_setlk", &[null(1)]),
    ("fib_table_lookup", &[null(2)]),
    ("flock_lock_inode", &[null(1)]),
    ("folio_wait_writeback", &[null(1)]),
    ("generic_delete_lease", &[null(1)]),
    ("host1x_cdma_push_gather", &[null(4)]),
    ("kfree_skb", &[null(3)]),
    ("locks_remove_posix", &[null(1)]),
    ("mm_collapse_huge_page_isolate", &[null(0)]),
    ("mm_khugepaged_collapse_file", &[null(1)]),
    ("mm_khugepaged_scan_file", &[null(1)]),
    ("mm_khugepaged_scan_pmd", &[null(1)]),
    ("mm_page_alloc", &[null(0)]),
    ("mm_page_alloc_zone_locked", &[null(0)]),
    ("mm_page_pcpu_drain", &[null(0)]),
    ("mr_integ_alloc", &[error(3)]),
    ("netfs_failure", &[null(1)]),
    ("posix_lock_inode", &[null(1)]),
    ("qdisc_dequeue", &[null(3)]),
    ("rxrpc_recvdata", &[null(0)]),
    ("rxrpc_resend", &[null(1)]),
    ("sched_pi_setprio", &[null(1)]),
    ("sched_process_wait", &[null(0)]),
    ("sched_stick_numa", &[null(2)]),
    ("sched_swap_numa", &[null(2)]),
    ("signal_deliver", &[error(1)]),
    ("signal_generate", &[error(1)]),
    ("tcp_send_reset", &[null(0), null(1)]),
    ("tcp_sendmsg_locked", &[null(2)]),
    ("tegra_dma_tx_status", &[null(2)]),
    ("time_out_leases", &[null(1)]),
    ("tmigr_update_events", &[null(0)]),
    ("writeback_dirty_folio", &[null(1)]),
    ("xprt_get_cong", &[null(1)]),
    ("xprt_put_cong", &[null(1)]),
    ("xprt_release_cong", &[null(1)]),
    ("xprt_reserve_cong", &[null(1)]),
    ("xs_stream_read_data", &[null(0)]),
];

/// What is odd about the arguments of a tracepoint.
pub fn tracepoint(name: &str) -> &'static [Odd] {
    let found = TRACEPOINTS.binary_search_by(|row| row.0.cmp(name));
    found.ok().and_then(|at| TRACEPOINTS.get(at)).map_or(&[], |row| row.1)
}

/// How far a pointer that is found in an object, itself trusted, can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reliance {
    /// It is there as long as the object.
    Trusted,
    /// It is null, or there as long as the object.
    TrustedOrNull,
    /// It is there within the RCU section.
    Rcu,
    /// It is null, or there within the RCU section.
    RcuOrNull,
}

/// Members that are more than any pointer: the struct, the member, the struct that it points to (`BTF_TYPE_SAFE_…`,
/// kernel/bpf/verifier.c).
static MEMBERS: &[(&str, &str, &str, Reliance)] = &[
    ("task_struct", "cpus_ptr", "cpumask", Reliance::Rcu),
    ("task_struct", "cgroups", "css_set", Reliance::Rcu),
    ("task_struct", "real_parent", "task_struct", Reliance::Rcu),
    ("task_struct", "group_leader", "task_struct", Reliance::Rcu),
    ("cgroup", "kn", "kernfs_node", Reliance::Rcu),
    ("css_set", "dfl_cgrp", "cgroup", Reliance::Rcu),
    ("cgroup_subsys_state", "cgroup", "cgroup", Reliance::Rcu),
    ("mm_struct", "exe_file", "file", Reliance::RcuOrNull),
    ("sk_buff", "sk", "sock", Reliance::RcuOrNull),
    ("request_sock", "sk", "sock", Reliance::RcuOrNull),
    ("bpf_iter_meta", "seq", "seq_file", Reliance::Trusted),
    ("bpf_iter__task", "meta", "bpf_iter_meta", Reliance::Trusted),
    ("bpf_iter__task", "task", "task_struct", Reliance::Trusted),
    ("linux_binprm", "file", "file", Reliance::Trusted),
    ("file", "f_inode", "inode", Reliance::Trusted),
    ("dentry", "d_inode", "inode", Reliance::TrustedOrNull),
    ("socket", "sk", "sock", Reliance::TrustedOrNull),
];

/// How far the pointer in a member can be relied on, if more than any other.
pub fn member(of: &str, name: &str, to: &str) -> Option<Reliance> {
    MEMBERS.iter().find(|row| row.0 == of && row.1 == name && row.2 == to).map(|row| row.3)
}

/// What an iterator passes besides what its function's type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Passed {
    /// An object that is there, or null.
    TrustedOrNull,
    /// An object that may be read, or null.
    ReadableOrNull,
    /// A buffer that may be read, or null.
    ReadBufferOrNull,
    /// A buffer that may be read and written, or null.
    BufferOrNull,
}

/// Iterators by ascending name: those arguments that are something else than an object that is there (`ctx_arg_info` of each `struct
/// bpf_iter_reg`).
static ITERATORS: &[(&str, &[(u8, Passed)])] = &[
    ("bpf_link", &[(1, Passed::ReadableOrNull)]),
    ("bpf_map", &[(1, Passed::TrustedOrNull)]),
    ("bpf_map_elem", &[(2, Passed::ReadBufferOrNull), (3, Passed::BufferOrNull)]),
    ("bpf_prog", &[(1, Passed::ReadableOrNull)]),
    ("bpf_sk_storage_map", &[(2, Passed::ReadableOrNull), (3, Passed::BufferOrNull)]),
    ("cgroup", &[(1, Passed::TrustedOrNull)]),
    ("dmabuf", &[(1, Passed::ReadableOrNull)]),
    ("ipv6_route", &[(1, Passed::ReadableOrNull)]),
    ("kmem_cache", &[(1, Passed::TrustedOrNull)]),
    ("ksym", &[(1, Passed::ReadableOrNull)]),
    ("netlink", &[(1, Passed::ReadableOrNull)]),
    ("sockmap", &[(2, Passed::ReadBufferOrNull), (3, Passed::ReadableOrNull)]),
    ("task", &[(1, Passed::TrustedOrNull)]),
    ("task_file", &[(1, Passed::ReadableOrNull), (3, Passed::ReadableOrNull)]),
    ("task_vma", &[(1, Passed::ReadableOrNull), (2, Passed::ReadableOrNull)]),
    ("tcp", &[(1, Passed::TrustedOrNull)]),
    ("udp", &[(1, Passed::TrustedOrNull)]),
    ("unix", &[(1, Passed::ReadableOrNull)]),
];

/// What an iterator passes, by the number of the argument, from 0; `None` for one that is not modelled.
pub fn iterator(name: &str) -> Option<&'static [(u8, Passed)]> {
    let found = ITERATORS.binary_search_by(|row| row.0.cmp(name));
    found.ok().and_then(|at| ITERATORS.get(at)).map(|row| row.1)
}

/// The struct that a map is, which programs may read (`map_btf_id` of each `struct bpf_map_ops`).
pub fn map_struct(kind: MapType) -> Option<&'static str> {
    Some(match kind {
        MapType::HASH
        | MapType::PERCPU_HASH
        | MapType::LRU_HASH
        | MapType::LRU_PERCPU_HASH
        | MapType::HASH_OF_MAPS => "bpf_htab",
        MapType::ARRAY
        | MapType::PERCPU_ARRAY
        | MapType::PROG_ARRAY
        | MapType::PERF_EVENT_ARRAY
        | MapType::CGROUP_ARRAY
        | MapType::ARRAY_OF_MAPS => "bpf_array",
        MapType::STACK_TRACE => "bpf_stack_map",
        MapType::LPM_TRIE => "lpm_trie",
        MapType::DEVMAP | MapType::DEVMAP_HASH => "bpf_dtab",
        MapType::SOCKMAP => "bpf_stab",
        MapType::SOCKHASH => "bpf_shtab",
        MapType::CPUMAP => "bpf_cpu_map",
        MapType::XSKMAP => "xsk_map",
        MapType::CGROUP_STORAGE | MapType::PERCPU_CGROUP_STORAGE => "bpf_cgroup_storage_map",
        MapType::REUSEPORT_SOCKARRAY => "reuseport_array",
        MapType::QUEUE | MapType::STACK => "bpf_queue_stack",
        MapType::SK_STORAGE | MapType::INODE_STORAGE | MapType::TASK_STORAGE | MapType::CGRP_STORAGE => {
            "bpf_local_storage_map"
        }
        MapType::STRUCT_OPS => "bpf_struct_ops_map",
        MapType::RINGBUF | MapType::USER_RINGBUF => "bpf_ringbuf_map",
        MapType::BLOOM_FILTER => "bpf_bloom_filter",
        MapType::ARENA => "bpf_arena",
        _ => return None,
    })
}

/// Hooks of LSM programs whose arguments are only good for reading (`untrusted_lsm_hooks`, kernel/bpf/bpf_lsm.c).
static UNTRUSTED_HOOKS: &[&str] = &[
    "bpf_lsm_bpf_map_free",
    "bpf_lsm_bpf_prog_free",
    "bpf_lsm_file_alloc_security",
    "bpf_lsm_file_free_security",
    "bpf_lsm_sk_alloc_security",
    "bpf_lsm_sk_free_security",
    "bpf_lsm_task_free",
];

/// Whether the arguments of an LSM hook, by the name of its function, are there.
pub fn is_hook_trusted(name: &str) -> bool {
    !UNTRUSTED_HOOKS.contains(&name)
}

/// Hooks of LSM programs that return a boolean (`bool_lsm_hooks`).
static BOOL_HOOKS: &[&str] =
    &["bpf_lsm_audit_rule_known", "bpf_lsm_inode_xattr_skipcap", "bpf_lsm_xfrm_state_pol_flow_match"];

/// What the function of an LSM hook that returns something may return: a boolean, or zero or an error number
/// (`bpf_lsm_get_retval_range`).
pub fn hook_returns(name: &str) -> (i32, i32) {
    if BOOL_HOOKS.contains(&name) { (0, 1) } else { (-4095, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        assert!(TRACEPOINTS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(ITERATORS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(tracepoint("kfree_skb"), [Odd::Null(3)]);
        assert_eq!(tracepoint("sched_switch"), []);
        assert_eq!(iterator("tcp"), Some(&[(1, Passed::TrustedOrNull)][..]));
    }

    #[test]
    fn members_and_hooks() {
        assert_eq!(member("task_struct", "cgroups", "css_set"), Some(Reliance::Rcu));
        assert_eq!(member("task_struct", "cgroups", "cgroup"), None);
        assert_eq!(hook_returns("bpf_lsm_file_open"), (-4095, 0));
        assert!(is_hook_trusted("bpf_lsm_file_open") && !is_hook_trusted("bpf_lsm_task_free"));
        assert_eq!(map_struct(MapType::LPM_TRIE), Some("lpm_trie"));
    }
}
