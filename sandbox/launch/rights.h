/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_RIGHTS_H
#define CLOCHE_LAUNCH_RIGHTS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Opening files with somebody else's rights, by the kernel's own judgement: for the time of a call
 * this thread has that user's file system ids and groups, and none of root's capabilities over
 * files (setfsuid(2)). What it could not reach, by links or otherwise, that user could not either.
 */
struct rights {
	uid_t uid;
	gid_t gid;
	const gid_t *groups;
	size_t n_groups;
};

/* A user that owns nothing and is in no group: what everybody may. */
extern const struct rights rights_of_others;

#define RIGHTS_GROUPS_MAX 1024

/* For good: a process that is to open nothing else. 0 or -errno. */
int rights_take(const struct rights *who);

/* openat2(2) from the working directory, O_PATH | O_CLOEXEC, with RESOLVE_NO_MAGICLINKS unless all
 * links count; -errno. NULL: with our own rights. */
int rights_open(const struct rights *who, const char *path, uint64_t resolve);

/* What open(path) gives, with the rights of who; NULL: with our own. An fd or -errno, both ways. */
int rights_call(const struct rights *who, int (*open)(const char *path), const char *path);

/* The same for what takes more than a path, or opens several: 0 or -errno, the job's or our own. */
int rights_do(const struct rights *who, int (*job)(void *arg), void *arg);

/* Whether who, or NULL: this process, may read (R_OK), write, search what is open; 0 or -errno. */
int rights_check(const struct rights *who, int fd, int mode);

/* Opens for reading what is open as O_PATH: a file or a directory. -errno. */
int rights_reopen(const struct rights *who, int fd);

#endif
