/* SPDX-License-Identifier: MIT */
/*
 * Contexts that the daemon keeps: whose they are, what is found in them, when they give way, and
 * that an invocation in one is metered as the first one was. Needs root.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "tests/lib/daemon.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"

#define OTHER_USER "1001"

/* The report of a run by a user, who has patience; json_decref. */
static json_t *report_of(const struct daemon *d, const char *uid, struct run *run,
			 const char *const args[])
{
	const char *all[DAEMON_ARGS_MAX] = { "-q", "--report", "-", "-t", "60s" };
	json_t *report;
	char *line;

	for (size_t n = 0; args[n]; n++)
		all[5 + n] = args[n];
	daemon_run_as(d, uid, run, all);
	line = run->err ? strchr(run->err, '{') : NULL;
	report = line ? json_loads(line, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
	cr_assert(report != NULL, "%d, no report in %s", run->status, run->err);
	return report;
}

/* What is said of a context. */
struct seen {
	char id[40], start[8], reuse[8], replaced[64];
	int invocation;
};

static void copy(char *to, size_t size, const json_t *text)
{
	(void)snprintf(to, size, "%s", text ? json_string_value(text) : "");
}

static struct seen see(const json_t *report)
{
	const json_t *c = json_object_get(report, "context");
	const json_t *replaced = json_object_get(c, "replaced");
	struct seen s = { .invocation = (int)json_integer_value(json_object_get(c, "invocation")) };

	copy(s.id, sizeof(s.id), json_object_get(c, "id"));
	copy(s.start, sizeof(s.start), json_object_get(c, "start"));
	copy(s.reuse, sizeof(s.reuse), json_object_get(c, "reuse"));
	copy(s.replaced, sizeof(s.replaced), json_is_string(replaced) ? replaced : NULL);
	return s;
}

static struct seen run_seen(const struct daemon *d, const char *uid, const char *const args[])
{
	cleanup_run struct run run = { 0 };
	json_t *report = report_of(d, uid, &run, args);
	struct seen s = see(report);

	json_decref(report);
	return s;
}
#define SEE(d, uid, ...) run_seen((d), (uid), (const char *const[]){ __VA_ARGS__, NULL })

/* What it keeps waits for as long as a slow machine takes. */
static void start_patient(struct daemon *d)
{
	daemon_prepare(d);
	daemon_configure(d, "idle_expiry: 24h");
	daemon_start(d);
}

Test(warm, the_second_invocation_finds_a_context)
{
	struct daemon d;
	struct seen first, next;

	start_patient(&d);
	first = SEE(&d, DAEMON_USER, "--", "true");
	cr_expect_str_eq(first.start, "cold");
	cr_expect_str_eq(first.reuse, "context");
	cr_expect_eq(first.invocation, 1);
	for (int i = 2; i < 5; i++) {
		next = SEE(&d, DAEMON_USER, "--", "true");
		cr_expect_str_eq(next.start, "warm");
		cr_expect_str_eq(next.id, first.id);
		cr_expect_eq(next.invocation, i);
		cr_expect_str_eq(next.replaced, "");
	}
	/* What comes with the order is no part of its kind. */
	next = SEE(&d, DAEMON_USER, "-t", "9s", "-e", "A=b", "--fsize", "1M", "--", "echo", "x");
	cr_expect_str_eq(next.id, first.id);
	daemon_stop(&d);
}

/* Each line is another context than all before it. */
Test(warm, another_owner_or_kind_has_another_context)
{
	static const struct {
		const char *uid, *option, *value;
	} kinds[] = {
		{ DAEMON_USER, "-m", "64M" },	       { OTHER_USER, "-m", "64M" },
		{ DAEMON_USER, "-m", "65M" },	       { DAEMON_USER, "--cpu", "0.5" },
		{ DAEMON_USER, "--pids", "5" },	       { DAEMON_USER, "--nofile", "50" },
		{ DAEMON_USER, "--tmp-size", "1M" },   { DAEMON_USER, "--shm-size", "1M" },
		{ DAEMON_USER, "--policy", "strict" },
	};
	enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
	struct seen seen[2][KINDS];
	struct daemon d;

	start_patient(&d);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < KINDS; i++)
			seen[round][i] = SEE(&d, kinds[i].uid, "-m", "32M", kinds[i].option,
					     kinds[i].value, "--", "true");
	for (int i = 0; i < KINDS; i++) {
		cr_expect_str_eq(seen[0][i].start, "cold", "%s", kinds[i].option);
		cr_expect_str_eq(seen[1][i].start, "warm", "%s", kinds[i].option);
		cr_expect_str_eq(seen[1][i].id, seen[0][i].id, "%s", kinds[i].option);
	}
	daemon_stop(&d);
}

