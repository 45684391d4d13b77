/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_HANDED_H
#define CLOCHE_LAUNCH_HANDED_H

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;
struct context;

/*
 * A context of which another process, without rights, drives the one invocation: it gets the end of
 * the warden's socket and the shared page, for reading, and from then on nobody else speaks with
 * the warden, which hears GO from it and nothing more. All else (to kill, to count, to take away)
 * stays with the launcher. The context was made with context_options.handed.
 */
enum { HANDED_CONTROL, HANDED_SHARED, HANDED_FDS };

/* The launcher's side: *ret is the caller's to send and close. The death of whoever gets them ends
 * the warden. */
void context_hand(struct context *ctx, int ret[static HANDED_FDS]);

/* What there is to know of it beside what is seen by the descriptors. */
struct handed {
	char policy[64], policy_sha256[65];
	uint32_t uid;  /* the function's, on the host */
	uint32_t cpus; /* that it may use at a time */
	uint64_t vcpu_micro;
	bool policy_kills, terminals, idmapped;
};

void context_describe_handed(const struct context *ctx, struct handed *ret);

/* The other side: *ret is a context for context_go() and context_recv(); the descriptors are its
 * own, also on failure. */
int context_adopt(struct context *ret, const struct handed *of, const int fds[static HANDED_FDS],
		  struct cloche_err *err);
void context_disown(struct context *ctx);

#endif
