/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BASE_FD_H
#define CLOCHE_BASE_FD_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Ownership by scope, as systemd writes it: a local that owns something is initialised where it is
 * declared and carries one of these attributes; TAKE_FD/TAKE_PTR hand it over.
 * close(2) is never retried: Linux frees the descriptor before it can say EINTR.
 */
static inline void fd_cleanup(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static inline void free_cleanup(void *p)
{
	free(*(void **)p);
}

static inline void file_cleanup(FILE **f)
{
	if (*f)
		(void)fclose(*f);
}

#define cleanup_fd   __attribute__((cleanup(fd_cleanup)))
#define cleanup_free __attribute__((cleanup(free_cleanup)))
#define cleanup_file __attribute__((cleanup(file_cleanup)))

static inline int take_fd(int *fd)
{
	int v = *fd;

	*fd = -1;
	return v;
}
#define TAKE_FD(fd) take_fd(&(fd))

#define TAKE_PTR(p)                 \
	({                          \
		typeof(p) v_ = (p); \
		(p) = NULL;         \
		v_;                 \
	})

/* Closes *fd when it is open and marks it closed; for members, which no attribute reaches. */
static inline void fd_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

#endif
