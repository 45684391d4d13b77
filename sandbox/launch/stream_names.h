/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_STREAM_NAMES_H
#define CLOCHE_LAUNCH_STREAM_NAMES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/*
 * A function opens its streams by name, too: /dev/stdin, /proc/self/fd/1. That is a new opening,
 * for which the kernel asks the mode of what the stream is; and that is the caller's, mode 0600.
 *
 * Theory of operation. The function is never the owner, who could give himself more by chmod(2).
 *   A pipe without a name, open for writing: others may write to it. Who these others are does not
 *     matter much: none gets at such a pipe who has not an end of it already.
 *   A pipe without a name, open for reading, and the caller's own controlling terminal: their group
 *     becomes the function's, which nobody else on the host has, and has exactly what the
 * function's descriptors have. One function at a time: for a second one things are as they were. A
 * file that is open for reading only: it is opened anew, by way of a mount of that file alone which
 * is read-only and, where not everybody may read it, makes the function's user its owner. The inode
 * stays as it is. What the mount shows can only be read, whoever owns it. All other kinds open as
 * far as their own mode lets the function.
 *
 * Runs that share a pipe find each other by locks on bytes of a file, which the kernel drops with
 * their owner: the last one of those who write sets the mode back. What a run leaves that was
 * killed by SIGKILL, an open mode, is set back by the next run on the same pipe or terminal; else
 * it stays, and lets nobody in but who had the pipe, or a group that has no members.
 */
struct stream_names {
	int table; /* the locks; -1: nothing was given */
	gid_t gid; /* the function's */
	gid_t own; /* of pipes before */
	unsigned n;
	struct stream_given {
		int fd; /* borrowed */
		struct stat was;
		uint64_t at;   /* its bytes in the table */
		unsigned bits; /* as of others in a mode: 4 read, 2 write */
		bool terminal;
	} given[3];
};

#define STREAM_NAMES_NONE ((struct stream_names){ .table = -1 })

/* To the function whose uid and gid on the host are id. fds: what it gets as its streams. */
void stream_names_try_give(int run_fd, uid_t id, const int fds[static 3], struct stream_names *ret);

/* The same for somebody else, and with a table that is open. Which terminal is his controlling one
 * is his word, in bits of fds: believed of what is his own, for he could be lying to nobody else's
 * harm. fds: -1: not that one. Allocates nothing. */
struct stream_caller {
	uid_t uid;
	gid_t gid;
	unsigned terminals;
};
int stream_names_table(int run_fd);
void stream_names_try_give_for(int table, uid_t id, const struct stream_caller *who,
			       const int fds[static 3], struct stream_names *ret);

/* When no process of the function is left. */
void stream_names_take_back(struct stream_names *names);

/* A file, open for reading only, opened anew as above, at the same place. -errno where that cannot
 * be: the file system has no idmapped mounts, the file is of another mount namespace. */
int stream_names_open_input(int run_fd, int fd, const struct stat *st, uid_t id);

/* A terminal of which it is not known that it has a session, so that it could become another's:
 * only of the own one it is. (Whoever leads that session may give it up in the midst of a run.) */
bool stream_is_foreign_terminal(int fd);

#endif
