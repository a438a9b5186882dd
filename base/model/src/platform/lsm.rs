//! The hooks of Linux's security modules that differ from the rest: functions `bpf_lsm_…` of its BTF, to which programs
//! of type LSM are attached.
//!
//! The lists are the sets of BTF ids in kernel/bpf/bpf_lsm.c, as Linux 6.18 has them in its memory.

/// What the names of hooks begin with.
pub const PREFIX: &str = "bpf_lsm_";

/// The largest errno (`MAX_ERRNO`).
const MAX_ERRNO: i32 = 4095;

/// Tells whether a program at this hook may sleep (`sleepable_lsm_hooks`).
pub fn sleeps(function: &str) -> bool {
    is_in(SLEEPABLE, function)
}

/// Tells whether no program may be attached to this hook (`bpf_lsm_disabled_hooks`).
pub fn is_disabled(function: &str) -> bool {
    is_in(DISABLED, function)
}

/// Tells whether what this hook is given is trusted (`untrusted_lsm_hooks`).
pub fn is_trusted(function: &str) -> bool {
    !is_in(UNTRUSTED, function)
}

/// Returns the values that a program may return at a hook that returns something: a negative errno or zero, or a
/// `bool` (`bpf_lsm_get_retval_range`). At a hook that returns nothing it may return anything.
pub fn returns(function: &str) -> (i32, i32) {
    if is_in(BOOL, function) { (0, 1) } else { (-MAX_ERRNO, 0) }
}

fn is_in(hooks: &[&str], function: &str) -> bool {
    function.strip_prefix(PREFIX).is_some_and(|hook| hooks.binary_search(&hook).is_ok())
}

/// `bpf_lsm_disabled_hooks`.
const DISABLED: &[&str] = &[
    "audit_rule_match",
    "getprocattr",
    "getselfattr",
    "inode_copy_up_xattr",
    "inode_getsecurity",
    "inode_listsecurity",
    "inode_need_killpriv",
    "ismaclabel",
    "key_getsecurity",
    "setprocattr",
    "vm_enough_memory",
    "xfrm_decode_session",
];

/// `bool_lsm_hooks`.
const BOOL: &[&str] = &["audit_rule_known", "inode_xattr_skipcap", "xfrm_state_pol_flow_match"];

/// `untrusted_lsm_hooks`.
const UNTRUSTED: &[&str] = &[
    "bpf_map_free",
    "bpf_prog_free",
    "file_alloc_security",
    "file_free_security",
    "sk_alloc_security",
    "sk_free_security",
    "task_free",
];

/// `sleepable_lsm_hooks`.
const SLEEPABLE: &[&str] = &[
    "bpf",
    "bpf_map",
    "bpf_map_create",
    "bpf_map_free",
    "bpf_prog",
    "bpf_prog_free",
    "bpf_prog_load",
    "bpf_token_capable",
    "bpf_token_cmd",
    "bpf_token_create",
    "bpf_token_free",
    "bprm_check_security",
    "bprm_committed_creds",
    "bprm_committing_creds",
    "bprm_creds_for_exec",
    "bprm_creds_from_file",
    "capget",
    "capset",
    "cred_prepare",
    "file_ioctl",
    "file_lock",
    "file_open",
    "file_post_open",
    "file_receive",
    "inode_create",
    "inode_free_security",
    "inode_getattr",
    "inode_getxattr",
    "inode_mknod",
    "inode_need_killpriv",
    "inode_post_removexattr",
    "inode_post_setxattr",
    "inode_readlink",
    "inode_removexattr",
    "inode_rename",
    "inode_rmdir",
    "inode_setattr",
    "inode_setxattr",
    "inode_symlink",
    "inode_unlink",
    "kernel_module_request",
    "kernel_read_file",
    "kernfs_init_security",
    "mmap_file",
    "netlink_send",
    "path_chmod",
    "path_chown",
    "path_link",
    "path_mkdir",
    "path_notify",
    "path_rename",
    "path_rmdir",
    "path_symlink",
    "path_truncate",
    "path_unlink",
    "release_secctx",
    "sb_alloc_security",
    "sb_eat_lsm_opts",
    "sb_kern_mount",
    "sb_mount",
    "sb_remount",
    "sb_set_mnt_opts",
    "sb_show_options",
    "sb_statfs",
    "sb_umount",
    "settime",
    "socket_accept",
    "socket_bind",
    "socket_connect",
    "socket_create",
    "socket_getpeername",
    "socket_getpeersec_dgram",
    "socket_getsockname",
    "socket_getsockopt",
    "socket_listen",
    "socket_post_create",
    "socket_recvmsg",
    "socket_sendmsg",
    "socket_shutdown",
    "socket_socketpair",
    "syslog",
    "task_alloc",
    "task_prctl",
    "task_setscheduler",
    "userns_create",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_ascend() {
        for list in [DISABLED, BOOL, UNTRUSTED, SLEEPABLE] {
            assert!(list.windows(2).all(|pair| pair[0] < pair[1]), "{list:?}");
        }
    }

    #[test]
    fn hooks_are_found_by_the_whole_name() {
        assert!(sleeps("bpf_lsm_file_open") && !sleeps("file_open") && !sleeps("bpf_lsm_file_permission"));
        assert!(is_disabled("bpf_lsm_getselfattr") && !is_disabled("bpf_lsm_file_open"));
        assert!(!is_trusted("bpf_lsm_task_free") && is_trusted("bpf_lsm_task_alloc"));
        assert_eq!(returns("bpf_lsm_inode_xattr_skipcap"), (0, 1));
        assert_eq!(returns("bpf_lsm_file_open"), (-4095, 0));
    }
}
