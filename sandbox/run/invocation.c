/* SPDX-License-Identifier: MIT */
/*
 * Watches one invocation: its end, its deadline, its CPU time, its output, the caller's wish to
 * stop. The verdict (verdict.h) is read from what the kernel counted and from what this file itself
 * did; it is never inferred from a signal alone.
 */
#include "run/invocation.h"

#include "base/clock.h"
#include "base/fd.h"
#include "host/prompt.h"
#include "launch/launcher.h"
#include "launch/spec.h"
#include "run/stdio.h"
#include "trace/trace_live.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

enum {
	WATCH_CONTROL,
	WATCH_WALL,
	WATCH_CPU,
	WATCH_CANCEL,
	WATCH_STREAM, /* three of them */
	WATCH_DENIED = WATCH_STREAM + 3,
	WATCH_N
};

/* Events are taken by the clock, not one by one: to wake for a switch of the function's processes
 * makes the next one. */
#define TRACE_PERIOD_MS 5

/* An exec that takes so many times the limit is not waited for any longer. */
#define MAX_WAITS 10

struct watch {
	struct context *ctx;
	const struct spec *spec;
	struct invocation *inv;
	struct metering *metering;
	struct trace_live *live; /* NULL: nobody watches */
	struct pollfd fds[WATCH_N];
	int64_t start_ns, deadline_ns;
	unsigned waits; /* deadlines that came before the exec was done */
	uint64_t cpu_base_ns;
	struct stdio *stdio;
	int cancel_fd;
	uint64_t launch_cpu_ns; /* what the function process had used before its exec: ours */
	bool more;		/* events to be drained at once */
	bool cut;		/* there was more output than the limit lets through */
	bool first, traced, ended, killed, prompt;
	cpu_set_t cpus;	    /* where prompt: ours, as usual */
	enum verdict cause; /* why it was killed */
	struct warden_msg end;
	struct cgroup_usage *base; /* what the cgroup had counted before */
};

static void kill_for(struct watch *w, enum verdict cause)
{
	if (w->killed || w->ended)
		return;
	w->killed = w->inv->killed = true;
	w->cause = cause;
	context_kill(w->ctx);
}

/* What went wrong here, with the function running or just ended, is no success of it. */
static void give_up(struct watch *w, int code, const char *what)
{
	if (w->killed)
		return;
	if (code)
		(void)cloche_err_sys(&w->inv->err, code, "%s", what);
	w->killed = true;
	w->cause = VERDICT_LAUNCH_ERROR;
	context_kill(w->ctx);
}

static void set_timer(struct watch *w, int which, int64_t at_ns)
{
	struct itimerspec t = { .it_value = ns_timespec(at_ns > 0 ? at_ns : 1) };

	if (timerfd_settime(w->fds[which].fd, TFD_TIMER_ABSTIME, &t, NULL) < 0)
		give_up(w, errno, "set the time limit");
}

static uint64_t cpu_used(const struct watch *w)
{
	struct meter_usage now;
	uint64_t cgroup_ns;

	if (metering_now(w->metering, &now) > 0)
		return now.on_cpu_ns;
	cgroup_ns = cgroup_cpu_ns(&w->ctx->plan.cgroup) - w->cpu_base_ns;
	return cgroup_ns > w->launch_cpu_ns ? cgroup_ns - w->launch_cpu_ns : 0;
}

/* CPU time cannot grow faster than the CPUs that it may use: look again when it could be over. */
static void check_cpu_time(struct watch *w)
{
	uint64_t used = cpu_used(w);
	uint64_t limit = (uint64_t)w->spec->cpu_time_ns;

	if (used >= limit)
		kill_for(w, VERDICT_CPU_TIMEOUT);
	else
		set_timer(w, WATCH_CPU,
			  clock_now_ns() + (int64_t)((limit - used) / w->ctx->plan.cpu.cpus) +
				  100000);
}

/*
 * On a busy host a waking process waits for its turn for milliseconds; a deadline cannot. And one
 * that wakes on the function's CPU keeps the function from dying while it sees to it. Not when this
 * process begins to copy the function's streams, and not where it copies its trace: that is work,
 * which the function could pile up.
 */
