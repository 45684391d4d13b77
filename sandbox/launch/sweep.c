/* SPDX-License-Identifier: MIT */
/* Looks for the cgroups of a slot, and takes them away from the inside out: see sweep.h. */
#include "launch/sweep.h"

#include "base/err.h"
#include "host/hierarchy.h"
#include "launch/cgroup.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A daemon's group has its owners' in it, and these the contexts'. */
#define DEPTH 3

/* Each that is a slot's, until fn says other than 0. */
static int each_inside(const struct hierarchy *in,
		       int (*fn)(const struct hierarchy *in, unsigned n, void *arg), void *arg)
{
	int fd = openat(in->v2, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d;

	if (!dir) {
		r = -errno;
		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	while (r == 0 && (d = readdir(dir)))
		if (isdigit((unsigned char)d->d_name[0]))
			r = fn(in, (unsigned)strtoul(d->d_name, NULL, 10), arg);
	(void)closedir(dir);
	return r;
}

struct sweeping {
	unsigned depth;
	struct cloche_err *err;
};

/* cgroup_destroy() of what is inside first; who is gone meanwhile is gone. */
static int sweep_in(const struct hierarchy *in, unsigned n, void *arg)
{
	const struct sweeping *s = arg;
	struct sweeping below = { .depth = s->depth + 1, .err = s->err };
	struct hierarchy inside = HIERARCHY_NONE;
	char name[16];

	(void)snprintf(name, sizeof(name), "%u", n);
	if (s->depth < DEPTH && hierarchy_below(in, name, &inside, NULL) == 0) {
		(void)each_inside(&inside, sweep_in, &below);
		hierarchy_close(&inside);
	}
	return cgroup_sweep(in, n, s->err);
}

struct search {
	unsigned n, depth;
	struct cloche_err *err;
};

static bool is_in(const struct hierarchy *in, unsigned n)
{
	char name[16];

	(void)snprintf(name, sizeof(name), "%u", n);
	return faccessat(in->v2, name, F_OK, 0) == 0;
}

/* 1: it was there, and is gone. */
static int search_in(const struct hierarchy *in, unsigned n, void *arg)
{
	const struct search *s = arg;
	struct search below = { .n = s->n, .depth = s->depth + 1, .err = s->err };
	struct sweeping all = { .err = s->err };
	struct hierarchy inside = HIERARCHY_NONE;
	char name[16];
	int r = 0;

	(void)snprintf(name, sizeof(name), "%u", n);
	if (hierarchy_below(in, name, &inside, NULL) < 0)
		return 0;
	if (is_in(&inside, s->n)) {
		r = sweep_in(&inside, s->n, &all);
		r = r == 0 ? 1 : r;
	} else if (s->depth + 1 < DEPTH) {
		r = each_inside(&inside, search_in, &below);
	}
	hierarchy_close(&inside);
	return r;
}

int sweep_slot(unsigned n, void *hierarchy, struct cloche_err *err)
{
	struct search search = { .n = n, .err = err };
	struct sweeping all = { .err = err };
	int r = 0;

	if (!is_in(hierarchy, n))
		r = each_inside(hierarchy, search_in, &search);
	return r == 0 ? sweep_in(hierarchy, n, &all) : r < 0 ? r : 0;
}
