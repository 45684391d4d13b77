/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_WARDEN_H
#define CLOCHE_LAUNCH_WARDEN_H

#include "host/hierarchy.h"
#include "launch/rootfs.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

struct plan;

/*
 * The warden is pid 1 of a context. Between launcher and warden there is one SOCK_SEQPACKET
 * socketpair; every message is a struct warden_msg, whole, with descriptors where it says so
 * (message.h). The function has no descriptor of it.
 *
 *   launcher          RENEW                            PROVE           RENEW         …  LEAVE
 *   driver                   GO                                               GO
 *   warden    set-up            STARTED … ENDED               PROVED
 *   state     setting up | ready | renewed | running | used  | ready | renewed | …
 *
 *   a blank   setting up | blank ─ DRESS ─> ready | …
 *
 * Of a context whose process is kept (spec.kept), between STARTED and ENDED:
 *
 *   driver             PAUSE                 RESUME
 *   warden    STARTED         …  PAUSED             …
 *   state     running | pausing  | frozen            | running …
 *
 * ENDED comes at any time, and once: what the driver says to one that has just ended is passed
 * over. While it is paused it is frozen, and no time counts.
 *
 * The driver is the launcher, on the same socket; or, of a context that is handed (handed.h),
 * somebody without rights, on a socket that is another for each invocation, comes with RENEW and is
 * closed behind ENDED, or PASSED. What is said early waits in the socket. A message that is not
 * allowed in the warden's state or on that socket, or is not whole, ends the warden, and with it
 * the context; so does the launcher's death. A driver that is gone is the launcher's to see to.
 */
enum warden_message {
	WARDEN_DRESS,	/* launcher → warden: what a blank is to be; dress.h behind it, fds */
	WARDEN_RENEW,	/* launcher → warden: cgroups of the next invocation: flags, with fds */
	WARDEN_GO,	/* driver → warden: start a function process; an order (order.h), fds */
	WARDEN_STARTED, /* warden → driver: its exec is done; at_ns, cpu_ns, fds */
	WARDEN_ENDED,	/* warden → driver: nothing of it is left; see below */
	WARDEN_PASSED, /* warden → driver, after an ENDED with WARDEN_MORE: all its output is in the
			  driver's pipes */
	WARDEN_FAILED, /* warden → driver: it ended before exec; shared->err */
	WARDEN_LEAVE,  /* launcher → warden: remove the cgroups, free the slot and end */
	WARDEN_PROVE,  /* launcher → warden: is the context clean? flags: cgroups that stay */
	WARDEN_PROVED, /* warden → launcher: residue (proof.h) */
	WARDEN_BINDS,  /* driver → warden, before a GO, where the plan has given ones: the socket
			  of given.h; behind the first GO they are to be the same */
	WARDEN_PAUSE, /* driver → warden: freeze it; no limit of time counts from PAUSED on; flags:
			 WARDEN_NOTICE */
	WARDEN_PAUSED, /* warden → driver: nothing of it runs; at_ns; residue, of a zygote
			  (zygote.h); WARDEN_MORE, without PASSED */
	WARDEN_RESUME, /* driver → warden: go on; timeout_ns, and all limits, count from here;
			  flags: WARDEN_DISMISS or WARDEN_STOP */
	WARDEN_MESSAGES
};

enum warden_state {
	WARDEN_SETTING_UP, /* hears nothing but binds yet */
	WARDEN_BLANK,	   /* it is to be dressed before anything else */
	WARDEN_READY,	   /* clean, without cgroups */
	WARDEN_RENEWED,	   /* with those of an invocation */
	WARDEN_RUNNING,	   /* a function process */
	WARDEN_PAUSING,	   /* ..., which is being frozen */
	WARDEN_FROZEN,	   /* ..., which is frozen */
	WARDEN_USED,	   /* it has ended; nothing is proved yet */
	WARDEN_DIRTY,	   /* what it has found makes it useless */
	WARDEN_STATES
};

/* What comes with WARDEN_STARTED. */
#define WARDEN_FD_EXECUTED (1U << 0) /* the file that it executes, O_PATH */
#define WARDEN_FD_API	   (1U << 1) /* behind it: the socket of api_socket.h, if spec.api */

/* With WARDEN_GO the three standard streams, and the order where it is too long for a message. */
#define WARDEN_STREAMS	  3
#define WARDEN_ORDER_MAX  (64U << 10)
#define WARDEN_FD_ORDER	  (1U << 0) /* as a memfd, behind the streams */
#define WARDEN_FD_CLOCKED (1U << 1) /* no descriptor: plan->clock knows when it begins */

/* WARDEN_PAUSE, not of a zygote: instead of PAUSED the launcher gets a notice (notice.h), and it is
 * from the shared page that the driver has since when it is frozen. */
#define WARDEN_NOTICE (1U << 0)

/* WARDEN_RESUME: with SIGTERM for its own process, which has so long to come to its end. */
#define WARDEN_DISMISS (1U << 0)
/* WARDEN_RESUME: its own process is killed before anything of it goes on. What it has left goes on
 * and is killed then, as of one that has ended by itself. */
#define WARDEN_STOP (1U << 1)

/* WARDEN_ENDED. */
#define WARDEN_LEFT	(1U << 0) /* it left processes, which were killed */
#define WARDEN_CUT	(1U << 1) /* it wrote more than its output limit */
#define WARDEN_MORE	(1U << 2) /* not all that may pass is in the driver's pipes: PASSED follows */
#define WARDEN_UNFROZEN (1U << 3) /* it was to be frozen, and was not within pause.h's time */
#define WARDEN_NOTICED	(1U << 4) /* it was frozen when it ended, and the notice had been given */

struct warden_msg {
	uint32_t type;
	uint32_t residue;
	uint32_t fds; /* WARDEN_FD_*; WARDEN_RENEW: as cgroup_list() says */
	uint32_t
		flags; /* WARDEN_ENDED: WARDEN_LEFT; WARDEN_PROVE, WARDEN_RENEW: bits of cgroup.h */
	uint32_t order_len;  /* WARDEN_GO: bytes, behind the message or in the memfd */
	int32_t status;	     /* WARDEN_ENDED: as wait4(2) has it */
	int64_t at_ns;	     /* of the call of execve, of its end; CLOCK_MONOTONIC, as all here */
	int64_t cpu_ns;	     /* WARDEN_STARTED: what the function process had used until its exec */
	int64_t dead_ns;     /* WARDEN_ENDED: when no process was left; 0: they die with the warden,
				where the kernel has no cgroup.kill */
	int64_t deadline_ns; /* WARDEN_ENDED: as far as it was known */
	int64_t timeout_ns;  /* WARDEN_RESUME */
	struct rusage usage; /* WARDEN_ENDED: of all its processes */
};

/* Whether it may be said to a warden in this state, by the driver or else the launcher; and what it
 * is called, NULL: it is none that a warden is told in its turn. */
bool warden_allowed(enum warden_message type, enum warden_state state, bool by_driver);
const char *warden_message_name(enum warden_message type);

/* Completes the context and serves until the launcher goes away or tells it to leave. Does not
 * return. */
_Noreturn void warden_main(struct plan *plan);

#endif
