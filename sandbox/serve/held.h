/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_HELD_H
#define CLOCHE_SERVE_HELD_H

#include "base/uuid.h"
#include "launch/launcher.h"
#include "launch/proof.h"
#include "pool/pool.h"
#include "serve/command.h"
#include "serve/dismissing.h"
#include "serve/listing.h"

#include <stdbool.h>
#include <stdint.h>

struct client;
struct front;
struct packet_fds;
struct reply;
struct resident;

/*
 * One context, as the front holds it: what it was handed of it, whose it is, which client has it
 * now. It is made for a client, and then had by any of the same owner and kind, one after the other
 * (pool/pool.h), until the launcher says that it is not clean, or it is given up.
 *
 *	held_make → MADE ─> (the invocation) → held_keep → KEPT ─> idle → held_take → …
 *	held_end, or no clean end → GONE: it is free
 */
struct held_kind {
	struct command_make make;
	unsigned char binds[HASH_LEN]; /* its client's claim of what they are */
	uint64_t function; /* the version of a deployed one that it is for, and no other; 0: any */
	uint64_t tuned;	   /* 0 or 1: of another size than that is deployed with: it is there for
			    * connections that try it, and does not count as one of the function's */
};

struct held {
	struct pool_context pool;
	struct held_kind kind; /* the pool's */
	uint64_t number;
	struct held *next_numbered; /* the front's */
	struct client *user;	    /* NULL: nobody's now */
	char id[UUID_LEN];
	bool adopted, clocked;
	bool counted;	      /* of the present invocation COUNTED has come */
	uint32_t invocations; /* with the present one */
	int64_t made_ns;      /* asked for, CLOCK_MONOTONIC */
	char function[OUTCOME_NAME_LEN], command[LISTING_COMMAND_LEN]; /* the last invocation's */
	enum residue replaced;
	struct context ctx;
	bool provisioned;	   /* its init was before anybody asked */
	bool retired;		   /* of a version that counts no more: it goes when it is idle */
	struct resident *resident; /* the function process that stays in it; NULL: none does */
	enum dismissal dismissal;  /* ..., which is told that it is to end */
	struct held *next_dismissed;
};

/* It has binds of which nobody can say whether another invocation's are the same. The front has no
 * look at what clients opened: who says so is the client, and whether it is so its warden sees
 * (launch/given_mark.h). */
bool held_is_of_one(const struct held_kind *kind);

/* By which they are found, by their numbers. */
#define HELD_LISTS 256

/* What those were of which the next one of their kind is told. */
#define HELD_REPLACED 32

/* Asks for one; insns: kind->make.bare_n, of the policy. NULL: no memory. */
struct sock_filter;
struct held *held_make(struct front *f, const struct held_kind *kind,
		       const struct sock_filter *insns, struct client *user);

/* One that is idle is the user's. False: it had died. */
bool held_take(struct front *f, struct held *h, struct client *user);

/* What it is used for now, for lists. */
void held_describe(struct held *h, const char *function, char *const argv[]);

/* Its invocation is over, and answered for. */
void held_keep(struct front *f, struct held *h);

/* The same for the next request of the user, and nobody else: client_kept() or client_lost() says
 * when that is. False: it is given up at once. */
bool held_keep_for(struct front *f, struct held *h, struct client *user);
bool held_is_kept(const struct held *h);

/* Its invocation is over, and its process waits for the next one: whoever is of its kind may have
 * it now. */
void held_rest(struct front *f, struct held *h);

/* Its invocation is over; its process, which waits for another, is to end, and then it is kept. */
void held_renew(struct front *f, struct held *h);

/* The user does not want it after all, and has not used it. */
void held_spare(struct front *f, struct held *h);

/* It is not wanted any more: a process that stays in it is told before (dismissing.h). */
void held_end(struct front *f, struct held *h);

/* The same where that process is not told, or has ended. */
void held_end_now(struct front *f, struct held *h);

/* Where a process stays and is idle it is told. */
void held_dismiss(struct front *f);

/* It is given up where it is idle, and not of this kind (NULL: of whichever). */
void held_end_idle(struct front *f, uint64_t number, const struct held_kind *unless);

/* For want of room some that is idle is given up: one of the owner's, or anybody's (POOL_ANY).
 * False: there will be no more than there is now. */
bool held_make_room(struct front *f, uint32_t owner);

/* For a function that is to run where as many do as may at a time: one that is kept and idle is
 * given up. False: there is none, and none on its way out. */
bool held_make_way(struct front *f);

/* What the launcher says of one. */
void held_hear(struct front *f, const struct reply *reply, struct packet_fds *fds);

/* The host is short of memory: half of what is idle is given up, the least valuable first. */
void held_press(struct front *f);

/* Sees to those that are idle for too long, and when that is next to be done. */
void held_expire(struct front *f);

#endif
