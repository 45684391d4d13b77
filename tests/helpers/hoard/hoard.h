/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_HELPERS_HOARD_H
#define CLOCHE_TESTS_HELPERS_HOARD_H

/* One kind of kernel object: make(process, i) makes the i-th of a process, which then holds it
 * until it ends. 0, or -errno when the kernel refuses. The tables end with a NULL name. */
struct hoard_object {
	const char *name;
	int (*make)(unsigned process, unsigned i);
};

#define HOARD_MEMORY (-10001) /* the cgroup's memory is nearly full */
#define HOARD_KILLED (-10002) /* the process that made them was */

extern const struct hoard_object hoard_files[], hoard_sockets[], hoard_others[];

#endif
