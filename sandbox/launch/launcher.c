/* SPDX-License-Identifier: MIT */
/* The privileged part: from a spec to a standing context and back to nothing. */
#include "launch/launcher.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "host/host.h"
#include "launch/attributes.h"
#include "launch/spec.h"
#include "launch/stream_names.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* With less room for descriptors denied calls are not reported. */
#define REPORT_NOFILE 64

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

/* So many CPUs as the share is worth, spread by slot: a runtime sizes its threads and heaps by what
 * it sees, and two contexts shall not meet on one CPU while another idles. */
static int choose_cpus(struct plan *plan, unsigned slot, struct cloche_err *err)
{
	cpu_set_t all;
	int n, skip;

	CPU_ZERO(&plan->affinity);
	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return cloche_err_sys(err, errno, "sched_getaffinity");
	if (CPU_COUNT(&all) <= (int)plan->cpu.cpus) {
		plan->affinity = all;
		return 0;
	}
	n = CPU_COUNT(&all);
	skip = (int)(slot % (unsigned)n);
	for (int cpu = 0, seen = 0; seen < 2 * n; cpu = (cpu + 1) % CPU_SETSIZE) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		if (seen++ >= skip && CPU_COUNT(&plan->affinity) < (int)plan->cpu.cpus)
			CPU_SET(cpu, &plan->affinity);
	}
	return 0;
}

static int make_cgroups(struct launcher *l, struct plan *plan, struct cloche_err *err)
{
	const struct cgroup_limits limits = { .memory_bytes = plan->spec->memory_bytes,
					      .pids = plan->spec->pids,
					      .sockets = plan->spec->net != NET_NONE,
					      .cpu = &plan->cpu };

	return cgroup_create(&l->hierarchy, plan->slot.n, &limits, &plan->cgroup, err);
}

static enum policy_walls walls_for(const struct plan *plan)
{
	bool offline = plan->spec->net == NET_NONE, terminal = false;

	for (int i = 0; i < 3; i++)
		terminal |=
			stream_is_foreign_terminal(plan->streams[i] >= 0 ? plan->streams[i] : i);
	if (terminal)
		return offline ? POLICY_WALLS_OFFLINE_TERMINAL : POLICY_WALLS_ONLINE_TERMINAL;
	return offline ? POLICY_WALLS_OFFLINE : POLICY_WALLS_ONLINE;
}

static int make_plan(struct launcher *l, const struct spec *spec, struct context *ctx,
		     struct cloche_err *err)
{
	struct plan *plan = &ctx->plan;
	struct spec_host host;
	int r;

