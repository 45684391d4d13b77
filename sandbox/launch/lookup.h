/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_LOOKUP_H
#define CLOCHE_LAUNCH_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/*
 * To what a path leads, with the way: so that what execve(2) found between two lookups is known
 * though execve does not say. A rename, link or unlink sets the ctime of the directory in which it
 * happens, and nobody can set it back; so when two lookups went through the same directories with
 * the same times, every lookup between them came to the same file.
 *
 * That holds when the first lookup was later than those times: ctimes are those of the kernel's
 * last tick (CLOCK_REALTIME_COARSE; or finer, since 6.13), and two changes in one tick look like
 * one. And it holds on file systems whose times the kernel itself makes: not on network ones, not
 * on FUSE.
 */
struct lookup {
	unsigned n;
	struct lookup_step {
		uint64_t dev, ino;
		int64_t ctime_ns;
		bool roots; /* a directory in which only root renames */
	} steps[48];	    /* the directories in turn, last the file */
	struct stat file;
};

/*
 * From the directory dir, when path is relative. Returns the file, O_PATH, the caller's; or
 * -EOPNOTSUPP where times prove nothing, -E2BIG for too long a way, -errno as openat(2) has it.
 * Allocates nothing.
 */
int lookup(int dir, const char *path, struct lookup *ret);

/* Whether what a later lookup finds unchanged was so in between: false when the file, or a
 * directory in which others than root may rename, changed in the kernel's present tick. */
bool lookup_quiet(const struct lookup *l);

bool lookup_same(const struct lookup *a, const struct lookup *b);

#endif
