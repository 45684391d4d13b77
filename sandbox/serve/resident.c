/* SPDX-License-Identifier: MIT */
/* A kept function process, its Runtime API and its log, in the front's loop: see resident.h. */
#include "serve/resident.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "launch/launcher.h"
#include "launch/spec.h"
#include "run/kept.h"
#include "run/log_lines.h"
#include "run/powers.h"
#include "runtime/runtime_native.h"
#include "serve/capture.h"
#include "serve/front.h"
#include "serve/held.h"
#include "serve/journal.h"
#include "serve/logged.h"
#include "serve/provisioning.h"
#include "serve/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What is watched: the process by its warden, its calls, its output. */
enum { AT_CALLS = KEPT_FDS, AT_FDS };
_Static_assert(AT_FDS <= WATCH_FDS, "all of it is watched");

struct powers_resident {
	struct powers powers;
	struct resident *resident;
	bool insisted; /* it was ended for what it said */
};

struct resident {
	struct front *front;
	struct held *held;
	struct kept kept;
	struct powers_resident powers;
	struct watch watch;
	int64_t due_ns;		       /* when its calls are looked at; CLOCK_MONOTONIC */
	struct runtime_http *http;     /* NULL: not before its command runs */
	struct runtime_native *native; /* instead; NULL: there is none */
	struct capture output;	       /* what it writes */
	struct function_logged *log;
	struct journal journal;

	bool settled;	     /* init's end was told */
	bool invoked;	     /* init is a part of the first invocation */
	bool under_way;	     /* an event is */
	bool had_event;	     /* one was */
	bool stopped;	     /* there is no other */
	bool dismissed;	     /* the same, and it is told so: what it says counts for nothing */
	bool insisted;	     /* it was ended for what it said */
	bool asked;	     /* the runtime has, for the next event */
	bool answered;	     /* the runtime has given an answer to it ... */
	bool refused;	     /* ... which is not handed on */
	bool failed;	     /* ... of an error, of which both know */
	enum verdict answer; /* ... which is a success or none */
	struct outcome init; /* of init */
	struct outcome *out; /* the caller's, of what is under way */
};

/* ---- what it writes -------------------------------------------------------------------------- */

static void on_output(void *arg, const char *bytes, size_t len)
{
	journal_take(&((struct resident *)arg)->journal, bytes, len);
}

/* Nothing of it runs, so that what is there is all. */
static void drain_output(struct resident *r)
{
	capture_drain(&r->output);
	journal_flush(&r->journal);
}

void resident_report(struct resident *r, const struct outcome *out)
{
	journal_report(&r->journal, out);
}

/* ---- powers ---------------------------------------------------------------------------------- */

static void ask(struct resident *r, enum command_kind kind)
{
	front_tell(r->front, &(struct command){ .kind = kind, .context = r->held->number });
}

static struct resident *resident_of(struct powers *p)
{
	return ((struct powers_resident *)p)->resident;
}

static int remote_begin(struct powers *p, const struct metering_trace *trace,
			const char *request_id, bool *ret_clocked, struct cloche_err *err)
{
	*ret_clocked = resident_of(p)->held->clocked;
	return 0;
}

static bool remote_kill(struct powers *p)
{
	ask(resident_of(p), COMMAND_KILL);
	return true;
}

static bool count_once(struct powers *p)
{
	if (!p->asked)
		ask(resident_of(p), p->unsure ? COMMAND_RECOUNT : COMMAND_COUNT);
	p->asked = true;
	return false;
}

static bool remote_counted(struct powers *p, struct counted *ret)
{
	return count_once(p);
}

static bool remote_empty(struct powers *p)
{
	return count_once(p);
}

/* Whether it is frozen or dead by then the launcher sees. */
static bool remote_part(struct powers *p, struct counted *ret)
{
	return count_once(p);
}

/* ---- its calls: by the Runtime API, or as a native function -----------------------------------
 */

