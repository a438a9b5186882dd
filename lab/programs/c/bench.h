// What every benchmark program includes: types, and what its one function looks like.
//
// A program is a pure computation over `mem`, which has `len` bytes and starts at a multiple of 8: the input first,
// then scratch. It leaves the input alone and uses no scratch that it has not written, so it may run again at once and
// comes to the same. It has no globals and calls nothing outside its file, so its bytecode runs on any machine.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char i8;
typedef short i16;
typedef int i32;
typedef long long i64;

#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))

#ifdef __bpf__
#define ENTRY __attribute__((section("socket")))
#else
#define ENTRY
#endif

// The native builds say another name for each program and variant.
#ifndef PROG
#define PROG prog
#endif

ENTRY u64 PROG(void *mem, u64 len);

INLINE u32 rotl32(u32 x, u32 by)
{
	return x << by | x >> (32 - by);
}

INLINE u64 rotl64(u64 x, u32 by)
{
	return x << by | x >> (64 - by);
}
