/* SPDX-License-Identifier: MIT */
/* Waits for a function's invocations by others: see learn_watch.h. */
#include "cli/learn_watch.h"

#include "base/err.h"
#include "base/quote.h"
#include "cli/own_line.h"
#include "cli/trial.h"
#include "run/verdict.h"
#include "serve/learner.h"
#include "serve/remote_learn.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(LEARN_WATCH_MAX_NS < LEARNER_PATIENCE_S * NSEC_PER_SEC, "it is waited for");

void learn_watched_free(struct learn_watched *w)
{
	free(w->cgroups);
	*w = (struct learn_watched){ 0 };
}

static int note_cgroup(struct learn_watched *w, uint64_t cgroup)
{
	uint64_t *more;

	for (size_t i = 0; i < w->n; i++)
		if (w->cgroups[i] == cgroup)
			return 0;
	more = reallocarray(w->cgroups, w->n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	w->cgroups = more;
	w->cgroups[w->n++] = cgroup;
	return 0;
}

/* What never ran has called nothing. Of one whose context was there before its init was not seen:
 * what it called counts, and it does not. */
static int note(struct learn_watched *w, const struct learnt *l, struct cloche_err *err)
{
	if (!l->ran)
		return 0;
	if (!l->cgroup)
		return cloche_err_set(err, ENODATA, "its context has no cgroup on cgroup2");
	if (note_cgroup(w, l->cgroup) < 0)
		return cloche_err_sys(err, ENOMEM, "watch it");
	if (!l->before) {
		w->invocations++;
		w->failed += l->verdict != VERDICT_OK;
	}
	return 0;
}

static void say_begun(const struct trial *t, const struct learn_watch *watch, int64_t for_ns)
{
	char many[64] = "";

	if (watch->most)
		(void)snprintf(many, sizeof(many), "until %" PRIu64 " of them have ended, ",
			       watch->most);
	own_line();
	(void)fprintf(stderr,
		      "cloche policy learn: watches the invocations of '%s', %sfor %.6gs%s; Ctrl-C "
		      "ends it\n",
		      t->name, many, (double)for_ns / NSEC_PER_SEC, watch->most ? " at most" : "");
}

/* True: that was all. */
static bool is_enough(const struct learn_watch *watch, const struct learn_watched *w,
		      int64_t until_ns)
{
	return (watch->most && w->invocations >= watch->most) || clock_now_ns() >= until_ns;
}

static int hear_all(const struct trial *t, struct learn_watched *w, struct cloche_err *err)
{
	struct learnt l;
	int r;

	while ((r = remote_learn_next(&t->remote, &l, err)) > 0) {
		r = note(w, &l, err);
		if (r < 0)
			break;
	}
	return r;
}

int learn_watch(const struct trial *t, const struct learn_watch *watch, struct learn_watched *ret,
		struct cloche_err *err)
{
	int64_t for_ns = watch->for_ns ? watch->for_ns : LEARN_WATCH_MAX_NS, until_ns;
	struct pollfd fds[] = { { .fd = t->remote.socket, .events = POLLIN },
				{ .fd = t->cancel_fd, .events = POLLIN } };
	int r = remote_learn_function(&t->remote, t->name, t->version, err);

	*ret = (struct learn_watched){ 0 };
	if (r < 0)
		return r;
	until_ns = clock_now_ns() + for_ns;
	say_begun(t, watch, for_ns);
	while (r == 0 && !is_enough(watch, ret, until_ns)) {
		int64_t left_ns = until_ns - clock_now_ns();

		if (poll(fds, 2, left_ns > 0 ? (int)(left_ns / NSEC_PER_MSEC) + 1 : 0) < 0 &&
		    errno != EINTR)
			return cloche_err_sys(err, errno, "poll");
		if (fds[0].revents)
			r = hear_all(t, ret, err);
		if (fds[1].revents)
			break;
	}
	return r;
}
