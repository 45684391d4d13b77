/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_TRACER_H
#define CLOCHE_SERVE_TRACER_H

#include "base/err.h"
#include "base/uuid.h"
#include "meter/meter.h"
#include "serve/scribe.h"
#include "serve/stores.h"
#include "trace/trace_store.h"

#include <stdbool.h>
#include <stdint.h>

struct policy;

/*
 * The launcher's child (chore.h) that has the ring of one traced invocation.
 *
 * Theory of operation. To hang a ring into the programs' maps, to have them look at system calls,
 * and to undo both, takes root and, each time, longer than the launcher may wait: so a child does
 * it. It keeps what it takes to undo it, and reads nothing: what is in the ring a child of its own
 * reads, without rights (scribe.h), and this one passes on what launcher and scribe say to each
 * other. Before COUNTED is passed on the ring is out of its slot, which may then be another's. When
 * the launcher closes its end, before or after, all of it ends.
 *
 *	launcher          COUNT             CONCLUDE             (closes its end)
 *	tracer     READY         COUNTED              CONCLUDED
 */
#define TRACER_NAME_LEN 72

struct tracer_task {
	struct meter meter;
	uint32_t slot;
	const struct policy *policy;
	int launcher, pipe; /* pipe: -1: none is to be filled */
	bool goes_on;	    /* its process was there before */
	int watchers[SCRIBE_WATCHERS];
	unsigned n_watchers;
	char command[SCRIBE_COMMAND_LEN]; /* as scribe.h has it */
	bool keep;			  /* in this folder, of the owner's */
	char folder[STORES_PATH_LEN];
	struct trace_store_limits limits;
	char request_id[UUID_LEN], function[TRACER_NAME_LEN];
};

/* What the launcher hears: the first says whether there is a trace. */
struct tracer_word {
	struct cloche_err err; /* code: why there is none; CONCLUDE: why it is not kept */
	struct scribe_word scribe;
};

/* For chore_begin(); the descriptors that it is to keep: TRACER_KEEPS. */
#define TRACER_KEEPS (4 + SCRIBE_WATCHERS)
unsigned tracer_keep(const struct tracer_task *task, int ret[static TRACER_KEEPS]);
int tracer_job(const void *task, void *ret, struct cloche_err *err);

#endif
