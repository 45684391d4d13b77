/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_HANDED_H
#define CLOCHE_LAUNCH_HANDED_H

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;
struct context;

/*
 * A context of which another process, without rights, drives the invocations: for each it gets a
 * socket of its own to the warden, which hears GO by it, once, tells what comes of that and closes
 * it; so whoever had one has no say in a later invocation. The shared pages it gets once, for
 * reading. All else (to kill, to count, to have it proved clean and renewed, to take away) stays
 * with the launcher, which has a socket of its own. The context was made with
 * context_options.handed.
 */
enum { HANDED_DRIVER, HANDED_SHARED, HANDED_FDS };

/* The launcher's side, once; then, when the context was renewed, again: what is returned is the
 * caller's to send and close. */
void context_hand(struct context *ctx, int ret[static HANDED_FDS]);
int context_hand_again(struct context *ctx);

/* What there is to know of it beside what is seen by the descriptors. */
struct handed {
	char policy[64], policy_sha256[65];
	uint32_t uid;  /* the function's, on the host */
	uint32_t cpus; /* that it may use at a time */
	uint64_t vcpu_micro;
	uint64_t cgroup_id; /* of the function's own on cgroup2; 0: there is none */
	bool policy_kills, policy_reports, terminals, idmapped;
};

void context_describe_handed(const struct context *ctx, struct handed *ret);

/* The other side: *ret is a context for context_go() and context_recv(); the descriptors are its
 * own, also on failure. */
int context_adopt(struct context *ret, const struct handed *of, const int fds[static HANDED_FDS],
		  struct cloche_err *err);
void context_disown(struct context *ctx);

/* Between two invocations it has no socket, and nothing that came by it. */
void context_let_go(struct context *ctx);
void context_adopt_again(struct context *ctx, int driver);

#endif
