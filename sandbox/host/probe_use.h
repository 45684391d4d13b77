/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_HOST_PROBE_USE_H
#define CLOCHE_HOST_PROBE_USE_H

#include "host/probe.h"

#include <sys/types.h>

/*
 * Between probe.c, which runs the probes, probe_cgroup.c, which knows cgroups, and probe_spare.c,
 * which tries what a launch can do without. Every probe_use_… runs in a child of its own: it may
 * change whatever dies with a process. It returns 0, or the errno (positive), with detail written
 * by probe_say.
 */
struct probe_job {
	unsigned long flag; /* of the row: a namespace */
	const char *word;   /* of the row: a controller */
	pid_t owner;	    /* names the cgroups: cloche-probe-OWNER */
	struct probe_result *result;
};

/* Fills the detail; with code, ": " and its meaning behind it. Returns code. */
int probe_say(struct probe_job *job, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A child in new namespaces (CLONE_NEW…, 0 for none) that waits to be killed, or -1. */
pid_t probe_sleeper(unsigned long flags);
void probe_end(pid_t pid);

int probe_use_cgroup2(struct probe_job *job);
int probe_use_into_cgroup(struct probe_job *job);
int probe_use_cgroup_kill(struct probe_job *job);
int probe_use_controller(struct probe_job *job);
int probe_use_device_bpf(struct probe_job *job);
int probe_use_bounds(struct probe_job *job);

int probe_use_listener(struct probe_job *job);
int probe_use_affinity(struct probe_job *job);
int probe_use_fsopen(struct probe_job *job);

/* Removes what a probe that did not come to its end may have left. */
void probe_cgroup_sweep(pid_t owner);

#endif
