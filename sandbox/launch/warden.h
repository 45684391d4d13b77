/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_WARDEN_H
#define CLOCHE_LAUNCH_WARDEN_H

#include "host/hierarchy.h"
#include "launch/rootfs.h"

#include <stdint.h>
#include <sys/resource.h>

struct plan;

/*
 * The warden is pid 1 of a context. Between launcher and warden there is one SOCK_SEQPACKET
 * socketpair; every message is one of these, whole. The function has no descriptor of it.
 */
enum warden_message {
	WARDEN_RENEW,	/* launcher → warden: make the context new; with its new cgroups */
	WARDEN_GO,	/* launcher → warden: start a further function process */
	WARDEN_STARTED, /* warden → launcher: its exec is done; at_ns, cpu_ns, fds */
	WARDEN_ENDED,	/* warden → launcher: it is reaped; at_ns, status, usage */
	WARDEN_FAILED,	/* warden → launcher: it ended before exec; shared->err */
	WARDEN_LEAVE,	/* launcher → warden: remove the cgroups, free the slot and end */
	WARDEN_PROVE,	/* launcher → warden: is the context clean? */
	WARDEN_PROVED,	/* warden → launcher: residue (proof.h) */
};

/* What comes with WARDEN_STARTED, in this order. */
#define WARDEN_FD_LISTENER (1U << 0) /* of its policy */
#define WARDEN_FD_EXECUTED (1U << 1) /* the file that it executes, O_PATH */
#define WARDEN_FDS	   2

/* What comes with WARDEN_RENEW: the leaf on cgroup2, the "tasks" of those on v1, a detached mount
 * of each that the function is shown. */
#define WARDEN_RENEW_FDS (1 + CONTROLLER_N + ROOTFS_CGROUPS)

struct warden_msg {
	uint32_t type;
	uint32_t residue;
	uint32_t fds;
	int32_t status; /* as wait4(2) has it */
	int64_t at_ns;	/* CLOCK_MONOTONIC */
	int64_t dead_ns, deadline_ns; /* WARDEN_ENDED */
	uint32_t flags;
#define WARDEN_TIMED_OUT 1
#define WARDEN_LEFT_PROCESSES 2
	int64_t cpu_ns; /* WARDEN_STARTED: what the function process had used until its exec */
	struct rusage usage;
};

/* Completes the context, starts the first function process without being asked and serves until the
 * launcher goes away or tells it to leave. Does not return. */
_Noreturn void warden_main(struct plan *plan);

#endif
