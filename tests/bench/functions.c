/* SPDX-License-Identifier: MIT */
/*
 * Deployed functions, by clients that stay: what a warm event takes beside an echo of three
 * processes, what the Runtime API and our bootstraps add to a handler's own time, what a cold start
 * takes beside the bare interpreter, how many events a second, and whether any of it is different
 * with hundreds of functions beside. The daemon is one of the bench's own.
 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/err.h"
#include "caller.h"
#include "daemon.h"
#include "footprint.h"
#include "load.h"
#include "project.h"
#include "relay.h"
#include "run.h"
#include "sample.h"

/* In what a daemon of functions differs from the others of the bench. */
#define LIMITS ", functions: 1000, waiting: 256"

enum warm { RELAY, FROZEN, NATIVE, LOOP, PYTHON, NODE, FORK, WARM };
enum cold { BARE_PYTHON, BARE_NODE, COLD_PYTHON, COLD_NODE, COLD_HEAVY, COLD };
enum { LOADED = 3, WIDTHS = 4 };

#define PYTHON3 "/usr/bin/python3"
#define NODEJS	"/usr/bin/node"

static const struct {
	const char *name, *function; /* NULL: it is none */
	const char *needs;	     /* NULL: nothing that a machine may lack */
	bool own;		     /* its answer is how long it took itself, which is left out */
} warm[WARM] = {
	[RELAY] = { "echo of three processes", NULL, NULL, false },
	[FROZEN] = { "... the third frozen in between", NULL, NULL, false },
	[NATIVE] = { "native", "native", NULL, false },
	[LOOP] = { "Runtime API, a loop in C", "loop", NULL, false },
	[PYTHON] = { "python3, above its handler", "python", PYTHON3, true },
	[NODE] = { "nodejs, above its handler", "node", NODEJS, true },
	[FORK] = { "fork of a python3 with five imports", "fork", PYTHON3, false },
};

static const struct {
	const char *name, *function, *needs;
	char *argv[4];
} cold[COLD] = {
	[BARE_PYTHON] = { "bare python3 -c pass",
			  NULL,
			  PYTHON3,
			  { (char *)PYTHON3, (char *)"-c", (char *)"pass" } },
	[BARE_NODE] = { "bare node -e ''",
			NULL,
			NODEJS,
			{ (char *)NODEJS, (char *)"-e", (char *)"" } },
	[COLD_PYTHON] = { "python3 hello", "python-cold", PYTHON3, { NULL } },
	[COLD_NODE] = { "nodejs hello", "node-cold", NODEJS, { NULL } },
	[COLD_HEAVY] = { "python3 with five imports", "heavy-cold", PYTHON3, { NULL } },
};

static const struct {
	const char *name, *needs;
} loaded[LOADED] = { { "native", NULL }, { "python", PYTHON3 }, { "node", NODEJS } };
static const unsigned widths[WIDTHS] = { 1, 2, 8, 64 };

/* What the child without rights has measured; in ns, but for rates. */
struct measured {
	struct cloche_err err;
	struct quantiles warm[WARM], alone, beside, cold[COLD];
	int64_t cpu[PARTIES]; /* of one native event, CPU time */
	uint64_t turns[PARTIES];
	int64_t bare_fork;
	double rate[LOADED][WIDTHS];
	struct quantiles loaded[LOADED][WIDTHS], half[LOADED];
	unsigned beside_n;
	struct cloche_err no_fork;
};

static bool is_there(const char *program)
{
	return !program || access(program, X_OK) == 0;
}

/* ---- warm ------------------------------------------------------------------------------------ */

struct warm_subject {
	struct caller caller;
	struct relay relay;
	struct sample sample;
	bool there;
};

static int warm_open(const struct daemon *d, const struct relay_freezer *freezer, bool forked,
		     struct warm_subject s[static WARM], struct cloche_err *err)
{
	int r = relay_open(NULL, &s[RELAY].relay, err);

