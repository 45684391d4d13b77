/* SPDX-License-Identifier: MIT */
/* The list of what is the warden's, and the gaps in between: see own_fds.h. */
#include "launch/own_fds.h"

#include "base/err.h"
#include "host/bounds.h"
#include "launch/plan.h"
#include "launch/spec.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* All but the binds. */
#define OWN_MAX (64 + SPEC_BINDS_MAX)

struct list {
	int fd[OWN_MAX]; /* ascending */
	unsigned n;
};

/* Most come in ascending order, as they were opened. */
static void add(struct list *l, int fd)
{
	unsigned at = l->n;

	if (fd <= STDERR_FILENO || l->n == OWN_MAX)
		return;
	while (at > 0 && l->fd[at - 1] > fd) {
		l->fd[at] = l->fd[at - 1];
		at--;
	}
	l->fd[at] = fd;
	l->n++;
}

static void add_root(struct list *l, const struct rootfs *fs)
{
	add(l, fs->template);
	add(l, fs->tree);
	add(l, fs->code.task);
	add(l, fs->code.layers);
	for (size_t i = 0; i < fs->n_binds; i++)
		add(l, fs->binds[i].tree);
}

/* Of binds that are still to come. */
static void add_maps(struct list *l, const struct rootfs *fs)
{
	for (size_t i = 0; i < fs->n_maps; i++)
		add(l, fs->maps[i].map.userns);
}

static void list_own(const struct plan *p, struct list *l)
{
	add(l, p->control);
	add(l, p->null);
	add(l, p->clock.fd);
	add(l, p->slot.fd); /* with its lock: the slot is nobody else's before all of us are gone */
	add_root(l, &p->rootfs);
	add(l, p->names);
	if (p->given)
		add_maps(l, &p->rootfs);
	/* Below these the last one to leave removes the cgroups. */
	if (p->single) {
		add(l, p->hierarchy->v2);
		for (int i = 0; i < CONTROLLER_N; i++)
			add(l, p->hierarchy->ctl[i]);
	}
	/* The pins may be another version's by now, and the launcher dies a moment before us: what
	 * the function holds is counted for as long as it runs. */
	for (int i = 0; i < BOUNDS_LINKS; i++)
		add(l, p->bounds->links[i]);
}

static int close_between(unsigned first, unsigned last)
{
	return first <= last && syscall(SYS_close_range, first, last, 0) < 0 ? -errno : 0;
}

static int close_others(const struct list *l, unsigned first)
{
	unsigned next = first;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < l->n; i++) {
		r = close_between(next, (unsigned)l->fd[i] - 1);
		next = (unsigned)l->fd[i] + 1;
	}
	return r == 0 ? close_between(next, ~0U) : r;
}

int own_fds_keep(const struct plan *plan, struct cloche_err *err)
{
	struct list own = { .n = 0 };
	int r;

	list_own(plan, &own);
	r = close_others(&own, STDERR_FILENO + 1);
	return r < 0 ? cloche_err_sys(err, -r, "close what is not the context's (close_range)") : 0;
}

int own_fds_only(const int *fds, unsigned n)
{
	struct list own = { .n = 0 };

	for (unsigned i = 0; i < n; i++)
		add(&own, fds[i]);
	return close_others(&own, STDIN_FILENO);
}
