/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Between the byte order of the network and the one the program is compiled for. */
#ifndef SKEP_ENDIAN_H
#define SKEP_ENDIAN_H

#include "types.h"

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SKEP_SWAP_NET(width, x) __builtin_bswap##width(x)
#else
#define SKEP_SWAP_NET(width, x) (x)
#endif

#define bpf_ntohs(x) ((__u16)SKEP_SWAP_NET(16, (__u16)(x)))
#define bpf_htons(x) ((__be16)SKEP_SWAP_NET(16, (__u16)(x)))
#define bpf_ntohl(x) ((__u32)SKEP_SWAP_NET(32, (__u32)(x)))
#define bpf_htonl(x) ((__be32)SKEP_SWAP_NET(32, (__u32)(x)))

#endif
