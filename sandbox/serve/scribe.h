/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_SCRIBE_H
#define CLOCHE_SERVE_SCRIBE_H

#include "meter/usage.h"
#include "run/verdict.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct meter_events;
struct policy;

/*
 * From the ring of one traced invocation to lines: what a function did is in there by names and
 * arguments that it chose, so whoever reads it has no rights (host/confined.h), that ring, the pipe
 * to who asked, the file that is to be kept, sockets to those who watch, and one to the tracer
 * (serve/tracer.h).
 *
 *	tracer         COUNT            CONCLUDE
 *	scribe  READY         COUNTED              CONCLUDED   (the rest, into the pipe)
 *
 * A pipe that nobody empties is not waited for: the ring fills, and the kernel counts what is lost.
 * What is in the ring at the end is taken into memory, so that the ring is free whoever reads; and
 * who takes none of it for SCRIBE_PATIENCE_MS has the rest lost.
 */
#define SCRIBE_PATIENCE_MS 5000
#define SCRIBE_WATCHERS	   4   /* of one owner, at a time */
#define SCRIBE_COMMAND_LEN 160 /* of what they are shown of the command */

enum scribe_kind { SCRIBE_READY, SCRIBE_COUNT, SCRIBE_CONCLUDE };

/* What it is told. */
struct scribe_order {
	uint32_t kind;
	uint32_t verdict;	  /* CONCLUDE: enum verdict */
	bool known;		  /* COUNT: there are figures */
	struct meter_usage usage; /* these */
};

/* And what it says: first, when it has no rights any more, READY. */
struct scribe_word {
	uint32_t kind;
	int code;		 /* the errno for which there is no trace; 0 */
	uint64_t events, unseen; /* COUNT: as trace_recorder.h has them */
	uint64_t bytes;		 /* CONCLUDE: so many come by the pipe in all */
	bool kept;		 /* CONCLUDE: the file is whole */
};

struct scribe_task {
	struct meter_events *events;
	const struct policy *policy;   /* of the context */
	int tracer, pipe;	       /* pipe: does not wait; -1: none */
	int watchers[SCRIBE_WATCHERS]; /* sockets, as trace_live_of() has them */
	unsigned n_watchers;
	const char *command; /* for these: arguments one behind the other; "": no more */
	FILE *kept;	     /* NULL: none */
	uint64_t kept_bytes; /* at most */
	bool goes_on;	     /* it begins with no exec: its process was there before */
	const char *request_id, *function;
};

/* The whole life of it, in a child of parent. */
_Noreturn void scribe_main(const struct scribe_task *task, pid_t parent);

#endif
