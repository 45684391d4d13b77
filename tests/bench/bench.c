/* SPDX-License-Identifier: MIT */
/*
 * The bench: cloche beside its peers on this machine, in turns within one call, and the targets
 * that the project set itself, with "met" or "missed" said of each. Figures of speed never fail
 * it, since a machine's mood is no defect; what survives or stays behind does (exit status 1), and
 * so does a program that fails while it is measured (exit status 3). It must run as root.
 */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/err.h"
#include "sample.h"

#define SPIN_LOOPS  4000000u
#define SPIN_ROUNDS 300

static const char usage[] =
	"usage: bench [OPTIONS] [speed | soak [RUNS [WIDTH]] | kill [TIMES] | idle [N] |\n"
	"       warm [N]]\n"
	"  speed              tables of latency, load and lateness (default)\n"
	"  soak               10000 runs, 100 at a time: does anything stay behind?\n"
	"  kill               500 supervisors killed at random: does the next run clean up?\n"
	"  idle               1000 contexts held: for a virtual machine of its own\n"
	"  warm               1000 functions held warm: the same\n"
	"  --only PART        of speed: latency, parallel, overshoot, daemon, idle, hostile,\n"
	"                     functions\n"
	"  --json FILE        every figure as one JSON object\n"
	"  --helpers DIR      noop, burn, forkbomb, crowd (build/helpers)\n"
	"  --profile FILE     seccomp profile for the peers (policies/default.json)\n"
	"BENCH_QUICK=1 takes a few runs of each. $CLOCHE names the program.\n";

uint32_t bench_random(uint32_t below)
{
	static uint64_t state = 0x9e3779b97f4a7c15u;

	/* xorshift64*, Vigna 2016: any will do that is the same at every call. */
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * 0x2545f4914f6cdd1du) >> 32) % below;
}

static const char *cgroup_mode(void)
{
	if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0)
		return "unified";
	return access("/sys/fs/cgroup/unified/cgroup.controllers", F_OK) == 0 ? "hybrid" : "v1";
}

/* The same work again and again: what varies is the machine, and no figure below can be taken
 * for more exact than this. */
int noise_measure(struct bench *bench, struct cloche_err *err)
{
	cleanup_sample struct sample spin = { 0 };
	struct utsname name;
	double load[1] = { 0 };
	double spread;

	for (int i = 0; i < SPIN_ROUNDS; i++) {
		int64_t start = clock_now_ns();
		int r;

		for (volatile unsigned n = 0; n < SPIN_LOOPS; n++)
			;
		r = sample_add(&spin, clock_now_ns() - start, err);
		if (r < 0)
			return r;
	}
	(void)uname(&name);
	(void)getloadavg(load, 1);
	spread = (double)sample_quantile(&spin, 990) / (double)sample_median(&spin);
	printf("Linux %s, %ld CPUs, cgroups %s, load %.2f\n", name.release,
	       sysconf(_SC_NPROCESSORS_ONLN), cgroup_mode(), load[0]);
	printf("noise: a fixed loop takes %.3f ms, p95 x%.2f, p99 x%.2f, max x%.2f\n",
	       (double)sample_median(&spin) / 1e6,
	       (double)sample_quantile(&spin, 950) / (double)sample_median(&spin), spread,
	       (double)sample_quantile(&spin, 1000) / (double)sample_median(&spin));
	fflush(stdout);
	json_object_set_new(bench->root, "machine",
			    json_pack("{s:s, s:i, s:s, s:f, s:o}", "kernel", name.release, "cpus",
				      (int)sysconf(_SC_NPROCESSORS_ONLN), "cgroups", cgroup_mode(),
				      "load", load[0], "spin", sample_json(&spin)));
	return 0;
}

