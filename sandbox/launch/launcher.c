/* SPDX-License-Identifier: MIT */
/* The privileged part: from a spec to a standing context and back to nothing. */
#include "launch/launcher.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "host/host.h"
#include "launch/spec.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int launcher_open(struct launcher *ret, struct cloche_err *err)
{
	struct launcher l = { .run_fd = -1, .hierarchy = HIERARCHY_NONE, .bounds = BOUNDS_NONE };
	int r;

	if (geteuid() != 0)
		return cloche_err_set(err, EPERM, "making contexts needs root; try sudo");
	l.run_fd = host_run_dir(err);
	if (l.run_fd < 0)
		return l.run_fd;
	r = hierarchy_open(l.run_fd, &l.hierarchy, err);
	if (r == 0)
		r = bounds_open(&l.bounds, err);
	if (r < 0) {
		launcher_close(&l);
		return r;
	}
	*ret = l;
	return 0;
}

void launcher_close(struct launcher *launcher)
{
	fd_close(&launcher->run_fd);
	hierarchy_close(&launcher->hierarchy);
	bounds_close(&launcher->bounds);
}

static int sweep(unsigned n, void *arg, struct cloche_err *err)
{
	return cgroup_sweep(arg, n, err);
}

static const struct {
	unsigned long flag;
	const char *name;
} namespaces[] = {
	{ CLONE_NEWPID, "pid" },
	{ CLONE_NEWNET, "net" },
	{ CLONE_NEWIPC, "ipc" },
	{ CLONE_NEWUTS, "uts" },
};

/* The kernel says that it cannot make them all, but not which one: each is tried alone. */
static int name_namespace(int code, struct cloche_err *err)
{
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
		struct clone_args args = { .flags = namespaces[i].flag, .exit_signal = SIGCHLD };
		pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

		if (pid == 0)
			_exit(EXIT_SUCCESS);
		if (pid < 0)
			return cloche_err_sys(err, errno, "make a %s namespace (clone3)",
					      namespaces[i].name);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	return cloche_err_sys(err, code, "make new namespaces (clone3)");
}

/* A time namespace hides nothing without which a function would be less isolated, and kernels are
 * built without it. EINVAL: there are none; ENOSPC: there may be no more. */
static pid_t try_with_time(struct clone_args *args, struct shared *shared)
{
	pid_t pid;

	args->flags |= CLONE_NEWTIME;
	pid = (pid_t)syscall(SYS_clone3, args, sizeof(*args));
	if (pid >= 0 || (errno != EINVAL && errno != ENOSPC))
		return pid;
	args->flags &= ~(__u64)CLONE_NEWTIME;
	shared->lacks |= LACK_TIME_NAMESPACE;
	return (pid_t)syscall(SYS_clone3, args, sizeof(*args));
}

/* The warden: pid 1 of every namespace but the mount namespace, which it enters by the template. */
static int start_warden(struct context *ctx, struct cloche_err *err)
{
	int pair[2], r = 0;
	struct process warden = PROCESS_NONE;
	struct clone_args args = {
		.flags = CLONE_PIDFD,
		.pidfd = (__u64)(uintptr_t)&warden.pidfd,
		.exit_signal = SIGCHLD,
	};

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return cloche_err_sys(err, errno, "socketpair");
	ctx->control = pair[0];
	ctx->plan.control = pair[1];
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++)
		args.flags |= namespaces[i].flag;
	warden.pid = try_with_time(&args, ctx->plan.shared);
	if (warden.pid == 0)
		warden_main(&ctx->plan);
	if (warden.pid < 0)
		r = name_namespace(errno, err);
	(void)close(pair[1]);
	ctx->plan.control = -1;
	if (r == 0)
		ctx->warden = warden;
	return r;
}

int context_create(struct launcher *launcher, const struct spec *spec,
		   const struct context_options *options, struct context *ret,
		   struct cloche_err *err)
{
	struct context ctx = { .slot = { .fd = -1 },
			       .plan = { .cgroup = CGROUP_NONE,
					 .control = -1,
					 .single = options->single,
					 .hierarchy = &launcher->hierarchy,
					 .bounds = &launcher->bounds },
			       .warden = PROCESS_NONE,
			       .control = -1,
			       .listener = -1,
			       .executed = -1,
			       .made_ns = clock_now_ns() };
	int r;

	memcpy(ctx.plan.streams, options->streams, sizeof(ctx.plan.streams));
	rootfs_init(&ctx.plan.rootfs);
	r = slot_take(launcher->run_fd, sweep, &launcher->hierarchy, &ctx.slot, err);
	ctx.plan.slot = ctx.slot;
	if (r == 0)
		r = plan_make(&ctx.plan, launcher->run_fd, spec, err);
	if (r < 0) {
		(void)context_destroy(launcher, &ctx, NULL);
		return r;
	}
	*ret = ctx;
	return 0;
}

