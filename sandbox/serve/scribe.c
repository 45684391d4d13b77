/* SPDX-License-Identifier: MIT */
/* The process that writes a trace, and has no rights: see scribe.h. */
#include "serve/scribe.h"

#include "host/confined.h"
#include "run/metering.h"
#include "trace/trace.h"
#include "trace/trace_live.h"
#include "trace/trace_recorder.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* By the clock: to wake for a switch of the function's processes makes the next one. */
#define PERIOD_MS 5
#define AT_A_TIME 1024
/* So much waits for the pipe before no more is read; and at the end, with all that was in the ring,
 * of which a byte may become five. */
#define OUTLET_FULL (256 << 10)
#define OUTLET_MOST (32 << 20)
/* Beside that, for the kept file and what formats. */
#define MEMORY_BYTES (OUTLET_MOST * 2ULL)
#define CPU_S	     3600
/* What the recorder may write beyond a bound before it looks again. */
#define FILE_BEYOND (8ULL << 20)

/* What goes into the pipe when that takes it. */
struct outlet {
	int fd; /* -1: nobody takes it */
	char *bytes;
	size_t at, len, room;
	uint64_t total;
	bool broken; /* something found no room in memory */
};

struct scribe {
	const struct scribe_task *task;
	struct trace_recorder *recorder;
	struct outlet outlet;
	FILE *file;		 /* writes into it; NULL: nothing is to */
	struct trace_live *live; /* NULL: nobody watches */
	enum verdict verdict;
	struct meter_usage usage;
	bool known, counted, concluded;
	char *function;
};

/* ---- the outlet ------------------------------------------------------------------------------ */

static bool outlet_grow(struct outlet *o, size_t more)
{
	size_t room = o->room ? o->room : OUTLET_FULL;
	char *bytes;

	if (o->at) {
		memmove(o->bytes, o->bytes + o->at, o->len - o->at);
		o->len -= o->at;
		o->at = 0;
	}
	while (room < o->len + more)
		room *= 2;
	if (room == o->room)
		return true;
	bytes = room > OUTLET_MOST ? NULL : realloc(o->bytes, room);
	if (!bytes)
		return false;
	o->bytes = bytes;
	o->room = room;
	return true;
}

static ssize_t outlet_write(void *cookie, const char *bytes, size_t len)
{
	struct outlet *o = cookie;

	o->total += len;
	if (o->fd < 0 || o->broken)
		return (ssize_t)len;
	if (o->len + len > o->room && !outlet_grow(o, len)) {
		o->broken = true;
		return (ssize_t)len;
	}
	memcpy(o->bytes + o->len, bytes, len);
	o->len += len;
	return (ssize_t)len;
}

/* The recorder asks where it is. */
static int outlet_seek(void *cookie, off64_t *offset, int whence)
{
	const struct outlet *o = cookie;

	if (whence != SEEK_CUR || *offset != 0)
		return -1;
	*offset = (off64_t)o->total;
	return 0;
}

static void outlet_flush(struct outlet *o)
{
	while (o->fd >= 0 && o->at < o->len) {
		ssize_t n = write(o->fd, o->bytes + o->at, o->len - o->at);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			(void)close(o->fd);
			o->fd = -1;
			return;
		}
		o->at += (size_t)n;
	}
	o->at = o->len = 0;
}

static size_t outlet_left(const struct outlet *o)
{
	return o->fd < 0 ? 0 : o->len - o->at;
}

/* ---- what is read ---------------------------------------------------------------------------- */

static bool is_full(const struct scribe *s)
{
	return outlet_left(&s->outlet) >= OUTLET_FULL;
}

/* Nothing is read: it is all there, there is no room, or nobody left for whom. */
static bool rests(const struct scribe *s)
{
	return s->counted || is_full(s) ||
	       (s->outlet.fd < 0 && !s->task->kept && !(s->live && trace_live_watched(s->live)));
}

/* True: there is more. */
static bool take(struct scribe *s)
{
	bool more;

	if (rests(s))
		return false;
	more = trace_recorder_drain(s->recorder, AT_A_TIME, NULL) > 0;
	if (s->file)
		(void)fflush(s->file);
	return more;
}

/* ---- what is told ---------------------------------------------------------------------------- */

static void say(const struct scribe *s, const struct scribe_word *word)
{
	if (write(s->task->tracer, word, sizeof(*word)) != sizeof(*word))
		_exit(EXIT_FAILURE);
}

static void count(struct scribe *s, const struct scribe_order *order)
{
	struct scribe_word word = { .kind = SCRIBE_COUNT };
	int r = trace_recorder_let_go(s->recorder, &word.events, NULL);

	if (s->file)
		(void)fflush(s->file);
	word.code = r < 0 ? -r : s->outlet.broken ? ENOMEM : 0;
	word.unseen = trace_recorder_unseen(s->recorder);
	s->known = order->known;
	s->usage = order->usage;
	s->usage.missed += word.unseen;
	s->counted = true;
	say(s, &word);
}

