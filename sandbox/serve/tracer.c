/* SPDX-License-Identifier: MIT */
/* The child that has a ring, and the one that reads it begun: see tracer.h. */
#include "serve/tracer.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/process.h"
#include "meter/events.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Behind all that runs for others: who makes more events than there is time for has some lost. */
#define NICE 10

struct tracer {
	const struct tracer_task *task;
	struct meter_events *events; /* NULL: the ring is let go */
	int store;
	struct trace_store_file kept;
	struct process scribe;
	int to_scribe;
};

/* ---- what it has ----------------------------------------------------------------------------- */

static int open_kept(struct tracer *t, struct cloche_err *err)
{
	if (!t->task->keep)
		return 0;
	t->store = trace_store_open(t->task->folder, true, err);
	return t->store < 0 ? t->store : trace_store_begin(t->store, &t->kept, err);
}

/* The first to go when there is too little memory. */
static void try_stand_back(void)
{
	(void)setpriority(PRIO_PROCESS, 0, NICE);
	(void)file_write_text(AT_FDCWD, "/proc/self/oom_score_adj", "1000", NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

/* All but what it takes to take a ring out, and to end who reads it. */
static int drop_rights(struct cloche_err *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { 0 };

	caps[CAP_KILL / 32].permitted |= 1U << CAP_KILL % 32;
	caps[CAP_BPF / 32].permitted |= 1U << CAP_BPF % 32;
	for (int i = 0; i < 2; i++)
		caps[i].effective = caps[i].permitted;
	if (syscall(SYS_capset, &head, caps) < 0)
		return cloche_err_sys(err, errno, "give rights up (capset)");
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0
		       ? cloche_err_sys(err, errno, "give rights up (no_new_privs)")
		       : 0;
}

static int hear_ready(const struct tracer *t, struct cloche_err *err)
{
	struct scribe_word word;

	if (read(t->to_scribe, &word, sizeof(word)) != sizeof(word) || word.kind != SCRIBE_READY)
		return cloche_err_set(err, EIO, "who writes the trace died");
	return word.code ? cloche_err_sys(err, word.code, "confine who writes the trace") : 0;
}

static int start_scribe(struct tracer *t, struct cloche_err *err)
{
	struct scribe_task task = { .events = t->events,
				    .policy = t->task->policy,
				    .pipe = t->task->pipe,
				    .n_watchers = t->task->n_watchers,
				    .command = t->task->command,
				    .kept = t->kept.f,
				    .kept_bytes = t->kept.f ? t->task->limits.one_bytes : 0,
				    .goes_on = t->task->goes_on,
				    .request_id = t->task->request_id,
				    .function = t->task->function };
	pid_t parent = getpid(), pid;
	int pair[2];

	memcpy(task.watchers, t->task->watchers, sizeof(task.watchers));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return cloche_err_sys(err, errno, "socketpair");
	task.tracer = pair[1];
	pid = fork();
	if (pid == 0)
		scribe_main(&task, parent);
	(void)close(pair[1]);
	t->to_scribe = pair[0];
	if (pid < 0)
		return cloche_err_sys(err, errno, "start who writes the trace (fork)");
	t->scribe = process_open(pid);
	return hear_ready(t, err);
}

static int begin(struct tracer *t, struct cloche_err *err)
{
	int r;

	try_stand_back();
	r = open_kept(t, err);
	if (r == 0)
		r = meter_events_open(&t->events, &t->task->meter, t->task->slot, METER_RING_BYTES,
				      err);
	if (r == 0)
		r = start_scribe(t, err);
	return r == 0 ? drop_rights(err) : r;
}

/* ---- what is said ---------------------------------------------------------------------------- */

static bool say(const struct tracer *t, const struct tracer_word *word)
{
	return write(t->task->launcher, word, sizeof(*word)) == sizeof(*word);
}

static void keep(struct tracer *t, struct tracer_word *word)
{
	if (!t->kept.f)
		return;
	if (word->scribe.kept) {
		(void)trace_store_keep(t->store, &t->kept, t->task->request_id, &t->task->limits,
				       &word->err);
		return;
	}
	trace_store_drop(t->store, &t->kept);
	(void)cloche_err_set(&word->err, EIO, "it could not be written");
}

/* False: nothing more is to be said. Its words are numbers. */
static bool hear_scribe(struct tracer *t)
{
	struct tracer_word word = { .err = { 0 } };

	if (read(t->to_scribe, &word.scribe, sizeof(word.scribe)) != sizeof(word.scribe))
		return false;
	if (word.scribe.kind == SCRIBE_COUNT)
		t->events = meter_events_free(t->events);
	else
		keep(t, &word);
	return say(t, &word);
}

static bool hear_launcher(const struct tracer *t)
{
	struct scribe_order order;

	return read(t->task->launcher, &order, sizeof(order)) == sizeof(order) &&
	       write(t->to_scribe, &order, sizeof(order)) == sizeof(order);
}

/* Until the launcher or the scribe has ended it. */
static void pass_on(struct tracer *t)
{
	struct pollfd fds[] = { { .fd = t->to_scribe, .events = POLLIN },
				{ .fd = t->task->launcher, .events = POLLIN } };

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if ((fds[0].revents && !hear_scribe(t)) || (fds[1].revents && !hear_launcher(t)))
			return;
	}
}

/* ---- its life -------------------------------------------------------------------------------- */

static void end(struct tracer *t)
{
	process_kill(&t->scribe);
	(void)process_reap(&t->scribe, NULL);
	t->events = meter_events_free(t->events);
	if (t->kept.f)
		trace_store_drop(t->store, &t->kept);
	fd_close(&t->store);
	fd_close(&t->to_scribe);
}

unsigned tracer_keep(const struct tracer_task *task, int ret[static TRACER_KEEPS])
{
	unsigned n = 0;

	ret[n++] = task->launcher;
	ret[n++] = task->meter.dir;
	ret[n++] = task->meter.rings;
	if (task->pipe >= 0)
		ret[n++] = task->pipe;
	for (unsigned i = 0; i < task->n_watchers; i++)
		ret[n++] = task->watchers[i];
	return n;
}

int tracer_job(const void *arg, void *ret, struct cloche_err *err)
{
	struct tracer t = { .task = arg, .store = -1, .scribe = PROCESS_NONE, .to_scribe = -1 };
	struct tracer_word ready = { .err = { 0 } };
	int r = begin(&t, &ready.err);

	/* Who reads it, reads it to its end: nobody else is to hold the pipe open. */
	if (t.task->pipe >= 0)
		(void)close(t.task->pipe);
	for (unsigned i = 0; i < t.task->n_watchers; i++)
		(void)close(t.task->watchers[i]);
	if (r == 0)
		ready.err.code = 0;
	if (say(&t, &ready) && r == 0)
		pass_on(&t);
	end(&t);
	return 0;
}
