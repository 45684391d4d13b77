/* SPDX-License-Identifier: MIT */
/*
 * Shows invocations of other processes as they happen. Each `cloche run` connects to the socket
 * that is opened here (trace/trace_live.h says how) and sends lines; what is read too slowly is
 * lost to this program alone, and the last line of that invocation says how much. Of the daemon the
 * same comes by sockets that it hands out, one for each invocation (serve/remote_watch.h).
 */
#include "cli/show.h"
#include "cli/trace_watch.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "host/host.h"
#include "meter/meter.h"
#include "serve/remote.h"
#include "serve/remote_watch.h"
#include "trace/trace.h"
#include "trace/trace_json.h"
#include "trace/trace_live.h"
#include "trace/trace_text.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <linux/bpf.h>
#include <poll.h>
#include <signal.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bpf/meter_abi.h"

/* A burst of one invocation does not keep the others waiting. */
#define MESSAGES_IN_A_ROW 32

/* Those that come when there are so many wait in the listener's queue. */
#define MAX_RUNS 4000

/* One `cloche run`, and the invocation that it is at. */
struct run {
	int fd;
	char id[40];	  /* "" between two invocations */
	uint64_t base_ns; /* of its first event; 0: there was none yet */
};

struct watch {
	const struct trace_watch_options *opt;
	struct trace_listener listener; /* its fd -1: the daemon tells */
	struct remote remote;
	struct meter meter;
	int tracing;
	struct run *runs;
	struct pollfd *fds; /* FIRST_RUN + n: of runs[n] */
	size_t n, room;
	char buf[TRACE_LIVE_BYTES + 1];
};

enum { WAKE, LISTENER, FIRST_RUN };

#define PROD_NS (10 * NSEC_PER_MSEC)

/* What was seen in the time of --for is given to a reader who is only slow. */
#define GRACE_NS NSEC_PER_SEC

static volatile sig_atomic_t stopped;
static int wake_fd = -1;
static timer_t prod;

/* From then on a timer interrupts what may wait for a reader who sleeps: not only the write that
 * it meets first, also one that begins just after it. */
static void prod_from(int64_t ns)
{
	const struct itimerspec t = { .it_value = { .tv_sec = ns / NSEC_PER_SEC,
						    .tv_nsec = ns % NSEC_PER_SEC },
				      .it_interval.tv_nsec = PROD_NS };

	(void)timer_settime(prod, 0, &t, NULL);
}

static void on_signal(int sig)
{
	int saved = errno;

	stopped = 1;
	(void)eventfd_write(wake_fd, 1);
	prod_from(PROD_NS);
	errno = saved;
}

static void on_prod(int sig)
{
	stopped = 1;
}

/* ---- lines -------------------------------------------------------------------------------- */

enum colour { PLAIN, BOLD, GREEN, RED, YELLOW };

static void put_line(const struct watch *w, const char *id, const char *when, uint32_t tid,
		     const char *comm, enum colour colour, const char *what)
{
	static const enum show_style styles[] = { STYLE_OFF, STYLE_BOLD, STYLE_GREEN, STYLE_RED,
						  STYLE_YELLOW };
	bool on = w->opt->colour && colour != PLAIN;
	char thread[12] = "";

	if (tid)
		(void)snprintf(thread, sizeof(thread), "%u", tid);
	(void)fprintf(w->opt->out, "%-8.8s  %14s  %7s %-15s  %s%s%s\n", id, when, thread, comm,
		      on ? show_style(styles[colour]) : "", what, on ? show_style(STYLE_OFF) : "");
}

/* To be freed; "" when there is no such text, NULL when there is no memory. */
static char *clean_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return trace_clean(s ? s : "", s ? strlen(s) : 0);
}