static enum runtime_news calls_news(struct resident *r)
{
	if (r->native)
		return runtime_native_news(r->native);
	return r->http ? runtime_http_news(r->http) : RUNTIME_NO_NEWS;
}

static void calls_answer(const struct resident *r, struct runtime_answer *ret)
{
	if (r->native)
		runtime_native_answer(r->native, ret);
	else
		runtime_http_answer(r->http, ret);
}

static void calls_run(struct resident *r)
{
	if (r->native)
		runtime_native_run(r->native);
	else if (r->http)
		runtime_http_run(r->http);
}

static int calls_give(struct resident *r, const struct runtime_event *event, struct cloche_err *err)
{
	return r->native ? runtime_native_give(r->native, event, err)
			 : runtime_http_give(r->http, event, err);
}

static int calls_due_ms(const struct resident *r)
{
	return r->http ? runtime_http_due_ms(r->http) : -1;
}

static struct pollfd calls_wait(const struct resident *r)
{
	if (r->native) {
		short events = runtime_native_events(r->native);

		/* Of one that is asked for nothing its end would be told all the same, for ever. */
		return (struct pollfd){ .fd = events ? runtime_native_fd(r->native) : -1,
					.events = events };
	}
	if (r->http)
		return (struct pollfd){ .fd = runtime_http_fd(r->http), .events = POLLIN };
	return (struct pollfd){ .fd = -1 };
}

/* ---- what happens ---------------------------------------------------------------------------- */

static void watch(struct resident *r);

/* Of a type that is to be a word in a line. */
static void take_type(const char *type, char ret[static 64])
{
	size_t n = strspn(type, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				"._-:$");

	(void)snprintf(ret, 64, "%.*s", n < 64 ? (int)n : 63, type);
}

/* So much of an error's body is looked into for its type. */
#define ERROR_MOST (64U << 10)

/* Some clients say it there alone. */
static void take_type_within(const struct runtime_answer *a, char ret[static 64])
{
	json_t *j = a->len <= ERROR_MOST ? json_loadb(a->bytes, a->len, 0, NULL) : NULL;
	const char *type = json_string_value(json_object_get(j, "errorType"));

	take_type(type ? type : "", ret);
	json_decref(j);
}

static void note_answer(struct resident *r, enum verdict verdict)
{
	struct outcome *out = r->under_way ? r->out : &r->init;
	struct runtime_answer answer;

	calls_answer(r, &answer);
	/* A streamed one that failed on its way says so behind it. */
	if (*answer.trailer_type)
		verdict = VERDICT_ERROR;
	r->answered = out->answered = true;
	r->answer = verdict;
	take_type(*answer.trailer_type ? answer.trailer_type : answer.error_type, out->error_type);
	if (verdict != VERDICT_OK && !out->error_type[0])
		take_type_within(&answer, out->error_type);
}

static void refuse_answer(struct resident *r, const char *type)
{
	struct outcome *out = r->under_way ? r->out : &r->init;

	note_answer(r, VERDICT_ERROR);
	r->refused = true;
	(void)snprintf(out->error_type, sizeof(out->error_type), "%s", type);
}

static void on_news(struct resident *r, enum runtime_news news)
{
	switch (news) {
	case RUNTIME_ASKED:
		r->asked = true;
		break;
	case RUNTIME_RESPONDED:
		note_answer(r, VERDICT_OK);
		break;
	case RUNTIME_FAILED:
		note_answer(r, VERDICT_ERROR);
		r->failed = true;
		break;
	case RUNTIME_OVERSIZED:
		refuse_answer(r, FAILURE_TOO_LARGE);
		r->failed = true;
		break;
	case RUNTIME_MODE:
		refuse_answer(r, FAILURE_MODE);
		r->failed = true;
		break;
	case RUNTIME_CUT:
		refuse_answer(r, FAILURE_CUT);
		break;
	case RUNTIME_INIT_ERROR:
		note_answer(r, VERDICT_INIT_ERROR);
		break;
	default:
		r->insisted = true;
		kept_cancel(&r->kept);
		break;
	}
}