	if (r == 0)
		r = relay_open(freezer, &s[FROZEN].relay, err);
	s[RELAY].there = s[FROZEN].there = r == 0;
	for (int i = 0; i < WARM && r == 0; i++) {
		if (!warm[i].function || !is_there(warm[i].needs) || (i == FORK && !forked))
			continue;
		r = caller_open(d->control, warm[i].function, &s[i].caller, err);
		s[i].there = r == 0;
	}
	return r;
}

static int warm_call(struct warm_subject *s, int which, bool counts, struct cloche_err *err)
{
	int64_t ns = 0, own = 0;
	int r = !warm[which].function ? relay_call(&s->relay, "{}", &ns, err)
				      : caller_call(&s->caller, "{}", &ns, &own, err);

	if (r == 0 && counts)
		r = sample_add(&s->sample, ns - (warm[which].own ? own : 0), err);
	return r;
}

/* In turns of a few each, of which the first, which may be cold, and the first of each turn, which
 * finds caches of others', are not counted. */
static int warm_turns(struct warm_subject s[static WARM], unsigned rounds, unsigned each,
		      struct cloche_err *err)
{
	int r = 0;

	for (unsigned round = 0; r == 0 && round <= rounds; round++) {
		unsigned first = bench_random(WARM);

		for (unsigned i = 0; r == 0 && i < WARM; i++) {
			unsigned which = (first + i) % WARM;

			for (unsigned n = 0; r == 0 && s[which].there && n <= each; n++)
				r = warm_call(&s[which], (int)which, round && n, err);
		}
	}
	return r;
}

static int events_measure(const struct bench *bench, const struct daemon *d,
			  const struct relay_freezer *freezer, struct measured *m)
{
	struct warm_subject s[WARM] = { 0 };
	int r;

	for (int i = 0; i < WARM; i++)
		s[i].relay.socket = s[i].caller.remote.socket = -1;
	r = warm_open(d, freezer, !m->no_fork.code, s, &m->err);
	if (r == 0)
		r = warm_turns(s, bench->quick ? 6 : 40, bench->quick ? 25 : 50, &m->err);
	for (int i = 0; i < WARM; i++) {
		m->warm[i] = sample_quantiles(&s[i].sample);
		sample_free(&s[i].sample);
		caller_close(&s[i].caller);
		relay_close(&s[i].relay);
	}
	return r;
}

/* Nothing but native events: whose CPU time one takes, and how often each party came to a CPU. */
static int native_measure(const struct bench *bench, const struct daemon *d, struct quantiles *ret,
			  struct measured *m)
{
	cleanup_sample struct sample s = { 0 };
	unsigned n = bench->quick ? 200 : 2000, children;
	uint64_t cpu[2][PARTIES], turns[2][PARTIES];
	int64_t ns, own;
	struct caller c;
	int r = caller_open(d->control, "native", &c, &m->err);

	if (r == 0)
		r = caller_call(&c, "{}", &ns, &own, &m->err);
	daemon_schedstats(d->pid, 0, cpu[0], &children);
	daemon_schedstats(d->pid, 2, turns[0], &children);
	for (unsigned i = 0; r == 0 && i < n; i++) {
		r = caller_call(&c, "{}", &ns, &own, &m->err);
		if (r == 0)
			r = sample_add(&s, ns, &m->err);
	}
	daemon_schedstats(d->pid, 0, cpu[1], &children);
	daemon_schedstats(d->pid, 2, turns[1], &children);
	for (int i = 0; i < PARTIES; i++) {
		m->cpu[i] = (int64_t)(cpu[1][i] - cpu[0][i]) / n;
		m->turns[i] = (turns[1][i] - turns[0][i]) * 100 / n;
	}
	caller_close(&c);
	*ret = sample_quantiles(&s);
	return r;
}

/* ---- cold ------------------------------------------------------------------------------------ */

static int cold_one(const struct bench *bench, const struct daemon *d, int which, int64_t *ret_ns,
		    struct cloche_err *err)
{
	struct command bare = { .name = cold[which].name, .id_at = -1 };
	struct caller c;
	int64_t own;
	int r;

