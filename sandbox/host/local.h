/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_HOST_LOCAL_H
#define CLOCHE_HOST_LOCAL_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether a descriptor of a client's can hold up who but looks at it: a file of a file system that
 * somebody else answers for (FUSE, network), of which fstat(2) may wait for ever. It is known by
 * its mount, which statx(2) tells without asking that file system: a pipe, a socket, a file in
 * memory, or a file on a mount of ours with a file system of the kernel's own. What is mounted
 * elsewhere only is not known, and so is none.
 */
enum { LOCAL_KINDS = 3, LOCAL_SEEN = 16 };

struct local {
	int mountinfo;		      /* of the mounts that are known; borrowed */
	uint64_t mounts[LOCAL_KINDS]; /* the kernel's own, which are nowhere mounted */
	/* Of the others, which were looked up and found; until the kernel says that something was
	 * mounted or unmounted. Its table may be of thousands of lines. */
	uint64_t seen[LOCAL_SEEN];
	unsigned n_seen; /* so many ever */
};

/* 0 or -errno. mountinfo: proc(5) has that, of who knows these mounts; nobody else may poll(2) it,
 * which tells of each change once. */
int local_init(struct local *ret, int mountinfo);
bool local_is(struct local *local, int fd);

/* A file of memfd_create(2). */
bool local_is_memory(const struct local *local, int fd);

/* By the kind of its file system alone, for who does not know whose its mount is: it may be a file
 * of the kernel's own. The file system itself is asked. */
bool local_may_be(int fd);

/* Whether it is a file, or directory, on a mount of ours of the kernel's own that keeps files:
 * what may be bound for somebody else. Allocates nothing. */
bool local_keeps(int fd);

#endif
