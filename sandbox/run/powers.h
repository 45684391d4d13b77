/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_POWERS_H
#define CLOCHE_RUN_POWERS_H

#include "host/bounds.h"
#include "launch/cgroup.h"
#include "run/outcome.h"

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;
struct context;
struct metering;
struct metering_trace;

/* What the kernel counted of an invocation, when all of it was dead. */
struct counted {
	struct metered metered;
	struct cgroup_usage usage;
	struct bounds_refused refused;
};

/*
 * What of an invocation takes root's rights and the context's own descriptors: whoever drives one
 * (run/invocation.h) has either these, or somebody who does it at their word. What such a one
 * answers comes later, by invocation_counted().
 */
struct powers {
	/* *ret_clocked: the context's clock will know when it begins. */
	int (*begin)(struct powers *p, const struct metering_trace *trace, const char *request_id,
		     bool *ret_clocked, struct cloche_err *err);
	/* Ends all its processes. False: it was ending already, and this is not the cause. What
	 * comes later is true: the warden's shared page says at the end whether it came too late.
	 */
	bool (*kill)(struct powers *p);
	/* False: it comes later. */
	bool (*counted)(struct powers *p, struct counted *ret);
	/* Of a process that is kept and frozen, what was counted since it went on, and what comes
	 * is the next part's. False: it comes later (kept_counted), and this may be asked for again
	 * meanwhile, as counted() may when it has died. NULL: nothing here is kept. */
	bool (*part)(struct powers *p, struct counted *ret);
	/* What part() says comes later is told in any case, and need not be asked for again: the
	 * warden itself has the launcher count (launch/notice.h). */
	bool parts_are_told;
	/* What comes later was asked for, and is to come; or by the warden, before it died, or not.
	 */
	bool asked, unsure;
	/* Whether no process of it is left. */
	bool (*empty)(struct powers *p);
};

/* In this process, for a context that it made. */
struct powers_local {
	struct powers powers;
	struct context *ctx;	    /* borrowed, as the other */
	struct metering *metering;  /* armed for it */
	struct cgroup_usage before; /* what the cgroups had counted; 0 in new ones */
	struct bounds_refused refused_before;
	int64_t parted_ns; /* when the last part was counted, CLOCK_MONOTONIC; 0: none was */
	bool fresh_peak;   /* of the memory: it began anew then */
	unsigned tries;	   /* to count a part, while it is not at rest */
};

/* Whether something that is not counted yet runs, or ran: a first part, or one that went on since
 * the last was counted. */
bool powers_local_owed(const struct powers_local *p);

/* part() was not to be had: how long it may be until it is, ns; longer each time. 0: it was not
 * asked for, or not frozen yet. */
int64_t powers_local_patience(const struct powers_local *p);

void powers_local_init(struct powers_local *ret, struct context *ctx, struct metering *metering);

#endif