	memcpy(bare.argv, cold[which].argv, sizeof(cold[which].argv));
	if (!cold[which].function)
		return run_once(&bare, &bench->stage, ret_ns, err);
	r = caller_open(d->control, cold[which].function, &c, err);
	if (r == 0)
		r = caller_call(&c, "{}", ret_ns, &own, err);
	caller_close(&c);
	return r;
}

static int cold_measure(const struct bench *bench, const struct daemon *d, struct measured *m)
{
	/* Contexts that ended are taken away, and blanks made, meanwhile. */
	const struct timespec settle = { .tv_nsec = 100 * NSEC_PER_MSEC };
	struct sample s[COLD] = { 0 };
	unsigned rounds = bench->quick ? 5 : 40;
	int r = 0;

	for (unsigned round = 0; r == 0 && round <= rounds; round++) {
		unsigned first = bench_random(COLD);

		for (unsigned i = 0; r == 0 && i < COLD; i++) {
			unsigned which = (first + i) % COLD;
			int64_t ns;

			if (!is_there(cold[which].needs))
				continue;
			(void)nanosleep(&settle, NULL);
			r = cold_one(bench, d, (int)which, &ns, &m->err);
			if (r == 0 && round)
				r = sample_add(&s[which], ns, &m->err);
		}
	}
	for (int i = 0; i < COLD; i++) {
		m->cold[i] = sample_quantiles(&s[i]);
		sample_free(&s[i]);
	}
	return r;
}

static int bare_fork_measure(const struct bench *bench, const struct project *p, struct measured *m)
{
	char line[200];
	FILE *f;

	if (!is_there(PYTHON3))
		return 0;
	(void)snprintf(line, sizeof(line), PYTHON3 " -s '%s' %u", p->bare,
		       bench->quick ? 30U : 300U);
	f = popen(line, "re");
	if (!f || !fgets(line, sizeof(line), f))
		line[0] = '\0';
	m->bare_fork = strtoll(line, NULL, 10);
	if (!f || pclose(f) || m->bare_fork <= 0)
		return cloche_err_set(&m->err, EIO, "a bare fork of python3 could not be measured");
	return 0;
}

/* ---- many at a time -------------------------------------------------------------------------- */

static int loads_measure(const struct bench *bench, const struct daemon *d, struct measured *m)
{
	int64_t for_ns = bench->quick ? 300 * NSEC_PER_MSEC : 4 * NSEC_PER_SEC;
	int r = 0;

	for (int i = 0; r == 0 && i < LOADED; i++) {
		struct load load = { .control = d->control,
				     .function = loaded[i].name,
				     .clients = 8,
				     .for_ns = for_ns };
		double peak = 0, none;

		if (!is_there(loaded[i].needs))
			continue;
		/* Until there are as many contexts as there may be. */
		r = load_run(&load, &none, &m->half[i], &m->err);
		for (int k = 0; r == 0 && k < WIDTHS; k++) {
			load.clients = widths[k];
			r = load_run(&load, &m->rate[i][k], &m->loaded[i][k], &m->err);
			peak = m->rate[i][k] > peak ? m->rate[i][k] : peak;
		}
		load.clients = 8;
		load.rate = peak / 2;
		if (r == 0)
			r = load_run(&load, &none, &m->half[i], &m->err);
	}
	return r;
}

/* ---- what is said ---------------------------------------------------------------------------- */

static json_t *quantiles_json(const struct quantiles *q)
{
	return json_pack("{s:I, s:I}", "p50_ns", (json_int_t)q->p50, "p99_ns", (json_int_t)q->p99);
}

static void row(json_t *rows, const char *what, const struct quantiles *q, int64_t floor_ns)
{
	if (q->p50 == 0) {
		printf("  %-42s not measured\n", what);
		return;
	}
	printf("  %-42s%9.3f%9.3f", what, (double)q->p50 / 1e6, (double)q->p99 / 1e6);
	if (floor_ns)
		printf("%9.2f%9.2f", (double)q->p50 / (double)floor_ns,
		       (double)q->p99 / (double)floor_ns);
	printf("\n");
	json_object_set_new(rows, what, quantiles_json(q));
}

