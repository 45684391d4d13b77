/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_OWN_FDS_H
#define CLOCHE_LAUNCH_OWN_FDS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct cloche_err;
struct plan;
struct process;

/*
 * In the warden, right after clone(2), which copies all that the launcher's process has open: other
 * contexts' slots, pipes, control sockets. Closes whatever is not in the plan of this
 * one; 0 to 2 stay. Fails closed.
 */
int own_fds_keep(struct plan *plan, struct cloche_err *err);

/*
 * A launcher of many contexts has some ten thousand descriptors. To copy them all and close them
 * again would be most of a warden's making, and its table would stay as large: 256 KiB. So such a
 * launcher keeps low numbers free; its wardens are born with its table (CLONE_FILES), make what is
 * theirs known by those numbers, and have a table of their own from these few on.
 *
 * Where the numbers are free, own_fds_reserve() once; then for each warden of which own_fds_fit():
 * own_fds_take() in it, instead of own_fds_keep(), while the launcher waits in own_fds_wait(), and
 * own_fds_reserve() again.
 */
bool own_fds_free(void);
bool own_fds_reserve(int null);
bool own_fds_fit(struct plan *plan);
int own_fds_take(struct plan *plan, struct cloche_err *err);
void own_fds_wait(const struct plan *plan, const struct process *warden);

/* fork(2) in such a launcher: the child has 0 to 2 and keep[0] to keep[n - 1], by their numbers,
 * and nothing else open; n at most OWN_FDS_KEEP. False in *ret_free: the low numbers are not free
 * any more. -errno. */
#define OWN_FDS_KEEP 16
pid_t own_fds_fork(int null, const int keep[], size_t n, bool *ret_free);

/* In a child of the warden: closes all but these, which are no more than it has itself; also 0 to
 * 2, which are a function's streams. -errno. */
int own_fds_only(const int *fds, unsigned n);

#endif
