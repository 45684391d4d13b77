/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_CLIENT_H
#define CLOCHE_SERVE_CLIENT_H

#include <stdint.h>
#include <sys/types.h>

struct front;
struct packet_fds;
struct reply;

/*
 * One client of the control socket: its request, the context that the launcher makes for it, the
 * invocation, the answer. It is there from its connection until it is answered and nothing of its
 * runs any more; then it frees itself and tells the front so.
 *
 *	HEARING ─ request ─> MAKING ─ MADE ─> RUNNING ─ the record ─> answered
 *	    └── refused ──────────┴─ REFUSED ────────────────────────────^
 */
struct client {
	struct client *next; /* the front's list */
	uint64_t number;     /* of its context, from MAKING on; else 0 */
	uid_t uid;
};

/* Takes the socket over. NULL: there is no memory for it, and it is closed. */
struct client *client_open(struct front *f, int socket, uid_t uid);

/* Of its context. The descriptors are its own. */
void client_hear(struct client *c, const struct reply *reply, struct packet_fds *fds);

/* No new work: who has not asked yet is sent away. */
void client_hurry(struct client *c);

/* Its invocation is not wanted any more. */
void client_cancel(struct client *c);

#endif
