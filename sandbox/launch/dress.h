/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_DRESS_H
#define CLOCHE_LAUNCH_DRESS_H

#include "launch/limits.h"
#include "policy/policy.h"

#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct message_fds;
struct plan;
struct spec;

/*
 * A blank is a context that was made before anybody asked for one: all of it but what differs from
 * one spec to the next, which is this. The warden of a blank knows nothing of it and gets it by
 * WARDEN_DRESS, with the filter of the policy behind it, and as descriptors the mounts of a
 * function's code and of an image, which it enters instead of the root that it is in; its cgroups
 * come then, as to any. Binds that are given (given.h) are looked at in the host's mount namespace,
 * which a blank has left: that comes, too, and the warden goes back there for them.
 */
enum {
	DRESS_KEPT = 1 << 0,
	DRESS_API = 1 << 1,
	DRESS_ZYGOTE = 1 << 2,
	DRESS_IMAGE = 1 << 3,
	DRESS_TREE = 1 << 4, /* this and what follows: a descriptor, in this order */
	DRESS_TASK = 1 << 5,
	DRESS_LAYERS = 1 << 6,
	DRESS_HOST = 1 << 7, /* where binds are given: the host's mount namespace, */
	DRESS_MAP = 1 << 8,  /* and where there is one the user namespace that maps their files */
};

struct dress {
	uint64_t pids, nofile;
	struct cpu_limits cpu;
	cpu_set_t affinity, others;
	char tmp_options[64], shm_options[64];
	uint32_t cpus_shown;
	uint32_t terminals;
	uint32_t net; /* enum net_mode */
	uint32_t is;  /* DRESS_… */
	uint32_t given;
	uid_t owner_uid;
	gid_t owner_gid;
	uint32_t pad;
	uint64_t asked_most;
	struct policy policy; /* but for the filter's place */
};

/* The launcher's side: the message's tail, to be freed, and its descriptors, which stay the plan's
 * and the launcher's (host: its mount namespace). NULL: no memory. */
char *dress_pack(struct plan *plan, int host, size_t *ret_len, struct message_fds *ret_fds);

/* The warden's: the plan is as if it had been made of that spec, and has the descriptors. spec:
 * room for it. -EBADMSG: it is no dress. */
int dress_apply(const char *tail, size_t len, struct message_fds *fds, struct plan *plan,
		struct spec *spec);

#endif
