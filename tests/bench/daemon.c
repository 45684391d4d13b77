/* SPDX-License-Identifier: MIT */
/*
 * Through the daemon: what `cloche run` by a user without rights takes as a whole process, beside
 * bwrap by the same user, back to back and after a second of idleness; what one call takes for a
 * process that stays, alone and eight at a time; and that all of the daemon sleeps while nobody
 * asks, whatever it holds. The daemon is one of the bench's own.
 *
 * There are no binds through it that leave a context usable again, so the no-op stands in the
 * host's /usr/local for as long as this takes.
 */
#include "daemon.h"

#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/process.h"
#include "launch/spec.h"
#include "run.h"
#include "run/outcome.h"
#include "sample.h"
#include "serve/remote.h"

#define WIDTH 8

const char *const daemon_parties[PARTIES] = { "launcher", "front", "wardens", "caller" };

/* Idle contexts that are held meanwhile: idle.c. */
#define HELD 50

/* What the child without rights has measured; all in ns but the rate. */
struct measured {
	struct cloche_err err;
	int64_t bare, bare_p99, bwrap, bwrap_p99, cloche, cloche_p99;
	int64_t idle_bare, idle_bwrap, idle_cloche, idle_cloche_p99;
	int64_t call, call_p99;
	int64_t cpu[PARTIES]; /* of one such call, CPU time */
	double rate;
	uint64_t wakeups; /* of daemon, front and wardens, while nobody asked */
	unsigned held;	  /* contexts, then */
};

/* ---- the daemon ------------------------------------------------------------------------------ */

static int wait_until_ready(struct daemon *d, struct cloche_err *err)
{
	char text[400] = "";
	size_t len = 0;
	ssize_t n;

	while (!strstr(text, "ready\n")) {
		n = read(d->said, text + len, sizeof(text) - 1 - len);
		if (n <= 0)
			return cloche_err_set(err, EIO, "the daemon does not serve: %s", text);
		len += (size_t)n;
		text[len] = '\0';
	}
	return 0;
}

static int serve(const struct stage *stage, const char *limits, struct daemon *d,
		 struct cloche_err *err)
{
	int ends[2];
	FILE *f = fopen(d->conf, "we");

	if (!f)
		return cloche_err_sys(err, errno, "write '%s'", d->conf);
	(void)fprintf(f,
		      "control: %s\nstate: %s/daemon\ngrace: 100ms\nidle_expiry: 900s\n"
		      "contexts: 1000\n"
		      "per_owner: {contexts: 1000%s}\n",
		      d->control, stage->dir, limits);
	if (fclose(f) || pipe2(ends, O_CLOEXEC) < 0)
		return cloche_err_sys(err, errno, "write '%s'", d->conf);
	d->pid = fork();
	if (d->pid == 0) {
		(void)dup2(ends[1], STDERR_FILENO);
		(void)execl(stage->cloche, "cloche", "serve", "--config", d->conf, NULL);
		_exit(127);
	}
	(void)close(ends[1]);
	d->said = ends[0];
	return d->pid < 0 ? cloche_err_sys(err, errno, "fork") : wait_until_ready(d, err);
}

void daemon_end(struct daemon *d)
{
	if (d->pid > 0) {
		(void)kill(d->pid, SIGTERM);
		(void)waitpid(d->pid, NULL, 0);
	}
	fd_close(&d->said);
	if (d->noop[0])
		(void)unlink(d->noop);
	if (d->dir[0])
		(void)rmdir(d->dir);
}

