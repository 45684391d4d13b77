/* SPDX-License-Identifier: MIT */
/*
 * The warden, pid 1 of a context: completes the namespaces, hears the launcher by a table of
 * messages, starts function processes and sees to their ends (function.h), proves the context
 * clean. It stays root of the host's user namespace with a handful of capabilities and never leaves
 * that: the function, in its own user namespace under another uid, can neither trace nor signal nor
 * see it. It reads nothing that a function wrote.
 */
#include "launch/warden.h"

#include "base/clock.h"
#include "base/fd.h"
#include "host/prompt.h"
#include "launch/api_socket.h"
#include "launch/dress.h"
#include "launch/function.h"
#include "launch/given.h"
#include "launch/message.h"
#include "launch/notice.h"
#include "launch/order.h"
#include "launch/plan.h"
#include "launch/proof.h"
#include "launch/running.h"
#include "launch/spec.h"
#include "launch/stream_names.h"
#include "launch/warden_parts.h"
#include "launch/zygote.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- what is said --------------------------------------------------------------------------- */

/* Who does not hear it is gone; with pid 1 goes the context. */
static void say(int socket, const struct warden_msg *m)
{
	if (message_send(socket, m, NULL, NULL) < 0)
		_exit(EXIT_FAILURE);
}

/* Nothing of a caller's stays for the next one: its streams come to their end, its order goes. */
static void forget_order(struct warden *w)
{
	if (warden_leave_streams(w->plan) < 0)
		_exit(EXIT_FAILURE);
	if (w->block.bytes == w->inbox.bytes)
		explicit_bzero(w->block.bytes, w->block.len);
	else
		(void)munmap(w->block.bytes, w->block.len);
	w->block = (struct order_block){ .bytes = NULL };
	w->plan->order = NULL;
}

/* No more comes to it. */
static void let_driver_go(struct warden *w)
{
	output_close(&w->function.output);
	w->more = false;
	if (w->plan->handed)
		fd_close(&w->plan->driver);
}

/* It dies with us what writes there, where dead_ns is not known: then nothing waits for a reader.
 */
static void drain_output(struct warden *w)
{
	struct function *f = &w->function;

	output_drain(&f->output, &w->more);
	function_check_output(f);
	w->more &= f->end.type == WARDEN_ENDED && f->end.dead_ns != 0;
	f->end.flags |= (f->output.cut ? WARDEN_CUT : 0) | (w->more ? WARDEN_MORE : 0);
}

/* Its reader takes it at last. */
static void pass_on(struct warden *w)
{
	output_drain(&w->function.output, &w->more);
	function_check_output(&w->function);
	if (w->more)
		return;
	if (w->plan->driver >= 0)
		say(w->plan->driver, &(struct warden_msg){ .type = WARDEN_PASSED });
	let_driver_go(w);
}

static void tell_end(struct warden *w)
{
	struct warden_msg *end = &w->function.end;

	drain_output(w);
	end->flags |= w->noticed ? WARDEN_NOTICED : 0;
	w->noticed = false;
	if (end->type == WARDEN_FAILED || end->dead_ns)
		running_leave(w->plan->running, w->plan->slot.n);
	stream_names_take_back(&w->names);
	forget_order(w);
	/* From here on the launcher may leave before us: see leave(). Its death is still seen, at
	 * the end of the socket. */
	if (w->plan->single)
		(void)prctl(PR_SET_PDEATHSIG, 0);
	say(w->plan->driver, end);
	if (!w->more)
		let_driver_go(w);
	if (end->type == WARDEN_ENDED && end->dead_ns == 0)
		_exit(EXIT_SUCCESS); /* and what it has left */
	prompt_end();
	w->state = WARDEN_USED;
}

/* ---- what is heard -------------------------------------------------------------------------- */

/* The cgroups that the function is born in and shown, all but those that stayed, as give_cgroups()
 * of launcher.c sends them: what cgroup_list() has, then the mounts of rootfs_prepare_cgroups();
 * then, handed, the socket of who drives the next invocation. */