static void tell_warm(json_t *rows, const struct measured *m)
{
	char text[64];

	printf("\nDeployed functions, by a client that stays (ms)\n  %-42s%9s%9s%9s%9s\n", "",
	       "p50", "p99", "x echo", "p99");
	for (int i = 0; i < WARM; i++)
		row(rows, warm[i].name, &m->warm[i], m->warm[RELAY].p50);
	if (m->no_fork.code)
		printf("    (%s)\n", m->no_fork.text);
	row(rows, "native, one after the other", &m->alone, m->warm[RELAY].p50);
	(void)snprintf(text, sizeof(text), "... with %u functions beside", m->beside_n);
	row(rows, text, &m->beside, m->warm[RELAY].p50);
	for (int i = 0; i < PARTIES; i++) {
		printf("  ... of a native one the CPU time of the %-8s%9.3f, and %.2f turns\n",
		       daemon_parties[i], (double)m->cpu[i] / 1e6, (double)m->turns[i] / 100);
		(void)snprintf(text, sizeof(text), "native_cpu_%s_ns", daemon_parties[i]);
		json_object_set_new(rows, text, json_integer(m->cpu[i]));
		(void)snprintf(text, sizeof(text), "native_turns_%s", daemon_parties[i]);
		json_object_set_new(rows, text, json_real((double)m->turns[i] / 100));
	}
}

/* REPORT lines of functions in its regions, as published; other machines, a zip of a hello. */
static void tell_cold(json_t *rows, const struct measured *m)
{
	printf("  %-42s%9s%9s\n", "cold", "p50", "p99");
	for (int i = 0; i < COLD; i++)
		row(rows, cold[i].name, &m->cold[i], 0);
	printf("  %-42s%9.3f\n", "bare fork of that python3, to its end",
	       (double)m->bare_fork / 1e6);
	printf("  (Lambda's init alone, as published: python3.12 82 to 85, node22 138 to 146)\n");
	json_object_set_new(rows, "bare_fork_ns", json_integer(m->bare_fork));
}

static void tell_loads(json_t *rows, const struct measured *m)
{
	printf("  %-26s%9s%9s%9s%9s   p99 at half of the most, ms\n",
	       "events a second, clients:", "1", "2", "8", "64");
	for (int i = 0; i < LOADED; i++) {
		json_t *rates = json_array();

		printf("  %-26s", loaded[i].name);
		for (int k = 0; k < WIDTHS; k++) {
			printf("%9.0f", m->rate[i][k]);
			json_array_append_new(rates,
					      json_pack("{s:i, s:f, s:o}", "clients",
							(int)widths[k], "rate", m->rate[i][k],
							"took", quantiles_json(&m->loaded[i][k])));
		}
		printf("%9.3f\n", (double)m->half[i].p99 / 1e6);
		json_object_set_new(rows, loaded[i].name,
				    json_pack("{s:o, s:o}", "loads", rates, "half",
					      quantiles_json(&m->half[i])));
	}
}

/* Of those that are idle by now. */
static void tell_footprints(json_t *rows, pid_t launcher)
{
	printf("  %-26s%9s%9s%9s%9s\n", "memory of one idle, KiB:", "resident", "its part",
	       "its own", "charged");
	for (int i = 0; i < LOADED; i++) {
		struct footprint f;

		footprint_read(launcher, loaded[i].name, &f);
		if (f.n == 0)
			continue;
		printf("  %-26s%9.0f%9.0f%9.0f%9.0f   (of %u)\n", loaded[i].name, f.rss, f.pss,
		       f.own, f.charged, f.n);
		json_object_set_new(rows, loaded[i].name,
				    json_pack("{s:f, s:f, s:f, s:f}", "rss_kib", f.rss, "pss_kib",
					      f.pss, "own_kib", f.own, "charged_kib", f.charged));
	}
}

