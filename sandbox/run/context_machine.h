/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_CONTEXT_MACHINE_H
#define CLOCHE_RUN_CONTEXT_MACHINE_H

#include "launch/proof.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The states of a context. Pure, as the machine of an invocation is (invocation_machine.h): whoever
 * drives it (run/keeper.h) tells what happened, does what is wanted, and comes again when due_ns
 * has passed at the latest.
 *
 *	MAKING ─ MADE ─> READY ─ INVOKED ─> BUSY ─ ANSWERED ─> VERIFYING ─ PROVED, RENEWED ─> READY
 *	                   └─ FREEZE ─> FROZEN ─ THAW ─> READY
 *	from each of them, when it is not wanted any more or not clean: ENDING ─> GONE
 *
 * What is not proved clean is never READY again.
 */
enum context_state {
	CONTEXT_MAKING,
	CONTEXT_READY,	   /* nothing of the function runs; it may be invoked */
	CONTEXT_BUSY,	   /* an invocation has it */
	CONTEXT_VERIFYING, /* the warden looks for what was left behind; then all is made new */
	CONTEXT_FROZEN,	   /* ready, and uses no CPU time that nobody pays for */
	CONTEXT_ENDING,	   /* its processes are told to end */
	CONTEXT_GONE,	   /* nothing of it is left */
};

enum context_event {
	CONTEXT_MADE,
	CONTEXT_INVOKED,
	CONTEXT_ANSWERED, /* the invocation is done; value: the residue that is known by that */
	CONTEXT_PROVED,	  /* the warden's word; value: residue */
	CONTEXT_RENEWED,
	CONTEXT_FREEZE,
	CONTEXT_THAW,
	CONTEXT_END,	 /* nobody wants it any more */
	CONTEXT_FAILED,	 /* what was wanted could not be done, or the warden is gone */
	CONTEXT_DUE,	 /* due_ns has passed */
	CONTEXT_REAPED,	 /* the warden has ended, and all of its namespaces with it */
	CONTEXT_REMOVED, /* the cgroups are gone and the slot is free */
};

enum context_action {
	CONTEXT_DO_PROVE = 1 << 0, /* ask the warden: PROVED */
	CONTEXT_DO_RENEW = 1 << 1, /* new cgroups and mounts: RENEWED, or again when it is due */
	CONTEXT_DO_FREEZE = 1 << 2,
	CONTEXT_DO_THAW = 1 << 3,
	CONTEXT_DO_KILL = 1 << 4,   /* end all that runs, the warden too: REAPED */
	CONTEXT_DO_REMOVE = 1 << 5, /* take the cgroups away: REMOVED, or again when it is due */
};

#define CONTEXT_NEVER INT64_MAX

/* A proof takes a millisecond; a warden that takes so long has been stopped. */
#define CONTEXT_PROOF_NS (10 * 1000000000LL)
/* The kernel says that a cgroup is busy for a moment after its last process: what takes one away is
 * tried again after so long, and up to so often, which makes a second. */
#define CONTEXT_AGAIN_NS  1000000LL
#define CONTEXT_TRIES_MAX 1000

struct context_machine {
	enum context_state state;
	enum residue residue; /* why it is given up; RESIDUE_NONE: it was clean or not wanted */
	bool proved;	      /* VERIFYING: the warden found nothing; what is due is to renew */
	uint32_t invocations; /* that it has had */
	int64_t due_ns;
};

struct context_machine context_machine_new(void);

/* One event, at now_ns; returns what is wanted. What is out of turn changes nothing. */
unsigned context_machine_step(struct context_machine *m, enum context_event event, int64_t now_ns,
			      uint64_t value);

#endif