/* value ≤ bound is the target; value 0 means that it was not measured. */
static void target_say(struct bench *bench, const char *text, double value, double bound,
		       const char *unit)
{
	const char *word = value <= 0 || bound <= 0 ? "not measured"
			   : value <= bound	    ? "met"
						    : "missed";

	if (value > bound && bound > 0)
		bench->missed = true;
	printf("  %-13s %-58s", word, text);
	if (value > 0 && bound > 0)
		printf(" %.3f of %.3f%s", value, bound, unit);
	printf("\n");
	json_array_append_new(bench->targets,
			      json_pack("{s:s, s:s, s:f, s:f, s:s}", "target", text, "result", word,
					"value", value, "bound", bound, "unit", unit));
}

/* A fork is not held against what the bare one of that interpreter does not allow. */
static double fork_bound_ms(const struct figures *f)
{
	double bare_ms = (double)f->bare_fork_ns / 1e6;

	return bare_ms > 2.5 ? bare_ms : 2.5;
}

static void functions_targets_say(struct bench *bench, const struct figures *f)
{
	target_say(bench, "native function: four times an echo of three processes",
		   (double)f->native_ns / 1e6, 4 * (double)f->relay_ns / 1e6, " ms");
	target_say(bench, "... 99 of 100: ten times that echo", (double)f->native_p99_ns / 1e6,
		   10 * (double)f->relay_ns / 1e6, " ms");
	target_say(bench, "Runtime API, a loop in C: 0.3 ms", (double)f->loop_ns / 1e6, 0.3, " ms");
	target_say(bench, "python3, above its handler's own time: 0.5 ms",
		   (double)f->python_ns / 1e6, 0.5, " ms");
	target_say(bench, "nodejs, above its handler's own time: 0.5 ms", (double)f->node_ns / 1e6,
		   0.5, " ms");
	target_say(bench, "fork of a python3: a fifth of a cold start of the same",
		   (double)f->fork_ns / 1e6, (double)f->cold_heavy_ns / 5e6, " ms");
	target_say(bench, "fork of a python3: 2.5 ms, where its bare fork allows",
		   (double)f->fork_ns / 1e6, fork_bound_ms(f), " ms");
	target_say(bench, "cold start of python3: 1.15 x the bare one + 3 ms",
		   (double)f->cold_python_ns / 1e6,
		   f->bare_python_ns ? 1.15 * (double)f->bare_python_ns / 1e6 + 3 : 0, " ms");
	target_say(bench, "cold start of nodejs: 1.15 x the bare one + 3 ms",
		   (double)f->cold_node_ns / 1e6,
		   f->bare_node_ns ? 1.15 * (double)f->bare_node_ns / 1e6 + 3 : 0, " ms");
	target_say(bench, "native function, hundreds beside: 1.1 x without",
		   (double)f->beside_ns / 1e6, 1.1 * (double)f->alone_ns / 1e6, " ms");
}