static void hear_runtime(struct resident *r)
{
	enum runtime_news news;
	struct cloche_err err = { 0 };
	struct context *ctx = &r->held->ctx;

	if (!r->http && ctx->api >= 0 && runtime_http_open(TAKE_FD(ctx->api), &r->http, &err) < 0) {
		r->front->say(err.text);
		kept_cancel(&r->kept);
	}
	while ((news = calls_news(r)) != RUNTIME_NO_NEWS)
		if (!r->dismissed)
			on_news(r, news);
	if (!r->asked || kept_state(&r->kept) != KEPT_RUNNING)
		return;
	r->asked = false;
	kept_pause(&r->kept, r->under_way && r->answered ? r->answer : VERDICT_OK);
}

/* Nobody cancelled what was ended for what it said. */
static void judge(const struct resident *r, struct outcome *out, enum verdict verdict)
{
	if (!r->insisted || out->verdict != VERDICT_CANCELLED)
		return;
	out->verdict = verdict;
	if (!(r->refused && out->answered))
		(void)snprintf(out->error_type, sizeof(out->error_type), "Cloche.ProtocolError");
}

/* As Lambda does: of one that was well the REPORT line of the first invocation says how long it
 * took, unless nobody waited for it. What was not begun for no fault of its own, or not wanted any
 * more, has no status. */
static void report_init(struct resident *r, bool well)
{
	if (r->init.verdict == VERDICT_CANCELLED ||
	    (r->init.verdict == VERDICT_LAUNCH_ERROR && !outcome_entrypoint_error(&r->init)))
		return;
	if (!well || !r->held->user)
		journal_init_report(&r->journal, &r->init, r->invoked);
	if (!r->held->user)
		journal_forget(&r->journal);
}

/* What it has left by then each of its forks would find as the one before has left it. */
static void judge_zygote(struct resident *r)
{
	char line[160];
	int n;

	(void)cloche_err_set(&r->init.err, EINVAL, "reuse: fork: at the end of init %s",
			     residue_text(r->kept.residue));
	n = snprintf(line, sizeof(line), "[ERROR] Runtime.ForkError: %.120s\n", r->init.err.text);
	journal_take(&r->journal, line, (size_t)n);
	r->init.verdict = VERDICT_INIT_ERROR;
	(void)snprintf(r->init.error_type, sizeof(r->init.error_type), "Runtime.ForkError");
}

/* Its init is over: well, and it waits; or not. */
static void settle_init(struct resident *r)
{
	struct client *user = r->held->user;
	bool well = kept_state(&r->kept) == KEPT_IDLE && r->init.verdict == VERDICT_OK;

	r->settled = true;
	judge(r, &r->init, VERDICT_INIT_ERROR);
	if (well && r->kept.residue != RESIDUE_NONE) {
		judge_zygote(r);
		well = false;
	}
	drain_output(r);
	report_init(r, well);
	if (!user && r->held->provisioned)
		provisioning_settled(r->front, r->held, well);
	else if (!user)
		held_end(r->front, r->held);
	else if (well)
		resident_ready(user);
	else
		resident_failed(user);
}

static void settle_event(struct resident *r)
{
	struct client *user = r->held->user;

	r->under_way = false;
	/* What it said and then did not stand by counts for nothing. But what was refused, as it
	 * had no end, does; and clients tell of an error, or are told that an answer is refused,
	 * and end by themselves: that is what came of it. */
	if (!r->kept.machine.answered && !(r->insisted && r->refused) &&
	    !(r->failed && r->out->verdict == VERDICT_ERROR)) {
		r->answered = r->out->answered = false;
		r->out->error_type[0] = '\0';
	}
	judge(r, r->out, VERDICT_ERROR);
	drain_output(r);
	resident_served(user);
}

/* Of one that was stopped the context stays, when it is clean. */
static void end_context(struct resident *r)
{
	struct front *f = r->front;
	struct held *h = r->held;

	if (!r->stopped) {
		drain_output(r);
		held_end_now(f, h);
		return;
	}
	h->resident = resident_close(r);
	held_keep(f, h);
}

