/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Everything a BPF program of this repository includes: one line, no Linux
 * headers, no libc. The names and numbers are the ones of Linux's ABI, so the
 * programs read as they would anywhere else.
 */
#ifndef SKEP_BPF_H
#define SKEP_BPF_H

#include "types.h"
#include "object.h"
#include "maps.h"
#include "helpers.h"
#include "context.h"

#endif
