/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_CLIENT_H
#define CLOCHE_SERVE_CLIENT_H

#include "launch/proof.h"
#include "pool/pool.h"
#include "serve/limit.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cloche_err;
struct front;
struct reply;
struct ucred;

/*
 * One client of the control socket: its request, the context that is idle or made for it, the
 * invocation, the answer. It is there from its connection until it is answered and nothing of its
 * runs any more; then it frees itself and tells the front so.
 *
 *	HEARING ─ request ─> (SEEKING ─> MAKING) ─ a context ─> RUNNING ─ the record ─> answered
 *	    └── refused ──────────────────┴──────────────────────────────────────────────^
 *
 * Between a context and RUNNING, and before the answer, an invocation that is to be traced waits
 *for the launcher (serve/tracer.h).
 *
 * Whoever says with a request that another one follows (request.hold) is HEARING again when it is
 * answered, and has its context for that one, if it is found clean; or, with request.stays, as if
 * it had just connected.
 */
struct client {
	struct client *next; /* the front's list */
	uid_t uid;
	gid_t gid;
	bool silent;	       /* it has asked nothing yet */
	bool waiting;	       /* for a context of its kind, or for room for one */
	bool full;	       /* ... of which there was none */
	bool queued;	       /* ... and it may wait for somebody's end */
	bool listing;	       /* it asked what contexts there are */
	bool reading;	       /* it is sent records of the ledger */
	struct pool_kind kind; /* of the context that it needs, from SEEKING on */
};

/* Takes the socket over. barred: its code says that whatever is asked for is refused. NULL: there
 * is no memory for it, and it is closed. */
struct client *client_open(struct front *f, int socket, const struct ucred *who,
			   const struct cloche_err *barred);

/* Its context is there; there will be none. */
void client_have(struct client *c);
void client_refused(struct client *c, enum limit limit, const struct cloche_err *why);

/* Of the context that it had and is to have again: it is ready for it; it is not there any more. */
void client_kept(struct client *c);
void client_lost(struct client *c, enum residue why);

/* It waits: perhaps not any longer. *may_make: it may have a new one made, which is then false for
 * the next. */
void client_retry(struct client *c, bool *may_make);

/* LISTING: it can be answered. */
void client_list(struct client *c);

/* reading: it has all, or takes no more. */
void client_read(struct client *c);

/* Of its context: what was measured, counted or traced. */
struct packet_fds;
void client_hear(struct client *c, const struct reply *reply, const struct packet_fds *fds);

/* silent: it ends, for others are there who ask. */
void client_give_way(struct client *c);

/* No new work: who has not asked yet is sent away. */
void client_hurry(struct client *c);

/* Its invocation is not wanted any more. */
void client_cancel(struct client *c);

#endif