static void try_be_prompt(struct watch *w)
{
	cpu_set_t other;

	w->prompt = !w->traced && sched_getaffinity(0, sizeof(w->cpus), &w->cpus) == 0;
	if (!w->prompt) {
		prompt_end(); /* the launch is over */
		return;
	}
	prompt_try_begin(false);
	CPU_XOR(&other, &w->cpus, &w->ctx->plan.affinity);
	CPU_AND(&other, &other, &w->cpus);
	if (CPU_COUNT(&other) > 0)
		(void)sched_setaffinity(0, sizeof(other), &other);
}

static void be_as_usual(struct watch *w)
{
	if (w->prompt || !w->inv->ran)
		prompt_end();
	if (w->prompt)
		(void)sched_setaffinity(0, sizeof(w->cpus), &w->cpus);
	w->prompt = false;
}

static void on_started(struct watch *w, const struct warden_msg *m)
{
	/* Not before: what the launch used is not the function's, and a small quota would stretch
	 * it to seconds. */
	if (cgroup_set_quota(&w->ctx->plan.cgroup, &w->ctx->plan.cpu, &w->inv->err) < 0)
		give_up(w, 0, NULL);
	/* The call of execve: pid 1 may be told before the new image is in place (the kernel ends a
	 * vfork early in the exec), and so before the meter sees the first instruction. */
	w->start_ns = m->at_ns;
	w->launch_cpu_ns = (uint64_t)m->cpu_ns;
	w->inv->ran = true;
	w->fds[WATCH_DENIED].fd = w->ctx->listener;
	executed_see(w->ctx, &w->inv->executed);
	w->inv->started_real_ns = clock_real_ns() - (clock_now_ns() - w->start_ns);
	w->deadline_ns = w->start_ns + w->spec->timeout_ns;
	set_timer(w, WATCH_WALL, w->deadline_ns);
	try_be_prompt(w);
	if (w->spec->cpu_time_ns)
		check_cpu_time(w);
	/* The caller's wish may come before there is anything to end. */
	if (w->killed)
		context_kill(w->ctx);
}

static void on_message(struct watch *w)
{
	struct warden_msg m;

	if (context_recv(w->ctx, &m, &w->inv->err) < 0) {
		give_up(w, 0, NULL);
		w->ended = true;
		return;
	}
	switch (m.type) {
	case WARDEN_STARTED:
		on_started(w, &m);
		break;
	case WARDEN_FAILED:
		w->inv->err = w->ctx->plan.shared->err;
		w->ended = true;
		break;
	case WARDEN_ENDED:
		w->end = m;
		w->ended = true;
		break;
	default:
		(void)cloche_err_set(&w->inv->err, EPROTO,
				     "pid 1 of the context spoke out of turn");
		give_up(w, 0, NULL);
		w->ended = true;
	}
}

static void on_moved(struct watch *w, int r, const struct cloche_err *err)
{
	if (r > 0) {
		w->cut = true; /* what came at the very end, too */
		kill_for(w, VERDICT_OUTPUT_LIMIT);
	}
	if (r < 0 && !w->inv->stream_err.code)
		w->inv->stream_err = *err;
}

static void move_streams(struct watch *w)
{
	for (int i = 0; i < 3; i++) {
		struct pollfd *p = &w->fds[WATCH_STREAM + i];
		struct bridge *b = w->stdio->bridges[i];
		struct cloche_err err = { 0 };

		if (!b)
			continue;
		if (p->fd >= 0 && p->revents) {
			be_as_usual(w);
			on_moved(w, bridge_move(b, &w->stdio->room, &err), &err);
		}
		*p = bridge_wait(b);
	}
}