static bool renew(struct warden *w, const struct warden_msg *m, struct message_fds *fds)
{
	struct plan *p = w->plan;
	uint32_t which = m->flags;
	unsigned n = cgroup_fds(p->hierarchy, which, m->fds);
	unsigned shown = (unsigned)__builtin_popcount(rootfs_cgroups(p->hierarchy) & which);
	unsigned all = n + shown + (p->handed ? 1U : 0U);

	if (fds->n != all || which != (CGROUP_ALL & ~w->kept))
		return false;
	w->kept = 0;
	if (p->handed)
		p->driver = fds->fd[all - 1];
	cgroup_take(p->hierarchy, p->slot.n, which, m->fds, fds->fd, &p->cgroup);
	if (w->why_not.code == 0 && rootfs_show_cgroups(&p->rootfs, p->hierarchy, which,
							fds->fd + n, &p->at, &w->why_not) < 0)
		(void)cloche_err_stage(&w->why_not, "renew");
	fds->n = 0;
	w->state = WARDEN_RENEWED;
	return true;
}

/* With binds the cgroups come before what is to be ready for them. */
static bool renew_early(struct warden *w)
{
	bool early = w->early;

	w->early = false;
	return !early || renew(w, &w->early_msg, &w->early_fds);
}

static bool dress(struct warden *w, const struct warden_msg *m, struct message_fds *fds)
{
	struct plan *p = w->plan;

	if (dress_apply(w->inbox.bytes, w->inbox.len, fds, p, &w->spec) < 0)
		return false;
	/* Who gave what cannot be bound has a context that is of no use to anybody. */
	if (warden_take_binds(w, &w->why_not) < 0)
		warden_give_up(w, &w->why_not, "binds");
	if (rootfs_dress(&p->rootfs, &p->at, &w->why_not) < 0)
		(void)cloche_err_stage(&w->why_not, "dress");
	else if (warden_bring_network(w, &w->why_not) < 0)
		(void)cloche_err_stage(&w->why_not, "network");
	else if (warden_keep_few_capabilities(w, &w->why_not) < 0)
		(void)cloche_err_stage(&w->why_not, "init capabilities");
	w->state = WARDEN_READY;
	return renew_early(w);
}

static bool take_order(struct warden *w, const struct warden_msg *m, const struct message_fds *fds)
{
	bool apart = m->fds & WARDEN_FD_ORDER;

	if (fds->n != WARDEN_STREAMS + (apart ? 1U : 0U) || m->order_len == 0 ||
	    m->order_len > ORDER_MAX || w->inbox.len != (apart ? 0 : m->order_len))
		return false;
	w->block.len = m->order_len;
	w->block.bytes = apart ? order_map(fds->fd[WARDEN_STREAMS], m->order_len) : w->inbox.bytes;
	if (!w->block.bytes || order_read(w->block.bytes, w->block.len, &w->order) < 0)
		return false;
	w->plan->order = &w->order;
	return true;
}

/* A pipe of whoever's, or a terminal of its owner's, opens for the function as its descriptor of it
 * is, and no further: nobody gets more by it than by that. */
static void give_names(struct warden *w)
{
	const struct plan *p = w->plan;
	const struct stream_caller who = { .uid = p->owner.uid,
					   .gid = p->owner.gid,
					   .terminals = w->order.own_terminals };
	bool own = w->function.output.limited;

	if (p->handed && p->names >= 0)
		stream_names_try_give_for(p->names, p->uid, &who,
					  (int[]){ 0, own ? -1 : 1, own ? -1 : 2 }, &w->names);
}

/* Of a further invocation: it has them, or another context is the one for them. */
static bool look_at_binds(struct warden *w, const struct warden_msg *m, struct message_fds *fds)
{
	return w->plan->given && fds->n == 1 &&
	       given_same(fds->fd[0], &w->plan->owner, w->plan->given_mark);
}

/* What it cannot be given is told when it is to go. */
static void give_api(struct warden *w)
{
	struct cloche_err err = { 0 };

	if (!w->plan->spec->api || w->why_not.code)
		return;
	w->function.api = api_socket_open(&err);
	if (w->function.api < 0) {
		w->why_not = err;
		(void)cloche_err_stage(&w->why_not, "network");
	}
}

