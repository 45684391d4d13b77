/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_INIT_H
#define CLOCHE_LAUNCH_INIT_H

#include "host/hierarchy.h"
#include "launch/rootfs.h"

#include <stdint.h>
#include <sys/resource.h>

struct plan;

/*
 * Pid 1 of a context and what it says. Between launcher and pid 1 there is one SOCK_SEQPACKET
 * socketpair; every message is one of these, whole. The function has no descriptor of it.
 */
enum init_type {
	INIT_RENEW, /* launcher → pid 1: make the context new for the next one; with its cgroups */
	INIT_GO,    /* launcher → pid 1: start a further function process */
	INIT_STARTED, /* pid 1 → launcher: its exec is done; at_ns, cpu_ns, fds */
	INIT_ENDED,   /* pid 1 → launcher: it is reaped; at_ns, status, usage */
	INIT_FAILED,  /* pid 1 → launcher: it ended before exec; shared->err */
	INIT_LEAVE,   /* launcher → pid 1: remove the cgroups, free the slot and end */
	INIT_PROVE,   /* launcher → pid 1: is the context clean? */
	INIT_PROVED,  /* pid 1 → launcher: dirt is enum init_dirt (proof.h) */
};

/* What comes with INIT_STARTED, in this order. */
#define INIT_FD_LISTENER (1U << 0) /* of its policy */
#define INIT_FD_CODE	 (1U << 1) /* the file that it executes, O_PATH */
#define INIT_FDS	 2

/* What comes with INIT_RENEW: the leaf on cgroup2, the "tasks" of those on v1, a detached mount of
 * each that the function is shown. */
#define INIT_RENEW_FDS (1 + CONTROLLER_N + ROOTFS_CGROUPS)

struct init_msg {
	uint32_t type;
	uint32_t dirt;
	uint32_t fds;
	int32_t status; /* as wait4(2) has it */
	int64_t at_ns;	/* CLOCK_MONOTONIC */
	int64_t cpu_ns; /* INIT_STARTED: what the function process had used until its exec */
	struct rusage usage;
};

/* Completes the context, starts the first function process without being asked and serves until the
 * launcher goes away or tells it to leave. Does not return. */
_Noreturn void init_main(struct plan *plan);

#endif
