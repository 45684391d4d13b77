/* SPDX-License-Identifier: MIT */
/*
 * The warden, pid 1 of a context: completes the namespaces, forks function processes, reaps,
 * reports and proves the context clean. It stays root of the host's user namespace with a handful
 * of capabilities and never leaves that: the function, in its own user namespace under another uid,
 * can neither trace nor signal nor see it. It reads nothing that a function wrote.
 */
#include "launch/warden.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/inside.h"
#include "host/prompt.h"
#include "launch/attributes.h"
#include "launch/child.h"
#include "launch/lookup.h"
#include "launch/network.h"
#include "launch/own_fds.h"
#include "launch/plan.h"
#include "launch/proof.h"
#include "launch/spawn.h"
#include "launch/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void say(const struct plan *p, const struct warden_msg *m)
{
	if (send(p->control, m, sizeof(*m), MSG_NOSIGNAL) != sizeof(*m))
		_exit(EXIT_FAILURE); /* the launcher is gone; with the warden goes the context */
}

/* The file that a command leads to, of which the ledger has the hash. */
struct command_file {
	int dir; /* the working directory */
	int fd;	 /* O_PATH; -1: unknown */
	int candidate;
	struct lookup way;
};

/* A tick is 1 to 10 ms: the file was just written, as by a compiler. */
static void wait_until_quiet(const struct lookup *way)
{
	for (int i = 0; i < 10 && !lookup_quiet(way); i++)
		(void)nanosleep(&(struct timespec){ .tv_nsec = NSEC_PER_MSEC }, NULL);
}

static bool look_at(struct command_file *c, const char *path)
{
	fd_close(&c->fd);
	c->fd = lookup(c->dir, path, &c->way);
	return c->fd >= 0 && S_ISREG(c->way.file.st_mode);
}

/* Before the function process is there. */
static void command_find(const struct plan *p, struct command_file *ret)
{
	char *const *path = p->candidates;

	ret->dir = inside_open(AT_FDCWD, p->spec->workdir, O_PATH | O_DIRECTORY);
	while (*path && !look_at(ret, *path))
		path++;
	if (*path && !lookup_quiet(&ret->way)) {
		wait_until_quiet(&ret->way);
		if (!look_at(ret, *path) || !lookup_quiet(&ret->way))
			fd_close(&ret->fd);
	}
	if (!*path)
		fd_close(&ret->fd);
	ret->candidate = (int)(path - p->candidates);
	p->shared->executed_stat = ret->way.file;
}

/* Whether it was that file that the kernel executed. See lookup.h. */
static bool command_is_executed(const struct plan *p, const struct command_file *c)
{
	cleanup_fd int fd = -1;
	struct lookup now;

	if (c->fd < 0 || c->candidate != p->shared->exec_path)
		return false;
	fd = lookup(c->dir, p->candidates[c->candidate], &now);
	return fd >= 0 && lookup_same(&c->way, &now);
}

static void command_forget(struct command_file *c)
{
	fd_close(&c->dir);
	fd_close(&c->fd);
}

/* With what the warden has of the function process: m->fds says which descriptors, in order. */
static void say_started(const struct plan *p, const struct command_file *file, struct warden_msg *m)
{
	int fds[WARDEN_FDS];
	unsigned n = 0;
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(fds))];
	} control = { .head = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { .iov_base = m, .iov_len = sizeof(*m) };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control };

	if (p->shared->listener >= 0) {
		m->fds |= WARDEN_FD_LISTENER;
		fds[n++] = p->shared->listener;
	}
	if (command_is_executed(p, file)) {
		m->fds |= WARDEN_FD_EXECUTED;
		fds[n++] = file->fd;
	}
	if (n == 0) {
		say(p, m);
		return;
	}
	control.head.cmsg_len = CMSG_LEN(n * sizeof(int));
	h.msg_controllen = CMSG_SPACE(n * sizeof(int));
	memcpy(CMSG_DATA(&control.head), fds, n * sizeof(int));
	if (sendmsg(p->control, &h, MSG_NOSIGNAL) != sizeof(*m))
		_exit(EXIT_FAILURE);
}

/* ---- set-up --------------------------------------------------------------------------------- */

static int take_streams(struct plan *p, struct cloche_err *err)
{
	/* In this order: standard output may be given what is standard error until then. */
	for (int i = 0; i < 3; i++)
		if (p->streams[i] >= 0 && dup2(p->streams[i], i) < 0)
			return cloche_err_sys(err, errno, "take the standard streams");
	return 0;
}

