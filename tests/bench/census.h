/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BENCH_CENSUS_H
#define CLOCHE_BENCH_CENSUS_H

#include <stddef.h>

struct cloche_err;

/* Host uids of contexts; see sandbox/launch. Nobody else's accounts live up there. */
#define CONTEXT_UID_FIRST 1900000000u
#define CONTEXT_UID_LAST  1999999999u

enum census_kind {
	CENSUS_CGROUP,	  /* directories named cloche, and what is in them, in any hierarchy */
	CENSUS_MOUNT,	  /* lines of mountinfo, also of the mount namespaces that are pinned */
	CENSUS_NAMESPACE, /* kind and inode of each namespace that a process of a context is in */
	CENSUS_PROCESS,	  /* processes with a context's uid or in one of those cgroups */
	CENSUS_FILE,	  /* entries of /run/cloche, and of /tmp and /dev/shm by our name */
	CENSUS_KINDS,
};

/* Sorted lists of names, one per kind, so that two censuses can be compared name by name; and
 * counters of the kernel's for what has no name. All-zero is empty. */
struct census {
	struct {
		char **names;
		size_t len, cap;
	} lists[CENSUS_KINDS];
	long open_files;		    /* file-nr: of the whole machine, so others' show too */
	long net_namespaces, dying_cgroups; /* the same; -1: the kernel does not say */
};

/* Counts now. Processes whose supervisor is alive are someone's running invocation and are left
 * out. On failure *ret is unchanged. */
int census_take(struct census *ret, struct cloche_err *err);

/* The same, processes and their namespaces only: cheap enough for after every run. */
int census_survivors(struct census *ret, struct cloche_err *err);
void census_free(struct census *census);

/* How many names are new in `after`. */
size_t census_new(const struct census *before, const struct census *after);

/* Prints one line per kind and each name that is new in `after`; returns how many are new. */
size_t census_compare(const struct census *before, const struct census *after);

#define cleanup_census __attribute__((cleanup(census_free)))

#endif
