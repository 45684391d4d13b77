/* SPDX-License-Identifier: MIT */
/*
 * `cloche tune FUNCTION`, `cloche cost FUNCTION` and the bill of functions, as an owner without
 * privilege has them through the daemon. Needs root, for the daemon. No test asserts a time.
 */
#include "ledger/sizing.h"
#include "tests/lib/functions.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char code[] = "import os\n"
			   "n = 0\n"
			   "def handler(event, context):\n"
			   "    global n\n"
			   "    n += 1\n"
			   "    sum(range(20000))\n"
			   "    return [n, event, context.memory_limit_in_mb,\n"
			   "            os.environ['AWS_LAMBDA_FUNCTION_MEMORY_SIZE']]\n"
			   "def fails(event, context):\n"
			   "    raise ValueError('not today')\n"
			   "def slow(event, context):\n"
			   "    print('begun', flush=True)\n"
			   "    while True:\n"
			   "        pass\n";

static const char yaml[] =
	"functions:\n"
	"  f: {runtime: python3.11, code: ./code, handler: app.handler, timeout: 300s,\n"
	"      memory: 128, concurrency: {reserved: 1, wait: 0}}\n"
	"  fails: {runtime: python3, code: ./code, handler: app.fails, timeout: 300s}\n"
	"  slow: {runtime: python3, code: ./code, handler: app.slow, timeout: 300s}\n"
	"  anew: {runtime: python3, code: ./code, handler: app.handler, timeout: 300s,\n"
	"         reuse: none}\n"
	"  forked: {runtime: python3, code: ./code, handler: app.handler, timeout: 300s,\n"
	"           reuse: fork}\n"
	"  cmd: {runtime: exec, code: ./code, handler: [cat], timeout: 300s}\n";

static void begin(struct project *s)
{
	project_begin(s, "");
	project_dir(s, "code");
	project_put(s, "code/app.py", code);
	project_deploy(s, yaml);
}

static json_t *parse(const struct project *s)
{
	json_t *o = json_loads(s->run.out, JSON_REJECT_DUPLICATES, NULL);

	cr_assert(o, "%s%s", s->run.out, s->run.err);
	return o;
}

static json_int_t number_of(const json_t *o, const char *key)
{
	cr_assert(json_is_integer(json_object_get(o, key)), "no number '%s'", key);
	return json_integer_value(json_object_get(o, key));
}

