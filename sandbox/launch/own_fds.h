/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_OWN_FDS_H
#define CLOCHE_LAUNCH_OWN_FDS_H

struct cloche_err;
struct plan;

/*
 * In the warden, right after clone(2), which copies all that the launcher's process has open: other
 * contexts' slots, pipes, control sockets. Closes whatever is not in the plan of this
 * one; 0 to 2 stay. Fails closed.
 */
int own_fds_keep(const struct plan *plan, struct cloche_err *err);

/* In a child of the warden: closes all but these, which are no more than it has itself; also 0 to
 * 2, which are a function's streams. -errno. */
int own_fds_only(const int *fds, unsigned n);

#endif