static void tell(struct bench *bench, const struct daemon *d, const struct measured *m)
{
	json_t *rows = json_object(), *loads = json_object(), *memory = json_object();

	tell_warm(rows, m);
	tell_cold(rows, m);
	tell_loads(loads, m);
	json_object_set_new(rows, "loads", loads);
	tell_footprints(memory, d->pid);
	json_object_set_new(rows, "memory", memory);
	json_object_set_new(bench->root, "functions", rows);
	(void)fflush(stdout);
}

static void keep_figures(const struct measured *m, struct figures *f)
{
	f->relay_ns = m->warm[RELAY].p50;
	f->native_ns = m->warm[NATIVE].p50;
	f->native_p99_ns = m->warm[NATIVE].p99;
	f->loop_ns = m->warm[LOOP].p50;
	f->python_ns = m->warm[PYTHON].p50;
	f->node_ns = m->warm[NODE].p50;
	f->fork_ns = m->warm[FORK].p50;
	f->bare_fork_ns = m->bare_fork;
	f->cold_heavy_ns = m->cold[COLD_HEAVY].p50;
	f->bare_python_ns = m->cold[BARE_PYTHON].p50;
	f->cold_python_ns = m->cold[COLD_PYTHON].p50;
	f->bare_node_ns = m->cold[BARE_NODE].p50;
	f->cold_node_ns = m->cold[COLD_NODE].p50;
	f->alone_ns = m->alone.p50;
	f->beside_ns = m->beside.p50;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void measure_as_user(const struct bench *bench, const struct daemon *d, struct project *p,
			    const struct relay_freezer *freezer, struct measured *m)
{
	int r = daemon_become(DAEMON_USER, &m->err);

	if (r == 0)
		r = project_deploy(p, project_functions, &m->err);
	if (r == 0 && is_there(PYTHON3))
		r = project_deploy(p, project_python, &m->err);
	if (r == 0 && is_there(NODEJS))
		r = project_deploy(p, project_node, &m->err);
	if (!is_there(PYTHON3))
		(void)cloche_err_set(&m->no_fork, ENOENT, "there is no " PYTHON3);
	else if (r == 0)
		(void)project_deploy(p, project_forked, &m->no_fork);
	if (r == 0)
		r = events_measure(bench, d, freezer, m);
	if (r == 0)
		r = cold_measure(bench, d, m);
	if (r == 0)
		r = bare_fork_measure(bench, p, m);
	if (r == 0)
		r = native_measure(bench, d, &m->alone, m);
	m->beside_n = bench->quick ? 50 : 500;
	if (r == 0)
		r = project_deploy_many(p, 0, m->beside_n, &m->err);
	if (r == 0)
		r = native_measure(bench, d, &m->beside, m);
	if (r == 0)
		(void)loads_measure(bench, d, m);
}

int functions_measure(struct bench *bench, struct figures *figures, struct cloche_err *err)
{
	struct measured *m =
		mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct relay_freezer freezer;
	struct project p;
	struct daemon d;
	int r;

	if (m == MAP_FAILED)
		return cloche_err_sys(err, errno, "map a page");
	r = daemon_begin_with(&bench->stage, LIMITS, &d, err);
	if (relay_freezer_open(&freezer, err) < 0 && r == 0)
		r = -err->code;
	if (r == 0)
		r = project_make(&bench->stage, d.client, &p, err);
	if (r == 0) {
		pid_t pid;

		(void)fflush(stdout);
		pid = fork();
		if (pid == 0) {
			measure_as_user(bench, &d, &p, &freezer, m);
			_exit(0);
		}
		if (pid < 0 || waitpid(pid, NULL, 0) < 0)
			r = cloche_err_sys(err, errno, "fork");
		else if (m->err.code)
			r = (*err = m->err, -m->err.code);
	}
	if (r == 0) {
		tell(bench, &d, m);
		keep_figures(m, figures);
	}
	relay_freezer_close(&freezer);
	daemon_end(&d);
	(void)munmap(m, sizeof(*m));
	return r;
}
