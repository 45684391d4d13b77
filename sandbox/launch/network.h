/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_NETWORK_H
#define CLOCHE_LAUNCH_NETWORK_H

#include <sys/types.h>

struct cloche_err;

/*
 * Makes of the network namespace that the caller is in, which must be a new one, the loopback that
 * a context has for itself: up (through libnl), every port free to bind to, and pings of oneself
 * free to the group `gid`, as numbered on the host; by the /proc in the directory `proc`. For the
 * warden of a context before it forks anything: single-threaded, so libnl may allocate.
 */
int network_loopback(int proc, gid_t gid, struct cloche_err *err);

/* In the same place: a connection that is closed leaves no port that waits for what may still come
 * (TIME_WAIT), and is no trace of whoever had it. Where it cannot be, it is one. */
void network_try_leave_no_ports(int proc);

#endif
