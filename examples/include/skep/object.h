/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How declarations reach the object file: sections, linkage, optimisation fences. */
#ifndef SKEP_OBJECT_H
#define SKEP_OBJECT_H

/* Places a program, map or variable in an ELF section and keeps it even if nothing refers to it. */
#define SEC(name) __attribute__((section(name), used))

/* Variables that the loader provides: from the kernel's configuration, from its symbols. */
#define __kconfig __attribute__((section(".kconfig")))
#define __ksym __attribute__((section(".ksyms")))

/* Values of options that can be built as modules; the name is how loaders know the type. */
enum libbpf_tristate { TRI_NO = 0, TRI_YES = 1, TRI_MODULE = 2 };
/* Whether the kernel has a symbol that is declared `__ksym __weak`. */
#define bpf_ksym_exists(symbol) (!!(symbol))

#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))
#define __unused __attribute__((unused))
#define __packed __attribute__((packed))
#define __aligned(n) __attribute__((aligned(n)))
#define __weak __attribute__((weak))
/* A global symbol that the loader treats as static: verified per call site. */
#define __hidden __attribute__((visibility("hidden")))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Forbids the compiler to move memory accesses across this point. */
#define barrier() __asm__ volatile("" ::: "memory")
/* Makes the compiler forget what it knows about a value, so that a bounds check stays where it is written. */
#define barrier_var(var) __asm__ volatile("" : "+r"(var))

#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile __typeof__(x) *)&(x) = (value))

/*
 * The licence that the kernel is told. Some helpers are reserved for programs
 * whose licence is compatible with the GPL; MIT is.
 */
#define LICENSE(text) char _license[] SEC("license") = text

#endif