/* Whoever is told may end it: nothing of r is touched behind that. */
static void settle(struct resident *r)
{
	enum kept_state state = kept_state(&r->kept);
	bool whole = state == KEPT_IDLE || state == KEPT_OVER;

	watch(r);
	if (!whole)
		return;
	if (!r->settled)
		settle_init(r);
	else if (r->under_way)
		settle_event(r);
	else if (state == KEPT_OVER && r->held->user)
		resident_lost(r->held->user);
	else if (state == KEPT_OVER)
		end_context(r);
}

static void on_step(void *arg, const struct pollfd fds[static WATCH_FDS])
{
	struct resident *r = arg;

	if (fds[AT_CALLS].revents || calls_due_ms(r) == 0)
		calls_run(r);
	kept_step(&r->kept, fds);
	hear_runtime(r);
	settle(r);
}

static void watch(struct resident *r)
{
	struct pollfd fds[WATCH_FDS];
	int64_t until_ns = kept_wait(&r->kept, fds);
	int due_ms = calls_due_ms(r);

	for (int i = KEPT_FDS; i < WATCH_FDS; i++)
		fds[i] = (struct pollfd){ .fd = -1 };
	fds[AT_CALLS] = calls_wait(r);
	if (due_ms >= 0) {
		int64_t now_ns = clock_now_ns(), due_ns = now_ns + due_ms * NSEC_PER_MSEC;

		/* One that is set stays, and may be too early: to set another takes a call. */
		if (r->due_ns <= now_ns || due_ns < r->due_ns)
			r->due_ns = due_ns;
		until_ns = r->due_ns < until_ns ? r->due_ns : until_ns;
	}
	if (watch_set(&r->watch, fds, until_ns) < 0)
		(void)sd_event_exit(r->front->event, -ENOMEM);
}

/* ---- its life -------------------------------------------------------------------------------- */

/* A native function's standard input is where its events come from. */
static int open_native(struct resident *r, bool forks, struct cloche_err *err)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return cloche_err_sys(err, errno, "make a socket for its events");
	r->native = runtime_native_open(ends[0], forks, err);
	if (!r->native)
		fd_close(&ends[1]);
	return ends[1];
}

static int open_streams(struct resident *r, const struct spec *spec, int ret[static 3],
			struct cloche_err *err)
{
	int code = capture_begin(&r->output, r->front->event, on_output, r, &ret[1], err);

	if (code < 0)
		return code;
	ret[0] = spec->api ? open("/dev/null", O_RDONLY | O_CLOEXEC)
			   : open_native(r, spec->zygote, err);
	ret[2] = fcntl(ret[1], F_DUPFD_CLOEXEC, 3);
	if (!err->code && (ret[0] < 0 || ret[2] < 0))
		(void)cloche_err_sys(err, errno, "make streams for it");
	if (err->code)
		return -err->code;
	return 0;
}

struct resident *resident_open(struct front *f, struct held *h, const struct spec *spec,
			       struct function_logged *log, int64_t requested_ns,
			       struct cloche_err *err)
{
	struct resident *r = calloc(1, sizeof(*r));
	int streams[3] = { -1, -1, -1 };

	if (!r) {
		(void)cloche_err_sys(err, ENOMEM, "begin");
		(void)logged_close(&f->logged, log);
		return NULL;
	}
	*r = (struct resident){ .front = f, .held = h, .output = CAPTURE_NONE, .log = log };
	journal_init(&r->journal, log);
	watch_init(&r->watch, f->event, on_step, r);
	if (open_streams(r, spec, streams, err) < 0) {
		r = resident_close(r);
	} else {
		struct kept_options o = { .spec = spec,
					  .streams = streams,
					  .powers = &r->powers.powers,
					  .requested_ns = requested_ns };

		r->powers = (struct powers_resident){ .powers = { .begin = remote_begin,
								  .kill = remote_kill,
								  .counted = remote_counted,
								  .part = remote_part,
								  .parts_are_told = true,
								  .empty = remote_empty },
						      .resident = r };
		kept_begin(&r->kept, &h->ctx, &o, &r->init);
		watch(r);
	}
	for (int i = 0; i < 3; i++)
		fd_close(&streams[i]);
	return r;
}

