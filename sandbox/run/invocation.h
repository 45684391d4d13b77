/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_INVOCATION_H
#define CLOCHE_RUN_INVOCATION_H

#include "base/err.h"
#include "base/uuid.h"
#include "host/bounds.h"
#include "launch/cgroup.h"
#include "run/executed.h"
#include "run/denials.h"
#include "run/metering.h"
#include "run/verdict.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

struct context;
struct spec;
struct stdio;

/* One event handed to one context, from "go" to the verdict. */
struct invocation {
	char request_id[UUID_LEN];
	int64_t started_real_ns; /* CLOCK_REALTIME */
	int64_t launch_ns;	 /* request to exec: ours, never billed */
	int64_t wall_ns;	 /* exec to the end: by the meter that of its last process, else
				  * that of the function's own or of all after a kill */
	uint64_t on_cpu_ns;	 /* by the meter, else by the cgroup */
	uint64_t rusage_ns;	 /* CPU time by rusage, without ours */
	int64_t overshoot_ns;	 /* deadline to the last process's end; -1: no deadline was hit */
	int status;		 /* as wait4(2); meaningless for VERDICT_LAUNCH_ERROR */
	bool ran;
	struct cloche_err stream_err; /* something could not be passed on */
	bool left_processes;	      /* some outlived the function's own end and were killed */
	bool killed;		      /* by a limit or the caller's wish: by way of its cgroup */
	bool told; /* pid 1 has told its status and rusage; else SIGKILL and nothing */
	struct rusage rusage;
	struct cgroup_usage usage; /* of this invocation alone, without our steps before exec */
	bool charged_known;	   /* usage.memory_peak is this invocation's own */
	struct metered metered;
	struct executed executed;
	struct bounds_refused
		refused; /* processes killed for holding one too many, or where none may be */
	struct denials denials; /* counted only when the context's policy reports */
	enum verdict verdict;
	struct cloche_err err; /* VERDICT_LAUNCH_ERROR */
};

/* What the invocation listens to besides its context. */
struct invocation_io {
	int cancel_fd; /* readable: the caller wants an end; -1: none */
	struct stdio *stdio;
	struct metering *metering; /* armed for the context */
	struct metering_trace trace;
};

/*
 * Runs one invocation to its end and finds its verdict. requested_ns: when it was asked for. What
 * fails on the way is a verdict, not a return value. Afterwards no process of it runs.
 */
void invocation_run(struct context *ctx, const struct spec *spec, const struct invocation_io *io,
		    int64_t requested_ns, struct invocation *ret);

/* The most memory that it used at a time, in bytes; false: not known. */
bool invocation_memory_peak(const struct invocation *inv, uint64_t *ret);

/* The exit status that stands for it: contract, "Exit status of run and invoke". */
int invocation_exit_status(const struct invocation *inv);

#endif