static void on_denied(struct watch *w)
{
	struct pollfd *p = &w->fds[WATCH_DENIED];
	struct meter_usage now;
	int r;

	if (!(p->revents & POLLIN)) {
		p->fd = -1; /* POLLHUP: the last process under the policy is gone */
		return;
	}
	if (!w->inv->denials.next_id && metering_now(w->metering, &now) > 0 && now.listened)
		w->inv->denials.next_id = now.asked_from;
	r = denials_take(&w->inv->denials, w->ctx, w->deadline_ns);
	if (r < 0 && !w->killed) {
		(void)cloche_err_sys(&w->inv->err, -r, "answer a denied system call");
		kill_for(w, VERDICT_LAUNCH_ERROR);
	}
	if (denials_all(&w->inv->denials) > DENIALS_MAX)
		kill_for(w, VERDICT_DENIED);
}

/*
 * The limit counts from the first instruction, which the meter knows. When even the exec is not
 * done yet (a small share of a slow CPU), it cannot be over before the same time has passed once
 * more.
 */
static void on_deadline(struct watch *w)
{
	struct meter_usage now;
	int began = metering_now(w->metering, &now);

	if (began > 0)
		w->start_ns = (int64_t)now.begin_ns;
	else if (began == 0 && w->waits++ < MAX_WAITS)
		w->start_ns = clock_now_ns();
	w->deadline_ns = w->start_ns + w->spec->timeout_ns;
	if (clock_now_ns() < w->deadline_ns)
		set_timer(w, WATCH_WALL, w->deadline_ns);
	else
		kill_for(w, VERDICT_TIMEOUT);
}

static void watch_once(struct watch *w)
{
	uint64_t expirations;

	int n = poll(w->fds, WATCH_N, w->more ? 0 : w->traced ? TRACE_PERIOD_MS : -1);

	if (w->traced)
		w->more = metering_drain(w->metering);
	if (n < 0)
		return;
	/* The end first: what ended before its deadline was looked at did not time out. */
	if (w->fds[WATCH_CONTROL].revents)
		on_message(w);
	if (w->fds[WATCH_WALL].revents &&
	    read(w->fds[WATCH_WALL].fd, &expirations, sizeof(expirations)) > 0)
		on_deadline(w);
	if (w->fds[WATCH_CPU].revents &&
	    read(w->fds[WATCH_CPU].fd, &expirations, sizeof(expirations)) > 0)
		check_cpu_time(w);
	if (w->fds[WATCH_DENIED].revents)
		on_denied(w);
	if (w->fds[WATCH_CANCEL].revents) {
		w->fds[WATCH_CANCEL].fd = -1;
		kill_for(w, VERDICT_CANCELLED);
	}
	move_streams(w);
}

/* Nothing survives: processes that the function left behind end with it. */
static int64_t end_all(struct watch *w)
{
	const struct cgroup *cg = &w->ctx->plan.cgroup;
	struct pollfd p = { .fd = cg->events, .events = POLLPRI };

	if (cgroup_populated(cg) > 0 && !w->killed) {
		w->inv->left_processes = true;
		context_kill(w->ctx);
	}
	while (cgroup_populated(cg) > 0)
		(void)poll(&p, 1, 10);
	return clock_now_ns();
}

/* What was written before a deadline is not to hold up for ever who is to keep it. */
static void flush_output(struct watch *w)
{
	bool hurried = w->killed && w->cause != VERDICT_OUTPUT_LIMIT;

	for (int i = 1; i < 3; i++) {
		struct bridge *b = w->stdio->bridges[i];
		struct cloche_err err = { 0 };

		if (b)
			on_moved(w, bridge_flush(b, &w->stdio->room, w->cancel_fd, hurried, &err),
				 &err);
	}
	stdio_end(w->stdio);
}

static uint64_t minus(uint64_t now, uint64_t base)
{
	return now == UINT64_MAX || base == UINT64_MAX || now < base ? UINT64_MAX : now - base;
}

static uint64_t less(uint64_t v, uint64_t by)
{
	return v == UINT64_MAX ? v : v > by ? v - by : 0;
}

static uint64_t rusage_ns(const struct rusage *u)
{
	return (uint64_t)(timeval_ns(u->ru_utime) + timeval_ns(u->ru_stime));
}

