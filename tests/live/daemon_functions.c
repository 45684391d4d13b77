/* SPDX-License-Identifier: MIT */
/* Functions that users without rights deploy, go back with and remove, by the daemon: nobody
 * else's, within limits, and whatever becomes of the daemon. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash.h"
#include "tests/lib/functions.h"

#define OTHER "1001"

/* ---- versions -------------------------------------------------------------------------------- */

Test(daemon_functions, are_deployed_in_versions)
{
	struct project s;
	json_t *o;

	project_begin(&s, "");
	project_deploy(&s, "functions:\n" F("hello", "128") F("other", "64"));
	project_expect(&s, "deployed hello version 1 (new)\ndeployed other version 1 (new)\n");
	project_deploy(&s, "functions:\n" F("hello", "128") F("other", "64"));
	project_expect(&s, "hello unchanged, version 1\nother unchanged, version 1\n");
	project_deploy(&s, "functions:\n" F("hello", "256") F("other", "64"));
	project_expect(&s, "deployed hello version 2 (updated)\nother unchanged, version 1\n");
	/* Both have the same. */
	cr_expect_eq(project_codes(&s, DAEMON_USER), 1);
	project_put(&s, "code/app.py", "def handler(event, context):\n    return 2\n");
	project_deploy(&s, "functions:\n" F("hello", "256"));
	project_expect(&s, "deployed hello version 3 (updated)\n");
	cr_expect_eq(project_codes(&s, DAEMON_USER), 2);
	OWN("deploy", "--rollback", "hello");
	project_expect(&s, "deployed hello version 2 (rolled back)\n");
	OWN("deploy", "--rollback", "hello@3");
	project_expect(&s, "deployed hello version 3 (rolled back)\n");
	OWN("deploy", "--rollback", "hello@9");
	project_refused(&s, 1, "has no version 9");
	OWN("show", "--json", "hello@1");
	o = json_loads(s.run.out, 0, NULL);
	cr_assert(o != NULL, "%s%s", s.run.out, s.run.err);
	cr_expect_eq(json_integer_value(json_object_get(o, "memory_mb")), 128);
	cr_expect_eq(json_integer_value(json_object_get(o, "current")), 3);
	cr_expect_eq(json_array_size(json_object_get(o, "versions")), 3);
	json_decref(o);
	OWN("show", "hello");
	project_expect(&s, "app.handler");
	project_end(&s);
}

/* The fields of contract.md. */
Test(daemon_functions, are_listed)
{
	static const char *const keys[] = { "name",	   "owner",	"version",    "runtime",
					    "handler",	   "memory_mb", "timeout_ns", "reuse",
					    "code_sha256", "contexts",	"deployed_at" };
	struct project s;
	json_t *o;

	project_begin(&s, "");
	OWN("functions", "--json");
	project_expect(&s, "");
	cr_expect_str_eq(s.run.out, "");
	project_deploy(&s, "functions:\n" F("hello", "128"));
	OWN("functions", "--json");
	o = json_loads(s.run.out, 0, NULL);
	cr_assert(o != NULL, "%s%s", s.run.out, s.run.err);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		cr_expect(json_object_get(o, keys[i]) != NULL, "%s", keys[i]);
	cr_expect_str_eq(json_string_value(json_object_get(o, "handler")), "app.handler");
	cr_expect_eq(json_integer_value(json_object_get(json_object_get(o, "owner"), "uid")), 1000);
	cr_expect(hash_is_hex(json_string_value(json_object_get(o, "code_sha256"))));
	json_decref(o);
	OWN("functions");
	project_expect(&s, "NAME   OWNER");
	project_expect(&s, "hello  ");
	project_end(&s);
}

