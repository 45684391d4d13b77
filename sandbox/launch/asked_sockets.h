/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_ASKED_SOCKETS_H
#define CLOCHE_LAUNCH_ASKED_SOCKETS_H

#include <stdint.h>

struct plan;

/*
 * Sockets that are made in a function's place (policies/floor-loopback.json), in the network and
 * with the rights that the function has: what waits in them is nobody's memory, so a context has
 * few at a time. How few: that all of them, filled to the host's net.core.rmem_max, are within a
 * tenth of its memory; where that are less than four, up to four within a quarter.
 */

/* In the context, by a child of the warden (listener.h). Returns the socket, or -errno: EMFILE when
 * there are so many, EAFNOSUPPORT when there can be none. type has socket(2)'s flags. Allocates
 * nothing. */
int asked_socket(const struct plan *plan, int domain, int type, int protocol);

/* How many there may be, by a limit of memory, on this host, as its launcher sees it: older kernels
 * show it in no other network. */
uint64_t asked_most_here(uint64_t memory_bytes);

/* By the size that a queue may have. */
uint64_t asked_most(uint64_t memory_bytes, uint64_t queue_bytes);

#endif