static const struct {
	const char *script, *timeout, *why;
} dirt[] = {
	{ "echo x >/tmp/x", "60s", "/tmp" },
	{ "echo x >/dev/shm/x", "60s", "/dev/shm" },
	{ "sleep 300 & exit 0", "60s", "a process was left" },
	{ "kill -STOP $$", "100ms", "killed" },
};

Test(warm, a_dirty_context_is_replaced_and_the_next_one_told_why)
{
	struct daemon d;

	start_patient(&d);
	for (size_t i = 0; i < sizeof(dirt) / sizeof(dirt[0]); i++) {
		struct seen used = SEE(&d, DAEMON_USER, "-t", dirt[i].timeout, "--cpu", "1", "--",
				       "sh", "-c", dirt[i].script);
		struct seen next = SEE(&d, DAEMON_USER, "--cpu", "1", "--", "true");

		cr_expect_str_eq(next.start, "cold", "%zu", i);
		cr_expect_str_neq(next.id, used.id, "%zu", i);
		cr_expect(strstr(next.replaced, dirt[i].why), "%zu: '%s'", i, next.replaced);
	}
	daemon_stop(&d);
}

/* The program comes by standard input, as there are no binds yet, and goes before the end. */
Test(warm, nothing_tells_of_the_one_before)
{
	static const char script[] = "cat >/tmp/traces; chmod +x /tmp/traces; "
				     "/tmp/traces all </dev/null; rm /tmp/traces";
	cleanup_free char *program = NULL, *first = NULL;
	struct cloche_err err;
	struct daemon d;
	char path[600];
	size_t len;

	(void)snprintf(path, sizeof(path), "%s/traces", env_need("HELPERS"));
	cr_assert_eq(file_load(AT_FDCWD, path, 16 << 20, &program, &len, &err), 0, "%s", err.text);
	start_patient(&d);
	for (int i = 0; i < 4; i++) {
		cleanup_run struct run run = { .input = program, .input_len = len };
		json_t *report =
			report_of(&d, DAEMON_USER, &run,
				  (const char *const[]){ "-m", "128M", "--cpu", "0.5", "-t", "60s",
							 "--", "sh", "-c", script, NULL });

		cr_expect_eq(run.status, 0, "%s", run.err);
		cr_expect_str_eq(see(report).start, i ? "warm" : "cold");
		cr_expect(strstr(run.out, "last pid"), "%s", run.out);
		if (first)
			cr_expect_str_eq(run.out, first, "invocation %d finds traces: %s\nnot: %s",
					 i + 1, run.out, first);
		else
			first = strdup(run.out);
		json_decref(report);
	}
	daemon_stop(&d);
}

/* What a new one shows of itself is the same when it was made ahead of need: the first of each kind
 * is made for the asking, the second perhaps, the last ones of blanks. */
Test(warm, what_is_dressed_is_as_what_is_made)
{
	static const char script[] =
		"ulimit -a; df -k /tmp /dev/shm; nproc; id; cut -d' ' -f4-6,8- "
		"/proc/self/mountinfo | sort; "
		"grep -E '^(Seccomp|NoNewPrivs|Cap|Groups|Uid|NSpid)' /proc/self/status; "
		"cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; "
		"cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max; "
		"cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max; ls /proc /dev /sys";
	static const char *const sizes[] = { "64M", "512M" };
	cleanup_free char *first[2] = { NULL };
	struct daemon d;

	daemon_prepare(&d);
	daemon_configure(&d, "idle_expiry: 0s");
	daemon_start(&d);
	for (int i = 0; i < 8; i++) {
		cleanup_run struct run run = { 0 };

		AS_USER(&d, &run, "-q", "-t", "60s", "-m", sizes[i % 2], "--tmp-size", "3M",
			"--cpu", "1", "--", "sh", "-c", script);
		if (first[i % 2])
			cr_expect_str_eq(run.out, first[i % 2], "%d", i);
		else
			first[i % 2] = strdup(run.out);
		cr_expect(strstr(run.out, "uid=1000"), "%s", run.out);
	}
	free(first[1]);
	daemon_stop(&d);
}

/* ---- who gives way --------------------------------------------------------------------------- */

