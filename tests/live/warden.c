/* SPDX-License-Identifier: MIT */
/*
 * The warden, pid 1 of a context, by the library's own interface: what it holds. Several contexts
 * are made by one process, as a daemon does and `cloche run` never. Needs root.
 */
#include "base/err.h"
#include "base/fd.h"
#include "launch/launcher.h"
#include "launch/spec.h"
#include "tests/lib/env.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FDS_MAX 256

struct fds {
	int fd[FDS_MAX];
	size_t n;
};

/* What a process has open; pid 0: this one. */
static void fds_of(pid_t pid, struct fds *ret)
{
	char path[32];
	DIR *dir;
	struct dirent *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)(pid ? pid : getpid()));
	dir = opendir(path);
	cr_assert_not_null(dir, "%s: %m", path);
	ret->n = 0;
	while ((d = readdir(dir))) {
		int fd = atoi(d->d_name);

		if (d->d_name[0] == '.' || (pid == 0 && fd == dirfd(dir)))
			continue;
		cr_assert(ret->n < FDS_MAX);
		ret->fd[ret->n++] = fd;
	}
	(void)closedir(dir);
}

static bool is_in(const struct fds *set, int fd)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->fd[i] == fd)
			return true;
	return false;
}

/* The same open file, not another one of the same name. */
static bool same_open_file(int mine, pid_t pid, int its)
{
	long r = syscall(SYS_kcmp, getpid(), pid, KCMP_FILE, mine, its);

	if (r < 0 && errno == ENOSYS)
		test_skip("no kcmp(2) in this kernel");
	cr_assert_geq(r, 0, "kcmp: %m");
	return r == 0;
}

static void open_launcher(struct launcher *ret)
{
	struct cloche_err err = { 0 };

	cr_assert_eq(launcher_open(ret, &err), 0, "%s", err.text);
}

static void ask_for(struct spec *ret, char *const *argv)
{
	struct spec_host host;
	struct cloche_err err = { 0 };

	spec_host_read(&host);
	spec_defaults(ret);
	ret->argv = argv;
	cr_assert_eq(spec_check(ret, &host, &err), 0, "%s", err.text);
}

static void expect_message(struct context *ctx, enum warden_message type)
{
	struct cloche_err err = { 0 };
	struct warden_msg m;

	cr_assert_eq(context_recv(ctx, &m, &err), 0, "%s", err.text);
	cr_assert_eq(m.type, type, "%u: %s", m.type, ctx->plan.shared->err.text);
}

/* With a function process that runs, all its streams /dev/null. */
static void start(struct launcher *l, const struct spec *spec, struct context *ret)
{
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const int streams[3] = { null, null, null };
	struct context_options how = { .clock = { .fd = -1 } };
	struct cloche_err err = { 0 };

	cr_assert_eq(context_create(l, spec, &how, ret, &err), 0, "%s", err.text);
	cr_assert_eq(context_go(ret, spec, streams, false, &err), 0, "%s", err.text);
	expect_message(ret, WARDEN_STARTED);
}

static void destroy(struct launcher *l, struct context *ctx)
{
	struct cloche_err err = { 0 };

	cr_expect_eq(context_destroy(l, ctx, &err), 0, "%s", err.text);
}

/* What all contexts of a launcher have in common. */
static void leave_out(struct fds *set, const struct launcher *l)
{
	struct fds common = { .n = 0 }, left = { .n = 0 };

	common.fd[common.n++] = l->run_fd;
	common.fd[common.n++] = l->hierarchy.v2;
	common.fd[common.n++] = l->bounds.slots;
	for (int i = 0; i < CONTROLLER_N; i++)
		common.fd[common.n++] = l->hierarchy.ctl[i];
	for (int i = 0; i < BOUNDS_LINKS; i++)
		common.fd[common.n++] = l->bounds.links[i];
	for (size_t i = 0; i < set->n; i++)
		if (!is_in(&common, set->fd[i]))
			left.fd[left.n++] = set->fd[i];
	*set = left;
}

/*
 * Two contexts of one process: the second one's warden has nothing of what was open in its maker
 * before, which is the maker's own (its streams, a pipe) and the first context's: slot lock,
 * control socket, listener, cgroups, pidfd.
 */
Test(warden, holds_nothing_of_another_context)
{
	char *const argv[] = { "sleep", "60", NULL };
	struct context first, second;
	struct launcher l;
	struct fds before, its;
	struct spec spec;
	int pipe[2];

	open_launcher(&l);
	ask_for(&spec, argv);
	cr_assert_eq(pipe2(pipe, O_CLOEXEC), 0);
	start(&l, &spec, &first);
	fds_of(0, &before);
	leave_out(&before, &l);
	cr_assert(is_in(&before, first.control) && is_in(&before, first.slot.fd) &&
		  is_in(&before, first.listener) && is_in(&before, pipe[1]));
	start(&l, &spec, &second);
	fds_of(second.pid, &its);
	cr_assert_gt(its.n, 3);
	for (size_t i = 0; i < before.n; i++)
		for (size_t k = 0; k < its.n; k++)
			cr_expect(!same_open_file(before.fd[i], second.pid, its.fd[k]),
				  "its %d is what its maker had open as %d before", its.fd[k],
				  before.fd[i]);
	destroy(&l, &second);
	destroy(&l, &first);
	launcher_close(&l);
	(void)close(pipe[0]);
	(void)close(pipe[1]);
}
