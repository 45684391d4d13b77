/* SPDX-License-Identifier: MIT */
/* Runs with one fault each, and what may come of them: see faults.h. */
#include "tests/lib/faults.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "tests/lib/env.h"
#include "tests/lib/leftovers.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"
#include "tests/lib/tracing.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

/* For each test below. */
#define BUDGET_MS 12000

#define ARGS_MAX 48

struct setting {
	const struct fault_plan *plan;
	const char *argv[ARGS_MAX];
	char *bind, *links[8], *dir, *report;
	struct tracing whole; /* of a run in which nothing was done */
	struct call *cases;
	size_t n_cases, missed;
	char *before; /* the host's state */
};

/* ---- which calls ---- */

/* These cannot fail: getters, ends, a pause(2) that is ended by a signal only, and kill(2) of the
 * caller's own child. */
static bool always_succeeds(long nr)
{
	static const long list[] = { SYS_getpid,     SYS_gettid, SYS_getppid,	   SYS_getuid,
				     SYS_geteuid,    SYS_getgid, SYS_getegid,	   SYS_umask,
				     SYS_exit_group, SYS_exit,	 SYS_rt_sigreturn, SYS_pause,
				     SYS_kill };

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (list[i] == nr)
			return true;
	return false;
}

/* The C library's own start ends where it protects its relocated pages. */
static size_t first_own(const struct tracing *t)
{
	for (size_t i = 0; i < t->n_calls; i++)
		if (t->calls[i].nr == SYS_mprotect)
			return i + 1;
	return 0;
}

static bool same(const struct call *a, const struct call *b)
{
	return a->process == b->process && a->nr == b->nr && a->nth == b->nth;
}

/*
 * The launch is what is done until the last process is there, the function's, and by that one until
 * it executes. From then on the function runs beside it. A call that some runs make before that and
 * not all, such as a second look at a file that was new, gives the number to another call, perhaps
 * of afterwards: what was there when it was hit counts, too.
 */
static bool in_launch(const struct tracing *whole, const struct tracing *hit)
{
	const struct call *c = &hit->at;
	size_t end = 0;

	if (tracing_children(whole, c->process) == 0)
		return true;
	if (hit->hit && hit->processes_at_hit >= whole->n_processes)
		return false;
	for (unsigned i = 0; i < whole->n_processes; i++)
		end = whole->last_birth[i] > end ? whole->last_birth[i] : end;
	for (size_t i = 0; i < end; i++)
		if (same(&whole->calls[i], c))
			return true;
	return false;
}

static const char *process_name(const struct tracing *t, unsigned process)
{
	if (process == 0)
		return "the supervisor";
	if (t->parent[process] != 0)
		return "the function";
	for (unsigned i = 0; i < t->n_processes; i++)
		if (i != process && i != 0 && t->parent[i] == process)
			return "pid 1";
	return "a helper";
}

/* NULL, CALL_ANY: whichever. */
struct which {
	const char *process;
	long nr;
};

#define CALL_ANY (-1)

static bool is_case(const struct setting *s, size_t i, const struct which *w)
{
	const struct call *c = &s->whole.calls[i];

	return !always_succeeds(c->nr) && (w->nr == CALL_ANY || w->nr == c->nr) &&
	       (!w->process || strcmp(process_name(&s->whole, c->process), w->process) == 0);
}

/* All of them, or as many as fit into the time, in even steps. Where to begin is another place for
 * each test: together they come by more. */
static void choose(struct setting *s, const struct which *w, size_t begin, int64_t run_ns)
{
	const struct tracing *t = &s->whole;
	size_t most = (size_t)(BUDGET_MS * NSEC_PER_MSEC / run_ns) + 1, all = 0, step, k = 0;

	s->cases = calloc(t->n_calls, sizeof(*s->cases));
	cr_assert_not_null(s->cases);
	for (size_t i = first_own(t); i < t->n_calls; i++)
		all += is_case(s, i, w);
	step = getenv("FAULT_ALL") ? 1 : (all + most - 1) / most;
	for (size_t i = first_own(t); i < t->n_calls; i++)
		if (is_case(s, i, w) && (k++ + begin) % step == 0)
			s->cases[s->n_cases++] = t->calls[i];
	cr_assert(s->n_cases > 0);
	if (step > 1)
		printf("note: %zu of %zu calls were failed (a traced run takes %lld ms)\n",
		       s->n_cases, all, (long long)(run_ns / NSEC_PER_MSEC));
}

