/* SPDX-License-Identifier: MIT */
/* Functions that users without rights deploy, go back with and remove, by the daemon: nobody
 * else's, within limits, and whatever becomes of the daemon. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/hash.h"
#include "serve/remote.h"
#include "serve/stores.h"
#include "tests/lib/daemon.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#define OTHER "1001"

/* ---- the rig --------------------------------------------------------------------------------- */

/* A folder with a cloche.yaml, everybody's to read, and a daemon. */
struct scene {
	struct daemon d;
	char project[600];
	struct run run;
};

/* What a daemon that is killed leaves is there until the next one starts, and tests beside would
 * find it: it is so in a test that runs alone. Until the end of the test's process. */
static void take_turn(int how)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	cr_assert(fd >= 0 && flock(fd, how) == 0, "%m");
}

static void put_file(const struct scene *s, const char *name, const char *text)
{
	char path[700];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", s->project, name);
	f = fopen(path, "we");
	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s: %m", path);
}

static void make_dir(const struct scene *s, const char *name)
{
	char path[700];

	(void)snprintf(path, sizeof(path), "%s/%s", s->project, name);
	cr_assert(mkdir(path, 0755) == 0 || errno == EEXIST, "%s: %m", path);
}

static void begin_turn(struct scene *s, const char *config, int turn)
{
	take_turn(turn);
	*s = (struct scene){ 0 };
	daemon_prepare(&s->d);
	daemon_configure(&s->d, config);
	(void)snprintf(s->project, sizeof(s->project), "%s/project", s->d.dir);
	cr_assert_eq(mkdir(s->project, 0755), 0);
	make_dir(s, "code");
	put_file(s, "code/app.py", "def handler(event, context):\n    return event\n");
	daemon_start(&s->d);
}

static void begin(struct scene *s, const char *config)
{
	begin_turn(s, config, LOCK_SH);
}

static void end(struct scene *s)
{
	daemon_stop(&s->d);
	run_free(&s->run);
}

/* `cloche VERB ARGS…` by a user. */
static void by(struct scene *s, const char *user, const char *const words[])
{
	struct daemon other = s->d;

	other.user = user;
	other.verb = words[0];
	run_free(&s->run);
	daemon_run_as_user(&other, &s->run, words + 1);
}

#define BY(user, ...) by(&s, (user), (const char *const[]){ __VA_ARGS__, NULL })
#define OWN(...)      BY(DAEMON_USER, __VA_ARGS__)

static void deploy_as(struct scene *s, const char *user, const char *yaml)
{
	char path[700];

	put_file(s, "cloche.yaml", yaml);
	(void)snprintf(path, sizeof(path), "%s/cloche.yaml", s->project);
	by(s, user, (const char *const[]){ "deploy", path, NULL });
}

static void deploy(struct scene *s, const char *yaml)
{
	deploy_as(s, DAEMON_USER, yaml);
}

static void expect_ok(const struct scene *s, const char *out)
{
	cr_expect_eq(s->run.status, 0, "%d: %s", s->run.status, s->run.err);
	cr_expect(strstr(s->run.out, out), "said: %snot: %s", s->run.out, out);
}

static void expect_refused(const struct scene *s, int status, const char *err)
{
	cr_expect_eq(s->run.status, status, "%d: %s", s->run.status, s->run.err);
	cr_expect(strstr(s->run.err, err), "said: %snot: %s", s->run.err, err);
	cr_expect_str_eq(s->run.out, "");
}

/* How much code of a user's there is. */
static unsigned count_codes(const struct scene *s, const char *user)
{
	char path[700];
	unsigned n = 0;
	struct dirent *e;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/state/owners/%s/code", s->d.dir, user);
	d = opendir(path);
	while (d && (e = readdir(d)))
		n += strstr(e->d_name, ".erofs") != NULL;
	if (d)
		(void)closedir(d);
	return n;
}

/* What is removed is so when whoever caused it is answered; an owner's next answer comes behind. */
static void expect_codes(struct scene *s, const char *user, unsigned n)
{
	for (int i = 0; i < 1000 && count_codes(s, user) != n; i++)
		by(s, user, (const char *const[]){ "functions", "--json", NULL });
	cr_expect_eq(count_codes(s, user), n);
}

#define F(name, memory)                                                                 \
	"  " name ":\n    runtime: python3\n    code: code\n    handler: app.handler\n" \
	"    memory: " memory "\n"

/* ---- versions -------------------------------------------------------------------------------- */

