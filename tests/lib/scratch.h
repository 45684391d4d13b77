/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_SCRATCH_H
#define CLOCHE_TESTS_LIB_SCRATCH_H

#include <stddef.h>

/*
 * A folder for what unpacks somebody's files, for fuzz targets: it has "tree", which may be filled,
 * and beside it "outside", in which nothing may appear, since most tricks of archives lead there
 * ("../", links). The process is in it from enter to leave. What cannot be done ends it by
 * abort(3).
 */
struct scratch {
	char dir[32]; /* its path */
	int before;   /* where the process was */
};

struct scratch scratch_enter(void);

/* Aborts when there is something outside; removes it all. */
void scratch_leave(struct scratch *s);

/* A new file in the current directory. */
void scratch_put(const char *name, const void *data, size_t size);

#endif
