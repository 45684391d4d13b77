/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_CLOSER_H
#define CLOCHE_SERVE_CLOSER_H

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;
struct local;
struct packet_fds;

/*
 * Closes what clients have sent. close(2) may wait for whom the client likes: for a file system
 * that it answers for itself (FUSE is asked to flush); of a socket with SO_LINGER, for a peer that
 * never reads; of a pipe, for the lock that the client holds while it writes to it from a page that
 * such a file system has to bring; of a big file without a name, for all of it to be freed; and a
 * socket in which descriptors lie unread closes these, too. No look beforehand helps where the
 * client may change it afterwards. So what is not known to be closed at once is closed by a thread:
 * one of a few, one for a user at a time, so that whoever holds one up does not hold up all. What
 * waits behind it stays open meanwhile; who has much that waits is not served (door.c).
 */
struct closer;

/* Before the filter of system calls, and before there may be no more threads. local is for the
 * caller's one thread and must outlive it. It lives as long as the process. */
int closer_open(struct local *local, struct closer **ret, struct cloche_err *err);

/* Of that user; *fd is -1 then. Without a closer: at once. */
void closer_take(struct closer *closer, uint32_t uid, int *fd);
void closer_take_all(struct closer *closer, uint32_t uid, struct packet_fds *fds);

/* What else may wait for that user's: done by the thread that closes his, behind what waits there.
 * False: there is no place. */
bool closer_do(struct closer *closer, uint32_t uid, void (*run)(void *arg), void *arg);

/* What of that user's is not closed yet and should be: a socket after a second, for each that lay
 * unread, or could linger, goes through here; a file of a file system that is not the kernel's own
 * at once. */
unsigned closer_owes(const struct closer *closer, uint32_t uid, int64_t now_ns);

#endif
