/* SPDX-License-Identifier: MIT */
/* The privileged part: from a spec to a standing context and back to nothing. */
#include "launch/launcher.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "host/host.h"
#include "launch/dress.h"
#include "launch/group.h"
#include "launch/message.h"
#include "launch/order.h"
#include "launch/own_fds.h"
#include "launch/running.h"
#include "launch/spec.h"
#include "launch/stream_names.h"
#include "launch/streams.h"
#include "launch/sweep.h"

#include <errno.h>
#include <fcntl.h>
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

int launcher_open(struct launcher *ret, struct cloche_err *err)
{
	struct launcher l = LAUNCHER_NONE;
	int r;

	if (geteuid() != 0)
		return cloche_err_set(err, EPERM, "making contexts needs root; try sudo");
	l.run_fd = host_run_dir(err);
	if (l.run_fd < 0)
		return l.run_fd;
	r = hierarchy_open(l.run_fd, &l.hierarchy, err);
	if (r == 0) {
		l.null = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (l.null < 0)
			r = cloche_err_sys(err, errno, "open '/dev/null'");
	}
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
	fd_close(&launcher->null);
	fd_close(&launcher->host);
	fd_close(&launcher->notices[0]);
	fd_close(&launcher->notices[1]);
	hierarchy_close(&launcher->hierarchy);
	bounds_close(&launcher->bounds);
	launcher->running = running_close(launcher->running);
}

int launcher_open_many(struct launcher *ret, struct cloche_err *err)
{
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	bool apart = null >= 0 && own_fds_free() && own_fds_reserve(null);
	int r = launcher_open(ret, err);

	if (r < 0)
		return r;
	ret->apart = apart;
	ret->running = running_open();
	ret->host = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (ret->host < 0)
		r = cloche_err_sys(err, errno, "open the host's mount namespace");
	else if (pipe2(ret->notices, O_CLOEXEC | O_NONBLOCK) < 0)
		r = cloche_err_sys(err, errno, "pipe");
	else if (!ret->running)
		r = cloche_err_sys(err, ENOMEM, "count what runs");
	if (r < 0)
		launcher_close(ret);
	return r;
}

int launcher_sweep(const struct launcher *launcher, struct cloche_err *err)
{
	struct slot slot;
	int r = slot_take(launcher->run_fd, launcher->slots, sweep_slot,
			  (void *)(uintptr_t)&launcher->hierarchy, &slot, err);

	if (r == 0)
		slot_release(&slot, true);
	return r;
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
static int start_warden(struct launcher *launcher, struct context *ctx, struct cloche_err *err)
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
	ctx->plan.shares = launcher->apart && own_fds_fit(&ctx->plan);
	args.flags |= ctx->plan.shares ? CLONE_FILES : 0;
	warden.pid = try_with_time(&args, ctx->plan.shared);
	if (warden.pid == 0)
		warden_main(&ctx->plan);
	if (warden.pid < 0)
		r = name_namespace(errno, err);
	if (r == 0 && ctx->plan.shares) {
		own_fds_wait(&ctx->plan, &warden);
		launcher->apart = own_fds_reserve(launcher->null);
	}
	(void)close(pair[1]);
	ctx->plan.control = -1;
	if (r == 0)
		ctx->warden = warden;
	/* Theirs alone: the wardens of a thousand others would each have a mapping of it. */
	(void)madvise(ctx->plan.shared, sizeof(*ctx->plan.shared), MADV_DONTFORK);
	return r;
}

/* Of its socket; which of the two depends on whether there was something that it had not read. */
static bool is_dead(int r)
{
	return r == -EPIPE || r == -ECONNRESET;
}

static int say_dead(struct cloche_err *err)
{
	return cloche_err_set(err, EPIPE, "pid 1 of the context died");
}

/* Nothing was begun in it: another one may do as well. */
static int say_unmade(int r, struct cloche_err *err)
{
	return r == -EPIPE
		       ? cloche_err_set(err, EPIPE, "pid 1 of the context died while it was made")
		       : r;
}

/* The set-up of pid 1 may have failed meanwhile. */
static int tell(const struct context *ctx, const struct warden_msg *m,
		const struct message_tail *tail, const struct message_fds *fds,
		struct cloche_err *err)
{
	int r = message_send(ctx->control, m, tail, fds);

	if (r < 0 && r != -EMSGSIZE && err && ctx->plan.shared->err.code) {
		*err = ctx->plan.shared->err;
		return -err->code;
	}
	if (is_dead(r))
		return say_dead(err);
	return r < 0 ? cloche_err_sys(err, -r, "speak to pid 1 of the context") : 0;
}

/* A socket of its own for who will drive the next invocation; the warden's end. */
static int make_driver(struct context *ctx, struct cloche_err *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return cloche_err_sys(err, errno, "socketpair");
	fd_close(&ctx->driver);
	ctx->driver = pair[0];
	return pair[1];
}

