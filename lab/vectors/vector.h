/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A vector checks itself: its programs return 0, or the line of the first
 * expectation that does not hold. Inputs are volatile globals, so that neither
 * the compiler nor a verifier knows them, and what is expected is folded by
 * the compiler, which knows nothing of the engine under test.
 */
#ifndef SKEP_VECTOR_H
#define SKEP_VECTOR_H

#include <skep/bpf.h>

#define EXPECT(condition)                \
	do {                             \
		if (!(condition))        \
			return __LINE__; \
	} while (0)

/* For subprograms and callbacks that have to pass a line on. */
#define EXPECT_ZERO(call)                  \
	do {                               \
		int __line = (call);       \
		if (__line)                \
			return __line;     \
	} while (0)

#endif