static int prepare(const struct stage *stage, struct daemon *d, struct cloche_err *err)
{
	char helper[PATH_MAX + 8];
	int r;

	*d = (struct daemon){ .said = -1 };
	(void)snprintf(d->control, sizeof(d->control), "%s/control", stage->dir);
	(void)snprintf(d->conf, sizeof(d->conf), "%s/daemon.conf", stage->dir);
	(void)snprintf(d->client, sizeof(d->client), "%s/cloche", stage->dir);
	(void)snprintf(d->dir, sizeof(d->dir), "/usr/local/cloche-bench-%d", (int)getpid());
	(void)snprintf(d->noop, sizeof(d->noop), "/usr/local/cloche-bench-%d/noop", (int)getpid());
	(void)snprintf(helper, sizeof(helper), "%s/noop", stage->helpers);
	if (chmod(stage->dir, 0711) < 0)
		return cloche_err_sys(err, errno, "open '%s' to a user", stage->dir);
	(void)mkdir("/usr/local", 0755); /* a guest has none */
	r = stage_mkdir(d->dir, err);
	if (r == 0)
		r = stage_copy(helper, d->noop, err);
	if (r == 0)
		r = stage_copy(stage->cloche, d->client, err);
	if (r == 0 &&
	    (chmod(d->dir, 0755) < 0 || chmod(d->noop, 0755) < 0 || chmod(d->client, 0755) < 0))
		r = cloche_err_sys(err, errno, "let a user execute the no-op");
	/* Only then is its hash remembered, as that of all that anybody installed before. */
	if (r == 0)
		(void)nanosleep(&(struct timespec){ .tv_sec = 2, .tv_nsec = 100000000 }, NULL);
	return r;
}

int daemon_begin_with(const struct stage *stage, const char *limits, struct daemon *ret,
		      struct cloche_err *err)
{
	int r = prepare(stage, ret, err);

	return r < 0 ? r : serve(stage, limits, ret, err);
}

int daemon_begin(const struct stage *stage, struct daemon *ret, struct cloche_err *err)
{
	return daemon_begin_with(stage, "", ret, err);
}

int daemon_become(unsigned user, struct cloche_err *err)
{
	if (setgroups(0, NULL) < 0 || setresgid(user, user, user) < 0 ||
	    setresuid(user, user, user) < 0)
		return cloche_err_sys(err, errno, "become a user");
	return 0;
}

/* ---- whole processes ------------------------------------------------------------------------- */

enum { BARE, BWRAP, CLOCHE, SUBJECTS };

static void commands_make(struct daemon *d, struct command ret[static SUBJECTS])
{
	ret[BARE] = (struct command){ .name = "bare", .id_at = -1, .argv = { d->noop } };
	ret[BWRAP] = (struct command){ .name = "bwrap",
				       .id_at = -1,
				       .argv = { (char *)"/usr/bin/bwrap", (char *)"--unshare-all",
						 (char *)"--ro-bind", (char *)"/", (char *)"/",
						 d->noop } };
	ret[CLOCHE] = (struct command){ .name = "cloche run",
					.id_at = -1,
					.argv = { d->client, (char *)"run", (char *)"-q",
						  (char *)"--", d->noop } };
}

static int turns(const struct stage *stage, struct daemon *d, unsigned rounds, int64_t idle_ns,
		 struct sample s[static SUBJECTS], struct cloche_err *err)
{
	struct command commands[SUBJECTS];
	struct timespec idle = ns_timespec(idle_ns);
	int64_t ns;
	int r = 0;

	commands_make(d, commands);
	/* The first of each is not counted. */
	for (unsigned round = 0; r == 0 && round <= rounds; round++) {
		unsigned first = bench_random(SUBJECTS);

		for (unsigned i = 0; r == 0 && i < SUBJECTS; i++) {
			unsigned which = (first + i) % SUBJECTS;

			if (idle_ns && round)
				(void)nanosleep(&idle, NULL);
			r = run_once(&commands[which], stage, &ns, err);
			if (r == 0 && round)
				r = sample_add(&s[which], ns, err);
		}
	}
	return r;
}

static int processes_measure(const struct bench *bench, struct daemon *d, struct measured *m)
{
	struct sample s[SUBJECTS] = { 0 }, idle[SUBJECTS] = { 0 };
	int r = turns(&bench->stage, d, bench->quick ? 40 : 200, 0, s, &m->err);

	if (r == 0)
		r = turns(&bench->stage, d, bench->quick ? 3 : 20, NSEC_PER_SEC, idle, &m->err);
	m->bare = sample_median(&s[BARE]);
	m->bare_p99 = sample_quantile(&s[BARE], 990);
	m->bwrap = sample_median(&s[BWRAP]);
	m->bwrap_p99 = sample_quantile(&s[BWRAP], 990);
	m->cloche = sample_median(&s[CLOCHE]);
	m->cloche_p99 = sample_quantile(&s[CLOCHE], 990);
	m->idle_bare = sample_median(&idle[BARE]);
	m->idle_bwrap = sample_median(&idle[BWRAP]);
	m->idle_cloche = sample_median(&idle[CLOCHE]);
	m->idle_cloche_p99 = sample_quantile(&idle[CLOCHE], 990);
	for (int i = 0; i < SUBJECTS; i++) {
		sample_free(&s[i]);
		sample_free(&idle[i]);
	}
	return r;
}