/* What renew() of warden.c takes. */
static int give_cgroups(struct launcher *l, struct context *ctx, uint32_t which,
			struct cloche_err *err)
{
	struct plan *p = &ctx->plan;
	struct warden_msg m = { .type = WARDEN_RENEW, .flags = which };
	cleanup_fd int driver = -1;
	struct message_fds fds;
	int mounts[ROOTFS_CGROUPS];
	int r = plan_cgroups(p, which, err);

	if (r == 0 && p->handed) {
		driver = make_driver(ctx, err);
		r = driver < 0 ? driver : 0;
	}

	if (r < 0)
		return r;
	r = rootfs_prepare_cgroups(p->hierarchy, &p->cgroup, which, mounts, err);
	if (r == 0) {
		fds.n = cgroup_list(&p->cgroup, which, fds.fd, &m.fds);
		for (int i = 0; i < ROOTFS_CGROUPS && mounts[i] >= 0; i++)
			fds.fd[fds.n++] = mounts[i];
		if (p->handed)
			fds.fd[fds.n++] = driver;
		r = tell(ctx, &m, NULL, &fds, err);
	}
	for (int i = 0; i < ROOTFS_CGROUPS; i++)
		fd_close(&mounts[i]);
	return r;
}

int context_create(struct launcher *launcher, const struct spec *spec,
		   const struct context_options *options, struct context *ret,
		   struct cloche_err *err)
{
	struct context ctx = { .slot = { .fd = -1 },
			       .plan = { .cgroup = CGROUP_NONE,
					 .control = -1,
					 .driver = -1,
					 .single = options->single,
					 .handed = options->handed,
					 .given = options->given,
					 .owner = options->owner,
					 .names = -1,
					 .host = -1,
					 .notices = options->handed ? launcher->notices[1] : -1,
					 .serial = ++launcher->serial,
					 .blank = options->blank,
					 .shared_fd = -1,
					 .terminals = options->terminals,
					 .clock = options->clock,
					 .null = launcher->null,
					 .hierarchy = options->group ? &options->group->inside
								     : &launcher->hierarchy,
					 .bounds = &launcher->bounds,
					 .running = launcher->running },
			       .warden = PROCESS_NONE,
			       .control = -1,
			       .driver = -1,
			       .executed = -1,
			       .api = -1,
			       .made_ns = clock_now_ns() };
	int r;

	rootfs_init(&ctx.plan.rootfs);
	r = slot_take(launcher->run_fd, launcher->slots, sweep_slot, &launcher->hierarchy,
		      &ctx.slot, err);
	if (r == 0)
		launcher->slots[ctx.slot.n] = true;
	ctx.plan.slot = ctx.slot;
	if (r == 0)
		r = plan_make(&ctx.plan, launcher->run_fd, spec, err);
	if (r == 0)
		r = start_warden(launcher, &ctx, err);
	/* Meanwhile pid 1 makes its namespaces and enters its root. */
	if (r == 0 && !options->blank)
		r = give_cgroups(launcher, &ctx, CGROUP_ALL, err);
	if (r < 0) {
		(void)context_destroy(launcher, &ctx, NULL);
		return say_unmade(r, err);
	}
	*ret = ctx;
	return 0;
}

int context_dress(struct launcher *launcher, struct context *ctx, const struct spec *spec,
		  const struct context_options *options, struct cloche_err *err)
{
	const struct warden_msg m = { .type = WARDEN_DRESS };
	struct message_tail tail = { .bytes = NULL };
	struct message_fds fds;
	int r;

	ctx->made_ns = clock_now_ns();
	ctx->plan.terminals = options->terminals;
	ctx->plan.given = options->given;
	ctx->plan.owner = options->owner;
	if (options->group)
		ctx->plan.hierarchy = &options->group->inside;
	r = plan_dress(&ctx->plan, launcher->run_fd, spec, err);
	if (r < 0)
		return r;
	tail.bytes = dress_pack(&ctx->plan, launcher->host, &tail.len, &fds);
	if (!tail.bytes)
		return cloche_err_sys(err, ENOMEM, "dress a context");
	r = tell(ctx, &m, &tail, &fds, err);
	free(tail.bytes);
	if (r == 0)
		r = give_cgroups(launcher, ctx, CGROUP_ALL, err);
	return say_unmade(r, err);
}

int context_prove(struct context *ctx, bool settled, struct cloche_err *err)
{
	ctx->kept = cgroup_keep(ctx->plan.hierarchy, &ctx->plan.cgroup, settled);
	return tell(ctx, &(struct warden_msg){ .type = WARDEN_PROVE, .flags = ctx->kept }, NULL,
		    NULL, err);
}