static bool go(struct warden *w, const struct warden_msg *m, struct message_fds *fds)
{
	struct cloche_err err = { 0 };

	if (!take_order(w, m, fds))
		return false;
	if (w->plan->spec->kept &&
	    w->order.timeout_ns > (w->order.init_invoked ? SPEC_TIMEOUT_MAX : ORDER_INIT_MAX_NS))
		return false;
	for (int i = 0; i < WARDEN_STREAMS; i++)
		if (dup2(fds->fd[i], i) < 0)
			return false;
	message_close_fds(fds);
	if (output_open(&w->function.output, w->order.output_bytes, &err) < 0 &&
	    w->why_not.code == 0) {
		w->why_not = err;
		(void)cloche_err_stage(&w->why_not, "streams");
	}
	give_names(w);
	give_api(w);
	w->state = WARDEN_RUNNING;
	err = w->why_not;
	if (err.code == 0)
		(void)running_enter(w->plan->running, w->plan->slot.n, &err);
	if (err.code) {
		w->plan->shared->err = err;
		w->function.end = (struct warden_msg){ .type = WARDEN_FAILED };
		tell_end(w);
	} else if (!function_start(&w->function, m->fds & WARDEN_FD_CLOCKED)) {
		tell_end(w);
	}
	return true;
}

/* ---- pauses --------------------------------------------------------------------------------- */

static void give_notice(struct warden *w)
{
	const struct notice n = { .slot = w->plan->slot.n, .serial = w->plan->serial };

	if (write(w->plan->notices, &n, sizeof(n)) != sizeof(n))
		_exit(EXIT_FAILURE);
	w->noticed = true;
}

static void tell_paused(struct warden *w)
{
	struct function *f = &w->function;
	struct warden_msg m = { .type = WARDEN_PAUSED, .at_ns = f->pause.at_ns };
	bool more = false;

	if (output_pass(&f->output, &more))
		function_kill(f, ENDED_BY_OUTPUT);
	function_check_output(f);
	if (f->killed)
		return; /* its end is told */
	m.flags = more ? WARDEN_MORE : 0;
	if (w->plan->spec->zygote)
		m.residue = zygote_prove(&w->zygote, w->plan, f->pid);
	pause_note(w->plan, w->plan->shared->resumed_ns, m.at_ns);
	w->state = WARDEN_FROZEN;
	if (w->notice)
		give_notice(w);
	else
		say(w->plan->driver, &m);
	/* While others count and answer. */
	if (w->plan->spec->zygote && m.residue == RESIDUE_NONE &&
	    zygote_renew(w->plan, &w->plan->shared->err) < 0)
		_exit(EXIT_FAILURE);
}

static void look_whether_paused(struct warden *w)
{
	const struct function *f = &w->function;

	if (w->state == WARDEN_PAUSING && f->pause.state == PAUSE_FROZEN && !f->killed)
		tell_paused(w);
}

/* One that is ending is not frozen any more, and its end is what is told. */
static bool pause_it(struct warden *w, const struct warden_msg *m, struct message_fds *fds)
{
	struct function *f = &w->function;

	if (!w->plan->spec->kept || m->flags & ~WARDEN_NOTICE ||
	    (m->flags && (w->plan->spec->zygote || w->plan->notices < 0)))
		return false;
	w->notice = m->flags;
	if (w->state != WARDEN_RUNNING || f->killed || f->dying)
		return true;
	w->state = WARDEN_PAUSING;
	if (pause_begin(f, &w->plan->shared->err) < 0)
		_exit(EXIT_FAILURE);
	look_whether_paused(w);
	return true;
}

static bool resume(struct warden *w, const struct warden_msg *m, struct message_fds *fds)
{
	struct function *f = &w->function;

	if (m->timeout_ns <= 0 || m->timeout_ns > SPEC_TIMEOUT_MAX ||
	    m->flags > (WARDEN_DISMISS | WARDEN_STOP))
		return false;
	if (w->state != WARDEN_FROZEN || f->killed || f->dying)
		return true;
	/* Our own child, which is not reaped: no other's number. */
	if (m->flags)
		(void)kill(f->pid, m->flags & WARDEN_STOP ? SIGKILL : SIGTERM);
	denials_clear(&w->plan->shared->denials);
	output_renew(&f->output, w->order.output_bytes);
	if (pause_end(f, m->timeout_ns, &w->plan->shared->err) < 0)
		_exit(EXIT_FAILURE);
	w->noticed = false;
	w->state = WARDEN_RUNNING;
	return true;
}