/* ---- a client that stays --------------------------------------------------------------------- */

/* stays: by this connection others follow. */
static int call_by(struct remote *remote, const struct spec *spec, bool stays,
		   struct cloche_err *err)
{
	const struct remote_options o = {
		.spec = spec, .owner = DAEMON_USER, .stays = stays, .cancel_fd = -1
	};
	struct session_notes notes;
	struct outcome out;

	remote_run(remote, &o, &out, &notes);
	if (out.verdict == VERDICT_OK)
		return 0;
	return cloche_err_set(err, EIO, "%s: %.200s", verdict_text(out.verdict), out.err.text);
}

int daemon_call(const struct daemon *d, const struct spec *spec, int null, struct cloche_err *err)
{
	struct remote remote;
	int r = remote_open(d->control, &remote, err);

	if (r < 0)
		return r;
	remote_take_streams(&remote, spec, (int[]){ null, null, null });
	r = call_by(&remote, spec, false, err);
	remote_close(&remote);
	return r;
}

int daemon_spec(struct daemon *d, char *argv[2], struct spec *ret, struct cloche_err *err)
{
	struct spec_host host;

	argv[0] = d->noop;
	argv[1] = NULL;
	spec_host_read(&host);
	spec_defaults(ret);
	/* The same vCPU without the memory that buys it: many at a time fit on any machine. */
	ret->memory_bytes = 256 << 20;
	ret->cpu_mode = CPU_FIXED;
	ret->cpu_milli = 1000;
	ret->argv = argv;
	return spec_check(ret, &host, err);
}

/* proc_pid_schedstat(5): on a CPU, waiting for one, turns. */
static uint64_t schedstat(pid_t pid, unsigned field)
{
	unsigned long long v[3] = { 0 };
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%llu %llu %llu", &v[0], &v[1], &v[2]) != 3)
		v[field] = 0;
	if (f)
		(void)fclose(f);
	return v[field];
}

void daemon_schedstats(pid_t launcher, unsigned field, uint64_t ret[static PARTIES],
		       unsigned *ret_children)
{
	char path[64];
	FILE *f;
	int child;

	memset(ret, 0, PARTIES * sizeof(*ret));
	*ret_children = 0;
	ret[LAUNCHER] = schedstat(launcher, field);
	ret[CALLER] = schedstat(getpid(), field);
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)launcher,
		       (int)launcher);
	f = fopen(path, "re");
	while (f && fscanf(f, "%d", &child) == 1)
		ret[(*ret_children)++ ? WARDENS : FRONT] += schedstat(child, field);
	if (f)
		(void)fclose(f);
}

static int calls_alone(const struct bench *bench, struct daemon *d, const struct spec *spec,
		       struct measured *m)
{
	cleanup_sample struct sample s = { 0 };
	const struct timespec settle = { .tv_nsec = 100 * NSEC_PER_MSEC };
	unsigned n = bench->quick ? 200 : 1000, children;
	uint64_t before[PARTIES], after[PARTIES];
	struct remote remote;
	int r = remote_open(d->control, &remote, &m->err);

	if (r < 0)
		return r;
	remote_take_streams(
		&remote, spec,
		(int[]){ bench->stage.null_fd, bench->stage.null_fd, bench->stage.null_fd });
	daemon_schedstats(d->pid, 0, before, &children);
	for (unsigned i = 0; r == 0 && i < n; i++) {
		int64_t start = clock_now_ns();

		r = call_by(&remote, spec, true, &m->err);
		if (r == 0)
			r = sample_add(&s, clock_now_ns() - start, &m->err);
	}
	remote_close(&remote);
	/* The proof of the last one, which comes after the answer. */
	(void)nanosleep(&settle, NULL);
	daemon_schedstats(d->pid, 0, after, &children);
	for (int i = 0; i < PARTIES; i++)
		m->cpu[i] = ((int64_t)after[i] - (int64_t)before[i]) / n;
	m->call = sample_median(&s);
	m->call_p99 = sample_quantile(&s, 990);
	return r;
}