Test(warm, what_is_idle_gives_way_where_there_is_no_room)
{
	static const char *const limits[] = { "contexts: 2", "per_owner: {contexts: 2}",
					      "memory: 140M" };
	static const char *const sizes[] = { "64M", "65M", "66M", "67M", "64M" };

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct daemon d;

		daemon_prepare(&d);
		daemon_configure(&d, limits[i]);
		daemon_start(&d);
		for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++)
			cr_expect_str_eq(SEE(&d, DAEMON_USER, "-m", sizes[k], "--", "true").start,
					 "cold", "%s, %s", limits[i], sizes[k]);
		/* The two that came last are there. */
		cr_expect_str_eq(SEE(&d, DAEMON_USER, "-m", "67M", "--", "true").start, "warm");
		daemon_stop(&d);
	}
}

/* Who is at his own limit gets no room at another's expense. */
Test(warm, what_is_busy_gives_no_way)
{
	struct daemon d;
	struct client c;

	daemon_prepare(&d);
	daemon_configure(&d, "per_owner: {contexts: 1}");
	daemon_start(&d);
	cr_expect_str_eq(SEE(&d, OTHER_USER, "--", "true").start, "cold");
	c = client_begin(&d);
	{
		cleanup_run struct run run = { 0 };

		AS_USER(&d, &run, "--", "true");
		cr_expect_eq(run.status, 125);
		expect_has(run.err, "per_owner.contexts");
	}
	cr_expect_str_eq(SEE(&d, OTHER_USER, "--", "true").start, "warm");
	cr_assert_eq(kill(c.pid, SIGINT), 0);
	cr_expect_eq(process_status(c.pid), 130);
	client_expect_over(&c);
	daemon_stop(&d);
}

Test(warm, none_is_kept_where_none_shall_be)
{
	struct daemon d;

	daemon_prepare(&d);
	daemon_configure(&d, "idle_expiry: 0s");
	daemon_start(&d);
	for (int i = 0; i < 3; i++) {
		struct seen s = SEE(&d, DAEMON_USER, "--", "true");

		cr_expect_str_eq(s.start, "cold");
		cr_expect_str_eq(s.reuse, "none");
	}
	daemon_stop(&d);
}

/* A process comes to its request later than a millisecond after the one before: sooner or later a
 * context is gone by then. */
Test(warm, an_idle_one_expires)
{
	struct daemon d;
	int cold = 0;

	daemon_prepare(&d);
	daemon_configure(&d, "idle_expiry: 1ms");
	daemon_start(&d);
	for (int i = 0; i < 200 && cold < 2; i++)
		cold += strcmp(SEE(&d, DAEMON_USER, "--", "true").start, "cold") == 0;
	cr_expect_eq(cold, 2, "none has expired");
	daemon_stop(&d);
}

/* ---- what is counted ------------------------------------------------------------------------- */

static int64_t figure(const json_t *report, const char *object, const char *key)
{
	const json_t *v = json_object_get(json_object_get(report, object), key);

	cr_assert(json_is_integer(v), "%s.%s", object, key);
	return json_integer_value(v);
}

/* What is exact is the same in the fiftieth as in the first; what is time adds up. */
Test(warm, the_fiftieth_is_counted_as_the_first)
{
	static const char script[] = "true | cat; (sleep 0.001); "
				     "head -c 8M /dev/zero >/dev/shm/x; rm /dev/shm/x";
	struct daemon d;

	start_patient(&d);
	for (int i = 1; i <= 50; i++) {
		cleanup_run struct run run = { 0 };
		json_t *r = report_of(&d, DAEMON_USER, &run,
				      (const char *const[]){ "-m", "32M", "--cpu", "1", "--", "sh",
							     "-c", script, NULL });

		cr_expect_eq(see(r).invocation, i);
		cr_expect_eq(figure(r, "time", "wall_ns"), figure(r, "time", "busy_ns") +
								   figure(r, "time", "waiting_ns") +
								   figure(r, "time", "idle_ns"));
		cr_expect_leq(figure(r, "cpu", "on_cpu_ns"), figure(r, "time", "wall_ns"));
		cr_expect_eq(figure(r, "processes", "started"), 6, "%d", i);
		cr_expect_geq(figure(r, "memory", "peak_bytes"), 8 << 20);
		cr_expect_lt(figure(r, "memory", "peak_bytes"), 16 << 20);
		cr_expect_lt(figure(r, "memory", "charged_peak_bytes"), 24 << 20);
		json_decref(r);
	}
	daemon_stop(&d);
}