/* ---- a run ---- */

static void prepare(const struct setting *s)
{
	if (s->plan->prepare)
		s->plan->prepare();
}

/*
 * The run in which nothing is done. Other runs' slots cost it calls that will not come again: of
 * three the shortest. Returns how long one took.
 */
static int64_t trace_whole(struct setting *s, const char *want)
{
	int64_t took = INT64_MAX;

	for (int i = 0; i < 3; i++) {
		struct tracing t = { .argv = s->argv };
		int64_t began;

		prepare(s);
		began = clock_now_ns();
		tracing_run(&t);
		if (clock_now_ns() - began < took)
			took = clock_now_ns() - began;
		cr_assert(t.status == 0 && !t.hung, "status %d: %s", t.status, t.err);
		cr_assert(t.executed && t.n_calls > 100 && t.slot >= 0);
		cr_assert_str_eq(t.out, want, "being traced shows inside: %s", t.out);
		if (i == 0 || t.n_calls < s->whole.n_calls) {
			tracing_free(&s->whole);
			s->whole = t;
		} else {
			tracing_free(&t);
		}
	}
	return took;
}

static void set_up(struct setting *s, const struct fault_plan *plan, const struct which *w,
		   size_t begin)
{
	const char *const *options = plan->options;
	static const char *const kinds[] = { "cgroup", "ipc",  "mnt",  "net",
					     "pid",    "time", "user", "uts" };
	cleanup_run struct run warm = { 0 };
	size_t n = 0;
	int64_t took;

	*s = (struct setting){ .plan = plan };
	s->dir = tmpdir_make();
	cr_assert(asprintf(&s->bind, "%s:/tmp/opt", env_need("HELPERS")) > 0 &&
		  asprintf(&s->report, "%s/report", s->dir) > 0);
	s->argv[n++] = env_need("CLOCHE");
	s->argv[n++] = "run";
	s->argv[n++] = "-q";
	s->argv[n++] = "-b";
	s->argv[n++] = s->bind;
	s->argv[n++] = "--report";
	s->argv[n++] = s->report;
	while (*options)
		s->argv[n++] = *options++;
	s->argv[n++] = "/tmp/opt/fingerprint";
	for (size_t i = 0; i < 8; i++) {
		char path[64], link[64];
		ssize_t len;

		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i]);
		len = readlink(path, link, sizeof(link) - 1);
		link[len > 0 ? len : 0] = '\0';
		s->links[i] = strdup(link);
		s->argv[n++] = s->links[i];
	}
	cr_assert_lt(n, ARGS_MAX);
	/* The first run of a host makes what all others find. */
	run_argv(&warm, s->argv);
	cr_assert_eq(warm.status, 0, "status %d: %s", warm.status, warm.err);
	s->before = leftover_state();
	took = trace_whole(s, warm.out);
	choose(s, w, begin, took);
}

static void tear_down(struct setting *s)
{
	tracing_free(&s->whole);
	for (size_t i = 0; i < 8; i++)
		free(s->links[i]);
	free(s->cases);
	tmpdir_free(&s->dir);
	free(s->report);
	free(s->bind);
	free(s->before);
}

#define cleanup_setting __attribute__((cleanup(tear_down)))

static void show(const struct setting *s, const struct tracing *t, const char *verdict)
{
	char name[24];

	if (getenv("FAULT_SHOW"))
		printf("%-10s %s, %s %u%s: %d %.*s\n", verdict,
		       process_name(&s->whole, t->at.process), call_name(t->at.nr, name), t->at.nth,
		       in_launch(&s->whole, t) ? "" : " (after)", t->status,
		       (int)strcspn(t->err, "\n"), t->err);
}