Test(daemon_functions, go_with_the_code_that_nobody_else_has)
{
	struct project s;

	project_begin(&s, "");
	project_deploy(&s, "functions:\n" F("a", "128") F("b", "128"));
	project_expect(&s, "");
	project_put(&s, "code/app.py", "handler = None\n");
	project_deploy(&s, "functions:\n" F("b", "128"));
	project_expect(&s, "deployed b version 2");
	cr_expect_eq(project_codes(&s, DAEMON_USER), 2);
	OWN("remove", "b");
	project_expect(&s, "removed b\n");
	project_expect_codes(&s, DAEMON_USER, 1);
	OWN("remove", "b");
	project_refused(&s, 1, "there is no function 'b'");
	OWN("show", "b");
	project_refused(&s, 1, "there is no function 'b'");
	OWN("remove", "a");
	project_expect_codes(&s, DAEMON_USER, 0);
	/* From the beginning. */
	project_deploy(&s, "functions:\n" F("b", "128"));
	project_expect(&s, "deployed b version 1 (new)");
	project_end(&s);
}

Test(daemon_functions, are_nobody_elses)
{
	struct project s;

	project_begin(&s, "");
	project_deploy(&s, "functions:\n" F("hello", "128"));
	project_expect(&s, "");
	BY(OTHER, "functions", "--json");
	project_expect(&s, "");
	cr_expect_str_eq(s.run.out, "");
	BY(OTHER, "show", "hello");
	project_refused(&s, 1, "there is no function");
	BY(OTHER, "remove", "hello");
	project_refused(&s, 1, "there is no function");
	BY(OTHER, "deploy", "--rollback", "hello@1");
	project_refused(&s, 1, "there is no function");
	/* One of the same name is another's. */
	project_deploy_as(&s, OTHER, "functions:\n" F("hello", "64"));
	project_expect(&s, "deployed hello version 1 (new)");
	cr_expect_eq(project_codes(&s, OTHER), 1);
	BY(OTHER, "remove", "hello");
	project_expect_codes(&s, OTHER, 0);
	cr_expect_eq(project_codes(&s, DAEMON_USER), 1);
	OWN("show", "--json", "hello");
	project_expect(&s, "\"memory_mb\":128");
	BY("0", "functions", "--json");
	project_expect(&s, "\"uid\":1000");
	project_end(&s);
}

/* ---- errors change nothing ------------------------------------------------------------------- */

Test(daemon_functions, all_of_a_file_or_none)
{
	char fifo[700];
	struct project s;

	project_begin(&s, "");
	project_deploy(&s, "functions:\n" F("hello", "128") F("bad", "lots"));
	project_refused(&s, 1, "cloche.yaml:11: functions/bad/memory: expected a size");
	project_deploy(&s,
		       "functions:\n" F("hello",
					"128") "  gone:\n    runtime: provided\n    code: none\n");
	project_refused(&s, 1, "function 'gone': code '");
	(void)snprintf(fifo, sizeof(fifo), "%s/code/fifo", s.project);
	cr_assert_eq(mkfifo(fifo, 0644), 0);
	project_deploy(&s, "functions:\n" F("hello", "128"));
	project_refused(&s, 1, "neither a file nor a directory nor a link");
	OWN("functions", "--json");
	cr_expect_str_eq(s.run.out, "");
	OWN("deploy", "/nowhere/cloche.yaml");
	project_refused(&s, 1, "/nowhere/cloche.yaml");
	OWN("deploy", "--rollback", "a/b");
	project_refused(&s, 2, "--rollback");
	OWN("deploy", "a", "b");
	project_refused(&s, 2, "unexpected argument 'b'");
	OWN("show");
	project_refused(&s, 2, "expected a function's name");
	project_end(&s);
}

Test(daemon_functions, have_limits)
{
	struct project s;
	cleanup_free char *big = malloc((3U << 20) + 1);

	cr_assert(big != NULL);
	memset(big, 'x', 3U << 20);
	big[3U << 20] = '\0';
	project_begin(&s, "per_owner: {functions: 2, code: 1M, code_unpacked: 2M}");
	project_deploy(&s, "functions:\n" F("a", "128") F("b", "128") F("c", "128"));
	project_refused(&s, 1, "(limit 'per_owner.functions')");
	project_deploy(&s, "functions:\n" F("a", "128") F("b", "128"));
	project_expect(&s, "deployed b");
	project_deploy(&s, "functions:\n" F("c", "128"));
	project_refused(&s, 1, "user 1000 has 2 of the 2");
	project_put(&s, "code/data", big);
	project_deploy(&s, "functions:\n" F("a", "128"));
	project_refused(&s, 1, "per_owner.code");
	OWN("show", "--json", "a");
	project_expect(&s, "\"current\":1");
	/* It is no leak: what is refused is not there. */
	cr_expect_eq(project_codes(&s, DAEMON_USER), 1);
	project_end(&s);
}