/* Else, too, the function would write for a reader that is there no more, or wait for itself. */
static int keep_own_fds(struct plan *p, struct cloche_err *err)
{
	return own_fds_keep(p, err);
}

static int set_host_name(struct plan *p, struct cloche_err *err)
{
	return sethostname("cloche", 6) < 0 ? cloche_err_sys(err, errno, "sethostname") : 0;
}

static int enter_root(struct plan *p, struct cloche_err *err)
{
	return rootfs_enter(&p->rootfs, &p->at, err);
}

/* It has what its maker could set for itself. */
static int see_outlive(struct plan *p, struct cloche_err *err)
{
	if (!attributes_outlives(p->at.proc))
		p->shared->lacks |= LACK_OUTLIVE;
	return 0;
}

static int bring_network(struct plan *p, struct cloche_err *err)
{
	return p->spec->net == NET_LOOPBACK ? network_loopback(p->at.proc, p->uid, err) : 0;
}

/* The caller's would be possessed by it. */
static int fresh_keyring(struct plan *p, struct cloche_err *err)
{
	return proof_fresh_keyring(err);
}

static int keep_few_capabilities(struct plan *p, struct cloche_err *err)
{
	uint32_t needed = 1U << CAP_SETUID | 1U << CAP_SETGID | 1U << CAP_SETPCAP |
			  1U << CAP_SYS_ADMIN | 1U << CAP_SYS_NICE | 1U << CAP_SYS_RESOURCE;
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { 0 };

	/* The next invocation gets a loopback of its own. */
	if (p->spec->net != NET_NONE && !p->single)
		needed |= 1U << CAP_NET_ADMIN;
	if (syscall(SYS_capget, &head, caps) < 0)
		return cloche_err_sys(err, errno, "capget");
	/* What the steps of child.c need, as far as the caller has it; effective and permitted
	 * only. */
	caps[0].effective = caps[0].permitted = caps[0].permitted & needed;
	caps[1] = (struct __user_cap_data_struct){ 0 };
	caps[0].inheritable = 0;
	if (syscall(SYS_capset, &head, caps) < 0)
		return cloche_err_sys(err, errno, "capset");
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct plan *p, struct cloche_err *err);
} setup[] = {
	{ "streams", take_streams },   { "fds", keep_own_fds },
	{ "hostname", set_host_name }, { "root", enter_root },
	{ "oom score", see_outlive },  { "network", bring_network },
	{ "keyring", fresh_keyring },  { "init capabilities", keep_few_capabilities },
};

/* ---- one function process ---- */

static void time_add(struct timeval *to, const struct timeval *by)
{
	to->tv_sec += by->tv_sec;
	to->tv_usec += by->tv_usec;
	if (to->tv_usec >= 1000000) {
		to->tv_sec++;
		to->tv_usec -= 1000000;
	}
}

static void rusage_add(struct rusage *to, const struct rusage *by)
{
	time_add(&to->ru_utime, &by->ru_utime);
	time_add(&to->ru_stime, &by->ru_stime);
	to->ru_minflt += by->ru_minflt;
	to->ru_majflt += by->ru_majflt;
	to->ru_nvcsw += by->ru_nvcsw;
	to->ru_nivcsw += by->ru_nivcsw;
}

/*
 * Orphans of the function come to the warden; all are reaped, the function's own end is what
 * counts. Not while all are being killed: to wake for each of a crowd takes the CPU that they need
 * for dying.
 */
static int reap_function(const struct plan *p, pid_t pid, struct warden_msg *m)
{
	for (;;) {
		bool all = !__atomic_load_n(&p->shared->ending, __ATOMIC_RELAXED);
		struct rusage usage;
		pid_t got = wait4(all ? -1 : pid, &m->status, 0, &usage);

		if (got > 0)
			rusage_add(&m->usage, &usage);
		if (got == pid)
			return 0;
		if (got < 0 && errno != EINTR)
			return -errno;
	}
}

