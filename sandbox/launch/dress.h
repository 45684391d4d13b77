/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_DRESS_H
#define CLOCHE_LAUNCH_DRESS_H

#include "launch/limits.h"
#include "policy/policy.h"

#include <sched.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;
struct plan;
struct spec;

/*
 * A blank is a context that was made before anybody asked for one: all of it but what differs from
 * one spec to the next, which is this. The warden of a blank knows nothing of it and gets it by
 * WARDEN_DRESS, with the filter of the policy behind it; its cgroups come then, as to any. A spec
 * with binds, a root or a network of its own is none for a blank.
 */
struct dress {
	uint64_t pids, nofile;
	struct cpu_limits cpu;
	cpu_set_t affinity, others;
	char tmp_options[64], shm_options[64];
	uint32_t cpus_shown;
	uint32_t terminals;
	struct policy policy; /* but for the filter's place */
};

/* The launcher's side: the message's tail, to be freed. NULL: no memory. */
char *dress_pack(const struct plan *plan, size_t *ret_len);

/* The warden's: the plan is as if it had been made of that spec. spec: room for it. -EBADMSG: it is
 * no dress. */
int dress_apply(const char *tail, size_t len, struct plan *plan, struct spec *spec);

#endif
