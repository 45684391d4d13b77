/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_LAUNCHER_H
#define CLOCHE_LAUNCH_LAUNCHER_H

#include "base/process.h"
#include "host/bounds.h"
#include "host/hierarchy.h"
#include "host/slot.h"
#include "launch/warden.h"
#include "launch/plan.h"

#include <stdint.h>

struct cloche_err;
struct group;
struct spec;

/*
 * Makes and destroys contexts; needs root and a single-threaded caller, whose descriptors 0 to 2
 * are open. Life cycle:
 *   launcher_open → { context_create → (context_go/context_recv/context_prove/context_renew)* →
 *   context_destroy }* → launcher_close
 * A launcher may serve any number of contexts, one after another or at the same time.
 */
struct launcher {
	int run_fd;
	int null;	 /* /dev/null */
	int host;	 /* launcher_open_many(): the host's mount namespace; -1 */
	int notices[2];	 /* launcher_open_many(): a pipe (notice.h); -1 */
	uint32_t serial; /* of the last context */
	struct hierarchy hierarchy;
	struct bounds bounds;
	bool slots[SLOT_MAX];	 /* of its contexts */
	struct running *running; /* launcher_open_many(): bounds them; NULL: there is but one */
	bool apart;		 /* launcher_open_many() */
};
#define LAUNCHER_NONE                                    \
	((struct launcher){ .run_fd = -1,                \
			    .null = -1,                  \
			    .host = -1,                  \
			    .notices = { -1, -1 },       \
			    .hierarchy = HIERARCHY_NONE, \
			    .bounds = BOUNDS_NONE })

struct context {
	struct slot slot;
	struct plan plan;
	struct process warden;
	int control;  /* our end; -1: the warden was not made */
	int driver;   /* handed: the end of who will drive the next invocation; -1: given away */
	int executed; /* the file that it executes, O_PATH; -1: unknown */
	int api; /* the socket of api_socket.h, from STARTED on; -1: none, or somebody has it */
	uint64_t cgroup_id; /* of one that was adopted; 0 */
	bool used;	    /* the warden has told the end of what ran */
	uint32_t kept;	    /* cgroups that stay from here to context_renew(); cgroup.h */
	uint32_t old;	    /* cgroups that are not of this invocation alone */
	int64_t made_ns;    /* when its making began, CLOCK_MONOTONIC */
};

int launcher_open(struct launcher *ret, struct cloche_err *err);

/*
 * There will be many contexts at a time, each with some twenty-five descriptors here: wardens are
 * to be born without a copy of all of them (own_fds.h). For a process that has few open yet; where
 * it cannot be done, it is as if it had not been asked for.
 */
int launcher_open_many(struct launcher *ret, struct cloche_err *err);
void launcher_close(struct launcher *launcher);

/* Takes away what dead ones left of their contexts, which else the next context_create() does. */
int launcher_sweep(const struct launcher *launcher, struct cloche_err *err);

struct context_options {
	bool single;	/* there will be one function process only */
	bool terminals; /* a stream may be a terminal of which stream_is_foreign_terminal() */
	bool blank;	/* spec is none that anybody asked for: context_dress() */
	bool handed;	/* driven by a process without rights: see handed.h */
	unsigned given; /* handed: so many binds come with context_give(), of: */
	struct rights owner;
	struct plan_clock clock;
	const struct group *group; /* its cgroups are in this one's; NULL: in no group's */
};

/*
 * Makes the context: the warden, which completes it by itself, and meanwhile the cgroups of its
 * first invocation. What the warden meets in doing so is told by context_go() or context_recv().
 * spec must have passed spec_check and must outlive the context. On failure nothing is left.
 */
int context_create(struct launcher *launcher, const struct spec *spec,
		   const struct context_options *options, struct context *ret,
		   struct cloche_err *err);

/*
 * Of a blank, once: it is from here on as if it had been made of that spec, which has no binds of
 * its own and must outlive it; what of the options is not the blank's (terminals, given binds,
 * whose it is) comes with it. On failure it is to be destroyed.
 */