static void usage_since(struct cgroup_usage *u, const struct cgroup_usage *base, uint64_t ours)
{
	uint64_t user = minus(u->user_ns, base->user_ns);
	uint64_t system = minus(u->system_ns, base->system_ns);

	u->cpu_ns = less(minus(u->cpu_ns, base->cpu_ns), ours);
	u->user_ns = user;
	u->system_ns = system;
	/* The kernel knows their ratio only, sampled by ticks; the sum is exact. */
	if (u->cpu_ns != UINT64_MAX && user != UINT64_MAX && system != UINT64_MAX) {
		double part = user + system ? (double)user / (double)(user + system) : 1;

		u->user_ns = (uint64_t)((double)u->cpu_ns * part);
		u->system_ns = u->cpu_ns - u->user_ns;
	}
	u->throttled_ns = minus(u->throttled_ns, base->throttled_ns);
	u->throttled_periods = minus(u->throttled_periods, base->throttled_periods);
	u->oom_kills = minus(u->oom_kills, base->oom_kills);
	u->pids_denied = minus(u->pids_denied, base->pids_denied);
}

static enum verdict find_verdict(const struct watch *w, const struct invocation *inv)
{
	const struct meter_usage *m = inv->metered.why ? NULL : &inv->metered.usage;

	return verdict_of(&(struct ending){ .killed = w->killed,
					    .cause = w->cause,
					    .output_cut = w->cut,
					    .denied_most = denials_all(&inv->denials) > DENIALS_MAX,
					    .metered = m != NULL,
					    .main_oom = m && m->main_oom,
					    .main_policy = m && m->main_policy,
					    .oom_kills = inv->usage.oom_kills,
					    .pids_denied = inv->usage.pids_denied,
					    .policy_kills = w->ctx->plan.policy.kills ||
							    (m && m->killed_foreign),
					    .refused = bounds_refused_all(&inv->refused),
					    .ran = inv->ran,
					    .status = inv->status });
}

/* The last ones may have been taken back, and so may all: the meter knows how many there were. */
static void count_overtaken(struct denials *d, const struct metered *m)
{
	if (!m->why && m->usage.listened && m->usage.asked > denials_all(d) + d->made)
		d->overtaken = m->usage.asked - d->total - d->made;
}

static void finish_trace(const struct watch *w)
{
	struct invocation *inv = w->inv;
	const char *verdict = verdict_text(inv->verdict);

	metering_finish(w->metering, verdict, &inv->metered);
	if (w->live)
		trace_live_end(w->live, verdict, inv->ran ? inv->wall_ns : -1,
			       inv->metered.why ? NULL : &inv->metered.usage);
}

static void conclude(struct watch *w, bool peak_reset)
{
	struct invocation *inv = w->inv;
	int64_t dead_ns = end_all(w);

	metering_end(w->metering, &inv->metered);
	be_as_usual(w);
	cgroup_read(&w->ctx->plan.cgroup, &inv->usage);
	/* Where the peak cannot be reset it is this invocation's only when it has grown. */
	inv->charged_known = inv->usage.memory_peak != UINT64_MAX &&
			     (peak_reset || inv->usage.memory_peak > w->base->memory_peak);
	usage_since(&inv->usage, w->base, w->launch_cpu_ns);
	flush_output(w);
	/* Where it was ended together with pid 1, nobody was left to tell how. */
	inv->told = w->end.type == WARDEN_ENDED;
	inv->status = inv->told ? w->end.status : SIGKILL;
	inv->rusage = w->end.usage;
	inv->rusage_ns = less(rusage_ns(&inv->rusage), w->launch_cpu_ns);
	inv->on_cpu_ns = inv->metered.why ? inv->usage.cpu_ns : inv->metered.usage.on_cpu_ns;
	if (inv->ran && !inv->metered.why) {
		inv->wall_ns = (int64_t)inv->metered.usage.wall_ns;
		w->start_ns = (int64_t)inv->metered.usage.begin_ns;
	} else if (inv->ran) {
		inv->wall_ns = (w->end.at_ns ? w->end.at_ns : dead_ns) - w->start_ns;
	}
	if (w->killed && w->cause == VERDICT_TIMEOUT)
		inv->overshoot_ns = dead_ns - w->deadline_ns;
	count_overtaken(&inv->denials, &inv->metered);
	inv->refused = context_refused(w->ctx);
	inv->verdict = find_verdict(w, inv);
	finish_trace(w);
}

