/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_PAUSE_H
#define CLOCHE_LAUNCH_PAUSE_H

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;
struct function;
struct plan;

/*
 * The pauses of a function process that is kept from one event to the next, in the warden: it and
 * all that it made are frozen, by cgroup2's freezer, which a kill reaches (that of v1 keeps even
 * SIGKILL waiting), so that nothing runs that nobody pays for. CLOCK_MONOTONIC goes on meanwhile,
 * and timers that have ended go off when it does.
 *
 * A function cannot keep itself from being frozen; but what waits in the kernel, uninterruptibly,
 * or is held by its quota may take its time, and so it has PAUSE_MAX_NS, whatever is left until its
 * deadline, which it has kept, and is killed then. Nothing here waits: that it is frozen shows in
 * cgroup.events.
 *
 * But of events of a cgroup the kernel tells one in 10 ms at most (CGROUP_FILE_NOTIFY_MIN_INTV),
 * and to go on is one, too: so it is looked at after microseconds, and again after ever longer
 * times.
 */
#define PAUSE_MAX_NS (5000000000LL)

enum pause_state {
	PAUSE_NONE, /* it runs */
	PAUSE_FREEZING,
	PAUSE_FROZEN,
};

struct pause {
	enum pause_state state;
	int freezer;	/* cgroup.freeze, from the first pause to the end; -1 */
	bool quota;	/* it has it: its first part, which may have none, is over */
	unsigned looks; /* FREEZING: whether it is FROZEN by now */
	int64_t at_ns;	/* since when it is FROZEN, or went on; CLOCK_MONOTONIC */
};

#define PAUSE_START ((struct pause){ .freezer = -1 })

/* It is to be frozen. -errno. */
int pause_begin(struct function *f, struct cloche_err *err);

/* FREEZING: FROZEN from here on, if it is; its limits of time do not count any more. -errno. */
int pause_look(struct function *f, struct cloche_err *err);

/* FREEZING: how long to wait at most until the next look, ns. */
int64_t pause_patience(const struct function *f);

/* On the shared page: since when it goes on, or last did, and since when it is frozen (0: it is
 * not).
 */
void pause_note(const struct plan *plan, int64_t resumed_ns, int64_t paused_ns);

/* FROZEN: it goes on, which is noted, and has so long from now. -errno. */
int pause_end(struct function *f, int64_t timeout_ns, struct cloche_err *err);

/* Nothing of it is left: who is born in its cgroup next is not frozen. */
void pause_forget(struct function *f);

#endif