/* The command as an exec event has it, so that it is escaped and quoted like one. */
static void put_start(const struct watch *w, const char *id, const json_t *o)
{
	const json_t *command = json_object_get(o, "command"), *v;
	struct trace_event e = { .type = METER_EV_EXEC,
				 .cut = json_is_true(json_object_get(o, "cut")) };
	cleanup_free char *function = clean_of(o, "function");
	cleanup_free char *at = clean_of(o, "started_at");
	char shown[8192], what[8400], when[16] = "";
	size_t i;

	e.argv = calloc(json_array_size(command) + 1, sizeof(*e.argv));
	json_array_foreach (command, i, v) {
		const char *s = json_string_value(v);

		if (!e.argv || !s)
			break;
		e.argv[e.argc] = trace_clean(s, strlen(s));
		if (!e.argv[e.argc])
			break;
		e.argc++;
	}
	e.text = e.argc ? strdup(e.argv[0]) : NULL;
	if (function && e.text) {
		(void)trace_text_event(&e, shown, sizeof(shown));
		(void)snprintf(what, sizeof(what), "start%s%s:%s", *function ? " " : "", function,
			       shown + strlen("exec"));
		/* 2026-01-02T03:04:05.678901Z */
		if (at && strlen(at) == CLOCK_ISO_LEN - 1)
			(void)snprintf(when, sizeof(when), "%.12sZ", at + 11);
		put_line(w, id, when, 0, "", BOLD, what);
	}
	trace_event_free(&e);
}

static void put_end(const struct watch *w, const char *id, const json_t *o)
{
	const json_t *wall = json_object_get(o, "wall_ns");
	int64_t events = json_integer_value(json_object_get(o, "events"));
	int64_t lost = json_integer_value(json_object_get(o, "lost"));
	cleanup_free char *verdict = clean_of(o, "verdict");
	char what[200], took[48] = "", missing[40] = "";

	if (json_is_integer(wall))
		(void)snprintf(took, sizeof(took), ", wall %.6f ms",
			       (double)json_integer_value(wall) / 1e6);
	if (lost)
		(void)snprintf(missing, sizeof(missing), ", lost %" PRId64, lost);
	(void)snprintf(what, sizeof(what), "end %.24s%s, %" PRId64 " events%s",
		       verdict ? verdict : "", took, events, missing);
	put_line(w, id, "", 0, "", verdict && strcmp(verdict, "ok") == 0 ? GREEN : RED, what);
}

static void put_event(const struct watch *w, struct run *run, const char *id, const json_t *o)
{
	struct trace_event e;
	char what[8192], when[32];

	if (trace_json_parse(o, &e) < 0)
		return;
	if (!run->base_ns)
		run->base_ns = e.at_ns;
	(void)snprintf(when, sizeof(when), "%+.6f",
		       (double)(int64_t)(e.at_ns - run->base_ns) / 1e6);
	if (*trace_text_event(&e, what, sizeof(what)))
		put_line(w, id, when, e.tid, e.comm,
			 e.type == METER_EV_DENIED || e.type == METER_EV_OOM ? YELLOW : PLAIN,
			 what);
	trace_event_free(&e);
}

/* Lines come from root's `cloche run` and are clean; this holds even if they are not. */
static bool is_clean(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			return false;
	return true;
}

/* What begins and ends an invocation is told by the line's own beginning, which trace_live.c
 * writes; only text needs more than that. */
static bool is_mark(const char *line, const char *event, char id[static 40])
{
	char name[16];

	return sscanf(line, "{\"request_id\":\"%39[0-9a-f-]\",\"event\":\"%15[a-z]\"", id, name) ==
		       2 &&
	       strcmp(name, event) == 0;
}

static void take_line(struct watch *w, struct run *run, const char *line, size_t len)
{
	char id[40];
	bool start = is_mark(line, "start", id), end = is_mark(line, "end", id);
	json_t *o;

	if (!is_clean(line, len))
		return;
	if (start) {
		(void)snprintf(run->id, sizeof(run->id), "%s", id);
		run->base_ns = 0;
	} else if (end) {
		run->id[0] = 0;
	}
	if (w->opt->json) {
		(void)fwrite(line, 1, len, w->opt->out);
		(void)putc('\n', w->opt->out);
		return;
	}
	o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	if (start)
		put_start(w, id, o);
	else if (end)
		put_end(w, id, o);
	else if (o && *run->id)
		put_event(w, run, run->id, o);
	json_decref(o);
}

/* Its `cloche run` was killed; of the daemon's also what never ran. */
static void tell_gone(const struct watch *w, const struct run *run)
{
	const char *why = w->opt->control ? "gone: its end is not known"
					  : "gone: its 'cloche run' was killed";

	if (!*run->id)
		return;
	if (w->opt->json)
		(void)fprintf(w->opt->out, "{\"request_id\":\"%s\",\"event\":\"gone\"}\n", run->id);
	else
		put_line(w, run->id, "", 0, "", RED, why);
}

