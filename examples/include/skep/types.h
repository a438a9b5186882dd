/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Integer types, by the names that Linux's ABI gives them. */
#ifndef SKEP_TYPES_H
#define SKEP_TYPES_H

typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;

/* Network byte order; a documentation of intent, not a checked type. */
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;

#ifndef __cplusplus
#define bool _Bool
#define true 1
#define false 0
#endif
#define NULL ((void *)0)

#define offsetof(type, member) __builtin_offsetof(type, member)

_Static_assert(sizeof(__u16) == 2 && sizeof(__u32) == 4 && sizeof(__u64) == 8, "fixed widths");

#endif