static void conclude(struct scribe *s, const struct scribe_order *order)
{
	struct scribe_word word = { .kind = SCRIBE_CONCLUDE };
	FILE *kept = s->task->kept;
	int r;

	trace_recorder_tell(s->recorder, s->function && *s->function ? s->function : NULL,
			    verdict_text((enum verdict)order->verdict));
	r = trace_recorder_close(s->recorder, s->known ? &s->usage : NULL, NULL, NULL);
	s->file = NULL;
	word.code = r < 0 ? -r : s->outlet.broken ? ENOMEM : 0;
	word.bytes = s->outlet.total;
	word.kept = kept && fflush(kept) == 0 && !ferror(kept);
	s->concluded = true;
	s->verdict = (enum verdict)order->verdict;
	say(s, &word);
}

/* What is out of turn is from nobody of ours. */
static void hear(struct scribe *s)
{
	struct scribe_order order;

	if (read(s->task->tracer, &order, sizeof(order)) != sizeof(order))
		_exit(EXIT_FAILURE);
	if (order.kind == SCRIBE_COUNT && !s->counted)
		count(s, &order);
	else if (order.kind == SCRIBE_CONCLUDE && s->counted && !s->concluded)
		conclude(s, &order);
	else
		_exit(EXIT_FAILURE);
}

/* ---- its life -------------------------------------------------------------------------------- */

/* Where nothing comes, or goes, what there is to do is not done any more. False: it is over. */
static bool step(struct scribe *s)
{
	bool more = take(s);
	struct outlet *o = &s->outlet;
	struct pollfd fds[] = { { .fd = s->concluded ? -1 : s->task->tracer, .events = POLLIN },
				{ .fd = o->fd, .events = outlet_left(o) ? POLLOUT : 0 } };
	int wait_ms = s->concluded ? SCRIBE_PATIENCE_MS : rests(s) ? -1 : more ? 0 : PERIOD_MS;
	int n;

	if (s->concluded && !outlet_left(o))
		return false;
	n = poll(fds, 2, wait_ms);
	if (n < 0 || (n == 0 && s->concluded))
		return false;
	if (fds[1].revents & POLLERR)
		o->fd = -1;
	else if (fds[1].revents)
		outlet_flush(o);
	if (fds[0].revents)
		hear(s);
	return true;
}

/* At most so many arguments as fit, the last of which may be cut. */
static int open_live(struct scribe *s)
{
	const struct scribe_task *t = s->task;
	char *argv[SCRIBE_COMMAND_LEN / 2 + 1];
	unsigned n = 0;

	if (t->n_watchers == 0)
		return 0;
	for (const char *at = t->command; *at && n < SCRIBE_COMMAND_LEN / 2; at += strlen(at) + 1)
		argv[n++] = (char *)(uintptr_t)at;
	argv[n] = NULL;
	s->live = trace_live_of(t->watchers, t->n_watchers, SCRIBE_PATIENCE_MS);
	if (!s->live)
		return -ENOMEM;
	trace_live_begin(s->live, t->request_id, s->function, argv);
	trace_recorder_show(s->recorder, s->live);
	return 0;
}

/* Nobody who waits for anything else waits for that. */
static void end_live(struct scribe *s)
{
	if (s->live && s->concluded)
		trace_live_end(s->live, verdict_text(s->verdict),
			       s->known ? (int64_t)s->usage.wall_ns : -1,
			       s->known ? &s->usage : NULL);
	s->live = trace_live_close(s->live);
}

static int open_all(struct scribe *s, const struct scribe_task *task)
{
	const cookie_io_functions_t io = { .write = outlet_write, .seek = outlet_seek };

	*s = (struct scribe){ .task = task, .outlet = { .fd = task->pipe } };
	s->function = trace_clean(task->function, strlen(task->function));
	s->file = task->pipe >= 0 ? fopencookie(&s->outlet, "w", io) : NULL;
	if (!s->function || (task->pipe >= 0 && !s->file))
		return -ENOMEM;
	if (trace_recorder_of(&s->recorder, task->events, s->file, task->request_id, NULL) < 0)
		return -ENOMEM;
	trace_recorder_check(s->recorder, metering_may_deny, task->policy);
	if (task->goes_on)
		trace_recorder_go_on(s->recorder);
	if (task->kept)
		trace_recorder_keep(s->recorder, task->kept, task->kept_bytes);
	return open_live(s);
}

_Noreturn void scribe_main(const struct scribe_task *task, pid_t parent)
{
	int fds[3 + SCRIBE_WATCHERS] = { task->tracer, task->pipe,
					 task->kept ? fileno(task->kept) : -1 };
	const struct confined confined = { .what = "a trace",
					   .fd = -1,
					   .fds = fds,
					   .n_fds = 3 + task->n_watchers,
					   .mem_bytes = MEMORY_BYTES,
					   .cpu_s = CPU_S };
	struct scribe s = { .task = task };
	int r;

	memcpy(fds + 3, task->watchers, task->n_watchers * sizeof(fds[0]));
	r = confined_enter(&confined, parent, task->kept_bytes + FILE_BEYOND, NULL);

	if (r == 0)
		r = open_all(&s, task);
	say(&s, &(struct scribe_word){ .kind = SCRIBE_READY, .code = -r });
	if (r < 0)
		_exit(EXIT_FAILURE);
	while (step(&s))
		;
	end_live(&s);
	_exit(EXIT_SUCCESS);
}