/* The next run finds what was left and removes it. */
static void expect_next_cleans(const struct tracing *t, const char *what)
{
	cleanup_run struct run next = { 0 };
	cleanup_free char *left = NULL;

	run_argv(&next, t->argv);
	cr_expect_eq(next.status, 0, "%s: the next run: status %d: %s", what, next.status,
		     next.err);
	if (t->slot >= 0)
		left = leftover_of_slot(t->slot);
	cr_expect_null(left, "%s: the next run leaves %s", what, left);
}

/* One line, from this program, with more than the reason in it. */
static bool is_one_line(const char *err)
{
	const char *end = strchr(err, '\n');

	return strncmp(err, "cloche", 6) == 0 && end && end[1] == '\0' && strstr(err, ": ") &&
	       (strpbrk(strstr(err, ": ") + 2, ":;") || strstr(err, "pid 1 of the context") ||
		strstr(err, "the function process"));
}

static void cut_all(char *text, const char *word)
{
	for (char *at = text; (at = strstr(at, word));)
		memmove(at, at + strlen(word), strlen(at + strlen(word)) + 1);
}

static void cut_line(char *text, const char *end)
{
	char *at = strstr(text, end), *begin = at;

	while (begin && begin > text && begin[-1] != '\n')
		begin--;
	if (at)
		memmove(begin, at + strlen(end), strlen(at + strlen(end)) + 1);
}

/* The same walls; a bind that is not idmapped is none, nor is the number of CPUs to be seen, but
 * both must be owned up to. */
static bool same_walls(const struct setting *s, const struct tracing *t, const char *report)
{
	cleanup_free char *want = strdup(s->whole.out), *got = strdup(t->out);

	if (strcmp(got, want) == 0)
		return true;
	if (strstr(report, "bind.idmap")) {
		cut_all(want, ",idmapped");
		cut_all(got, ",idmapped");
	}
	if (strstr(report, "launch.affinity")) {
		cut_line(want, " CPUs\n");
		cut_line(got, " CPUs\n");
	}
	return strcmp(got, want) == 0;
}

/* It went well, and says so; where it could not write the report, it says that as well. */
static const char *judge_success(const struct setting *s, const struct tracing *t)
{
	cleanup_free char *text = NULL;
	size_t len;
	const char *report = file_load(AT_FDCWD, s->report, 65536, &text, &len, NULL) == 0 && len
				     ? text
				     : strstr(t->err, "; the report goes to standard error\n");

	if (!report || !strstr(report, "\"verdict\":\"ok\""))
		return "no report";
	if (!same_walls(s, t, report))
		return "changed";
	if (report == text && t->err[0] && !strstr(t->err, "no safe record") &&
	    (in_launch(&s->whole, t) || !is_one_line(t->err)))
		return "noisy";
	return NULL;
}

static const char *judge_error(const struct setting *s, const struct tracing *t)
{
	bool launch = in_launch(&s->whole, t);

	if (t->hung)
		return "hung";
	if (t->status == 0)
		return judge_success(s, t);
	/* What cannot be passed on is told to the function, whose next write then kills it. */
	if (t->status == 128 + SIGPIPE && !launch && strstr(t->err, ": write to standard "))
		return is_one_line(t->err) ? NULL : "no line";
	if (t->status != 125 && !(launch && (t->status == 126 || t->status == 127)))
		return "status";
	/* Without its standard error it cannot complain. */
	if (!is_one_line(t->err) && t->at.nr != SYS_dup2)
		return "no line";
	return launch && t->out[0] ? "ran" : NULL;
}

/* What goes on at the same time decides whether some calls are made: a helper may be killed before
 * it comes to them, a lock may be held by another run. */
static bool trace_until_hit(struct setting *s, struct tracing *t)
{
	for (int i = 0; i < 5; i++) {
		(void)unlink(s->report);
		prepare(s);
		tracing_run(t);
		if (t->hit || t->hung)
			return true;
	}
	s->missed++;
	return false;
}

/* One case at a time, of all tests that run now: a run may take the slot of one that was killed
 * before the next run has cleaned it, and what lies there would be laid at the wrong door. */
