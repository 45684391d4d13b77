/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_ASKED_SOCKETS_H
#define CLOCHE_LAUNCH_ASKED_SOCKETS_H

#include <stdint.h>

struct context;

/*
 * Sockets that the launcher makes in a function's place (policies/floor-loopback.json), in the
 * network and with the rights that the function has: what waits in them is nobody's memory, so a
 * context has few at a time. How few: that all of them, filled to the host's net.core.rmem_max, are
 * within a tenth of its memory; where that are less than four, up to four within a quarter.
 */

/* Returns the socket, or -errno: EMFILE when there are so many, EAFNOSUPPORT when there can be
 * none. type has socket(2)'s flags. */
int asked_socket(const struct context *ctx, int domain, int type, int protocol);

/* By a limit of memory and the size that a queue may have. */
uint64_t asked_most(uint64_t memory_bytes, uint64_t queue_bytes);

#endif
