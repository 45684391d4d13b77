/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_DENIALS_H
#define CLOCHE_LAUNCH_DENIALS_H

#include <stddef.h>
#include <stdint.h>

#define DENIALS_KINDS 64
/* Each call costs a switch to the warden and back; who makes more than this is at war with it. */
#define DENIALS_MAX 10000

struct seccomp_data;

struct denial {
	uint32_t arch; /* AUDIT_ARCH_* */
	int nr;
	uint64_t args[6];
	uint64_t count;
};

/*
 * The system calls of one invocation that its policy denied with EPERM, in the order of their first
 * appearance; the same call with the same arguments is one kind. The warden counts them on the
 * pages that it shares with the launcher (plan.h). No system calls.
 */
struct denials {
	struct denial kinds[DENIALS_KINDS];
	size_t n;
	uint64_t total;	  /* all calls that were taken */
	uint64_t unnamed; /* of these, calls of kinds that had no room any more */
	/* Refused, too, but a signal ended the wait for the answer before the call was taken, so
	 * that nobody knows which it was. One that begins anew after the signal is another call. */
	uint64_t overtaken;
	uint64_t made; /* calls that were no denials: sockets asked for */
};

/* None; what stands behind the numbers stays. */
void denials_clear(struct denials *denials);

void denials_add(struct denials *denials, const struct seccomp_data *call);

/* Those of two parts of an invocation, of which *before was the first. */
void denials_join(struct denials *denials, const struct denials *before);

/* All that were refused, with a name or without. */
uint64_t denials_all(const struct denials *denials);

#endif