/* ---- sockets ------------------------------------------------------------------------------ */

/* false: the run is over. */
static bool take_messages(struct watch *w, struct run *run)
{
	for (int i = 0; i < MESSAGES_IN_A_ROW && !stopped; i++) {
		ssize_t n = recv(run->fd, w->buf, sizeof(w->buf) - 1, MSG_DONTWAIT);
		char *line = w->buf, *end;

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (n == 0)
			return false;
		w->buf[n] = 0;
		while (!stopped && (end = strchr(line, '\n'))) {
			*end = 0;
			take_line(w, run, line, (size_t)(end - line));
			line = end + 1;
		}
	}
	return true;
}

static bool make_room(struct watch *w)
{
	size_t room = w->room * 2 + 16;
	struct run *runs = reallocarray(w->runs, room, sizeof(*runs));
	struct pollfd *fds;

	if (runs)
		w->runs = runs;
	fds = runs ? reallocarray(w->fds, room + FIRST_RUN, sizeof(*fds)) : NULL;
	if (!fds)
		return false;
	w->fds = fds;
	w->room = room;
	return true;
}

/* What is not to be seen is said to be there. */
static void put_unseen(const struct watch *w, const struct watched *one)
{
	cleanup_free char *function = trace_clean(one->function, strlen(one->function));
	cleanup_free char *why = trace_clean(one->why.text, strlen(one->why.text));
	char what[500];

	if (!function || !why)
		return;
	if (!w->opt->json) {
		(void)snprintf(what, sizeof(what), "start%s%s, not seen: %s", *function ? " " : "",
			       function, why);
		put_line(w, one->request_id, "", 0, "", YELLOW, what);
		return;
	}
	(void)fprintf(w->opt->out,
		      "{\"request_id\":\"%s\",\"event\":\"unseen\",\"function\":", one->request_id);
	trace_json_string(w->opt->out, function);
	(void)fputs(",\"why\":", w->opt->out);
	trace_json_string(w->opt->out, why);
	(void)fputs("}\n", w->opt->out);
}

/* 1: one, or none that can be seen (*ret is -1); 0: none now. */
static int next_run(struct watch *w, int *ret, struct cloche_err *err)
{
	struct watched one;
	int r;

	if (!w->opt->control) {
		*ret = accept4(w->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		return *ret >= 0;
	}
	r = remote_watch_next(&w->remote, &one, err);
	*ret = r > 0 ? one.socket : -1;
	if (r > 0 && *ret < 0)
		put_unseen(w, &one);
	return r;
}

static int accept_runs(struct watch *w, struct cloche_err *err)
{
	while (w->n < MAX_RUNS && (w->n < w->room || make_room(w))) {
		int fd = -1, r = next_run(w, &fd, err);

		if (r <= 0)
			return r;
		if (fd < 0)
			continue;
		w->runs[w->n] = (struct run){ .fd = fd };
		w->fds[FIRST_RUN + w->n++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	}
	return 0;
}

static int watch_once(struct watch *w, int timeout_ms, struct cloche_err *err)
{
	size_t n = 0, had = w->n;

	/* A queue that cannot be emptied now would wake at once for ever. */
	w->fds[LISTENER].events = w->n < MAX_RUNS ? POLLIN : 0;
	if (poll(w->fds, FIRST_RUN + w->n, timeout_ms) < 0)
		return 0;
	for (size_t i = 0; i < had; i++) {
		bool over = w->fds[FIRST_RUN + i].revents && !take_messages(w, &w->runs[i]);

		if (over) {
			tell_gone(w, &w->runs[i]);
			fd_close(&w->runs[i].fd);
			continue;
		}
		w->runs[n] = w->runs[i];
		w->fds[FIRST_RUN + n++] = w->fds[FIRST_RUN + i];
	}
	w->n = n;
	return w->fds[LISTENER].revents ? accept_runs(w, err) : 0;
}

static int write_failed(struct cloche_err *err)
{
	return cloche_err_sys(err, errno ? errno : EIO, "write what is seen");
}

static int loop(struct watch *w, struct cloche_err *err)
{
	int64_t until_ns = clock_now_ns() + w->opt->for_ns;
	int r;

	if (w->opt->for_ns)
		prod_from(w->opt->for_ns + GRACE_NS);
	while (!stopped) {
		int64_t left = w->opt->for_ns ? until_ns - clock_now_ns() : 0;

		if (w->opt->for_ns && left <= 0)
			break;
		/* At most a day at a time, for poll's int. */
		if (left > 86400 * NSEC_PER_SEC)
			left = 86400 * NSEC_PER_SEC;
		r = watch_once(w, w->opt->for_ns ? (int)(left / NSEC_PER_MSEC) + 1 : -1, err);
		if ((fflush(w->opt->out) || ferror(w->opt->out)) && !stopped)
			return write_failed(err);
		if (r < 0)
			return r;
	}
	/* What nobody takes when it is told to end is dropped. */
	if (stopped && fflush(w->opt->out)) {
		if (errno != EINTR)
			return write_failed(err);
		__fpurge(w->opt->out);
	}
	if (stopped)
		clearerr(w->opt->out);
	return 0;
}

static int open_signals(struct cloche_err *err)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };
	/* No SA_RESTART: they are to end a write. */
	struct sigaction act = { .sa_handler = on_signal }, prodded = { .sa_handler = on_prod };

	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake_fd < 0)
		return cloche_err_sys(err, errno, "eventfd");
	(void)sigaction(SIGALRM, &prodded, NULL);
	if (timer_create(CLOCK_MONOTONIC, NULL, &prod) < 0)
		return cloche_err_sys(err, errno, "timer_create");
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		(void)sigaction(ends[i], &act, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	return 0;
}

