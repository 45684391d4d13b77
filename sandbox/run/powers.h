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
	/* Whether no process of it is left. */
	bool (*empty)(struct powers *p);
};

/* In this process, for a context that it made. */
struct powers_local {
	struct powers powers;
	const struct context *ctx;  /* borrowed, as the other */
	struct metering *metering;  /* armed for it */
	struct cgroup_usage before; /* what the cgroups had counted; 0 in new ones */
};

void powers_local_init(struct powers_local *ret, const struct context *ctx,
		       struct metering *metering);

#endif