int context_renew(struct launcher *launcher, struct context *ctx, struct cloche_err *err)
{
	uint32_t which = CGROUP_ALL & ~ctx->kept;
	int r = cgroup_remove(ctx->plan.hierarchy, &ctx->plan.cgroup, which, err);

	if (r < 0)
		return r;
	ctx->old = ctx->kept;
	ctx->kept = 0;
	return give_cgroups(launcher, ctx, which, err);
}

/* The policy's walls were chosen before; of a handed one by who passes the streams on. */
static int check_streams(const struct context *ctx, const int streams[WARDEN_STREAMS],
			 struct cloche_err *err)
{
	for (int i = 0; !ctx->plan.handed && !ctx->plan.terminals && i < WARDEN_STREAMS; i++)
		if (stream_is_foreign_terminal(streams[i]))
			return cloche_err_set(
				err, EINVAL,
				"%s is a terminal; this context was made without walls for one",
				stream_names[i]);
	return 0;
}

static int memory_file(const struct order_block *block, struct cloche_err *err)
{
	cleanup_fd int fd = memfd_create("order", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r = fd < 0 ? -errno : file_write_all(fd, block->bytes, block->len);

	return r < 0 ? cloche_err_sys(err, -r, "hand the command's arguments over (memfd)")
		     : TAKE_FD(fd);
}

static int send_order(const struct context *ctx, const struct order_block *block,
		      struct warden_msg *m, struct message_fds *fds, struct cloche_err *err)
{
	struct message_tail tail = { .bytes = block->bytes, .len = block->len };
	cleanup_fd int file = -1;
	int r = -EMSGSIZE;

	if (block->len <= WARDEN_ORDER_MAX)
		r = tell(ctx, m, &tail, fds, err);
	/* The host's sockets may have less room than that. */
	if (r != -EMSGSIZE)
		return r;
	file = memory_file(block, err);
	if (file < 0)
		return file;
	m->fds |= WARDEN_FD_ORDER;
	fds->fd[fds->n++] = file;
	return tell(ctx, m, NULL, fds, err);
}

int context_begin(struct context *ctx, struct cloche_err *err)
{
	const struct spec *spec = ctx->plan.spec;
	int r = bounds_begin(ctx->plan.bounds, ctx->slot.n, spec->memory_bytes, spec->read_locks,
			     err);

	if (r == 0)
		__atomic_store_n(&ctx->plan.shared->ended_by, ENDED_BY_NOBODY, __ATOMIC_SEQ_CST);
	return r;
}

int context_go(struct context *ctx, const struct spec *spec, const int streams[3], bool clocked,
	       struct cloche_err *err)
{
	struct warden_msg m = { .type = WARDEN_GO, .fds = clocked ? WARDEN_FD_CLOCKED : 0 };
	struct message_fds fds = { .n = WARDEN_STREAMS };
	struct order_block block = { .bytes = NULL };
	int r;

	for (int i = 0; i < WARDEN_STREAMS; i++)
		fds.fd[i] = streams[i] >= 0 ? streams[i] : i;
	r = check_streams(ctx, fds.fd, err);
	if (r == 0 && !ctx->plan.handed)
		r = context_begin(ctx, err);
	if (r == 0)
		r = order_pack(spec, &block, err);
	if (r < 0)
		return r;
	m.order_len = (uint32_t)block.len;
	r = send_order(ctx, &block, &m, &fds, err);
	order_free(&block);
	return r;
}

int context_give(const struct context *ctx, int socket, struct cloche_err *err)
{
	const struct message_fds fds = { .fd = { socket }, .n = 1 };

	return tell(ctx, &(struct warden_msg){ .type = WARDEN_BINDS }, NULL, &fds, err);
}

struct bounds_refused context_refused(const struct context *ctx)
{
	return bounds_refused(ctx->plan.bounds, ctx->slot.n);
}

int context_send(const struct context *ctx, enum warden_message type, struct cloche_err *err)
{
	return tell(ctx, &(struct warden_msg){ .type = type }, NULL, NULL, err);
}

int context_pause(const struct context *ctx, uint32_t flags, struct cloche_err *err)
{
	return tell(ctx, &(struct warden_msg){ .type = WARDEN_PAUSE, .flags = flags }, NULL, NULL,
		    err);
}

int context_resume(const struct context *ctx, int64_t timeout_ns, uint32_t flags,
		   struct cloche_err *err)
{
	return tell(ctx,
		    &(struct warden_msg){
			    .type = WARDEN_RESUME, .flags = flags, .timeout_ns = timeout_ns },
		    NULL, NULL, err);
}

int context_recv(struct context *ctx, struct warden_msg *ret, struct cloche_err *err)
{
	struct message_fds fds;
	int r = message_recv(ctx->control, ret, NULL, &fds);
	unsigned n = 0;

	if (r == 0 && ret->type == WARDEN_STARTED) {
		fd_close(&ctx->executed);
		if (ret->fds & WARDEN_FD_EXECUTED && n < fds.n)
			ctx->executed = fds.fd[n++];
		fd_close(&ctx->api);
		if (ret->fds & WARDEN_FD_API && n < fds.n)
			ctx->api = fds.fd[n++];
	}
	ctx->used |= r == 0 && (ret->type == WARDEN_ENDED || ret->type == WARDEN_FAILED);
	/* What nobody asked for. */
	while (n < fds.n)
		(void)close(fds.fd[n++]);
	if (r == 0)
		return 0;
	if (ctx->plan.shared && ctx->plan.shared->err.code) {
		*err = ctx->plan.shared->err;
		return -err->code;
	}
	return is_dead(r) ? say_dead(err)
			  : cloche_err_sys(err, -r, "hear from pid 1 of the context");
}

static void kill_all(const struct context *ctx)
{
	if (cgroup_kill(&ctx->plan.cgroup) < 0)
		process_kill(&ctx->warden);
}

bool context_kill(const struct context *ctx)
{
	if (!shared_claim(ctx->plan.shared, ENDED_BY_LAUNCHER) &&
	    shared_ended_by(ctx->plan.shared) != ENDED_BY_LAUNCHER)
		return false;
	kill_all(ctx);
	return true;
}

void context_end(struct context *ctx)
{
	if (ctx->plan.cgroup.v2 >= 0 && cgroup_populated(&ctx->plan.cgroup) != 0)
		kill_all(ctx);
	/* With the warden goes the whole pid namespace. It ends by itself at the end of the socket;
	 * the signal is for one that hangs in its set-up. */
	fd_close(&ctx->control);
	fd_close(&ctx->driver);
	fd_close(&ctx->executed);
	fd_close(&ctx->api);
	process_kill(&ctx->warden);
}

bool context_try_reap(struct context *ctx)
{
	return process_try_reap(&ctx->warden);
}

/* When all of it is dead, and before its slot may be another's. */
static void end_bounds(const struct context *ctx)
{
	if (ctx->slot.fd >= 0 && ctx->plan.bounds)
		bounds_end(ctx->plan.bounds, ctx->slot.n);
}

static void free_context(struct launcher *launcher, struct context *ctx, bool clean)
{
	if (ctx->slot.fd >= 0) {
		launcher->slots[ctx->slot.n] = false;
		running_leave(launcher->running, ctx->slot.n);
	}
	process_close(&ctx->warden);
	if (ctx->plan.shared)
		(void)munmap(ctx->plan.shared, sizeof(*ctx->plan.shared));
	ctx->plan.shared = NULL;
	plan_free(&ctx->plan);
	slot_release(&ctx->slot, clean);
}

int context_remove(struct launcher *launcher, struct context *ctx, bool last,
		   struct cloche_err *err)
{
	int r = 0;

	if (ctx->plan.cgroup.v2 >= 0)
		r = cgroup_remove(ctx->plan.hierarchy, &ctx->plan.cgroup, CGROUP_ALL, err);
	if (r == -EBUSY && !last)
		return r;
	cgroup_close(&ctx->plan.cgroup);
	end_bounds(ctx);
	free_context(launcher, ctx, r == 0);
	return r;
}

static int end_and_remove(struct launcher *launcher, struct context *ctx, struct cloche_err *err)
{
	int r = 0;

	context_end(ctx);
	if (ctx->plan.cgroup.v2 >= 0)
		r = cgroup_destroy(ctx->plan.hierarchy, &ctx->plan.cgroup, err);
	end_bounds(ctx);
	return r;
}

int context_destroy(struct launcher *launcher, struct context *ctx, struct cloche_err *err)
{
	int r = end_and_remove(launcher, ctx, err);

	(void)process_reap(&ctx->warden, NULL);
	free_context(launcher, ctx, r == 0);
	return r;
}

int context_leave(struct launcher *launcher, struct context *ctx, struct cloche_err *err)
{
	/* And the warden outlives us: it takes the cgroups away and frees the slot. */
	bool empty = ctx->used && ctx->plan.single && cgroup_populated(&ctx->plan.cgroup) == 0;
	int r;

	if (empty)
		end_bounds(ctx);
	if (empty && context_send(ctx, WARDEN_LEAVE, NULL) == 0) {
		cgroup_close(&ctx->plan.cgroup);
		fd_close(&ctx->control);
		fd_close(&ctx->executed);
		fd_close(&ctx->api);
		free_context(launcher, ctx, false);
		return 0;
	}
	r = end_and_remove(launcher, ctx, err);
	free_context(launcher, ctx, r == 0);
	return r;
}
