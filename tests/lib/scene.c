/* SPDX-License-Identifier: MIT */
/* A context that the test itself drives: see scene.h. */
#include "tests/lib/scene.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"

void scene_ask(struct scene *s, const char *script, int64_t timeout_ns)
{
	struct cloche_err err = { 0 };
	struct spec_host host;

	*s = (struct scene){ .argv = { "sh", "-c", (char *)(uintptr_t)script, NULL },
			     .out = -1,
			     .err = -1 };
	cr_assert_eq(launcher_open(&s->launcher, &err), 0, "%s", err.text);
	spec_host_read(&host);
	spec_defaults(&s->spec);
	s->spec.argv = s->argv;
	s->spec.timeout_ns = timeout_ns;
	cr_assert_eq(spec_check(&s->spec, &host, &err), 0, "%s", err.text);
}

void scene_begin(struct scene *s, const struct context_options *how)
{
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct cloche_err err = { 0 };

	cr_assert_eq(context_create(&s->launcher, &s->spec, how, &s->ctx, &err), 0, "%s", err.text);
	cr_assert_eq(
		context_go(&s->ctx, &s->spec,
			   (int[]){ null, s->out < 0 ? null : s->out, s->err < 0 ? null : s->err },
			   how->clock.fd >= 0, &err),
		0, "%s", err.text);
	cr_assert_eq(context_recv(&s->ctx, &s->started, &err), 0, "%s", err.text);
	cr_assert_eq(s->started.type, WARDEN_STARTED, "%u: %s", s->started.type,
		     s->ctx.plan.shared->err.text);
}

void scene_hear_end(struct scene *s)
{
	struct cloche_err err = { 0 };

	cr_assert_eq(context_recv(&s->ctx, &s->ended, &err), 0, "%s", err.text);
	cr_assert_eq(s->ended.type, WARDEN_ENDED);
	cr_expect_eq(cgroup_populated(&s->ctx.plan.cgroup), 0, "something lives");
	cr_expect_geq(s->ended.dead_ns, s->ended.at_ns);
}

void scene_finish(struct scene *s)
{
	struct cloche_err err = { 0 };

	cr_expect_eq(context_destroy(&s->launcher, &s->ctx, &err), 0, "%s", err.text);
	launcher_close(&s->launcher);
}

static DIR *open_dir(pid_t pid)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)(pid ? pid : getpid()));
	return opendir(path);
}

bool open_fds_of(pid_t pid, struct open_fds *ret)
{
	DIR *dir = open_dir(pid);
	struct dirent *d;

	ret->n = 0;
	while (dir && (d = readdir(dir))) {
		int fd = atoi(d->d_name);

		if (d->d_name[0] == '.' || (pid == 0 && fd == dirfd(dir)))
			continue;
		cr_assert(ret->n < OPEN_FDS_MAX);
		ret->fd[ret->n++] = fd;
	}
	if (dir)
		(void)closedir(dir);
	return dir;
}

size_t open_fds_listeners(pid_t pid)
{
	DIR *dir = open_dir(pid);
	struct dirent *d;
	size_t n = 0;

	while (dir && (d = readdir(dir))) {
		char to[64];
		ssize_t len = readlinkat(dirfd(dir), d->d_name, to, sizeof(to) - 1);

		to[len > 0 ? len : 0] = '\0';
		n += strcmp(to, "anon_inode:seccomp notify") == 0;
	}
	if (dir)
		(void)closedir(dir);
	return n;
}
