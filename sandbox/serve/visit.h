/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_VISIT_H
#define CLOCHE_SERVE_VISIT_H

#include "base/err.h"
#include "launch/order.h"
#include "launch/spec.h"
#include "run/invocation.h"
#include "run/owner.h"
#include "run/powers.h"
#include "run/stdio.h"
#include "serve/client.h"
#include "serve/command.h"
#include "serve/function_spec.h"
#include "serve/held.h"
#include "serve/request.h"
#include "serve/watch.h"

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct executing;
struct front;
struct function_version;
struct hash_job;

struct policy_bare;
struct reading;
struct resident_answer;

/*
 * A client, as the two files see it that make it up: hearing.c has its connection and makes a spec
 * of what it says, client.c has the context, the invocation and the answer. Nobody else looks into
 * one.
 */
struct powers_remote {
	struct powers powers;
	struct visit *visit;
};

enum visit_state {
	VISIT_HEARING,
	VISIT_ASKING,
	VISIT_SEEKING,
	VISIT_MAKING,
	/* from here on its context is not what it was */
	VISIT_TRACING, /* it has a context, and somebody is to trace it */
	VISIT_RUNNING,
	VISIT_CONCLUDING, /* its record is written, and its trace is not yet */
};

struct visit {
	struct client client;
	struct front *front;
	enum visit_state state;
	int socket;
	sd_event_source *heard, *patience;
	sd_event_source *silence; /* looks whether it is heard of in time; it may come too early */
	int64_t silent_ns;	  /* and this is when */
	bool left;		  /* nobody takes the answer */
	bool cancelled;		  /* before there was an invocation */

	struct request request;
	struct order_block block;
	struct order order;
	struct spec spec;
	int64_t requested_ns;
	char owner[OWNER_NAME_LEN];

	int streams[REQUEST_STREAMS];
	int order_fd;		  /* until it is read */
	char *event;		  /* owned; NULL: it is not read */
	int binds;		  /* the socket that holds them, unread */
	struct policy_bare *bare; /* the policy, where it is the client's own; NULL */
	struct stdio stdio;	  /* those streams */

	struct cloche_err barred; /* code: it gets nothing */
	bool late;		  /* it was queued for too long */
	struct cloche_err full;	  /* what it is queued for */

	bool traced;	   /* the launcher's matter, until it is concluded */
	bool untraced;	   /* its trace was given up */
	bool watching;	   /* what its user runs (watchers.h) */
	unsigned watchers; /* so many sockets were asked for those who do */

	struct held_kind kind; /* of its context */
	struct held *held;     /* NULL: it has none */
	bool own;	       /* one that was made for this connection, and no other */
	bool again;	       /* something was asked by this connection */
	unsigned changes;      /* the front's, when it was let in */
	enum residue replaced; /* why the one before was given up, of its own */
	struct powers_remote powers;
	struct invocation inv;
	int will;	       /* -1: there is none */
	bool allowed;	       /* it counts among its owner's already */
	struct hash_job *hash; /* what it executed is being read; NULL */
	struct watch watch;
	struct reading *reading;	 /* NULL: none */
	struct log_reading *log_reading; /* the same */

	struct function_version *lesson; /* it learns of its invocations (lessons.h); NULL */

	/* Of who invokes a deployed function (invoking.h). */
	struct function_version *version; /* NULL: nobody does */
	struct function_spec function_spec;
	struct executing *executing; /* of a command's; NULL: it is none */
	uint64_t tuned; /* the number of the context of another size that it had last; 0: none */
	struct {
		bool is;	   /* its process is started again, as a part of it */
		bool joined;	   /* that one has its event */
		int64_t launch_ns; /* of the first one */
		char *tail;	   /* the end of its log until then; owned */
		size_t tail_len;
	} again_init;
	struct resident_answer *response; /* to be answered behind its trace; owned; NULL */
	struct answer answer;
};

/* An open connection has asked: *v is whole but for what comes of it. */
void visit_begin(struct visit *v);

/* Of what was asked for: whether it may be, and *ret, what a context for it is. */
int visit_check(struct visit *v, struct command_make *ret, struct cloche_err *err);

/* A context of its kind: one that is idle, else one that will be, else a new one, if *may_make. */
void visit_seek(struct visit *v, bool *may_make);

/* It waits for somebody's end, for so long; false: it may not, and *why is what to say. */
bool visit_try_queue(struct visit *v, int64_t wait_ns, struct cloche_err *why);

/* Whether one more function may run (launch/running.h); once: in a context of its own. False: it
 * waits for that, or is refused and gone. */
bool visit_may_run(struct visit *v, bool once);

/* Before it begins: it counts among its owner's, and has a record where nobody comes to say more.
 */
int visit_commit(struct visit *v, struct cloche_err *err);

/* The charge and the record of what has ended. */
void visit_book(struct visit *v);

/* The answer to an event, with what follows it, and descriptors, which are closed; and the end of
 * the visit, unless the client stays for another. */
struct packet_fds;
void visit_answer_with(struct visit *v, const void *more, size_t more_len, struct packet_fds *fds);

/* Before there is anything to run: no record; before it is known what was asked for. */
void visit_refuse(struct visit *v, const struct cloche_err *why);
void visit_send_away(struct visit *v, const struct cloche_err *why);

/* v->event is there. */
int visit_have_event(struct visit *v, struct cloche_err *err);

/* Its end, and that of what it has. */
void visit_leave(struct visit *v);

/* Its first request or, behind an answer, the next is heard; and none for too long is its end. */
int visit_hear(struct visit *v);
bool visit_may_stay(const struct visit *v);

/* Its invocation is done, and what it executed is hashed, or will not be. */
void visit_hashed(struct visit *v);

/* For its watch. */
void visit_step(void *arg, const struct pollfd fds[static WATCH_FDS]);

_Static_assert(WATCH_FDS >= INVOCATION_FDS, "an invocation is watched");

#endif
