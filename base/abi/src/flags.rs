//! The flags of commands, maps, programs and helpers, under Linux's own names.

use crate::defines::defines;

defines! {
    // enum of "flags for BPF_MAP_UPDATE_ELEM command"
    "linux/bpf.h" {
        BPF_ANY: u64 = 0, "Update: create the element or replace it.";
        BPF_NOEXIST: u64 = 1, "Update: create the element; EEXIST if there is one.";
        BPF_EXIST: u64 = 2, "Update: replace the element; ENOENT if there is none.";
        BPF_F_LOCK: u64 = 4, "Look-up and update: hold the value's spin lock.";
        BPF_F_CPU: u64 = 8, "Per-CPU maps: only the CPU in the upper 32 bits (later than Linux 6.18).";
        BPF_F_ALL_CPUS: u64 = 16, "Per-CPU maps: one value for every CPU (later than Linux 6.18).";
    }
    // enum of "flags for BPF_MAP_CREATE command"
    "linux/bpf.h" {
        BPF_F_NO_PREALLOC: u32 = 1 << 0, "Map: allocate elements when they are needed.";
        BPF_F_NO_COMMON_LRU: u32 = 1 << 1, "Map: one LRU list for each CPU.";
        BPF_F_NUMA_NODE: u32 = 1 << 2, "Map: `numa_node` counts.";
        BPF_F_RDONLY: u32 = 1 << 3, "Map or pin: system calls through this descriptor may only read.";
        BPF_F_WRONLY: u32 = 1 << 4, "Map or pin: system calls through this descriptor may only write.";
        BPF_F_STACK_BUILD_ID: u32 = 1 << 5, "Stack-trace map: store build ids and offsets.";
        BPF_F_ZERO_SEED: u32 = 1 << 6, "Hash map: a hash seed of zero, for tests.";
        BPF_F_RDONLY_PROG: u32 = 1 << 7, "Map: programs may only read.";
        BPF_F_WRONLY_PROG: u32 = 1 << 8, "Map: programs may only write.";
        BPF_F_CLONE: u32 = 1 << 9, "Socket storage: copied to accepted sockets.";
        BPF_F_MMAPABLE: u32 = 1 << 10, "Array: may be mapped into memory.";
        BPF_F_PRESERVE_ELEMS: u32 = 1 << 11, "Perf-event array: entries outlive the descriptor that set them.";
        BPF_F_INNER_MAP: u32 = 1 << 12, "Array: an inner map that may differ in `max_entries`.";
        BPF_F_LINK: u32 = 1 << 13, "struct_ops map: registered by a link; attach: a link, not a program.";
        BPF_F_PATH_FD: u32 = 1 << 14, "OBJ_PIN, OBJ_GET: `path_fd` counts.";
        BPF_F_VTYPE_BTF_OBJ_FD: u32 = 1 << 15, "Map: `value_type_btf_obj_fd` counts.";
        BPF_F_TOKEN_FD: u32 = 1 << 16, "The command's token descriptor counts.";
        BPF_F_SEGV_ON_FAULT: u32 = 1 << 17, "Arena: user space's faults raise SIGSEGV.";
        BPF_F_NO_USER_CONV: u32 = 1 << 18, "Arena: pointers are not translated for user space.";
        BPF_F_RB_OVERWRITE: u32 = 1 << 19, "Ring buffer: new records overwrite old ones (later than Linux 6.18).";
    }
    "linux/bpf.h" {
        BPF_F_STRICT_ALIGNMENT: u32 = 1 << 0, "PROG_LOAD: refuse unaligned access on every machine.";
        BPF_F_ANY_ALIGNMENT: u32 = 1 << 1, "PROG_LOAD: allow unaligned access on every machine.";
        BPF_F_TEST_RND_HI32: u32 = 1 << 2, "PROG_LOAD: fill upper halves with random bits, for tests.";
        BPF_F_TEST_STATE_FREQ: u32 = 1 << 3, "PROG_LOAD: checkpoint states often, for tests.";
        BPF_F_SLEEPABLE: u32 = 1 << 4, "PROG_LOAD: the program may sleep.";
        BPF_F_XDP_HAS_FRAGS: u32 = 1 << 5, "PROG_LOAD: an XDP program that copes with frames in fragments.";
        BPF_F_XDP_DEV_BOUND_ONLY: u32 = 1 << 6, "PROG_LOAD: bound to `prog_ifindex` for its metadata kfuncs.";
        BPF_F_TEST_REG_INVARIANTS: u32 = 1 << 7, "PROG_LOAD: the verifier checks its own register bounds, for tests.";
    }
    "linux/bpf.h" {
        BPF_F_ALLOW_OVERRIDE: u32 = 1 << 0, "Attach to a cgroup: one below may take the place.";
        BPF_F_ALLOW_MULTI: u32 = 1 << 1, "Attach to a cgroup: several programs run.";
        BPF_F_REPLACE: u32 = 1 << 2, "Attach, LINK_UPDATE: in the place of the program named.";
        BPF_F_BEFORE: u32 = 1 << 3, "Attach: before the relative one, or first.";
        BPF_F_AFTER: u32 = 1 << 4, "Attach: after the relative one, or last.";
        BPF_F_ID: u32 = 1 << 5, "Attach: the relative one is given by id.";
        BPF_F_PREORDER: u32 = 1 << 6, "Attach to a cgroup: runs before those of cgroups below.";
        BPF_F_QUERY_EFFECTIVE: u32 = 1 << 0, "PROG_QUERY: with those that cgroups above hand down.";
        BPF_F_TEST_RUN_ON_CPU: u32 = 1 << 0, "PROG_TEST_RUN: on the CPU named.";
        BPF_F_TEST_XDP_LIVE_FRAMES: u32 = 1 << 1, "PROG_TEST_RUN: the verdict is carried out.";
        BPF_F_TEST_SKB_CHECKSUM_COMPLETE: u32 = 1 << 2, "PROG_TEST_RUN: checks the packet's checksum.";
        BPF_F_KPROBE_MULTI_RETURN: u32 = 1 << 0, "LINK_CREATE kprobe_multi: at the functions' return.";
        BPF_F_UPROBE_MULTI_RETURN: u32 = 1 << 0, "LINK_CREATE uprobe_multi: at the functions' return.";
        BPF_F_NETFILTER_IP_DEFRAG: u32 = 1 << 0, "LINK_CREATE netfilter: reassemble fragments first.";
        BPF_STATS_RUN_TIME: u32 = 0, "ENABLE_STATS: `run_time_ns` and `run_cnt`.";
        BPF_STREAM_STDOUT: u32 = 1, "PROG_STREAM_READ: what the program printed (Linux 6.17).";
        BPF_STREAM_STDERR: u32 = 2, "PROG_STREAM_READ: what went wrong in it (Linux 6.17).";
    }
    "linux/bpf.h" {
        BPF_PSEUDO_MAP_FD: u8 = 1, "`src_reg` of a 64-bit load: a map by descriptor.";
        BPF_PSEUDO_MAP_VALUE: u8 = 2, "`src_reg` of a 64-bit load: inside the value of a map by descriptor.";
        BPF_PSEUDO_BTF_ID: u8 = 3, "`src_reg` of a 64-bit load: a kernel variable by BTF id.";
        BPF_PSEUDO_FUNC: u8 = 4, "`src_reg` of a 64-bit load: a function of the program.";
        BPF_PSEUDO_MAP_IDX: u8 = 5, "`src_reg` of a 64-bit load: a map by index in `fd_array`.";
        BPF_PSEUDO_MAP_IDX_VALUE: u8 = 6, "`src_reg` of a 64-bit load: inside the value of a map by index.";
        BPF_PSEUDO_CALL: u8 = 1, "`src_reg` of a call: a function of the program.";
        BPF_PSEUDO_KFUNC_CALL: u8 = 2, "`src_reg` of a call: a kernel function by BTF id.";
    }
    // The flags that helpers take.
    "linux/bpf.h" {
        BPF_F_RECOMPUTE_CSUM: u64 = 1 << 0, "skb_store_bytes: keep the checksum right.";
        BPF_F_INVALIDATE_HASH: u64 = 1 << 1, "skb_store_bytes: forget the flow hash.";
        BPF_F_HDR_FIELD_MASK: u64 = 0xf, "l3/l4_csum_replace: the size of the field.";
        BPF_F_PSEUDO_HDR: u64 = 1 << 4, "l4_csum_replace: the field is part of the pseudo header.";
        BPF_F_MARK_MANGLED_0: u64 = 1 << 5, "l4_csum_replace: a checksum of zero stays (UDP).";
        BPF_F_MARK_ENFORCE: u64 = 1 << 6, "l4_csum_replace: enforce the mangled mark.";
        BPF_F_IPV6: u64 = 1 << 7, "l4_csum_replace: an IPv6 pseudo header (Linux 6.16).";
        BPF_F_INGRESS: u64 = 1 << 0, "redirect, clone_redirect: to the receiving side.";
        BPF_F_BROADCAST: u64 = 1 << 3, "redirect_map: to every interface of the map.";
        BPF_F_EXCLUDE_INGRESS: u64 = 1 << 4, "redirect_map: not back where it came from.";
        BPF_F_SKIP_FIELD_MASK: u64 = 0xff, "get_stack, get_stackid: frames to skip.";
        BPF_F_USER_STACK: u64 = 1 << 8, "get_stack, get_stackid: the user stack.";
        BPF_F_FAST_STACK_CMP: u64 = 1 << 9, "get_stackid: compare by hash only.";
        BPF_F_REUSE_STACKID: u64 = 1 << 10, "get_stackid: replace a stack with the same hash.";
        BPF_F_USER_BUILD_ID: u64 = 1 << 11, "get_stack: build ids and offsets.";
        BPF_F_INDEX_MASK: u64 = 0xffff_ffff, "perf_event_output and others: the index in the map.";
        BPF_F_CURRENT_CPU: u64 = 0xffff_ffff, "perf_event_output and others: the index of this CPU.";
        BPF_F_CTXLEN_MASK: u64 = 0xf_ffff << 32, "perf_event_output: bytes of packet to append.";
        BPF_F_CURRENT_NETNS: i64 = -1, "sk_lookup: the namespace of the context.";
        BPF_F_TIMER_ABS: u64 = 1 << 0, "timer_start: an absolute time.";
        BPF_F_TIMER_CPU_PIN: u64 = 1 << 1, "timer_start: on this CPU.";
        BPF_CSUM_LEVEL_QUERY: u64 = 0, "csum_level: ask.";
        BPF_CSUM_LEVEL_INC: u64 = 1, "csum_level: one more.";
        BPF_CSUM_LEVEL_DEC: u64 = 2, "csum_level: one less.";
        BPF_CSUM_LEVEL_RESET: u64 = 3, "csum_level: none.";
        BPF_ADJ_ROOM_NET: u32 = 0, "skb_adjust_room: at the network header.";
        BPF_ADJ_ROOM_MAC: u32 = 1, "skb_adjust_room: at the MAC header.";
        BPF_F_ADJ_ROOM_FIXED_GSO: u64 = 1 << 0, "skb_adjust_room: leave gso_size.";
        BPF_F_ADJ_ROOM_ENCAP_L3_IPV4: u64 = 1 << 1, "skb_adjust_room: an IPv4 header is added.";
        BPF_F_ADJ_ROOM_ENCAP_L3_IPV6: u64 = 1 << 2, "skb_adjust_room: an IPv6 header is added.";
        BPF_F_ADJ_ROOM_ENCAP_L4_GRE: u64 = 1 << 3, "skb_adjust_room: a GRE header is added.";
        BPF_F_ADJ_ROOM_ENCAP_L4_UDP: u64 = 1 << 4, "skb_adjust_room: a UDP header is added.";
        BPF_F_ADJ_ROOM_NO_CSUM_RESET: u64 = 1 << 5, "skb_adjust_room: leave the checksum state.";
        BPF_F_ADJ_ROOM_ENCAP_L2_ETH: u64 = 1 << 6, "skb_adjust_room: the L2 header is Ethernet.";
        BPF_F_ADJ_ROOM_DECAP_L3_IPV4: u64 = 1 << 7, "skb_adjust_room: an IPv4 header goes.";
        BPF_F_ADJ_ROOM_DECAP_L3_IPV6: u64 = 1 << 8, "skb_adjust_room: an IPv6 header goes.";
        BPF_FIB_LOOKUP_DIRECT: u32 = 1 << 0, "fib_lookup: without rules.";
        BPF_FIB_LOOKUP_OUTPUT: u32 = 1 << 1, "fib_lookup: as for sending.";
        BPF_FIB_LOOKUP_SKIP_NEIGH: u32 = 1 << 2, "fib_lookup: without the neighbour.";
        BPF_FIB_LOOKUP_TBID: u32 = 1 << 3, "fib_lookup: in the table named.";
        BPF_FIB_LOOKUP_SRC: u32 = 1 << 4, "fib_lookup: answers the source address.";
        BPF_FIB_LOOKUP_MARK: u32 = 1 << 5, "fib_lookup: the mark counts (Linux 6.10).";
    }
}
