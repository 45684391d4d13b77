/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_PLAN_H
#define CLOCHE_LAUNCH_PLAN_H

#include "base/err.h"
#include "host/slot.h"
#include "launch/cgroup.h"
#include "launch/limits.h"
#include "launch/rootfs.h"
#include "policy/policy.h"

#include <sched.h>
#include <sys/stat.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

struct hierarchy;
struct bounds;
struct spec;

/*
 * Everything that the warden and the function process need after clone: computed and opened before,
 * read only from then on. Owned by the context.
 */
struct plan {
	const struct spec *spec;
	uid_t uid; /* host uid and gid of the function */
	struct cpu_limits cpu;
	struct cgroup cgroup;
	struct rootfs rootfs;
	struct rooted at; /* the warden's alone: its root, entered */
	struct policy policy;
	cpu_set_t affinity;
	unsigned long core_limit;	   /* RLIMIT_CORE: attributes.h */
	char **candidates;		   /* paths to exec in turn, NULL-terminated; owned */
	char **env;			   /* owned, with its strings */
	char id_map[32];		   /* for uid_map and gid_map */
	int control;			   /* the warden's end of the control socket */
	bool single;			   /* one function process only */
	const struct hierarchy *hierarchy; /* with slot: for a warden that is the last to leave */
	const struct bounds *bounds;
	struct slot slot;
	int streams[3]; /* its standard streams; -1: the caller's */
	struct shared *shared;
};

/* What the kernel did not have or not give, and a launch can do without: named in the report. */
enum lack {
	LACK_TIME_NAMESPACE = 1 << 0,
	LACK_AFFINITY = 1 << 1,
	LACK_LISTENER = 1 << 2, /* of the policy; the first refusal counts for the whole context */
	LACK_LIMITS = 1 << 3,	/* the caller's hard limits cannot be raised */
	LACK_CORE = 1 << 4,	/* neither can that of core files, and the host's handler runs */
	LACK_PRIORITY = 1 << 5, /* the caller's nice value cannot be lowered */
	LACK_OUTLIVE = 1 << 6,	/* the warden is as likely an OOM victim as the caller */
};

/* What the warden and the function process say where no system call can be made any more: a page
 * shared with the launcher. The function itself never maps it: it is gone at exec. */
struct shared {
	struct cloche_err err; /* of the set-up or of the last function process before its exec */
	int64_t exec_ns;       /* CLOCK_MONOTONIC at which it called execve */
	int64_t exec_cpu_ns;   /* the CPU time that it had used until then */
	int listener;	       /* of its policy, in the warden's table of descriptors; -1: none */
	int exec_path;	       /* which of plan.candidates was executed */
	struct stat executed_stat; /* of what it executes, from before */
	uint32_t lacks;		   /* enum lack */
	bool ending; /* the launcher kills all: the warden has nothing to reap for it */
};

/* Inside, the function is this user. */
#define PLAN_INNER_ID 1000

/* Computes and opens all that there is to it. slot, hierarchy, bounds and streams are the caller's
 * to fill in before; what was made when it fails is for plan_free and cgroup_destroy. */
int plan_make(struct plan *plan, int run_fd, const struct spec *spec, struct cloche_err *err);

/* The cgroups of the context, at first and for a further invocation. */
int plan_cgroups(struct plan *plan, struct cloche_err *err);

/* All but the cgroups and the slot. */
void plan_free(struct plan *plan);

#endif