static void run_function(const struct plan *p)
{
	struct warden_msg m = { .type = WARDEN_STARTED };
	struct command_file file = { .fd = -1 };
	pid_t pid;

	p->shared->err.code = 0;
	p->shared->listener = -1;
	p->shared->exec_ns = 0;
	/* Where it is born in its cpu cgroup it might wait for ever for the group's real time. */
	prompt_try_begin(p->cgroup.tasks[CONTROLLER_CPU] >= 0);
	command_find(p, &file);
	pid = spawn(p->cgroup.v2, child_main, p);
	m.at_ns = p->shared->exec_ns;
	m.cpu_ns = p->shared->exec_cpu_ns;
	if (pid < 0) {
		(void)cloche_err_sys(&p->shared->err, -pid,
				     "clone3 into the cgroup (CLONE_INTO_CGROUP)");
		(void)cloche_err_stage(&p->shared->err, "clone");
	} else if (p->shared->err.code == 0 && p->shared->exec_ns == 0) {
		(void)cloche_err_set(&p->shared->err, ECHILD,
				     "the function process was killed before it could execute "
				     "the command");
		(void)cloche_err_stage(&p->shared->err, "set-up");
	} else if (p->shared->err.code == 0) {
		say_started(p, &file, &m);
	}
	fd_close(&p->shared->listener);
	command_forget(&file);
	/* Orphans may come in crowds. */
	prompt_end();
	if (pid > 0 && reap_function(p, pid, &m) < 0)
		_exit(EXIT_FAILURE);
	m.type = p->shared->err.code ? WARDEN_FAILED : WARDEN_ENDED;
	m.at_ns = clock_now_ns();
	/* From here on the launcher may leave before us: see leave(). Its death is still seen, at
	 * the end of the socket. */
	if (p->single)
		(void)prctl(PR_SET_PDEATHSIG, 0);
	say(p, &m);
}

static void leave(struct plan *p)
{
	if (cgroup_destroy(p->hierarchy, &p->cgroup, NULL) == 0)
		slot_release(&p->slot, true);
}

/* ---- the next one ---- */

/* What the launcher wants, with the descriptors that come with WARDEN_RENEW; the others are -1. */
static bool hear(const struct plan *p, struct warden_msg *m, int fds[WARDEN_RENEW_FDS])
{
	char control[CMSG_SPACE(WARDEN_RENEW_FDS * sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = { .iov_base = m, .iov_len = sizeof(*m) };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;

	for (int i = 0; i < WARDEN_RENEW_FDS; i++)
		fds[i] = -1;
	if (recvmsg(p->control, &h, MSG_CMSG_CLOEXEC) != sizeof(*m))
		return false;
	c = CMSG_FIRSTHDR(&h);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	return true;
}

/* The cgroups that the function is born in and shown, as context_renew() has sent them. */
static int renew(struct plan *p, const int fds[WARDEN_RENEW_FDS], struct cloche_err *err)
{
	int n = 0;

	cgroup_close(&p->cgroup);
	p->cgroup.v2 = fds[n++];
	for (int i = 0; i < CONTROLLER_N; i++)
		if (p->hierarchy->ctl[i] >= 0)
			p->cgroup.tasks[i] = fds[n++];
	return rootfs_renew(&p->rootfs, fds + n, &p->at, err);
}

static void run_again(struct plan *p, const struct cloche_err *why_not)
{
	const struct warden_msg m = { .type = WARDEN_FAILED };

	if (why_not->code == 0) {
		run_function(p);
		return;
	}
	p->shared->err = *why_not;
	(void)cloche_err_stage(&p->shared->err, "renew");
	say(p, &m);
}

_Noreturn void warden_main(struct plan *plan)
{
	struct warden_msg m = { 0 };
	struct cloche_err err = { 0 };
	int fds[WARDEN_RENEW_FDS];

	/* The launcher's death is the context's. It may have died before this line: then the
	 * control socket is at its end, and the first send or recv below ends us. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0) {
		(void)cloche_err_sys(&plan->shared->err, errno, "prctl of pid 1 of the context");
		_exit(EXIT_FAILURE);
	}
	for (size_t i = 0; i < sizeof(setup) / sizeof(setup[0]); i++)
		if (setup[i].run(plan, &err) < 0) {
			plan->shared->err = err;
			(void)cloche_err_stage(&plan->shared->err, setup[i].name);
			_exit(EXIT_FAILURE);
		}
	run_function(plan);
	while (hear(plan, &m, fds) && m.type != WARDEN_LEAVE) {
		if (m.type == WARDEN_RENEW) {
			err.code = 0;
			(void)renew(plan, fds, &err);
		} else if (m.type == WARDEN_GO) {
			run_again(plan, &err);
		} else if (m.type == WARDEN_PROVE) {
			m = (struct warden_msg){ .type = WARDEN_PROVED,
						 .residue = proof_make(plan) };
			say(plan, &m);
		}
	}
	if (m.type == WARDEN_LEAVE)
		leave(plan);
	_exit(EXIT_SUCCESS);
}