/* What a shell completes is asked of the daemon. */
Test(daemon_functions, are_completed)
{
	static const char ask[] =
		"PATH=$1:$PATH CLOCHE_CONTROL=$2; export CLOCHE_CONTROL; "
		"eval \"$(cloche completion bash)\"; COMP_WORDS=(cloche \"$3\" \"$4\"); "
		"COMP_CWORD=2; _cloche; echo \"${COMPREPLY[@]}\"";
	static const char *const verbs[] = { "show", "remove", "invoke", "logs" };
	struct project s;

	project_begin(&s, "");
	project_deploy(&s, "functions:\n" F("hello", "128") F("help", "128") F("other", "128"));
	project_expect(&s, "");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		run_free(&s.run);
		RUN(&s.run, "bash", "-c", ask, "bash", s.d.dir, s.d.control, verbs[i], "he");
		cr_expect_str_eq(s.run.out, "hello help\n", "%s: %s", verbs[i], s.run.err);
	}
	project_end(&s);
}

/* At once, by one user: each has its own code, and all come to their end. */
Test(daemon_functions, are_deployed_side_by_side)
{
	struct client c[4];
	char yaml[200], path[700], name[32];
	struct project s;

	project_begin(&s, "");
	s.d.verb = "deploy";
	for (int i = 0; i < 4; i++) {
		(void)snprintf(name, sizeof(name), "code%d", i);
		project_dir(&s, name);
		(void)snprintf(name, sizeof(name), "code%d/app.py", i);
		project_put(&s, name, name);
		(void)snprintf(yaml, sizeof(yaml),
			       "functions:\n  f%d:\n    runtime: python3\n    code: code%d\n"
			       "    handler: app.handler\n",
			       i, i);
		(void)snprintf(name, sizeof(name), "cloche%d.yaml", i);
		project_put(&s, name, yaml);
		(void)snprintf(path, sizeof(path), "%s/%s", s.project, name);
		c[i] = client_start(&s.d, (const char *const[]){ path, NULL });
	}
	for (int i = 0; i < 4; i++) {
		expect_line(c[i].out, "version 1 (new)");
		cr_expect_eq(process_status(c[i].pid), 0);
		(void)fclose(c[i].out);
		(void)fclose(c[i].err);
	}
	cr_expect_eq(project_codes(&s, DAEMON_USER), 4);
	project_end(&s);
}

Test(daemon_functions, without_a_daemon_it_is_said)
{
	struct project s;

	project_begin(&s, "");
	(void)snprintf(s.d.control, sizeof(s.d.control), "%s/none", s.d.dir);
	OWN("functions");
	project_refused(&s, 125, "have 'cloche serve' started");
	project_deploy(&s, "functions:\n" F("a", "128"));
	project_refused(&s, 125, "have 'cloche serve' started");
	(void)snprintf(s.d.control, sizeof(s.d.control), "%s/control", s.d.dir);
	project_end(&s);
}

/* ---- the daemon comes again ------------------------------------------------------------------ */

Test(daemon_functions, are_there_again_after_its_death)
{
	struct project s;

	project_begin(&s, "");
	project_deploy(&s, "functions:\n" F("hello", "128") F("other", "64"));
	project_deploy(&s, "functions:\n" F("hello", "256"));
	OWN("deploy", "--rollback", "hello");
	project_expect(&s, "version 1");
	OWN("remove", "other");
	daemon_kill(&s.d);
	daemon_start(&s.d);
	OWN("show", "--json", "hello");
	project_expect(&s, "\"current\":1");
	OWN("show", "other");
	project_refused(&s, 1, "there is no function");
	project_deploy(&s, "functions:\n" F("hello", "128"));
	project_expect(&s, "hello unchanged, version 1");
	project_end(&s);
}
