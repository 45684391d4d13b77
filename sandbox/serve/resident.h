/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_RESIDENT_H
#define CLOCHE_SERVE_RESIDENT_H

#include "launch/proof.h"
#include "run/outcome.h"
#include "runtime/runtime_http.h"
#include "serve/journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct cloche_err;
struct counted;
struct front;
struct function_logged;
struct held;
struct spec;

/*
 * The function process that stays in a context of the front's (run/kept.h), with all that goes
 * between the two: its Runtime API and what it writes. It begins in a new context, has its init,
 * then one event after another of whoever has the context, and ends with it:
 *
 *	resident_open → resident_ready() ─ resident_invoke → resident_served() ─> …
 *	              └─> resident_failed()
 *
 * Between two events it is frozen and counts nothing. What becomes of it meanwhile it tells the
 * context (held_end).
 */
struct resident;

/* What of an invocation's answer is more than an outcome. Borrowed, until the next event. */
struct resident_answer {
	const void *bytes; /* NULL: it gave none */
	size_t len;
	char tail[JOURNAL_TAIL_MAX]; /* the end of what is in the log of it */
	size_t tail_len;
};

/* spec: kept, checked; its command is what begins; without spec.api it is a native function. log:
 * its own from now on, whatever is returned. NULL: *err says why. */
struct resident *resident_open(struct front *f, struct held *h, const struct spec *spec,
			       struct function_logged *log, int64_t requested_ns,
			       struct cloche_err *err);
struct resident *resident_close(struct resident *r);

/* Behind resident_open(): its init is a part of that invocation already, of whose log the tail is.
 * Its spec has init_invoked. */
void resident_begins_invoked(struct resident *r, const char *request_id, const char *tail,
			     size_t len);

/* Between such an init and the first event: when that began, CLOCK_MONOTONIC; else 0. */
int64_t resident_invoked_ns(const struct resident *r);

/* Its init, as it came out, when it is over: its verdict, how long it took. */
const struct outcome *resident_init(const struct resident *r);

/*
 * Hands it an event; out is the caller's, filled in as far as the caller knows it, and whole at
 * resident_served(). version: for the log. It may be served before this returns. False: it has died
 * meanwhile, and nothing has begun.
 */
struct resident_event {
	struct runtime_event event; /* but for the deadline */
	int64_t timeout_ns, requested_ns;
	uint32_t version;
	bool cancelled; /* it is ended at once */
};
bool resident_invoke(struct resident *r, const struct resident_event *e, struct outcome *out);

/* The START line of an invocation that comes to no event. */
void resident_start_log(struct resident *r, const struct outcome *out, uint32_t version);

/* The REPORT line, which needs what whoever has it adds to the outcome; ends its part of the log.
 */
void resident_report(struct resident *r, const struct outcome *out);
void resident_answered(const struct resident *r, struct resident_answer *ret);

/* It is idle, and has had its event: its process ends now, and its context is kept if that leaves
 * nothing (held_keep). False: it has died meanwhile. */
bool resident_stop(struct resident *r);

/* What it does is not wanted any more. */
void resident_cancel(struct resident *r);

/* Whether it is idle, and its process would be told that it is to end; and that is done, and it has
 * so long to do so (dismissing.h). */
bool resident_hears(const struct resident *r);
void resident_dismiss(struct resident *r, int64_t grace_ns);

/* The launcher has counted. */
void resident_counted(struct resident *r, const struct counted *counted, bool parted);

/* Of a zygote: what kept its context from being clean behind the last event. */
enum residue resident_residue(const struct resident *r);

/* Whether its init is over; whether the next event is its first. */
bool resident_is_settled(const struct resident *r);
bool resident_is_new(const struct resident *r);

/* Whether it can take an event: it is not under way, and not over. */
bool resident_is_idle(const struct resident *r);

/* For whoever has the context (serve/invoking.c): its init is over, well or not; what it was given
 * is; it has ended, and nothing was under way. */
void resident_ready(struct client *c);
void resident_failed(struct client *c);
void resident_served(struct client *c);
void resident_lost(struct client *c);

#endif