/* What renew() of warden.c takes. */
static int send_cgroups(const struct context *ctx, struct cloche_err *err)
{
	const struct plan *p = &ctx->plan;
	struct warden_msg m = { .type = WARDEN_RENEW };
	int fds[WARDEN_RENEW_FDS];
	size_t n = 0;
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(fds))];
	} control = { .head = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { .iov_base = &m, .iov_len = sizeof(m) };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control };

	fds[n++] = p->cgroup.v2;
	for (int i = 0; i < CONTROLLER_N; i++)
		if (p->cgroup.tasks[i] >= 0)
			fds[n++] = p->cgroup.tasks[i];
	for (int i = 0; i < ROOTFS_CGROUPS && p->rootfs.cgroups[i] >= 0; i++)
		fds[n++] = p->rootfs.cgroups[i];
	control.head.cmsg_len = CMSG_LEN(n * sizeof(int));
	h.msg_controllen = CMSG_SPACE(n * sizeof(int));
	memcpy(CMSG_DATA(&control.head), fds, n * sizeof(int));
	if (sendmsg(ctx->control, &h, MSG_NOSIGNAL) != sizeof(m))
		return cloche_err_sys(err, errno, "speak to pid 1 of the context");
	return 0;
}

int context_renew(struct launcher *launcher, struct context *ctx, struct cloche_err *err)
{
	int r = cgroup_destroy(&launcher->hierarchy, &ctx->plan.cgroup, err);

	if (r == 0)
		r = plan_cgroups(&ctx->plan, err);
	if (r == 0)
		r = rootfs_prepare_cgroups(&ctx->plan.cgroup, &ctx->plan.rootfs, err);
	return r == 0 ? send_cgroups(ctx, err) : r;
}

int context_go(struct context *ctx, struct cloche_err *err)
{
	int r = bounds_begin(ctx->plan.bounds, ctx->slot.n, ctx->plan.spec->memory_bytes, err);

	if (r < 0)
		return r;
	return process_is(&ctx->warden) ? context_send(ctx, WARDEN_GO, err)
					: start_warden(ctx, err);
}

struct bounds_refused context_refused(const struct context *ctx)
{
	return bounds_refused(ctx->plan.bounds, ctx->slot.n);
}

int context_send(const struct context *ctx, enum warden_message type, struct cloche_err *err)
{
	struct warden_msg m = { .type = type };

	if (send(ctx->control, &m, sizeof(m), MSG_NOSIGNAL) != sizeof(m))
		return cloche_err_sys(err, errno, "speak to pid 1 of the context");
	return 0;
}

static void close_received(struct context *ctx)
{
	fd_close(&ctx->listener);
	fd_close(&ctx->executed);
}

int context_recv(struct context *ctx, struct warden_msg *ret, struct cloche_err *err)
{
	char control[CMSG_SPACE(WARDEN_FDS * sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = { .iov_base = ret, .iov_len = sizeof(*ret) };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	ssize_t n;
	int code;

	do
		n = recvmsg(ctx->control, &h, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	c = n == sizeof(*ret) ? CMSG_FIRSTHDR(&h) : NULL;
	if (c && c->cmsg_type == SCM_RIGHTS) {
		int fds[WARDEN_FDS] = { -1, -1 }, *next = fds;

		close_received(ctx);
		memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
		if (ret->fds & WARDEN_FD_LISTENER)
			ctx->listener = *next++;
		if (ret->fds & WARDEN_FD_EXECUTED)
			ctx->executed = *next;
	}
	if (n == sizeof(*ret))
		return 0;
	code = errno;
	if (ctx->plan.shared && ctx->plan.shared->err.code) {
		*err = ctx->plan.shared->err;
		return -err->code;
	}
	if (n < 0)
		return cloche_err_sys(err, code, "hear from pid 1 of the context");
	return cloche_err_set(err, EPIPE, "pid 1 of the context died");
}

void context_kill(const struct context *ctx)
{
	if (ctx->plan.shared)
		__atomic_store_n(&ctx->plan.shared->ending, true, __ATOMIC_RELAXED);
	if (cgroup_kill(&ctx->plan.cgroup) < 0)
		process_kill(&ctx->warden);
}

static int end_context(struct launcher *launcher, struct context *ctx, struct cloche_err *err)
{
	if (ctx->plan.cgroup.v2 >= 0 && cgroup_populated(&ctx->plan.cgroup) != 0)
		context_kill(ctx);
	/* With the warden goes the whole pid namespace. It ends by itself at the end of the socket;
	 * the signal is for one that hangs in its set-up. */
	fd_close(&ctx->control);
	close_received(ctx);
	process_kill(&ctx->warden);
	return ctx->plan.cgroup.v2 >= 0
		       ? cgroup_destroy(&launcher->hierarchy, &ctx->plan.cgroup, err)
		       : 0;
}

static void free_context(struct context *ctx, bool clean)
{
	process_close(&ctx->warden);
	plan_free(&ctx->plan);
	slot_release(&ctx->slot, clean);
}

int context_destroy(struct launcher *launcher, struct context *ctx, struct cloche_err *err)
{
	int r = end_context(launcher, ctx, err);

	(void)process_reap(&ctx->warden, NULL);
	free_context(ctx, r == 0);
	return r;
}

int context_leave(struct launcher *launcher, struct context *ctx, struct cloche_err *err)
{
	int r;

	/* Empty, and the warden outlives us: it takes the cgroups away and frees the slot. */
	if (process_is(&ctx->warden) && ctx->plan.single &&
	    cgroup_populated(&ctx->plan.cgroup) == 0 &&
	    context_send(ctx, WARDEN_LEAVE, NULL) == 0) {
		cgroup_close(&ctx->plan.cgroup);
		fd_close(&ctx->control);
		close_received(ctx);
		free_context(ctx, false);
		return 0;
	}
	r = end_context(launcher, ctx, err);
	free_context(ctx, r == 0);
	return r;
}