/* What looks at system calls stays attached meanwhile: each run would otherwise attach it for
 * itself, and wait 10 ms when another one just detached it. They do without, if they must. */
static void try_hold_tracing(struct watch *w)
{
	if (meter_open(&w->meter, METER_NAME, NULL) == 0)
		w->tracing = meter_trace_on(&w->meter, NULL);
}

static int open_daemon(struct watch *w, struct cloche_err *err)
{
	int r = remote_open(w->opt->control, &w->remote, err);

	return r == 0 ? remote_watch(&w->remote, err) : r;
}

static int open_here(struct watch *w, int run_fd, struct cloche_err *err)
{
	int r = trace_listener_open(run_fd, &w->listener, err);

	if (r == 0)
		try_hold_tracing(w);
	return r;
}

static int open_watch(struct watch *w, int run_fd, struct cloche_err *err)
{
	int r = open_signals(err);

	if (r < 0)
		return r;
	file_try_allow_many();
	if (!make_room(w)) {
		(void)cloche_err_sys(err, ENOMEM, "watch");
		return -ENOMEM;
	}
	r = w->opt->control ? open_daemon(w, err) : open_here(w, run_fd, err);
	if (r < 0)
		return r;
	w->fds[WAKE] = (struct pollfd){ .fd = wake_fd, .events = POLLIN };
	w->fds[LISTENER] =
		(struct pollfd){ .fd = w->opt->control ? w->remote.socket : w->listener.fd };
	(void)fprintf(stderr, w->opt->for_ns ? "cloche trace: watching\n"
					     : "cloche trace: watching; Ctrl-C ends it\n");
	if (!w->opt->json)
		(void)fprintf(w->opt->out, "%-8s  %14s  %7s %-15s  %s\n", "request", "ms", "thread",
			      "name", "what");
	return 0;
}

int trace_watch(const struct trace_watch_options *opt, struct cloche_err *err)
{
	cleanup_fd int run_fd = opt->control ? -1 : host_run_dir(err);
	bool begins = opt->control || run_fd >= 0;
	struct watch *w = begins ? calloc(1, sizeof(*w)) : NULL;
	int r;

	if (!w)
		return begins ? cloche_err_sys(err, ENOMEM, "watch") : -err->code;
	w->opt = opt;
	w->remote.socket = -1;
	w->listener = (struct trace_listener){ .fd = -1, .dir = -1 };
	w->meter = (struct meter)METER_INIT;
	w->tracing = -1;
	r = open_watch(w, run_fd, err);
	if (r == 0)
		r = loop(w, err);
	if (w->listener.fd >= 0)
		trace_listener_close(run_fd, &w->listener);
	remote_close(&w->remote);
	for (size_t i = 0; i < w->n; i++)
		fd_close(&w->runs[i].fd);
	meter_trace_off(&w->meter, &w->tracing);
	meter_close(&w->meter);
	fd_close(&wake_fd);
	free(w->runs);
	free(w->fds);
	free(w);
	return r;
}
