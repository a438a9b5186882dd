// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A CO-RE relocation of each of the thirteen kinds, with access strings that
 * go through arrays, anonymous members and bit-fields. Only to be read: the
 * types are this file's own.
 */
#include "../vector.h"

#define __core __attribute__((preserve_access_index))

enum mode { MODE_OFF, MODE_ON = 3 };
enum wide_mode : __u64 { WIDE_MODE_FAR = 0x100000000ULL };

struct inner {
	__u32 number;
	__u8 bytes[4];
} __core;

struct target {
	__u64 first;
	struct inner inners[3];
	union {
		__u32 named;
		struct {
			__u16 low, high;
		};
	};
	__u32 plain : 3;
	__s32 signed_bits : 9;
	enum mode mode;
	struct target *next;
} __core;

/* A flavour: what stands behind the three underscores is not part of the name. */
struct target___older {
	__u32 first;
} __core;

typedef struct inner inner_t;

/* The fourth argument of clang's builtins says which question is meant. */
enum field_info { FIELD_BYTE_OFFSET, FIELD_BYTE_SIZE, FIELD_EXISTS, FIELD_SIGNED, FIELD_LSHIFT_U64, FIELD_RSHIFT_U64 };
enum type_id { TYPE_ID_LOCAL, TYPE_ID_TARGET };
enum type_info { TYPE_EXISTS, TYPE_SIZE, TYPE_MATCHES };
enum enum_value { ENUMVAL_EXISTS, ENUMVAL_VALUE };

#define FIELD(field, question) __builtin_preserve_field_info(field, question)
#define TYPE(type, question) __builtin_preserve_type_info(*(type *)0, question)
#define TYPE_ID(type, question) __builtin_btf_type_id(*(type *)0, question)
#define ENUM(type, value, question) __builtin_preserve_enum_value(*(type *)value, question)

SEC("raw_tracepoint/sys_enter")
int fields(struct bpf_raw_tracepoint_args *ctx)
{
	struct target *target = (void *)ctx->args[0];
	__u64 sum = 0;
	__u32 number = 0;

	bpf_probe_read_kernel(&number, sizeof(number), __builtin_preserve_access_index(&target->inners[2].number));
	sum += number;
	bpf_probe_read_kernel(&number, sizeof(number), __builtin_preserve_access_index(&target->high));
	sum += number;
	sum += FIELD(target->inners[1].bytes[3], FIELD_BYTE_OFFSET);
	sum += FIELD(target->inners, FIELD_BYTE_SIZE);
	sum += FIELD(target->next, FIELD_EXISTS);
	sum += FIELD(target->signed_bits, FIELD_SIGNED);
	sum += FIELD(target->signed_bits, FIELD_LSHIFT_U64);
	sum += FIELD(target->plain, FIELD_RSHIFT_U64);
	sum += FIELD(((struct target___older *)target)->first, FIELD_BYTE_SIZE);
	return sum;
}

SEC("raw_tracepoint/sys_exit")
int types(struct bpf_raw_tracepoint_args *ctx __unused)
{
	__u64 sum = 0;

	sum += TYPE(struct target, TYPE_EXISTS);
	sum += TYPE(inner_t, TYPE_SIZE);
	sum += TYPE(struct inner, TYPE_MATCHES);
	sum += TYPE_ID(struct target, TYPE_ID_LOCAL);
	sum += TYPE_ID(struct target___older, TYPE_ID_TARGET);
	sum += ENUM(enum mode, MODE_ON, ENUMVAL_EXISTS);
	sum += ENUM(enum mode, MODE_ON, ENUMVAL_VALUE);
	sum += ENUM(enum wide_mode, WIDE_MODE_FAR, ENUMVAL_VALUE);
	return sum;
}

/* Loads and stores through a context of its own type, the form that needs no helper. */
SEC("raw_tracepoint/sched_switch")
int direct(struct bpf_raw_tracepoint_args *ctx)
{
	struct target *target = (void *)ctx;

	return target->mode + target->inners[1].number + target->first;
}

LICENSE("Dual MIT/GPL");
