/* SPDX-License-Identifier: MIT */
/* What a warden goes through, in order, before it hears anything: see warden_parts.h. */
#include "launch/warden_parts.h"

#include "base/err.h"
#include "base/fd.h"
#include "launch/attributes.h"
#include "launch/function.h"
#include "launch/given.h"
#include "launch/message.h"
#include "launch/network.h"
#include "launch/own_fds.h"
#include "launch/plan.h"
#include "launch/proof.h"
#include "launch/rootfs.h"
#include "launch/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

int warden_leave_streams(const struct plan *p)
{
	for (int i = 0; i < WARDEN_STREAMS; i++)
		if (dup2(p->null, i) < 0)
			return -errno;
	return 0;
}

static int keep_own_fds(struct warden *w, struct cloche_err *err)
{
	int r = w->plan->shares ? own_fds_take(w->plan, err) : own_fds_keep(w->plan, err);

	if (r < 0)
		return r;
	r = warden_leave_streams(w->plan);
	return r < 0 ? cloche_err_sys(err, -r, "leave the standard streams") : 0;
}

/* The launcher's death is the context's. It may have died before this line: then the control socket
 * is at its end, and the first send or recv ends us. */
static int die_with_launcher(struct warden *w, struct cloche_err *err)
{
	return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0
		       ? cloche_err_sys(err, errno, "prctl of pid 1 of the context")
		       : 0;
}

/* All that is started here inherits them. */
static int reset_signals(struct warden *w, struct cloche_err *err)
{
	return attributes_reset_signals(err);
}

static int set_host_name(struct warden *w, struct cloche_err *err)
{
	return sethostname("cloche", 6) < 0 ? cloche_err_sys(err, errno, "sethostname") : 0;
}

/* Where their sources are. A blank has left it, and comes back to what it has made. */
static int take_in_host(struct plan *p, int socket, struct cloche_err *err)
{
	cleanup_fd int host = TAKE_FD(p->host), own = -1;
	int r;

	if (host >= 0) {
		own = openat(p->at.proc, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
		if (own < 0 || setns(host, CLONE_NEWNS) < 0)
			return cloche_err_sys(err, errno, "go where binds come from (setns)");
	}
	r = given_take(socket, &p->owner, &p->rootfs, p->given_mark, err);
	if (r == 0 && own >= 0 && setns(own, CLONE_NEWNS) < 0)
		r = cloche_err_sys(err, errno, "come back from where binds are (setns)");
	return r;
}

/* The socket by which they come is with the cgroups; their sources are in the host's mount
 * namespace, which is left next. */
int warden_take_binds(struct warden *w, struct cloche_err *err)
{
	struct plan *p = w->plan;
	struct message_fds fds = { .n = 0 };
	struct warden_msg m = { .type = WARDEN_MESSAGES };
	int r;

	if (!p->given)
		return 0;
	r = message_recv(p->control, &w->early_msg, NULL, &w->early_fds);
	if (r == 0 && (w->early_msg.type != WARDEN_RENEW || w->early_fds.n == 0))
		r = -EBADMSG;
	if (r == 0)
		r = message_recv(w->early_fds.fd[w->early_fds.n - 1], &m, NULL, &fds);
	if (r == -EPIPE)
		_exit(EXIT_SUCCESS); /* whoever wanted it is gone */
	if (r < 0 || m.type != WARDEN_BINDS || fds.n != 1)
		return cloche_err_set(err, EPROTO, "pid 1 of the context was told no binds");
	w->early = true;
	r = take_in_host(p, fds.fd[0], err);
	message_close_fds(&fds);
	p->shared->lacks |= p->rootfs.idmapped ? 0 : LACK_IDMAP;
	return r;
}

static int enter_root(struct warden *w, struct cloche_err *err)
{
	return rootfs_enter(&w->plan->rootfs, &w->plan->at, err);
}

/* Handed, there comes one for each invocation. */
static int know_driver(struct warden *w, struct cloche_err *err)
{
	w->plan->driver = w->plan->handed ? -1 : w->plan->control;
	return 0;
}

/* By its /proc, which is there. Of the OOM killer's score it has what its maker could set. */
static int set_attributes(struct warden *w, struct cloche_err *err)
{
	if (!attributes_outlives(w->plan->at.proc))
		w->plan->shared->lacks |= LACK_OUTLIVE;
	return attributes_pass_on(w->plan, err);
}

int warden_bring_network(struct warden *w, struct cloche_err *err)
{
	const struct plan *p = w->plan;

	if (p->spec->zygote)
		network_try_leave_no_ports(p->at.proc);
	return p->spec->net == NET_LOOPBACK ? network_loopback(p->at.proc, p->uid, err) : 0;
}

/* The caller's would be possessed by it. */
static int fresh_keyring(struct warden *w, struct cloche_err *err)
{
	return proof_fresh_keyring(err);
}

static int open_events(struct warden *w, struct cloche_err *err)
{
	void *room = mmap(NULL, WARDEN_ORDER_MAX, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room == MAP_FAILED)
		return cloche_err_sys(err, errno, "map room for orders");
	w->inbox.bytes = room;
	return function_open(&w->function, w->plan, err);
}

int warden_keep_few_capabilities(struct warden *w, struct cloche_err *err)
{
	return attributes_keep_capabilities(w->plan, err);
}

static const struct {
	const char *name;
	int (*run)(struct warden *w, struct cloche_err *err);
} setup[] = {
	{ "launcher", die_with_launcher },
	{ "fds", keep_own_fds },
	{ "driver", know_driver },
	{ "signals", reset_signals },
	{ "hostname", set_host_name },
	{ "binds", warden_take_binds },
	{ "root", enter_root },
	{ "attributes", set_attributes },
	{ "network", warden_bring_network },
	{ "keyring", fresh_keyring },
	{ "events", open_events },
	{ "init capabilities", warden_keep_few_capabilities },
};

_Noreturn void warden_give_up(struct warden *w, const struct cloche_err *err, const char *stage)
{
	w->plan->shared->err = *err;
	(void)cloche_err_stage(&w->plan->shared->err, stage);
	_exit(EXIT_FAILURE);
}

void warden_set_up(struct warden *w)
{
	struct cloche_err err = { 0 };

	for (size_t i = 0; i < sizeof(setup) / sizeof(setup[0]); i++)
		if (setup[i].run(w, &err) < 0)
			warden_give_up(w, &err, setup[i].name);
	w->state = w->plan->blank ? WARDEN_BLANK : WARDEN_READY;
}