static void targets_say(struct bench *bench, const struct figures *f)
{
	bool unified = !strcmp(cgroup_mode(), "unified");

	printf("\nTargets\n");
	target_say(bench, "no-op: no longer than bwrap --unshare-all", (double)f->cloche_ns / 1e6,
		   (double)f->bwrap_ns / 1e6, " ms");
	target_say(bench, "no-op: a fifth of runc, same limits and filter",
		   (double)f->cloche_ns / 1e6, (double)f->runc_ns / 5e6, " ms");
	target_say(bench,
		   unified ? "after idleness: no longer than bwrap"
			   : "after idleness: as near to bwrap as v1 cgroups allow",
		   (double)f->cloche_idle_ns / 1e6, (double)f->bwrap_idle_ns / 1e6, " ms");
	target_say(bench, "no-op in an image: 1.1 x the same in the host's /usr",
		   (double)f->image_noop_ns / 1e6, 1.1 * (double)f->host_noop_ns / 1e6, " ms");
	target_say(bench, "python3 in an image: 1.1 x the same in the host's /usr",
		   (double)f->image_python_ns / 1e6, 1.1 * (double)f->host_python_ns / 1e6, " ms");
	target_say(bench, "python3 of an image of DIR: 1.1 x the same in DIR",
		   (double)f->tree_image_ns / 1e6, 1.1 * (double)f->tree_ns / 1e6, " ms");
	target_say(bench, "100 at a time, 500 mounts: 1.5 x one at a time, none", f->parallel_ratio,
		   1.5, "");
	target_say(bench, "busy loop: 99 of 100 end within 2 ms of the limit",
		   (double)f->overshoot_burn_p99_ns / 1e6, 2, " ms");
	target_say(bench, "fork bomb: 99 of 100 end within 2 ms of the limit",
		   (double)f->overshoot_bomb_p99_ns / 1e6, 2, " ms");
	target_say(bench, "through the daemon: half of bwrap", (double)f->daemon_ns / 1e6,
		   0.5 * (double)f->daemon_bwrap_ns / 1e6, " ms");
	target_say(bench, "through the daemon: four times bare fork and exec",
		   (double)f->daemon_ns / 1e6, 4 * (double)f->daemon_bare_ns / 1e6, " ms");
	target_say(bench, "through the daemon after 1 s of idleness: half of bwrap",
		   (double)f->daemon_idle_ns / 1e6, 0.5 * (double)f->daemon_idle_bwrap_ns / 1e6,
		   " ms");
	target_say(bench, "one call of a client that stays: 1.5 x bare fork and exec",
		   (double)f->daemon_call_ns / 1e6, 1.5 * (double)f->daemon_bare_ns / 1e6, " ms");
	target_say(bench, "eight such clients: 1,500 calls a second, ms each",
		   f->daemon_rate > 0 ? 1e3 / f->daemon_rate : 0,
		   f->daemon_rate > 0 ? 1e3 / 1500 : 0, " ms");
	target_say(bench, "p99 of a call beside hostile clients: twice that of one alone",
		   f->hostile_ratio, 2, "");
	functions_targets_say(bench, f);
}

struct options {
	const char *json, *helpers, *profile, *only, *what;
	unsigned count, width;
};

static int number_parse(const char *text, unsigned *ret)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || *end || n < 1 || n > 10000000) {
		fprintf(stderr, "bench: '%s' is not a number of runs; see 'bench --help'\n", text);
		return -EINVAL;
	}
	*ret = (unsigned)n;
	return 0;
}

/* 0, or 1 when there is nothing left to do, or -EINVAL. */
static int options_parse(int argc, char **argv, bool quick, struct options *ret)
{
	enum { OPT_JSON = 1, OPT_HELPERS, OPT_PROFILE, OPT_ONLY, OPT_HELP };
	static const struct option longs[] = {
		{ "json", required_argument, NULL, OPT_JSON },
		{ "helpers", required_argument, NULL, OPT_HELPERS },
		{ "profile", required_argument, NULL, OPT_PROFILE },
		{ "only", required_argument, NULL, OPT_ONLY },
		{ "help", no_argument, NULL, OPT_HELP },
		{ 0 },
	};
	struct options o = { .helpers = "build/helpers",
			     .profile = "policies/default.json",
			     .what = "speed" };
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == OPT_JSON)
			o.json = optarg;
		else if (c == OPT_HELPERS)
			o.helpers = optarg;
		else if (c == OPT_PROFILE)
			o.profile = optarg;
		else if (c == OPT_ONLY)
			o.only = optarg;
		else
			return c == OPT_HELP ? (fputs(usage, stdout), 1) : -EINVAL;
	}
	if (optind < argc)
		o.what = argv[optind++];
	o.count = (!strcmp(o.what, "kill")				? 500
		   : !strcmp(o.what, "idle") || !strcmp(o.what, "warm") ? 1000
									: 10000) /
		  (quick ? 20 : 1);
	o.width = 100;
	if (optind < argc && number_parse(argv[optind++], &o.count) < 0)
		return -EINVAL;
	if (optind < argc && number_parse(argv[optind++], &o.width) < 0)
		return -EINVAL;
	if (optind < argc) {
		fprintf(stderr, "bench: '%s' is one word too many; see 'bench --help'\n",
			argv[optind]);
		return -EINVAL;
	}
	*ret = o;
	return 0;
}

