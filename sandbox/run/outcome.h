/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_OUTCOME_H
#define CLOCHE_RUN_OUTCOME_H

#include "base/err.h"
#include "base/hash.h"
#include "base/uuid.h"
#include "host/bounds.h"
#include "launch/cgroup.h"
#include "launch/denials.h"
#include "launch/proof.h"
#include "ledger/prices.h"
#include "meter/usage.h"
#include "run/owner.h"
#include "run/verdict.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#define OUTCOME_NAME_LEN 256 /* of a function, with its NUL */

/* What the meter had to say of an invocation. */
struct metered {
	bool known; /* the figures are in usage; else why tells why not */
	char why[160];
	struct meter_usage usage;
	bool traced;	   /* to a file, or kept */
	bool trace_lost;   /* asked for, and it is not there */
	char untraced[64]; /* what is said where nobody asked for a trace */
	int trace_code;	   /* the errno for which it was not written; 0 */
	uint64_t events;   /* written to the trace */
};

/*
 * What became of one invocation: a plain value without pointers, so that it can be kept, copied and
 * sent from one process to another. The report, the REPORT line, the record in the ledger and the
 * exit status are functions of it and of nothing else.
 */
struct outcome {
	char request_id[UUID_LEN];
	char function[OUTCOME_NAME_LEN]; /* "": it has no name */
	struct {
		uint32_t uid;
		char name[OWNER_NAME_LEN]; /* "": none in /etc/passwd */
	} owner;

	/* The context that it ran in. */
	struct {
		bool made; /* false: none could be, and the rest says nothing */
		char id[UUID_LEN];
		bool warm, reused; /* it was there before; it is one that is kept */
		bool kept;	   /* with its process, of which this is one part ... */
		bool forked;	   /* ..., or a fork of it */
		uint32_t invocation;
		enum residue replaced; /* why the one before was given up; RESIDUE_NONE: it was not
					*/
		uint32_t lacks;	       /* enum lack of launch/plan.h */
		bool idmapped;	       /* binds show files as the function's */
		uint64_t vcpu_micro;
		uint64_t cgroup_id; /* of one of the daemon's, on cgroup2; 0: not known */
	} context;
	struct {
		char name[64], sha256[HASH_HEX_LEN];
		bool kills;   /* it has calls that it answers with SIGSYS */
		bool reports; /* its denials are counted by name */
	} policy;
	struct {
		uint64_t memory_bytes, pids;
		int64_t timeout_ns;
	} limits;

	/* How it ended. */
	enum verdict verdict;
	bool ran;		      /* it came to its command */
	int status;		      /* as wait4(2); meaningless unless it ran */
	bool told;		      /* the warden told status and rusage; else SIGKILL, nothing */
	bool killed;		      /* by a limit or the caller's wish */
	bool answered;		      /* its runtime said what came of it, a failure, too ... */
	char error_type[64];	      /* ... of this type; "": it was none, or has none */
	bool left_processes;	      /* some outlived its own end and were killed */
	struct cloche_err err;	      /* VERDICT_LAUNCH_ERROR, or why what it left was no good */
	struct cloche_err stream_err; /* something could not be passed on */

	/* What it took. */
	int64_t started_real_ns; /* CLOCK_REALTIME */
	int64_t launch_ns;	 /* request to exec: ours, never billed */
	int64_t init_ns;	 /* of the process that was started for it, where that is kept */
	int64_t wall_ns;	 /* exec to the end: by the meter that of its last process, else
				  * that of the function's own or of all after a kill */
	int64_t overshoot_ns;	 /* deadline to the last process's end; -1: no deadline was hit */
	uint64_t on_cpu_ns;	 /* by the meter, else by the cgroup */
	uint64_t rusage_ns;	 /* CPU time by rusage, without ours */
	struct rusage rusage;
	struct cgroup_usage usage; /* of this invocation alone, without our steps before exec */
	bool charged_known;	   /* usage.memory_peak is this invocation's own */
	struct metered metered;
	struct bounds_refused
		refused; /* processes killed for holding one too many, or where none may be */
	struct denials denials; /* counted only when the policy reports */

	/* What it costs, and where it is written down. */
	bool charged; /* false: nothing ran, and it costs nothing; or it has no price */
	struct prices_charge charge;
	char prices[PRICES_NAME_LEN], prices_sha256[HASH_HEX_LEN];
	bool code_wanted;		      /* the next is to be known */
	char code_sha256[HASH_HEX_LEN];	      /* of what was executed; "": unknown */
	bool unrecorded;		      /* the ledger has no safe record of it ... */
	char unrecorded_why[CLOCHE_ERR_TEXT]; /* ... for this */
};

/* The most memory that it used at a time, in bytes; false: not known. */
bool outcome_memory_peak(const struct outcome *out, uint64_t *ret);

/* Of VERDICT_LAUNCH_ERROR: the type of error, as Lambda calls it, where what the function is
 * started with is to blame: its program or its working directory. NULL: something else is. */
const char *outcome_entrypoint_error(const struct outcome *out);

/* What of it is there for the next one. */
const char *outcome_reuse(const struct outcome *out);

/* What the meter saw of it; NULL: nothing. */
const struct meter_usage *outcome_metered(const struct outcome *out);

/* The exit status that stands for it: contract, "Exit status of run and invoke". */
int outcome_exit_status(const struct outcome *out);

#endif
