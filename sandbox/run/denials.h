/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_DENIALS_H
#define CLOCHE_RUN_DENIALS_H

#include <stddef.h>
#include <stdint.h>

#define DENIALS_KINDS 64
/* Each call costs a switch to the supervisor and back; who makes more than this is at war with it.
 */
#define DENIALS_MAX 10000
/* Sockets that are asked for (launch/asked_sockets.h) cost more; from then on to ask is denied. */
#define MADE_MAX 10000

struct context;

struct denial {
	uint32_t arch; /* AUDIT_ARCH_* */
	int nr;
	uint64_t args[6];
	uint64_t count;
};

/* The system calls of one invocation that its policy denied with EPERM, in the order of their first
 * appearance; the same call with the same arguments is one kind. */
struct denials {
	struct denial kinds[DENIALS_KINDS];
	size_t n;
	uint64_t total;	  /* all calls that were taken */
	uint64_t unnamed; /* of these, calls of kinds that had no room any more */
	/* Refused, too, but a signal ended the wait for the answer before the call was taken, so
	 * that nobody knows which it was. One that begins anew after the signal is another call. */
	uint64_t overtaken;
	uint64_t made;	  /* calls that were no denials: sockets asked for */
	uint64_t next_id; /* the kernel numbers the calls; 0: of the next one not known */
};

/*
 * Takes one notification from the listener of a seccomp filter (seccomp_unotify(2)) and has the
 * call fail with EPERM, which is all the caller gets: its memory is not looked at, so that nothing
 * can change between the check and the use. A socket that may be had by asking is made and given to
 * it instead, for which it waits until then (CLOCK_MONOTONIC). -errno when it could not be
 * answered: the caller of the call then waits for ever and must be killed.
 */
int denials_take(struct denials *denials, const struct context *ctx, int64_t until_ns);

/* All that were refused, with a name or without. */
uint64_t denials_all(const struct denials *denials);

#endif
