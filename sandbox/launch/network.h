/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_NETWORK_H
#define CLOCHE_LAUNCH_NETWORK_H

struct cloche_err;

/* Brings loopback up in the network namespace that the caller is in, through libnl. For pid 1 of a
 * context before it forks anything: single-threaded, so libnl may allocate. */
int network_loopback_up(struct cloche_err *err);

#endif