/* ---- between two invocations ---------------------------------------------------------------- */

/* By what is known of the end. */
static enum residue left_by(const struct function *f)
{
	if (f->end.type == WARDEN_FAILED)
		return RESIDUE_UNKNOWN;
	if (f->end.flags & WARDEN_LEFT)
		return RESIDUE_PROCESS;
	return shared_ended_by(f->plan->shared) == ENDED_BY_ITSELF ? RESIDUE_NONE : RESIDUE_KILLED;
}

/* What the next one finds is made new at once, while the launcher makes it its cgroups. */
static bool prove(struct warden *w, const struct warden_msg *m, struct message_fds *fds)
{
	struct plan *p = w->plan;
	struct warden_msg answer = { .type = WARDEN_PROVED, .residue = left_by(&w->function) };

	/* Its driver waits for no reader any more. */
	let_driver_go(w);
	w->kept = m->flags;
	if (answer.residue == RESIDUE_NONE)
		answer.residue = proof_make(p, w->kept);
	say(p->control, &answer);
	w->state = answer.residue == RESIDUE_NONE ? WARDEN_READY : WARDEN_DIRTY;
	if (w->state == WARDEN_READY && rootfs_renew(&p->rootfs, &p->at, &w->why_not) < 0)
		(void)cloche_err_stage(&w->why_not, "renew");
	return true;
}

static bool leave(struct warden *w, const struct warden_msg *m, struct message_fds *fds)
{
	struct plan *p = w->plan;

	if (!p->single)
		return false;
	if (cgroup_destroy(p->hierarchy, &p->cgroup, NULL) == 0)
		slot_release(&p->slot, true);
	_exit(EXIT_SUCCESS);
}

#define IN(state) (1U << (state))
/* The end may come before what a driver says to one that it believes to be there. */
#define ENDED (IN(WARDEN_USED) | IN(WARDEN_DIRTY))

/* What may come when, from whom, and whether it brings descriptors. A handler that does not take
 * what it gets says so. Of a context that is not handed the launcher is the driver, too. */
static const struct {
	const char *name;
	unsigned states;
	bool by_driver; /* else by the launcher */
	bool brings;
	bool (*handle)(struct warden *w, const struct warden_msg *m, struct message_fds *fds);
} messages[WARDEN_MESSAGES] = {
	[WARDEN_DRESS] = { "dress", IN(WARDEN_BLANK), false, true, dress },
	[WARDEN_RENEW] = { "renew", IN(WARDEN_READY), false, true, renew },
	[WARDEN_BINDS] = { "binds", IN(WARDEN_RENEWED), true, true, look_at_binds },
	[WARDEN_GO] = { "go", IN(WARDEN_RENEWED), true, true, go },
	[WARDEN_PROVE] = { "prove", IN(WARDEN_USED), false, false, prove },
	[WARDEN_LEAVE] = { "leave", ENDED, false, false, leave },
	[WARDEN_PAUSE] = { "pause", IN(WARDEN_RUNNING) | ENDED, true, false, pause_it },
	[WARDEN_RESUME] = { "resume", IN(WARDEN_FROZEN) | ENDED, true, false, resume },
};

bool warden_allowed(enum warden_message type, enum warden_state state, bool by_driver)
{
	return type < WARDEN_MESSAGES && state < WARDEN_STATES && messages[type].handle &&
	       messages[type].states & IN(state) && messages[type].by_driver == by_driver;
}

const char *warden_message_name(enum warden_message type)
{
	return type < WARDEN_MESSAGES ? messages[type].name : NULL;
}

