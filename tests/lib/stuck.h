/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_STUCK_H
#define CLOCHE_TESTS_LIB_STUCK_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Who holds the kernel's lock of something for as long as it likes: a child that reads or writes it
 * by a page of memory that does not come (userfaultfd(2); whoever has no right to that does the
 * same with a file system of its own). Needs root.
 */
struct stuck {
	pid_t pid;
	int said; /* ours */
};

enum stuck_how { STUCK_READ, STUCK_WRITE, STUCK_PWRITE };

/* Until it is held. The child has fd, and of the test's descriptors closes those of others[n]. */
struct stuck stuck_begin(enum stuck_how how, int fd, const int *others, size_t n);
void stuck_end(struct stuck *s);

#endif