/* A worker's exit status is 0 when all of its calls were answered; how many is in *done. */
static _Noreturn void work(const struct daemon *d, const struct spec *spec, int null,
			   int64_t until_ns, unsigned *done)
{
	struct cloche_err err = { 0 };
	struct remote remote;
	int r = remote_open(d->control, &remote, &err);

	if (r == 0)
		remote_take_streams(&remote, spec, (int[]){ null, null, null });
	while (r == 0 && clock_now_ns() < until_ns) {
		r = call_by(&remote, spec, true, &err);
		if (r == 0)
			++*done;
	}
	if (r < 0)
		(void)fprintf(stderr, "bench: a call through the daemon: %s\n", err.text);
	_exit(r < 0);
}

static int calls_together(const struct bench *bench, struct daemon *d, const struct spec *spec,
			  int64_t for_ns, double *ret_rate, struct cloche_err *err)
{
	unsigned *done =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int64_t start = clock_now_ns();
	unsigned all = 0;
	int failed = 0;

	if (done == MAP_FAILED)
		return cloche_err_sys(err, errno, "map a page");
	for (int i = 0; i < WIDTH; i++)
		if (fork() == 0)
			work(d, spec, bench->stage.null_fd, start + for_ns, &done[i * 16]);
	for (int i = 0; i < WIDTH; i++) {
		int status = 1;

		(void)wait(&status);
		failed |= status;
	}
	for (int i = 0; i < WIDTH; i++)
		all += done[i * 16];
	*ret_rate = (double)all * 1e9 / (double)(clock_now_ns() - start);
	(void)munmap(done, 4096);
	return failed ? cloche_err_set(err, EIO, "a call through the daemon failed") : 0;
}

/* ---- what is idle ---------------------------------------------------------------------------- */

/* Each of another kind, so that each has a context of its own, which stays. */
static int hold(const struct bench *bench, struct daemon *d, const struct spec *spec,
		struct measured *m)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < HELD; i++) {
		struct spec other = *spec;

		other.memory_bytes = 8 << 20;
		other.tmp_bytes = 1 << 20;
		other.shm_bytes = (1 << 20) + i * 4096;
		r = daemon_call(d, &other, bench->stage.null_fd, &m->err);
	}
	return r;
}

/* How often launcher, front and wardens have come to a CPU. */
static uint64_t turns_of_all(pid_t pid, unsigned *ret_children)
{
	uint64_t turns[PARTIES];

	daemon_schedstats(pid, 2, turns, ret_children);
	return turns[LAUNCHER] + turns[FRONT] + turns[WARDENS];
}

static void wakeups_measure(const struct bench *bench, const struct daemon *d, struct measured *m)
{
	const struct timespec settle = { .tv_sec = 1 }, idle = { .tv_sec = bench->quick ? 3 : 20 };
	uint64_t before;
	unsigned n;

	(void)nanosleep(&settle, NULL);
	before = turns_of_all(d->pid, &n);
	(void)nanosleep(&idle, NULL);
	m->wakeups = turns_of_all(d->pid, &n) - before;
	m->held = n ? n - 1 : 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void measure_as_user(const struct bench *bench, struct daemon *d, struct measured *m)
{
	char *argv[2];
	struct spec spec;
	int r = daemon_become(DAEMON_USER, &m->err);

	(void)setenv("CLOCHE_CONTROL", d->control, 1);
	if (r == 0)
		r = daemon_spec(d, argv, &spec, &m->err);
	if (r == 0)
		r = processes_measure(bench, d, m);
	if (r == 0)
		r = calls_alone(bench, d, &spec, m);
	if (r == 0)
		r = calls_together(bench, d, &spec, NSEC_PER_SEC, &m->rate, &m->err);
	if (r == 0)
		r = calls_together(bench, d, &spec, (bench->quick ? 2 : 10) * NSEC_PER_SEC,
				   &m->rate, &m->err);
	if (r == 0)
		(void)hold(bench, d, &spec, m);
}

static void row(struct bench *bench, json_t *rows, const char *what, int64_t p50, int64_t p99,
		int64_t bare, int64_t bwrap)
{
	printf("  %-42s%9.3f%9.3f%9.2f%9.2f\n", what, (double)p50 / 1e6, (double)p99 / 1e6,
	       (double)p50 / (double)bare, (double)p50 / (double)bwrap);
	json_object_set_new(
		rows, what,
		json_pack("{s:I, s:I}", "p50_ns", (json_int_t)p50, "p99_ns", (json_int_t)p99));
}

static void cpu_row(json_t *rows, const char *party, int64_t ns)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "call_cpu_%s_ns", party);
	json_object_set_new(rows, name, json_integer(ns));
}