static int begin(struct watch *w, const struct metering_trace *trace)
{
	int r;

	if (w->live)
		trace_live_begin(w->live, w->inv->request_id, trace->function, w->spec->argv);
	r = metering_begin(w->metering, trace, w->inv->request_id, &w->inv->err);
	if (r == 0)
		r = context_go(w->ctx, &w->inv->err);
	w->fds[WATCH_CONTROL].fd = w->ctx->control;
	w->traced = w->metering->recorder != NULL;
	return r;
}

void invocation_run(struct context *ctx, const struct spec *spec, const struct invocation_io *io,
		    int64_t requested_ns, struct invocation *ret)
{
	struct cgroup_usage base = { 0 };
	struct watch w = { .ctx = ctx,
			   .spec = spec,
			   .inv = ret,
			   .metering = io->metering,
			   .live = io->trace.live,
			   .stdio = io->stdio,
			   .cancel_fd = io->cancel_fd,
			   .first = !process_is(&ctx->warden),
			   .base = &base };
	bool peak_reset;

	*ret = (struct invocation){ .overshoot_ns = -1, .started_real_ns = clock_real_ns() };
	for (int i = 0; i < WATCH_N; i++)
		w.fds[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
	w.fds[WATCH_WALL].fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (spec->cpu_time_ns)
		w.fds[WATCH_CPU].fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	w.fds[WATCH_CANCEL].fd = io->cancel_fd;
	stdio_begin(w.stdio);
	for (int i = 0; i < 3; i++)
		if (w.stdio->bridges[i])
			w.fds[WATCH_STREAM + i] = bridge_wait(w.stdio->bridges[i]);

	if (!w.first)
		cgroup_read(&ctx->plan.cgroup, &base);
	w.cpu_base_ns = base.cpu_ns == UINT64_MAX ? 0 : base.cpu_ns;
	peak_reset = w.first || cgroup_reset_peak(&ctx->plan.cgroup);
	if (w.fds[WATCH_WALL].fd < 0 || (spec->cpu_time_ns && w.fds[WATCH_CPU].fd < 0))
		(void)cloche_err_sys(&ret->err, errno, "timerfd_create");
	else if (uuid_v4(ret->request_id, &ret->err) == 0 && begin(&w, &io->trace) == 0)
		while (!w.ended)
			watch_once(&w);
	conclude(&w, peak_reset);
	ret->launch_ns = ret->ran ? w.start_ns - requested_ns : clock_now_ns() - requested_ns;
	fd_close(&w.fds[WATCH_WALL].fd);
	fd_close(&w.fds[WATCH_CPU].fd);
}

bool invocation_memory_peak(const struct invocation *inv, uint64_t *ret)
{
	if (!inv->ran || inv->metered.why || !inv->metered.usage.memory_known)
		return false;
	*ret = inv->metered.usage.memory_peak_bytes;
	return true;
}

int invocation_exit_status(const struct invocation *inv)
{
	switch (inv->verdict) {
	case VERDICT_TIMEOUT:
	case VERDICT_CPU_TIMEOUT:
		return 124;
	case VERDICT_LAUNCH_ERROR:
		if (strcmp(inv->err.stage, "exec") != 0)
			return 125;
		return inv->err.code == ENOENT || inv->err.code == ENOTDIR ? 127 : 126;
	case VERDICT_OOM:
		return 128 + SIGKILL;
	case VERDICT_DENIED:
		return 128 + SIGSYS;
	case VERDICT_OUTPUT_LIMIT:
		return 128 + SIGXFSZ;
	case VERDICT_CANCELLED:
		return 128 + SIGINT;
	default:
		return WIFSIGNALED(inv->status) ? 128 + WTERMSIG(inv->status)
						: WEXITSTATUS(inv->status);
	}
}