static _Noreturn void end_for(const struct warden *w, const struct warden_msg *m)
{
	const char *name = warden_message_name(m->type);

	(void)cloche_err_set(&w->plan->shared->err, EPROTO,
			     "pid 1 of the context was told something out of turn ('%s', %u, in "
			     "state %u)",
			     name ? name : "unknown", m->type, w->state);
	_exit(EXIT_FAILURE);
}

static bool is_allowed(const struct warden *w, int socket, const struct warden_msg *m,
		       unsigned n_fds)
{
	/* Of a context that is not handed both are one socket. */
	return ((socket == w->plan->driver && warden_allowed(m->type, w->state, true)) ||
		(socket == w->plan->control && warden_allowed(m->type, w->state, false))) &&
	       (messages[m->type].brings || n_fds == 0) &&
	       (m->type == WARDEN_GO || m->type == WARDEN_DRESS || w->inbox.len == 0);
}

static void hear(struct warden *w, int socket)
{
	struct warden_msg m = { .type = WARDEN_MESSAGES };
	struct message_fds fds;
	int r;

	w->inbox.len = WARDEN_ORDER_MAX;
	r = message_recv(socket, &m, &w->inbox, &fds);
	if (r == -EPIPE && socket != w->plan->control) {
		let_driver_go(w); /* the launcher ends us, in its own time */
		return;
	}
	if (r == -EPIPE)
		_exit(EXIT_SUCCESS); /* the launcher has gone away */
	if (r < 0 && r != -EBADMSG) {
		(void)cloche_err_sys(&w->plan->shared->err, -r, "hear from the launcher");
		_exit(EXIT_FAILURE);
	}
	if (r < 0 || !is_allowed(w, socket, &m, fds.n) || !messages[m.type].handle(w, &m, &fds))
		end_for(w, &m);
}

static int wait_for(struct pollfd *fds, nfds_t n, int64_t patience_ns)
{
	const struct timespec most = ns_timespec(patience_ns);

	return ppoll(fds, n, patience_ns == FUNCTION_NO_END ? NULL : &most, NULL);
}

static bool has_function(const struct warden *w)
{
	return w->state == WARDEN_RUNNING || w->state == WARDEN_PAUSING ||
	       w->state == WARDEN_FROZEN;
}

/*
 * Waits for what may come: while a function runs its events first, then whatever is said, which can
 * only be wrong, or that somebody is gone. Where there is nothing else the launcher's socket is
 * read without asking before whether there is something.
 */
static void attend(struct warden *w)
{
	enum { CONTROL, DRIVER, FUNCTION };
	struct pollfd fds[FUNCTION + FUNCTION_WATCHED] = {
		[CONTROL] = { .fd = w->plan->control, .events = POLLIN },
		[DRIVER] = { .fd = w->plan->handed ? w->plan->driver : -1, .events = POLLIN },
	};
	struct function *f = &w->function;
	bool runs = has_function(w);
	nfds_t n = FUNCTION;

	if (!runs && !w->more && fds[DRIVER].fd < 0) {
		hear(w, w->plan->control);
		return;
	}
	if (runs) {
		memcpy(fds + FUNCTION, f->watched, sizeof(f->watched));
		n += FUNCTION_WATCHED;
	} else if (w->more) {
		output_watch(&f->output, fds + FUNCTION);
		n += OUTPUT_FDS;
	}
	if (wait_for(fds, n, runs ? function_patience(f) : FUNCTION_NO_END) < 0) {
		if (errno != EINTR)
			_exit(EXIT_FAILURE);
		return;
	}
	if (runs)
		memcpy(f->watched, fds + FUNCTION, sizeof(f->watched));
	if (runs && function_step(f))
		tell_end(w);
	else if (fds[CONTROL].revents)
		hear(w, w->plan->control);
	else if (fds[DRIVER].revents)
		hear(w, w->plan->driver);
	else if (w->more)
		pass_on(w);
	look_whether_paused(w);
}

_Noreturn void warden_main(struct plan *plan)
{
	struct warden w = { .plan = plan, .state = WARDEN_SETTING_UP, .names = STREAM_NAMES_NONE };

	warden_set_up(&w);
	if (!renew_early(&w))
		end_for(&w, &w.early_msg);
	for (;;)
		attend(&w);
}
