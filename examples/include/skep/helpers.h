/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Helpers. A helper is called by its number, so its declaration is a constant
 * function pointer with the number for an address; clang turns the call into
 * `call NUMBER`.
 */
#ifndef SKEP_HELPERS_H
#define SKEP_HELPERS_H

#include "types.h"
#include "object.h"

#define BPF_HELPER(number, ret, name, ...) static ret (*const name)(__VA_ARGS__) __unused = (ret (*)(__VA_ARGS__))(number)

struct __sk_buff;
struct xdp_md;

/* Maps. */
BPF_HELPER(1, void *, bpf_map_lookup_elem, void *map, const void *key);
BPF_HELPER(2, long, bpf_map_update_elem, void *map, const void *key, const void *value, __u64 flags);
BPF_HELPER(3, long, bpf_map_delete_elem, void *map, const void *key);
BPF_HELPER(87, long, bpf_map_push_elem, void *map, const void *value, __u64 flags);
BPF_HELPER(88, long, bpf_map_pop_elem, void *map, void *value);
BPF_HELPER(89, long, bpf_map_peek_elem, void *map, void *value);
BPF_HELPER(164, long, bpf_for_each_map_elem, void *map, void *callback, void *context, __u64 flags);
BPF_HELPER(195, void *, bpf_map_lookup_percpu_elem, void *map, const void *key, __u32 cpu);

/* Control. */
BPF_HELPER(12, long, bpf_tail_call, void *ctx, void *prog_array, __u32 index);
BPF_HELPER(181, long, bpf_loop, __u32 iterations, void *callback, void *context, __u64 flags);

/* Clocks, randomness, processors. */
BPF_HELPER(5, __u64, bpf_ktime_get_ns, void);
BPF_HELPER(7, __u32, bpf_get_prandom_u32, void);
BPF_HELPER(8, __u32, bpf_get_smp_processor_id, void);
BPF_HELPER(42, long, bpf_get_numa_node_id, void);
BPF_HELPER(118, __u64, bpf_jiffies64, void);
BPF_HELPER(125, __u64, bpf_ktime_get_boot_ns, void);
BPF_HELPER(160, __u64, bpf_ktime_get_coarse_ns, void);
BPF_HELPER(208, __u64, bpf_ktime_get_tai_ns, void);

/* Tasks and memory. */
BPF_HELPER(14, __u64, bpf_get_current_pid_tgid, void);
BPF_HELPER(15, __u64, bpf_get_current_uid_gid, void);
BPF_HELPER(16, long, bpf_get_current_comm, void *buffer, __u32 size);
BPF_HELPER(35, __u64, bpf_get_current_task, void);
BPF_HELPER(80, __u64, bpf_get_current_cgroup_id, void);
BPF_HELPER(112, long, bpf_probe_read_user, void *to, __u32 size, const void *from);
BPF_HELPER(113, long, bpf_probe_read_kernel, void *to, __u32 size, const void *from);
BPF_HELPER(114, long, bpf_probe_read_user_str, void *to, __u32 size, const void *from);
BPF_HELPER(115, long, bpf_probe_read_kernel_str, void *to, __u32 size, const void *from);
BPF_HELPER(173, __u64, bpf_get_func_ip, void *ctx);

/* Text. */
BPF_HELPER(6, long, bpf_trace_printk, const char *format, __u32 size, ...);
BPF_HELPER(105, long, bpf_strtol, const char *text, __u64 size, __u64 flags, long *result);
BPF_HELPER(106, long, bpf_strtoul, const char *text, __u64 size, __u64 flags, unsigned long *result);
BPF_HELPER(165, long, bpf_snprintf, char *to, __u32 size, const char *format, const __u64 *data, __u32 data_size);
BPF_HELPER(177, long, bpf_trace_vprintk, const char *format, __u32 size, const void *data, __u32 data_size);
BPF_HELPER(182, long, bpf_strncmp, const char *text, __u32 size, const char *other);