static int gate_enter(void)
{
	int fd = open(env_need("CLOCHE"), O_RDONLY | O_CLOEXEC);

	cr_assert(fd >= 0 && flock(fd, LOCK_EX) == 0, "lock the program: %m");
	return fd;
}

static void fail_one(struct setting *s, const struct call *at, int code)
{
	cleanup_fd int gate = gate_enter();
	cleanup_tracing struct tracing t = {
		.argv = s->argv, .at = *at, .fault = FAULT_ERROR, .code = code
	};
	cleanup_free char *left = NULL;
	char what[128], name[24];
	const char *bad;

	if (!trace_until_hit(s, &t))
		return;
	(void)snprintf(what, sizeof(what), "%s's %s number %u fails with %s",
		       process_name(&s->whole, at->process), call_name(at->nr, name), at->nth,
		       strerrorname_np(code));
	bad = judge_error(s, &t);
	cr_expect(!bad, "%s: %s: status %d: %s", what, bad, t.status, t.err);
	if (t.slot >= 0)
		left = leftover_of_slot(t.slot);
	cr_expect(!left || !in_launch(&s->whole, &t), "%s: %s is left", what, left);
	show(s, &t, bad ? bad : left ? "left" : t.status ? "refused" : "goes on");
	if (left)
		expect_next_cleans(&t, what);
}

/* Some calls come only when other runs are in the way; most come always. */
static void expect_done(const struct setting *s)
{
	cleanup_free char *after = leftover_state();

	cr_expect_str_eq(after, s->before);
	cr_expect(s->missed * 5 <= s->n_cases, "%zu of %zu calls did not come again", s->missed,
		  s->n_cases);
}

static void fail_those(const struct fault_plan *plan, const struct which *w, int code)
{
	cleanup_setting struct setting s;

	set_up(&s, plan, w, (size_t)code);
	for (size_t i = 0; i < s.n_cases; i++)
		fail_one(&s, &s.cases[i], code);
	expect_done(&s);
}

void fail_each(const struct fault_plan *plan, int code)
{
	fail_those(plan, &(struct which){ NULL, CALL_ANY }, code);
}

void fail_each_of(const struct fault_plan *plan, long nr, int code)
{
	fail_those(plan, &(struct which){ NULL, nr }, code);
}

/* ---- killed ---- */

static void kill_one(struct setting *s, const struct call *at)
{
	cleanup_fd int gate = gate_enter();
	cleanup_tracing struct tracing t = { .argv = s->argv, .at = *at, .fault = FAULT_KILL };
	cleanup_free char *left = NULL;
	const char *bad = NULL;
	char what[128], name[24];
	bool launch;

	if (!trace_until_hit(s, &t))
		return;
	launch = in_launch(&s->whole, &t);
	(void)snprintf(what, sizeof(what), "%s is killed at its %s number %u",
		       process_name(&s->whole, at->process), call_name(at->nr, name), at->nth);
	if (t.hung)
		bad = "hung";
	else if (at->process == 0)
		bad = t.hit && t.status != 128 + SIGKILL ? "status" : NULL;
	else
		bad = judge_error(s, &t);
	/* Its last call is the exec itself: from then on it is the command that was killed. */
	if (at->nr == SYS_execve && t.status == 128 + SIGKILL)
		bad = NULL;
	else if (at->process != 0 && launch && t.status == 0)
		bad = "status";
	cr_expect(!bad, "%s: %s: status %d: %s", what, bad, t.status, t.err);
	if (t.slot >= 0)
		left = leftover_of_slot(t.slot);
	/* Whoever removes what is left may be killed at that: the next run does it. */
	cr_expect(!left || at->process == 0 || !launch, "%s: %s is left", what, left);
	show(s, &t, bad ? bad : left ? "left" : "killed");
	if (left)
		expect_next_cleans(&t, what);
}

void kill_each(const struct fault_plan *plan, const char *name)
{
	cleanup_setting struct setting s;

	set_up(&s, plan, &(struct which){ name, CALL_ANY }, 0);
	for (size_t i = 0; i < s.n_cases; i++)
		kill_one(&s, &s.cases[i]);
	expect_done(&s);
}