static int speed_measure(struct bench *bench, const char *only, struct cloche_err *err)
{
	static const struct {
		const char *name;
		int (*measure)(struct bench *, struct figures *, struct cloche_err *);
	} parts[] = {
		{ "latency", latency_measure },
		{ "parallel", parallel_measure },
		{ "overshoot", overshoot_measure },
		{ "daemon", daemon_measure },
		{ "idle", idle_usual },
		{ "hostile", hostile_measure },
		{ "functions", functions_measure },
	};
	struct figures figures = { 0 };
	bool any = false;
	int r = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts) && r == 0; i++) {
		if (only && strcmp(only, parts[i].name) != 0)
			continue;
		any = true;
		r = parts[i].measure(bench, &figures, err);
	}
	if (!any)
		return cloche_err_set(
			err, EINVAL,
			"--only '%s': not latency, parallel, overshoot, daemon, idle, hostile, "
			"functions",
			only);
	if (r == 0)
		targets_say(bench, &figures);
	return r;
}

static int bench_run(struct bench *bench, const struct options *o, struct cloche_err *err)
{
	int r = noise_measure(bench, err);

	if (r < 0)
		return r;
	if (!strcmp(o->what, "speed"))
		return speed_measure(bench, o->only, err);
	if (!strcmp(o->what, "soak"))
		return soak_measure(bench, o->count, o->width, err);
	if (!strcmp(o->what, "kill"))
		return kill_measure(bench, o->count, err);
	if (!strcmp(o->what, "idle"))
		return idle_measure(bench, o->count, err);
	if (!strcmp(o->what, "warm"))
		return warm_measure(bench, o->count, err);
	return cloche_err_set(err, EINVAL, "'%s': not speed, soak, kill, idle, warm", o->what);
}

/* Does nothing, so that the wait ends with EINTR and what was made is removed; unlike SIG_IGN
 * it is not inherited over exec. */
static void interrupted(int signo)
{
	(void)signo;
}

int main(int argc, char **argv)
{
	struct bench bench = { .stage = STAGE_EMPTY };
	struct sigaction stop = { .sa_handler = interrupted };
	struct cloche_err err = { 0 };
	const char *quick = getenv("BENCH_QUICK");
	struct options o;
	int r;

	bench.quick = quick && *quick && strcmp(quick, "0") != 0;
	r = options_parse(argc, argv, bench.quick, &o);
	if (r)
		return r < 0 ? 2 : 0;
	if (geteuid() != 0) {
		fprintf(stderr, "bench: contexts and peers need root: run it by sudo\n");
		return 3;
	}
	(void)sigaction(SIGINT, &stop, NULL);
	(void)sigaction(SIGTERM, &stop, NULL);
	bench.root = json_pack("{s:s, s:[]}", "schema", "cloche.bench/1", "targets");
	bench.targets = json_object_get(bench.root, "targets");
	r = bench.root ? stage_make(&bench.stage, o.helpers, o.profile, &err)
		       : cloche_err_sys(&err, ENOMEM, "start");
	if (r == 0)
		r = bench_run(&bench, &o, &err);
	stage_remove(&bench.stage);
	if (r == 0 && o.json && json_dump_file(bench.root, o.json, JSON_INDENT(1)) < 0)
		r = cloche_err_sys(&err, errno ? errno : EIO, "write '%s'", o.json);
	json_decref(bench.root);
	if (r < 0) {
		fflush(stdout);
		fprintf(stderr, "bench: %s\n", err.text);
		return 3;
	}
	return bench.leaked;
}