struct resident *resident_close(struct resident *r)
{
	if (!r)
		return NULL;
	watch_end(&r->watch);
	r->http = runtime_http_close(r->http);
	r->native = runtime_native_close(r->native);
	capture_end(&r->output);
	journal_end(&r->journal);
	r->log = logged_close(&r->front->logged, r->log);
	free(r);
	return NULL;
}

void resident_begins_invoked(struct resident *r, const char *request_id, const char *tail,
			     size_t len)
{
	r->invoked = true;
	journal_go_on(&r->journal, request_id, tail, len);
}

const struct outcome *resident_init(const struct resident *r)
{
	return &r->init;
}

int64_t resident_invoked_ns(const struct resident *r)
{
	return r->invoked ? kept_began_ns(&r->kept) : 0;
}

void resident_start_log(struct resident *r, const struct outcome *out, uint32_t version)
{
	journal_start(&r->journal, out, version);
}

enum residue resident_residue(const struct resident *r)
{
	return r->kept.residue;
}

bool resident_is_settled(const struct resident *r)
{
	return r->settled;
}

bool resident_is_new(const struct resident *r)
{
	return !r->had_event;
}

bool resident_is_idle(const struct resident *r)
{
	return kept_state(&r->kept) == KEPT_IDLE && !r->under_way && !r->kept.residue;
}

bool resident_invoke(struct resident *r, const struct resident_event *e, struct outcome *out)
{
	struct runtime_event event = e->event;
	struct cloche_err err = { 0 };
	int given;

	r->asked = r->answered = r->refused = r->failed = false;
	r->answer = VERDICT_ERROR;
	r->out = out;
	event.deadline_ms = (clock_real_ns() + e->timeout_ns) / NSEC_PER_MSEC;
	/* It has asked for one, and does not wait for it when it goes on. */
	given = calls_give(r, &event, &err);
	if (!kept_resume(&r->kept, e->timeout_ns, e->requested_ns, out))
		return false;
	r->under_way = r->had_event = true;
	r->invoked = false;
	if (given < 0 || e->cancelled)
		kept_cancel(&r->kept);
	journal_start(&r->journal, out, e->version);
	hear_runtime(r);
	settle(r);
	return true;
}

void resident_answered(const struct resident *r, struct resident_answer *ret)
{
	ret->bytes = NULL;
	ret->len = 0;
	ret->tail_len = journal_tail(&r->journal, ret->tail);
	if ((r->http || r->native) && r->answered && !r->refused) {
		struct runtime_answer answer;

		calls_answer(r, &answer);
		ret->bytes = answer.bytes;
		ret->len = answer.len;
	}
}

/* Its connections go first, without a trace: what ends in the other order is there for a minute. */
bool resident_stop(struct resident *r)
{
	r->http = runtime_http_close(r->http);
	r->native = runtime_native_close(r->native);
	r->stopped = true;
	if (!kept_stop(&r->kept))
		return false;
	settle(r);
	return true;
}

void resident_cancel(struct resident *r)
{
	kept_cancel(&r->kept);
	settle(r);
}

bool resident_hears(const struct resident *r)
{
	return resident_is_idle(r) && r->settled && !r->kept.zygote;
}

void resident_dismiss(struct resident *r, int64_t grace_ns)
{
	r->dismissed = true;
	journal_leave(&r->journal);
	(void)kept_dismiss(&r->kept, grace_ns);
	settle(r);
}

void resident_counted(struct resident *r, const struct counted *counted, bool parted)
{
	r->powers.powers.asked = !parted;
	kept_counted(&r->kept, counted, parted);
	hear_runtime(r);
	settle(r);
}