Test(daemon_functions, are_deployed_in_versions)
{
	struct scene s;
	json_t *o;

	begin(&s, "");
	deploy(&s, "functions:\n" F("hello", "128") F("other", "64"));
	expect_ok(&s, "deployed hello version 1 (new)\ndeployed other version 1 (new)\n");
	deploy(&s, "functions:\n" F("hello", "128") F("other", "64"));
	expect_ok(&s, "hello unchanged, version 1\nother unchanged, version 1\n");
	deploy(&s, "functions:\n" F("hello", "256") F("other", "64"));
	expect_ok(&s, "deployed hello version 2 (updated)\nother unchanged, version 1\n");
	/* Both have the same. */
	cr_expect_eq(count_codes(&s, DAEMON_USER), 1);
	put_file(&s, "code/app.py", "def handler(event, context):\n    return 2\n");
	deploy(&s, "functions:\n" F("hello", "256"));
	expect_ok(&s, "deployed hello version 3 (updated)\n");
	cr_expect_eq(count_codes(&s, DAEMON_USER), 2);
	OWN("deploy", "--rollback", "hello");
	expect_ok(&s, "deployed hello version 2 (rolled back)\n");
	OWN("deploy", "--rollback", "hello@3");
	expect_ok(&s, "deployed hello version 3 (rolled back)\n");
	OWN("deploy", "--rollback", "hello@9");
	expect_refused(&s, 1, "has no version 9");
	OWN("show", "--json", "hello@1");
	o = json_loads(s.run.out, 0, NULL);
	cr_assert(o != NULL, "%s%s", s.run.out, s.run.err);
	cr_expect_eq(json_integer_value(json_object_get(o, "memory_mb")), 128);
	cr_expect_eq(json_integer_value(json_object_get(o, "current")), 3);
	cr_expect_eq(json_array_size(json_object_get(o, "versions")), 3);
	json_decref(o);
	OWN("show", "hello");
	expect_ok(&s, "app.handler");
	end(&s);
}

/* The fields of contract.md. */
Test(daemon_functions, are_listed)
{
	static const char *const keys[] = { "name",	   "owner",	"version",    "runtime",
					    "handler",	   "memory_mb", "timeout_ns", "reuse",
					    "code_sha256", "contexts",	"deployed_at" };
	struct scene s;
	json_t *o;

	begin(&s, "");
	OWN("functions", "--json");
	expect_ok(&s, "");
	cr_expect_str_eq(s.run.out, "");
	deploy(&s, "functions:\n" F("hello", "128"));
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
	expect_ok(&s, "NAME   OWNER");
	expect_ok(&s, "hello  ");
	end(&s);
}

Test(daemon_functions, go_with_the_code_that_nobody_else_has)
{
	struct scene s;

	begin(&s, "");
	deploy(&s, "functions:\n" F("a", "128") F("b", "128"));
	expect_ok(&s, "");
	put_file(&s, "code/app.py", "handler = None\n");
	deploy(&s, "functions:\n" F("b", "128"));
	expect_ok(&s, "deployed b version 2");
	cr_expect_eq(count_codes(&s, DAEMON_USER), 2);
	OWN("remove", "b");
	expect_ok(&s, "removed b\n");
	expect_codes(&s, DAEMON_USER, 1);
	OWN("remove", "b");
	expect_refused(&s, 1, "there is no function 'b'");
	OWN("show", "b");
	expect_refused(&s, 1, "there is no function 'b'");
	OWN("remove", "a");
	expect_codes(&s, DAEMON_USER, 0);
	/* From the beginning. */
	deploy(&s, "functions:\n" F("b", "128"));
	expect_ok(&s, "deployed b version 1 (new)");
	end(&s);
}

Test(daemon_functions, are_nobody_elses)
{
	struct scene s;

	begin(&s, "");
	deploy(&s, "functions:\n" F("hello", "128"));
	expect_ok(&s, "");
	BY(OTHER, "functions", "--json");
	expect_ok(&s, "");
	cr_expect_str_eq(s.run.out, "");
	BY(OTHER, "show", "hello");
	expect_refused(&s, 1, "there is no function");
	BY(OTHER, "remove", "hello");
	expect_refused(&s, 1, "there is no function");
	BY(OTHER, "deploy", "--rollback", "hello@1");
	expect_refused(&s, 1, "there is no function");
	/* One of the same name is another's. */
	deploy_as(&s, OTHER, "functions:\n" F("hello", "64"));
	expect_ok(&s, "deployed hello version 1 (new)");
	cr_expect_eq(count_codes(&s, OTHER), 1);
	BY(OTHER, "remove", "hello");
	expect_codes(&s, OTHER, 0);
	cr_expect_eq(count_codes(&s, DAEMON_USER), 1);
	OWN("show", "--json", "hello");
	expect_ok(&s, "\"memory_mb\":128");
	BY("0", "functions", "--json");
	expect_ok(&s, "\"uid\":1000");
	end(&s);
}

