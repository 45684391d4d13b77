/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_TURN_H
#define CLOCHE_TESTS_LIB_TURN_H

#include <stddef.h>

/*
 * Several machines may share the cases of one program (vm-images/check.sh): TEST_TURN=I/N in the
 * environment says that this is number I, from 0 on, of N. Unset: one does all.
 *
 * Keeps of n cases, size bytes each, every Nth from the Ith on, in place; returns how many those
 * are.
 */
size_t turn_take(void *cases, size_t n, size_t size);

#endif
