/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_KEPT_MACHINE_H
#define CLOCHE_RUN_KEPT_MACHINE_H

#include "run/verdict.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The states of a function process that is kept from one event to the next. Pure, as the machine of
 * an invocation is (invocation_machine.h): whoever drives it (run/kept.h) tells what happened, does
 * what is wanted, and looks at the state.
 *
 *	STARTING ─ STARTED ─> RUNNING ─ PAUSE ─> PAUSING ─ PAUSED ─> PARTING ─ PARTED ─> IDLE
 *	                        ^                                                         │
 *	                        └─────────────────────── RESUME ──────────────────────────┘
 *	from each of them: ENDED, FAILED ─> READING ─ READ ─> OVER; LOST ─> DYING ─ EMPTY ─> READING
 *
 * A part is what is between two of these: init, from STARTING on, then each invocation, from
 * RESUME on: the warden hears that before all that is said behind it, and whatever comes of the
 * process then is of that part. Each has one verdict. The limits are the warden's to keep.
 */
enum kept_state {
	KEPT_STARTING, /* the function process is on its way to its command */
	KEPT_RUNNING,
	KEPT_PAUSING, /* its part is over; it is being frozen */
	KEPT_PARTING, /* it is frozen; what the kernel counted is waited for */
	KEPT_IDLE,    /* frozen, counted, and nothing of it is under way */
	KEPT_DYING,   /* with the warden dead, the kernel ends what it had */
	KEPT_READING, /* it is dead; what the kernel counted is waited for */
	KEPT_OVER,
};

enum kept_event {
	/* by the warden */
	KEPT_STARTED,
	KEPT_FAILED, /* it never came to its command */
	KEPT_PAUSED, /* it is frozen */
	KEPT_ENDED,  /* all its processes are gone; value: enum kept_end, and bits */
	KEPT_LOST,   /* the warden is gone, or spoke out of turn */

	/* by the caller; of ANSWERED the value is what it answered, an enum verdict */
	KEPT_ANSWERED,
	KEPT_RESUME,
	KEPT_CANCELLED,

	/* by whoever drives */
	KEPT_SPARED, /* KILL came too late: it was ending already */
	KEPT_EMPTY,  /* no process of it is left */
	KEPT_PARTED, /* what DO_PART asked for is there */
	KEPT_READ,   /* what DO_READ asked for is there; of DO_PART: it had died meanwhile */
		     /* Of one that is PAUSING both tell, unasked, that it was frozen, too. */
};

/* Of ENDED: what ended it, where that was a limit, else VERDICT_OK; and: */
#define KEPT_NOT_ALL (1U << 8) /* what it left behind dies with the warden */

/* What is wanted, in this order; several may be. */
enum kept_action {
	KEPT_DO_WATCH = 1 << 0,	 /* it runs: look at what it executes */
	KEPT_DO_KILL = 1 << 1,	 /* end all its processes */
	KEPT_DO_PAUSE = 1 << 2,	 /* ask the warden */
	KEPT_DO_RESUME = 1 << 3, /* ask the warden */
	KEPT_DO_PART = 1 << 4,	 /* read what the kernel counted of this part: PARTED, or READ */
	KEPT_DO_READ = 1 << 5,	 /* ... and that is all: READ */
};

#define KEPT_NEVER INT64_MAX

struct kept_machine {
	enum kept_state state;
	bool init;	      /* the present part is that of init */
	bool ran;	      /* it came to its command */
	bool killed;	      /* the present part was ended by us or by a limit ... */
	enum verdict cause;   /* ... for this */
	bool answered;	      /* the caller said what came of it: */
	enum verdict verdict; /* that */
	bool idle;	      /* nothing was under way when it ended */
};

struct kept_machine kept_machine_new(void);

/* One event; returns what is wanted. What is out of turn changes nothing. */
unsigned kept_machine_step(struct kept_machine *m, enum kept_event event, uint64_t value);

/* Of a part that is whole: its one verdict; own: what its process's end would be by itself
 * (verdict_of), where it has ended. */
enum verdict kept_machine_verdict(const struct kept_machine *m, enum verdict own);

#endif