int context_dress(struct launcher *launcher, struct context *ctx, const struct spec *spec,
		  const struct context_options *options, struct cloche_err *err);

/* Asks the warden whether the context is clean (WARDEN_PROVED), when the invocation is dead and
 * counted; which of its cgroups stay for the next one is found out here. settled: as for
 * cgroup_keep(). */
int context_prove(struct context *ctx, bool settled, struct cloche_err *err);

/* Between two invocations, when the warden has proved the context clean: what counted the one
 * before, its cgroups, is removed and made anew for the next, all of it after context_send(PROVE).
 * -EBUSY: the kernel still has somebody in one; it is to be called again. On any other failure the
 * context is to be destroyed. */
int context_renew(struct launcher *launcher, struct context *ctx, struct cloche_err *err);

/* Before a function process: what it is refused and who ends it is counted and told anew.
 * context_go() does it, but for a context that is handed on, of which this is the launcher's. */
int context_begin(struct context *ctx, struct cloche_err *err);

/*
 * Starts a function process, once for each time that the context was created or renewed. The next
 * message is about it. Of spec, which need not be the context's, what order.h names counts and need
 * not outlive the call; spec_check has seen it. streams: its standard streams; -1: the caller's own
 * of that number. clocked: options.clock will know when it begins.
 */
int context_go(struct context *ctx, const struct spec *spec, const int streams[3], bool clocked,
	       struct cloche_err *err);

/* Before context_go(), once, for a context of which options.given says that there are some: the
 * socket of given_pack(). Whatever is wrong with it context_go() or context_recv() tells. */
int context_give(const struct context *ctx, int socket, struct cloche_err *err);

/* How many of its processes were killed, since it was last started, for holding too much. */
struct bounds_refused context_refused(const struct context *ctx);

int context_send(const struct context *ctx, enum warden_message type, struct cloche_err *err);
/* WARDEN_PAUSE; flags: 0 or WARDEN_NOTICE. */
int context_pause(const struct context *ctx, uint32_t flags, struct cloche_err *err);

/* To a process that is kept and frozen: it goes on, and has so long (WARDEN_RESUME); flags: how. */
int context_resume(const struct context *ctx, int64_t timeout_ns, uint32_t flags,
		   struct cloche_err *err);

/* The next message of the warden; ctx->executed is set by WARDEN_STARTED. -EPIPE when it is gone,
 * with the error that it left, if any. */
int context_recv(struct context *ctx, struct warden_msg *ret, struct cloche_err *err);

/*
 * Ends every process of the function, by cgroup.kill. A kernel without it (before 5.14) ends them
 * by the death of the warden: then no further message comes and the context is of no more use.
 * False: what runs was ending already, by itself or at its deadline, and this is not the cause.
 */
bool context_kill(const struct context *ctx);

/* Kills what runs, waits for the end of the warden and so of all, removes the cgroups, frees the
 * slot. What cannot be removed stays marked for the next run. */
int context_destroy(struct launcher *launcher, struct context *ctx, struct cloche_err *err);

/*
 * The same in steps that do not wait: all is told to end, then the warden is reaped (its pidfd is
 * readable when it can be), then the cgroups are taken away and the slot is freed: -EBUSY says that
 * the kernel still has somebody in one and it is to be tried again. last: it is not, and what
 * cannot be removed stays marked for the next run.
 */
void context_end(struct context *ctx);
bool context_try_reap(struct context *ctx);
int context_remove(struct launcher *launcher, struct context *ctx, bool last,
		   struct cloche_err *err);

/*
 * The same for a caller that ends next: no process of the function runs any more, but the end of
 * the warden, which takes the kernel as long as half a launch (it tears the namespaces down), is
 * not waited for; of a single run the warden also removes the cgroups, which are empty. The warden
 * shares the lock of the slot, so nobody gets the slot and with it the uid before that end; a
 * warden that does not come to it leaves the slot dirty, and the next run cleans.
 */
int context_leave(struct launcher *launcher, struct context *ctx, struct cloche_err *err);

#endif
