/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_LISTING_H
#define CLOCHE_SERVE_LISTING_H

#include "base/uuid.h"
#include "run/outcome.h"
#include "run/owner.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cgroup;
struct cgroup_usage;
struct cloche_err;

/*
 * What contexts there are now, as plain values in memory that is handed on: from the launcher to
 * the front what the kernel counts of each (struct tally), from the front to a client what that may
 * see (struct listing): root everything, everybody else his own and of all others nothing, not how
 * many there are.
 */
enum listed_state {
	LISTED_STARTING,
	LISTED_READY, /* idle, for its owner's next invocation */
	LISTED_BUSY,
	LISTED_FROZEN,
	LISTED_ENDING,
	LISTED_STATES
};

const char *listed_state_text(uint32_t state);

struct tally_row {
	uint64_t context; /* the front's number */
	uint64_t memory_bytes, cpu_ns;
};

struct tally {
	uint32_t n;
	uint64_t launcher_cpu_ns, launcher_bytes;
	struct tally_row rows[];
};

#define LISTING_MAX	    1000
#define LISTING_COMMAND_LEN 160
#define LISTING_UNKNOWN	    UINT64_MAX

struct listed {
	char id[UUID_LEN]; /* "": it is being made */
	char owner[OWNER_NAME_LEN];
	char function[OUTCOME_NAME_LEN];   /* "": it has no name */
	char command[LISTING_COMMAND_LEN]; /* that runs, or ran last; cut */
	uint32_t uid, state;
	int64_t age_ns;
	uint64_t invocations, memory_bytes, cpu_ns; /* LISTING_UNKNOWN: not known yet */
};

struct listing {
	uint32_t n;
	uint64_t contexts_max, memory_max_bytes,
		vcpu_milli;	/* whose it is, may have; 0: no limit */
	uint64_t daemon_cpu_ns; /* launcher and front; root's to know, as is: */
	uint64_t launcher_bytes, front_bytes;
	int64_t taken_ns; /* CLOCK_MONOTONIC */
	int64_t since_ns; /* CLOCK_REALTIME: it serves */
	struct listed rows[];
};

static inline size_t tally_size(uint32_t n)
{
	return sizeof(struct tally) + n * sizeof(struct tally_row);
}

static inline size_t listing_size(uint32_t n)
{
	return sizeof(struct listing) + n * sizeof(struct listed);
}

/* With room for so many, the caller's to free; NULL: no memory. The CPU time and memory are this
 * process's. */
struct tally *tally_begin(uint32_t room);

/* A context, that has used cpu_ns in all invocations but the one that has it now; of that, what its
 * cgroups count and did not count before. NULL: none has it. */
void tally_add(struct tally *t, uint64_t context, const struct cgroup *cg, uint64_t cpu_ns,
	       const struct cgroup_usage *before);

/* A sealed memfd with these bytes, the caller's, or -errno. */
int listing_hand(const void *bytes, size_t len);

/* From such a one, which is anybody's: *ret is the caller's to free, whole, and its texts end. */
int listing_take_tally(int fd, struct tally **ret, struct cloche_err *err);
int listing_take(int fd, struct listing **ret, struct cloche_err *err);

#endif