/* ---- errors change nothing ------------------------------------------------------------------- */

Test(daemon_functions, all_of_a_file_or_none)
{
	char fifo[700];
	struct scene s;

	begin(&s, "");
	deploy(&s, "functions:\n" F("hello", "128") F("bad", "lots"));
	expect_refused(&s, 1, "cloche.yaml:11: functions/bad/memory: expected a size");
	deploy(&s,
	       "functions:\n" F("hello", "128") "  gone:\n    runtime: provided\n    code: none\n");
	expect_refused(&s, 1, "function 'gone': code '");
	(void)snprintf(fifo, sizeof(fifo), "%s/code/fifo", s.project);
	cr_assert_eq(mkfifo(fifo, 0644), 0);
	deploy(&s, "functions:\n" F("hello", "128"));
	expect_refused(&s, 1, "neither a file nor a directory nor a link");
	OWN("functions", "--json");
	cr_expect_str_eq(s.run.out, "");
	OWN("deploy", "/nowhere/cloche.yaml");
	expect_refused(&s, 1, "/nowhere/cloche.yaml");
	OWN("deploy", "--rollback", "a/b");
	expect_refused(&s, 2, "--rollback");
	OWN("deploy", "a", "b");
	expect_refused(&s, 2, "unexpected argument 'b'");
	OWN("show");
	expect_refused(&s, 2, "expected a function's name");
	end(&s);
}

Test(daemon_functions, have_limits)
{
	struct scene s;
	cleanup_free char *big = malloc((3U << 20) + 1);

	cr_assert(big != NULL);
	memset(big, 'x', 3U << 20);
	big[3U << 20] = '\0';
	begin(&s, "per_owner: {functions: 2, code: 1M, code_unpacked: 2M}");
	deploy(&s, "functions:\n" F("a", "128") F("b", "128") F("c", "128"));
	expect_refused(&s, 1, "(limit 'per_owner.functions')");
	deploy(&s, "functions:\n" F("a", "128") F("b", "128"));
	expect_ok(&s, "deployed b");
	deploy(&s, "functions:\n" F("c", "128"));
	expect_refused(&s, 1, "user 1000 has 2 of the 2");
	put_file(&s, "code/data", big);
	deploy(&s, "functions:\n" F("a", "128"));
	expect_refused(&s, 1, "per_owner.code");
	OWN("show", "--json", "a");
	expect_ok(&s, "\"current\":1");
	/* It is no leak: what is refused is not there. */
	cr_expect_eq(count_codes(&s, DAEMON_USER), 1);
	end(&s);
}

Test(daemon_functions, without_a_daemon_it_is_said)
{
	struct scene s;

	begin(&s, "");
	(void)snprintf(s.d.control, sizeof(s.d.control), "%s/none", s.d.dir);
	OWN("functions");
	expect_refused(&s, 125, "have 'cloche serve' started");
	deploy(&s, "functions:\n" F("a", "128"));
	expect_refused(&s, 125, "have 'cloche serve' started");
	(void)snprintf(s.d.control, sizeof(s.d.control), "%s/control", s.d.dir);
	end(&s);
}

/* ---- the daemon comes again ------------------------------------------------------------------ */

Test(daemon_functions, are_there_again_after_its_death)
{
	struct scene s;

	begin_turn(&s, "", LOCK_EX);
	deploy(&s, "functions:\n" F("hello", "128") F("other", "64"));
	deploy(&s, "functions:\n" F("hello", "256"));
	OWN("deploy", "--rollback", "hello");
	expect_ok(&s, "version 1");
	OWN("remove", "other");
	daemon_kill(&s.d);
	daemon_start(&s.d);
	OWN("show", "--json", "hello");
	expect_ok(&s, "\"current\":1");
	OWN("show", "other");
	expect_refused(&s, 1, "there is no function");
	deploy(&s, "functions:\n" F("hello", "128"));
	expect_ok(&s, "hello unchanged, version 1");
	end(&s);
}
