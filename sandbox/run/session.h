/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_SESSION_H
#define CLOCHE_RUN_SESSION_H

#include "base/err.h"
#include "ledger/ledger.h"
#include "run/metering.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct invocation;
struct observer;
struct outcome;
struct prices;
struct spec;

/*
 * One caller's invocations of one command, one after another, each in a context that is new or
 * proved clean: what `cloche run`, tune and learn share. Life cycle:
 *
 *	session_open → { session_ready → session_begin → (drive the invocation: run/drive.h) →
 *	session_end → session_verify }* → session_close
 *
 * Nothing here prints: what somebody is to be told is in the outcome and in the notes.
 */
struct session;

struct session_options {
	const struct spec *spec; /* borrowed, as everything here, until session_close */
	const char *function;	 /* its name; NULL: none */
	uint32_t owner;		 /* uid of whom it is for */
	int streams[3];		 /* its standard streams: descriptors of the caller's */
	bool reused;		 /* there will be more than one invocation */
	enum metering_mode meter;
	const char *unmetered, *untraced; /* what is said where METERING_OFF is set, and where
					   * nobody asked for a trace */
	struct observer *observer;	  /* watches system calls; NULL: nobody does */
	const struct prices *prices;
	const char *ledger;		/* directory; NULL: none is kept */
	const struct rights *ledger_as; /* who opens it; NULL: us */
	bool ledger_go_on;		/* also when it can take no record */
	bool ledger_sync;
	const char *traces; /* folder of kept traces; NULL: none is kept */
};

/* What somebody is to be told beside the outcome. */
struct session_notes {
	struct ledger_repair found; /* in the ledger, since the last notes */
	struct cloche_err unkept;   /* why the trace is not in the folder; code 0: it is */
	bool trace_filed;	    /* it is in the caller's file, whole */
	bool trace_whole;	    /* of the daemon's: all of it came */
	struct cloche_err untraced; /* why there is none at all; code 0: not known, or there is */
	struct cloche_err left;	    /* what could not be taken away; code 0: nothing */
};

/* What may not be a stream is no failure here: each invocation is refused for it. */
int session_open(const struct session_options *options, struct session **ret,
		 struct cloche_err *err);

/* Why nothing may be run now: the ledger could not take the record. */
int session_ready(struct session *s, struct session_notes *notes, struct cloche_err *err);

/*
 * Begins an invocation in *out; the one to drive, or NULL: nothing is run, and *out says why.
 * refused: why nothing may be run; NULL: it may. trace: its file, taken over, or NULL; trace_wanted
 * also where it could not be opened. requested_ns: when it was asked for (CLOCK_MONOTONIC).
 */
struct invocation *session_begin(struct session *s, const struct cloche_err *refused, FILE *trace,
				 bool trace_wanted, int64_t requested_ns, struct outcome *out);

/* Whatever session_begin returned: the charge and the record, before anybody is told of *out. */
void session_end(struct session *s, struct outcome *out, struct session_notes *notes);

/* Before the next one: the context is kept only when it is proved clean. */
void session_verify(struct session *s, const struct outcome *out, struct session_notes *notes);

/* Whether what is said next on the caller's standard error may come behind an unfinished line of
 * the function's. */
bool session_mid_line(const struct session *s);

/* Returns NULL. The end of the context is not waited for where no process is in it any more. */
struct session *session_close(struct session *s, struct session_notes *notes);

#endif
