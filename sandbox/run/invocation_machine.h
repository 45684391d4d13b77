/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_INVOCATION_MACHINE_H
#define CLOCHE_RUN_INVOCATION_MACHINE_H

#include "run/verdict.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The states of one invocation: which event is followed by which, and what is to be done then.
 * Pure: no descriptor, no clock, no allocation; whoever drives it (run/invocation.c) tells what
 * happened and when, does what is wanted, and comes again when due_ns has passed at the latest.
 *
 *	LAUNCHING ── STARTED ──> RUNNING ── ENDED ──> DRAINING ── DRAINED ──> READING ── READ ──>
 *DONE └────────── FAILED, LOST ────────────────────^
 *
 * What the kernel counted may be read at once, or asked of another process and come at any time
 * from DRAINING on.
 *
 * The limits of time, of CPU time, of output and of denied calls are not here: the warden of the
 *context holds them (launch/warden.h), so that they stand when nobody drives this. ENDED says
 *whether it came to that.
 */
enum invocation_state {
	INVOCATION_LAUNCHING, /* the function process is on its way to its command */
	INVOCATION_RUNNING,
	INVOCATION_DYING,    /* with the warden dead, the kernel ends what it had */
	INVOCATION_DRAINING, /* nothing of it runs any more; the rest of its output is passed on */
	INVOCATION_READING,  /* only what the kernel counted is waited for */
	INVOCATION_DONE,
};

enum invocation_event {
	/* by the warden */
	INVOCATION_STARTED, /* it called execve */
	INVOCATION_FAILED,  /* it never came to that */
	INVOCATION_ENDED,   /* all its processes are gone; value: bits as below */
	INVOCATION_PASSED,  /* all its output is with whoever drives */
	INVOCATION_LOST,    /* the warden is gone, and with it the context, or spoke out of turn */

	/* by the caller */
	INVOCATION_CANCELLED,

	/* by whoever drives */
	INVOCATION_DUE,	    /* due_ns has passed */
	INVOCATION_SPARED,  /* KILL came too late: it was ending already */
	INVOCATION_EMPTY,   /* no process of it is left */
	INVOCATION_MOVED,   /* somebody took a part of the output */
	INVOCATION_DRAINED, /* there is none left */
	INVOCATION_READ,    /* what DO_READ asked for is there */
};

/* Of ENDED. */
#define INVOCATION_BY_DEADLINE (1U << 0) /* that is what ended it */
#define INVOCATION_NOT_ALL     (1U << 1) /* what it left behind dies with the warden */
#define INVOCATION_BY_CPU_TIME (1U << 3) /* it used more than its limit */
#define INVOCATION_BY_DENIALS  (1U << 2) /* it made more denied calls than are let pass */
#define INVOCATION_BY_OUTPUT   (1U << 4) /* it wrote more than its limit */
#define INVOCATION_WAS_CUT     (1U << 5) /* that was so, whatever ended it */
#define INVOCATION_MORE	       (1U << 6) /* of its output is to come: PASSED follows */

/* What is wanted, in this order; several may be. */
enum invocation_action {
	INVOCATION_DO_WATCH = 1 << 0, /* it runs: look at what it executes */
	INVOCATION_DO_KILL = 1 << 1,  /* end all its processes */
	INVOCATION_DO_READ = 1 << 2,  /* read what the kernel counted, which is all: READ */
	INVOCATION_DO_DRAIN = 1 << 3, /* pass on what is left of its output: MOVED, DRAINED */
	INVOCATION_DO_LOSE = 1 << 4,  /* nobody takes it: what is left of it is lost */
};

#define INVOCATION_NEVER INT64_MAX

struct invocation_machine {
	/* A reader who takes nothing for so long after a kill is not reading; set before the first
	 * step. */
	int64_t stall_ns;

	enum invocation_state state;
	bool ran;	    /* it came to its command */
	bool killed;	    /* it was ended by us or by its deadline ... */
	enum verdict cause; /* ... for this */
	bool cut;	    /* it wrote more than its output limit */
	bool more;	    /* of its output the warden still has some */
	bool cancelled;	    /* the caller waits for nothing any more */
	bool read;	    /* what the kernel counted is there */
	int64_t due_ns;	    /* CLOCK_MONOTONIC; INVOCATION_NEVER */
};

struct invocation_machine invocation_machine_new(int64_t stall_ns);

/* One event, at now_ns; returns what is wanted. What is out of turn changes nothing. */
unsigned invocation_machine_step(struct invocation_machine *m, enum invocation_event event,
				 int64_t now_ns, uint64_t value);

#endif
