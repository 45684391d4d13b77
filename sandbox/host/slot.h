/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_HOST_SLOT_H
#define CLOCHE_HOST_SLOT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cloche_err;

/*
 * A slot is the identity of a context on this host: a number that gives it its uid, its gid and
 * the name of its cgroups, and that no other context has at that time.
 *
 * Theory of operation. The file /run/cloche/slots has one byte for each slot: 0 free, 1 dirty. The
 * owner of slot n holds an open-file-description lock (fcntl(2), F_OFD_SETLK) on byte n for as long
 * as it lives and sets the byte before it makes anything. The kernel drops the lock when the owner
 * dies, however it dies; so "dirty and lockable" is exactly "left behind by a dead one", and
 * whoever finds that cleans up. The byte goes back to 0 when nothing is left of the context.
 */
#define SLOT_MAX 4096
/* systemd's list of uid ranges (UIDS-GIDS.md) leaves 1879048192-2147483647 unused. */
#define SLOT_UID_BASE 1900000000u
/* Behind the last: of no context and no file, for helpers that shall have nothing. */
#define SLOT_UID_NONE (SLOT_UID_BASE + SLOT_MAX)
/* Of the daemon's front, where the host has no user for it. */
#define SLOT_UID_FRONT (SLOT_UID_BASE + SLOT_MAX + 1)

struct slot {
	int fd;	    /* the table; holds the lock; -1: none */
	unsigned n; /* 0 to SLOT_MAX - 1 */
};

static inline uid_t slot_uid(unsigned n)
{
	return SLOT_UID_BASE + n;
}

/* Also the two behind the last. */
static inline int slot_is_uid(uid_t uid)
{
	return uid - SLOT_UID_BASE <= SLOT_UID_FRONT - SLOT_UID_BASE;
}

/*
 * Takes a free slot. For every slot that a dead owner left dirty, clean(n, arg) is called under
 * its lock and must remove what is left of it; a slot that cannot be cleaned stays dirty and is
 * passed over. -EUSERS when all are taken. ours: SLOT_MAX of them, slots that the caller knows to
 * be held by itself, which are not tried; NULL: none. The kernel looks at each lock there is for
 * every one that is tried: of a thousand of one's own that were 3 ms.
 */
int slot_take(int run_fd, const bool *ours,
	      int (*clean)(unsigned n, void *arg, struct cloche_err *err), void *arg,
	      struct slot *ret, struct cloche_err *err);

/* Frees it. With clean, the byte goes back to 0; without, the next run looks after it. */
void slot_release(struct slot *slot, int clean);

#endif