/* Events. */
BPF_HELPER(25, long, bpf_perf_event_output, void *ctx, void *map, __u64 flags, const void *data, __u64 size);
BPF_HELPER(130, long, bpf_ringbuf_output, void *ring, const void *data, __u64 size, __u64 flags);
BPF_HELPER(131, void *, bpf_ringbuf_reserve, void *ring, __u64 size, __u64 flags);
BPF_HELPER(132, void, bpf_ringbuf_submit, void *record, __u64 flags);
BPF_HELPER(133, void, bpf_ringbuf_discard, void *record, __u64 flags);
BPF_HELPER(134, __u64, bpf_ringbuf_query, void *ring, __u64 what);

/* Packets. */
BPF_HELPER(9, long, bpf_skb_store_bytes, struct __sk_buff *skb, __u32 offset, const void *from, __u32 size, __u64 flags);
BPF_HELPER(10, long, bpf_l3_csum_replace, struct __sk_buff *skb, __u32 offset, __u64 from, __u64 to, __u64 size);
BPF_HELPER(11, long, bpf_l4_csum_replace, struct __sk_buff *skb, __u32 offset, __u64 from, __u64 to, __u64 flags);
BPF_HELPER(23, long, bpf_redirect, __u32 ifindex, __u64 flags);
BPF_HELPER(26, long, bpf_skb_load_bytes, const void *skb, __u32 offset, void *to, __u32 size);
BPF_HELPER(28, __s64, bpf_csum_diff, const __be32 *from, __u32 from_size, const __be32 *to, __u32 to_size, __wsum seed);
BPF_HELPER(38, long, bpf_skb_change_tail, struct __sk_buff *skb, __u32 size, __u64 flags);
BPF_HELPER(39, long, bpf_skb_pull_data, struct __sk_buff *skb, __u32 size);
BPF_HELPER(44, long, bpf_xdp_adjust_head, struct xdp_md *xdp, int delta);
BPF_HELPER(54, long, bpf_xdp_adjust_meta, struct xdp_md *xdp, int delta);
BPF_HELPER(65, long, bpf_xdp_adjust_tail, struct xdp_md *xdp, int delta);
BPF_HELPER(68, long, bpf_skb_load_bytes_relative, const void *skb, __u32 offset, void *to, __u32 size, __u32 start);
BPF_HELPER(188, __u64, bpf_xdp_get_buff_len, struct xdp_md *xdp);
BPF_HELPER(189, long, bpf_xdp_load_bytes, struct xdp_md *xdp, __u32 offset, void *to, __u32 size);
BPF_HELPER(190, long, bpf_xdp_store_bytes, struct xdp_md *xdp, __u32 offset, void *from, __u32 size);

/* Flags of bpf_ringbuf_submit, _discard and _output, and questions to bpf_ringbuf_query. */
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2 };
enum { BPF_RB_AVAIL_DATA = 0, BPF_RB_RING_SIZE = 1, BPF_RB_CONS_POS = 2, BPF_RB_PROD_POS = 3 };

/* The index that means "this CPU" to bpf_perf_event_output. */
#define BPF_F_CURRENT_CPU 0xffffffffULL

/* Flags of bpf_l4_csum_replace; the low four bits are the width of the field. */
enum { BPF_F_PSEUDO_HDR = 1 << 4, BPF_F_MARK_MANGLED_0 = 1 << 5 };
/* Flags of bpf_skb_store_bytes. */
enum { BPF_F_RECOMPUTE_CSUM = 1 << 0, BPF_F_INVALIDATE_HASH = 1 << 1 };

/* Prints to the trace pipe; the format lies on the stack, as every kernel allows. */
#define bpf_printk(text, ...)                                             \
	({                                                                \
		char __format[] = text;                                   \
		bpf_trace_printk(__format, sizeof(__format), ##__VA_ARGS__); \
	})

#endif
