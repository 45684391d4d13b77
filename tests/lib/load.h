/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_LOAD_H
#define CLOCHE_TESTS_LIB_LOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct daemon;

/*
 * Clients of a daemon, of several owners, whose functions behave in all ways that there are. What
 * each of them is answered is judged at once, for itself: its own end, or one clear line that says
 * why there is none. Whether the ledger agrees is seen by who started them (live/daemon_load.c).
 *
 *	load_begin → … → load_end → results → load_free
 *
 * Each lane is a process that has one client after the other. The same seed makes the same choices.
 */
#define LOAD_OWNERS    5
#define LOAD_LANES     3 /* of each owner */
#define LOAD_FIRST_UID 2001
#define LOAD_MOST      40000 /* requests of one lane */

#define LOAD_WHY_LEN 100

enum load_answer {
	LOAD_NONE,     /* its client was killed */
	LOAD_LOST,     /* the daemon ended before it answered */
	LOAD_REFUSED,  /* it was not run */
	LOAD_ANSWERED, /* with a verdict */
	LOAD_LISTED,   /* it was no request for a run */
};

struct load_result {
	uint8_t kind, answer;
	bool begun;	/* its function has said something */
	int16_t status; /* the client's, as a shell has it */
	char verdict[14];
	char request_id[37];
	char why[LOAD_WHY_LEN]; /* the line that says why it was not run */
	char fault[240];	/* "": it is as it should be */
};

struct load_lane {
	uint32_t n; /* results */
	struct load_result results[LOAD_MOST];
};

struct load {
	const struct daemon *daemon;
	uint64_t seed;
	bool *stop; /* shared with the lanes, as these are: */
	struct load_lane *lanes;
	pid_t pids[LOAD_OWNERS * LOAD_LANES];
};

/* Of a stream of choices; below n. */
uint32_t load_choose(uint64_t *state, uint32_t n);

void load_begin(struct load *l, const struct daemon *d, uint64_t seed);

/* Waits until each has its answer; false: one waited for minutes. */
bool load_end(struct load *l);
void load_free(struct load *l);

/* What `cloche run --name` had, and back: the result that it is about; NULL: no such was asked. */
#define LOAD_NAME_LEN 40
void load_name(unsigned lane, unsigned at, char ret[static LOAD_NAME_LEN]);
struct load_result *load_find(const struct load *l, const char *name);

const char *load_kind(unsigned kind);

#endif