static void tell(struct bench *bench, const struct measured *m)
{
	json_t *rows = json_object();

	printf("\nThrough the daemon, static no-op, by a user (ms)\n  %-42s%9s%9s%9s%9s\n", "",
	       "p50", "p99", "x bare", "x bwrap");
	row(bench, rows, "bare fork+exec", m->bare, m->bare_p99, m->bare, m->bwrap);
	row(bench, rows, "bwrap --unshare-all", m->bwrap, m->bwrap_p99, m->bare, m->bwrap);
	row(bench, rows, "cloche run", m->cloche, m->cloche_p99, m->bare, m->bwrap);
	row(bench, rows, "after 1 s: bare fork+exec", m->idle_bare, m->idle_bare, m->idle_bare,
	    m->idle_bwrap);
	row(bench, rows, "after 1 s: bwrap --unshare-all", m->idle_bwrap, m->idle_bwrap,
	    m->idle_bare, m->idle_bwrap);
	row(bench, rows, "after 1 s: cloche run", m->idle_cloche, m->idle_cloche_p99, m->idle_bare,
	    m->idle_bwrap);
	row(bench, rows, "one call of a client that stays", m->call, m->call_p99, m->bare,
	    m->bwrap);
	for (int i = 0; i < PARTIES; i++)
		printf("  ... of that CPU time of the %-15s%9.3f\n", daemon_parties[i],
		       (double)m->cpu[i] / 1e6);
	printf("  %-42s%9.0f a second\n", "eight such clients", m->rate);
	printf("  %-42s%9llu\n", "wake-ups while nobody asked", (unsigned long long)m->wakeups);
	printf("  %-42s%9u\n", "contexts held meanwhile", m->held);
	for (int i = 0; i < PARTIES; i++)
		cpu_row(rows, daemon_parties[i], m->cpu[i]);
	json_object_set_new(rows, "calls_a_second", json_real(m->rate));
	json_object_set_new(rows, "idle_wakeups", json_integer((json_int_t)m->wakeups));
	json_object_set_new(bench->root, "daemon", rows);
	(void)fflush(stdout);
}

static void keep_figures(const struct measured *m, struct figures *f)
{
	f->daemon_bare_ns = m->bare;
	f->daemon_bwrap_ns = m->bwrap;
	f->daemon_ns = m->cloche;
	f->daemon_idle_bwrap_ns = m->idle_bwrap;
	f->daemon_idle_ns = m->idle_cloche;
	f->daemon_call_ns = m->call;
	f->daemon_rate = m->rate;
}

int daemon_measure(struct bench *bench, struct figures *figures, struct cloche_err *err)
{
	struct measured *m =
		mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct daemon d;
	int r;

	if (m == MAP_FAILED)
		return cloche_err_sys(err, errno, "map a page");
	r = daemon_begin(&bench->stage, &d, err);
	if (r == 0) {
		pid_t pid;

		(void)fflush(stdout);
		pid = fork();
		if (pid == 0) {
			measure_as_user(bench, &d, m);
			_exit(0);
		}
		if (pid < 0 || waitpid(pid, NULL, 0) < 0)
			r = cloche_err_sys(err, errno, "fork");
		else if (m->err.code)
			r = (*err = m->err, -m->err.code);
	}
	if (r == 0) {
		wakeups_measure(bench, &d, m);
		tell(bench, m);
		keep_figures(m, figures);
	}
	daemon_end(&d);
	(void)munmap(m, sizeof(*m));
	return r;
}