/* Contexts of the function, as `ps` has them: one a line. */
static size_t contexts(struct project *s, const char *name)
{
	char *save = NULL;
	size_t n = 0;

	project_by(s, DAEMON_USER, (const char *const[]){ "ps", "--json", NULL });
	cr_assert_eq(s->run.status, 0, "%s", s->run.err);
	for (char *l = strtok_r(s->run.out, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		json_t *one = json_loads(l, JSON_REJECT_DUPLICATES, NULL);
		const char *is = json_string_value(json_object_get(one, "function"));

		n += is && strcmp(is, name) == 0 &&
		     strcmp(json_string_value(json_object_get(one, "state")), "ending") != 0;
		json_decref(one);
	}
	return n;
}

/* Of each size two that count, and one that was cold; its times are what the meter saw. */
Test(tune_function, warm_invocations_at_each_size_and_what_is_deployed_stays, .timeout = 400)
{
	struct project s;
	json_t *tune, *size, *one;
	size_t i, j;

	begin(&s);
	OWN("invoke", "f", "1");
	project_expect(&s, "[1, 1, \"128\", \"128\"]");
	OWN("tune", "--sizes", "128,256,512", "--runs", "2", "--json", "f", "{\"a\": 7}");
	cr_assert_eq(s.run.status, 0, "%s", s.run.err);
	tune = parse(&s);
	cr_expect_str_eq(json_string_value(json_object_get(tune, "function")), "f");
	cr_expect(json_is_null(json_object_get(tune, "command")));
	cr_expect_eq(json_array_size(json_object_get(tune, "sizes")), 3);
	json_array_foreach (json_object_get(tune, "sizes"), i, size) {
		cr_expect_eq(number_of(size, "memory_bytes"), (128 << 20) << i);
		cr_expect_eq(number_of(size, "cold_runs"), 1);
		cr_expect_eq(json_boolean_value(json_object_get(size, "deployed")), i == 0);
		cr_expect_eq(json_array_size(json_object_get(size, "times_ns")), 2);
		json_array_foreach (json_object_get(size, "runs"), j, one) {
			const struct sizing_run seen = {
				.wall_ns = number_of(one, "wall_ns"),
				.contention_ns = number_of(one, "contention_ns"),
				.on_cpu_ns = number_of(one, "on_cpu_ns"),
				.vcpu_micro = sizing_vcpu_micro((128ULL << 20) << i),
			};

			cr_expect_eq(number_of(one, "init_ns"), 0);
			cr_expect_eq(json_integer_value(
					     json_array_get(json_object_get(size, "times_ns"), j)),
				     sizing_uncontended(&seen));
		}
	}
	json_decref(tune);
	/* The one context that it may have was its own all the time, and is warm still. */
	OWN("invoke", "f", "2");
	project_expect(&s, "[2, 2, \"128\", \"128\"]");
	while (contexts(&s, "f") != 1)
		;
	OWN("show", "--json", "f");
	cr_expect(strstr(s.run.out, "\"memory_mb\":128"), "%s", s.run.out);
	daemon_expect_records(&s.d, "f             ok", 11);
	project_end(&s);
}

/* Out of the ledger, by size, with what tune has tried; and the bill. */
Test(tune_function, its_ledger_tells_what_it_costs, .timeout = 400)
{
	struct project s;

	begin(&s);
	OWN("tune", "--sizes", "128,256", "--runs", "2", "f");
	cr_assert_eq(s.run.status, 0, "%s", s.run.err);
	cr_expect(strstr(s.run.out, "\ndeployed: 128 MB, $"), "%s", s.run.out);
	cr_expect(strstr(s.run.out, "\n2 invocations of new contexts are not counted\n"), "%s",
		  s.run.out);
	OWN("cost", "f", "--memory", "128", "--rate", "1/s");
	cr_assert_eq(s.run.status, 0, "%s", s.run.err);
	cr_expect(strstr(s.run.out, "128 MB: $"), "%s", s.run.out);
	cr_expect(strstr(s.run.out, "256 MB: $"), "%s", s.run.out);
	cr_expect(strstr(s.run.out, "mean of 3 invocations"), "%s", s.run.out);
	cr_expect(strstr(s.run.out, "than with 128 MB"), "%s", s.run.out);
	OWN("bill", "--by", "function", "--json");
	cr_assert_eq(s.run.status, 0, "%s", s.run.err);
	cr_expect(strstr(s.run.out, "\"function\":\"f\""), "%s", s.run.out);
	cr_expect(strstr(s.run.out, "\"invocations\":6"), "%s", s.run.out);
	/* Another owner has none of that name. */
	BY("1001", "cost", "f");
	cr_expect_eq(s.run.status, 1, "%s%s", s.run.out, s.run.err);
	BY("1001", "tune", "f");
	cr_expect_neq(s.run.status, 0);
	cr_expect(strstr(s.run.err, "no function"), "%s", s.run.err);
	project_end(&s);
}

Test(tune_function, what_is_not_kept_is_counted_from_the_first, .timeout = 400)
{
	static const char *const names[] = { "anew", "cmd" };
	struct project s;

	begin(&s);
	for (size_t i = 0; i < 2; i++) {
		json_t *tune, *size;

		OWN("tune", "--sizes", "256", "--runs", "2", "--json", names[i]);
		cr_assert_eq(s.run.status, 0, "%s", s.run.err);
		tune = parse(&s);
		size = json_array_get(json_object_get(tune, "sizes"), 0);
		cr_expect_eq(number_of(size, "cold_runs"), 0);
		cr_expect_eq(json_array_size(json_object_get(size, "times_ns")), 2);
		json_decref(tune);
		while (contexts(&s, names[i]) > 0)
			;
	}
	project_end(&s);
}

Test(tune_function, a_function_that_fails_has_no_price, .timeout = 400)
{
	struct project s;

	begin(&s);
	OWN("tune", "--sizes", "1024,1769", "fails");
	cr_expect_eq(s.run.status, 1, "%s", s.run.err);
	cr_expect(strstr(s.run.out, " 1769 MB  1.000  error: exit status 1: "), "%s", s.run.out);
	cr_expect(strstr(s.run.out, "not today"), "%s", s.run.out);
	cr_expect(strstr(s.run.err, "the function succeeded at no size"), "%s", s.run.err);
	OWN("tune", "--sizes", "9999G", "f");
	cr_expect_eq(s.run.status, 125, "%s", s.run.err);
	OWN("tune", "--policy", "default", "f");
	cr_expect_eq(s.run.status, 2, "%s", s.run.err);
	cr_expect(strstr(s.run.err, "a command comes behind '--'"), "%s", s.run.err);
	OWN("tune", "nowhere");
	cr_expect_eq(s.run.status, 2, "%s", s.run.err);
	cr_expect(strstr(s.run.err, "nowhere"), "%s", s.run.err);
	OWN("tune", "f", "1", "2");
	cr_expect_eq(s.run.status, 2, "%s", s.run.err);
	project_end(&s);
}

/* Killed in the middle, by SIGKILL: nothing of what it tried is there any more. */
Test(tune_function, who_is_killed_leaves_nothing, .timeout = 400)
{
	static const char *const args[] = { "--sizes", "256", "slow", NULL };
	const char *argv[DAEMON_ARGS_MAX];
	char control[700];
	struct project s;
	pid_t pid;

	begin(&s);
	s.d.verb = "tune";
	daemon_user_argv(&s.d, args, argv, control);
	pid = fork();
	cr_assert(pid >= 0);
	if (pid == 0) {
		(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(99);
	}
	do
		OWN("logs", "slow");
	while (!strstr(s.run.out, "begun"));
	cr_expect_eq(contexts(&s, "slow"), 1);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	while (contexts(&s, "slow") > 0)
		;
	daemon_expect_records(&s.d, "slow          cancelled", 1);
	project_end(&s);
}

/* A name of Lambda's is a family's; what that is here, the interpreter says itself. */
Test(tune_function, what_a_runtime_really_is_is_shown, .timeout = 400)
{
	cleanup_run struct run version = { 0 };
	char text[200], path[PATH_MAX];
	struct project s;

	begin(&s);
	RUN(&version, "/usr/bin/python3", "--version");
	cr_assert_eq(version.status, 0);
	version.out[strcspn(version.out, "\n")] = '\0';
	cr_assert_not_null(realpath("/usr/bin/python3", path));
	OWN("show", "f");
	(void)snprintf(text, sizeof(text), "\ninterpreter   %.80s, %.80s\n", path, version.out);
	cr_expect(strstr(s.run.out, text), "%s", s.run.out);
	OWN("show", "--json", "f");
	(void)snprintf(text, sizeof(text),
		       "\"interpreter\":{\"path\":\"%.80s\",\"version\":\"%.80s\"}", path,
		       version.out);
	cr_expect(strstr(s.run.out, text), "%s", s.run.out);
	OWN("show", "--json", "cmd");
	cr_expect(strstr(s.run.out, "\"interpreter\":null"), "%s", s.run.out);
	project_end(&s);
}

/* Of a zygote each event has a copy that is as warm as any other. */
Test(tune_function, what_is_forked_is_warm_but_for_the_first, .timeout = 400)
{
	struct project s;
	json_t *tune, *size;

	begin(&s);
	OWN("tune", "--sizes", "256,512", "--runs", "2", "--json", "forked");
	cr_assert_eq(s.run.status, 0, "%s", s.run.err);
	tune = parse(&s);
	for (size_t i = 0; i < 2; i++) {
		size = json_array_get(json_object_get(tune, "sizes"), i);
		cr_expect_eq(number_of(size, "cold_runs"), 1);
		cr_expect_eq(json_array_size(json_object_get(size, "times_ns")), 2);
	}
	json_decref(tune);
	while (contexts(&s, "forked") > 0)
		;
	project_end(&s);
}