	spec_host_read(&host);
	plan->spec = spec;
	plan->hierarchy = &l->hierarchy;
	plan->bounds = &l->bounds;
	plan->slot = ctx->slot;
	plan->uid = slot_uid(ctx->slot.n);
	plan->cpu = cpu_limits_of(spec->cpu_mode, spec->memory_bytes, spec->cpu_milli, host.cpus);
	plan->core_limit = attributes_core_limit();
	r = choose_cpus(plan, ctx->slot.n, err);
	if (r < 0)
		return r;
	r = policy_load(spec->policy, walls_for(plan), &plan->policy, err);
	if (r < 0)
		return r;
	/* The listener is a descriptor in a table with those of pid 1, a bind's each among them. */
	if (spec->nofile >= REPORT_NOFILE + spec->n_binds)
		policy_report(&plan->policy);
	r = plan_paths(plan, spec, err);
	if (r < 0)
		return r;
	r = make_cgroups(l, plan, err);
	if (r < 0)
		return r;
	r = rootfs_prepare(l->run_fd, spec, &plan->cgroup, plan->uid, &plan->rootfs, err);
	if (r < 0)
		return r;
	plan->rootfs.cpus = (unsigned)CPU_COUNT(&plan->affinity);
	plan->shared = mmap(NULL, sizeof(*plan->shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (plan->shared == MAP_FAILED) {
		plan->shared = NULL;
		return cloche_err_sys(err, ENOMEM, "map a page");
	}
	return 0;
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

/* Pid 1 of every namespace but the mount namespace, which it enters by the template. */
static int start_warden(struct context *ctx, struct cloche_err *err)
{
	int pair[2], pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_PIDFD,
		.pidfd = (__u64)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return cloche_err_sys(err, errno, "socketpair");
	ctx->control = pair[0];
	ctx->plan.control = pair[1];
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++)
		args.flags |= namespaces[i].flag;
	pid = try_with_time(&args, ctx->plan.shared);
	if (pid == 0) {
		(void)close(pair[0]);
		warden_main(&ctx->plan);
	}
	if (pid < 0)
		(void)name_namespace(errno, err);
	(void)close(pair[1]);
	ctx->plan.control = -1;
	if (pid < 0)
		return -err->code;
	ctx->pid1 = pidfd;
	ctx->pid = pid;
	return 0;
}

int context_create(struct launcher *launcher, const struct spec *spec,
		   const struct context_options *options, struct context *ret,
		   struct cloche_err *err)
{
	struct context ctx = {
		.slot = { .fd = -1 },
		.plan = { .cgroup = CGROUP_NONE, .control = -1, .single = options->single },
		.pid1 = -1,
		.control = -1,
		.listener = -1,
		.code = -1,
		.made_ns = clock_now_ns()
	};
	int r;

	memcpy(ctx.plan.streams, options->streams, sizeof(ctx.plan.streams));
	memcpy(ctx.plan.far, options->far, sizeof(ctx.plan.far));
	rootfs_init(&ctx.plan.rootfs);
	r = slot_take(launcher->run_fd, sweep, &launcher->hierarchy, &ctx.slot, err);
	if (r == 0)
		r = make_plan(launcher, spec, &ctx, err);
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
		r = make_cgroups(launcher, &ctx->plan, err);
	if (r == 0)
		r = rootfs_prepare_cgroups(&ctx->plan.cgroup, &ctx->plan.rootfs, err);
	return r == 0 ? send_cgroups(ctx, err) : r;
}

int context_go(struct context *ctx, struct cloche_err *err)
{
	int r = bounds_begin(ctx->plan.bounds, ctx->slot.n, ctx->plan.spec->memory_bytes, err);

	if (r < 0)
		return r;
	return ctx->pid1 < 0 ? start_warden(ctx, err) : context_send(ctx, WARDEN_GO, err);
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
	fd_close(&ctx->code);
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
		if (ret->fds & WARDEN_FD_CODE)
			ctx->code = *next;
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

/* By its pidfd, or by its number where the kernel does not take that (a filter around us): it is a
 * child of ours that nobody has reaped, so the number cannot be another's. */
static void kill_warden(const struct context *ctx)
{
	if (ctx->pid1 < 0)
		return;
	if (syscall(SYS_pidfd_send_signal, ctx->pid1, SIGKILL, NULL, 0) < 0)
		(void)kill(ctx->pid, SIGKILL);
}

void context_kill(const struct context *ctx)
{
	if (ctx->plan.shared)
		__atomic_store_n(&ctx->plan.shared->ending, true, __ATOMIC_RELAXED);
	if (cgroup_kill(&ctx->plan.cgroup) < 0)
		kill_warden(ctx);
}

static int end_context(struct launcher *launcher, struct context *ctx, struct cloche_err *err)
{
	if (ctx->plan.cgroup.v2 >= 0 && cgroup_populated(&ctx->plan.cgroup) != 0)
		context_kill(ctx);
	/* With pid 1 goes the whole pid namespace. It ends by itself at the end of the socket; the
	 * signal is for one that hangs in its set-up. */
	fd_close(&ctx->control);
	close_received(ctx);
	kill_warden(ctx);
	return ctx->plan.cgroup.v2 >= 0
		       ? cgroup_destroy(&launcher->hierarchy, &ctx->plan.cgroup, err)
		       : 0;
}

static void free_context(struct context *ctx, bool clean)
{
	fd_close(&ctx->pid1);
	if (ctx->plan.shared)
		(void)munmap(ctx->plan.shared, sizeof(*ctx->plan.shared));
	ctx->plan.shared = NULL;
	plan_free(&ctx->plan);
	slot_release(&ctx->slot, clean);
}

int context_destroy(struct launcher *launcher, struct context *ctx, struct cloche_err *err)
{
	int r = end_context(launcher, ctx, err);

	while (ctx->pid1 >= 0 && waitpid(ctx->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free_context(ctx, r == 0);
	return r;
}

int context_leave(struct launcher *launcher, struct context *ctx, struct cloche_err *err)
{
	int r;

	/* Empty, and pid 1 outlives us (warden.c): it takes the cgroups away and frees the slot. */
	if (ctx->pid1 >= 0 && ctx->plan.single && cgroup_populated(&ctx->plan.cgroup) == 0 &&
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
