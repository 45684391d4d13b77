/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BENCH_DAEMON_H
#define CLOCHE_BENCH_DAEMON_H

#include <stdint.h>
#include <sys/types.h>

struct cloche_err;
struct spec;
struct stage;

/* A daemon of the bench's own, and the no-op where contexts find it. */
struct daemon {
	char control[128], conf[128], client[128], noop[128], dir[128];
	pid_t pid;
	int said; /* its standard error */
};

#define DAEMON_USER 1000 /* who measures */

/* Whose CPU time a call takes; it does not depend on how busy the machine is. */
enum { LAUNCHER, FRONT, WARDENS, CALLER, PARTIES };
extern const char *const daemon_parties[PARTIES];

/* Of each, since it began: 0: ns on a CPU; 2: how often it came to one. The launcher's first child
 * is the front, its others are the wardens. */
void daemon_schedstats(pid_t launcher, unsigned field, uint64_t ret[static PARTIES],
		       unsigned *ret_children);

/* Until it serves. What was made when it fails is for daemon_end(), as always. */
int daemon_begin(const struct stage *stage, struct daemon *ret, struct cloche_err *err);

/* limits: what an owner may have besides contexts, as ", functions: 9". */
int daemon_begin_with(const struct stage *stage, const char *limits, struct daemon *ret,
		      struct cloche_err *err);
void daemon_end(struct daemon *d);

/* This process from now on; no way back. */
int daemon_become(unsigned user, struct cloche_err *err);

/* The no-op; argv: room that must stay. */
int daemon_spec(struct daemon *d, char *argv[2], struct spec *ret, struct cloche_err *err);

/* One invocation, by a process that stays. */
int daemon_call(const struct daemon *d, const struct spec *spec, int null, struct cloche_err *err);

#endif
