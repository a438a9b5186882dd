// SPDX-License-Identifier: MIT OR Apache-2.0
/* A lock is taken, and one path keeps it. */
#include "wrong.h"

struct bpf_spin_lock {
	__u32 val;
};

struct guarded {
	struct bpf_spin_lock lock;
	__u32 count;
};

ARRAY(guarded, 1, struct guarded);

static long (*bpf_spin_lock)(struct bpf_spin_lock *lock) = (void *)93;
static long (*bpf_spin_unlock)(struct bpf_spin_lock *lock) = (void *)94;

SEC("tc")
int lock_kept(struct __sk_buff *ctx __unused)
{
	__u32 key = 0;
	struct guarded *value = bpf_map_lookup_elem(&guarded, &key);

	if (!value)
		return 0;
	bpf_spin_lock(&value->lock);
	value->count++;
	if (value->count == 7) { /* MISTAKE */
#ifdef FIXED
		bpf_spin_unlock(&value->lock);
#endif
		return 2;
	}
	bpf_spin_unlock(&value->lock);
	return 0;
}

LICENSE("Dual MIT/GPL");
