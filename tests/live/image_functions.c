/* SPDX-License-Identifier: MIT */
/* Functions of an image: its entrypoint speaks the Runtime API. What is deployed is what the image
 * was then, whatever becomes of its name. Needs root. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "image/image.h"
#include "image/image_pin.h"
#include "tests/lib/env.h"
#include "tests/lib/functions.h"
#include "tests/lib/images.h"

#define SAYS                                                                 \
	"{\"Entrypoint\":[\"/app/bin/boxed\"],\"Cmd\":[\"of-image\"],"       \
	"\"Env\":[\"TOLD=by image\",\"PATH=/app/bin\",\"AWS_REGION=us-x\"]," \
	"\"WorkingDir\":\"/app\",\"User\":\"1234\"}"

/* A tree with a client of the Runtime API, and with what tells it from another. */
static const char *make_tree(const struct store *s, const char *name)
{
	cleanup_free char *boxed = env_helper("boxed");
	const char *tree = tree_make(s, name);
	cleanup_run struct run run = { 0 };

	RUN(&run, "install", "-D", "-t", store_file(s, "%s/app/bin", name), boxed);
	cr_assert_eq(run.status, 0, "%s", run.err);
	PUT(store_file(s, "%s/app/name", name), name);
	return tree;
}

/* The store is the host's. */
static struct store begin(struct project *s)
{
	struct store store = store_make();

	project_begin(s, "");
	return store;
}

static void expect_about(struct project *s, const char *function, const char *want)
{
	const char *const words[] = { "invoke", function, "\"about\"", NULL };

	project_by(s, DAEMON_USER, words);
	cr_assert_eq(s->run.status, 0, "%s%s", s->run.out, s->run.err);
	cr_expect(strstr(s->run.out, want), "%s: %s", want, s->run.out);
}

Test(image_functions, are_started_as_their_image_says)
{
	struct project s;
	cleanup_store struct store store = begin(&s);

	store_import(&store, make_tree(&store, "one"), "app", SAYS);
	project_deploy(
		&s, "functions:\n"
		    "  plain: {image: app, timeout: 60s}\n"
		    "  other: {image: app, timeout: 60s, handler: [mine, too],\n"
		    "          environment: {TOLD: by owner}}\n"
		    "  one: {image: app, timeout: 60s, handler: app.handler}\n"
		    "  own: {image: app, timeout: 60s, entrypoint: [./bin/boxed], workdir: /app,\n"
		    "        handler: behind}\n"
		    "  away: {image: app, timeout: 60s, entrypoint: [/app/bin/boxed],\n"
		    "         workdir: /tmp}\n");
	expect_about(&s, "plain",
		     "{\"argument\":\"of-image\",\"in\":\"/app\",\"told\":\"by image\","
		     "\"function\":\"plain\",\"n\":1,");
	cr_expect(strstr(s.run.err, "\tInit Duration: "), "%s", s.run.err);
	expect_about(&s, "plain", "\"n\":2,");
	cr_expect_not(strstr(s.run.err, "Init Duration"), "%s", s.run.err);
	expect_about(&s, "other", "{\"argument\":\"mine\",\"in\":\"/app\",\"told\":\"by owner\"");
	expect_about(&s, "one", "{\"argument\":\"app.handler\",");
	expect_about(&s, "own", "{\"argument\":\"behind\",\"in\":\"/app\"");
	expect_about(&s, "away", "{\"argument\":\"-\",\"in\":\"/tmp\"");
	OWN("invoke", "plain", "\"error\"");
	cr_expect_eq(s.run.status, 1, "%s", s.run.err);
	cr_expect(strstr(s.run.out, "Of.Mine"), "%s", s.run.out);
	OWN("invoke", "plain", "\"exit\"");
	cr_expect_eq(s.run.status, 7, "%s", s.run.err);
	expect_about(&s, "plain", "\"n\":1,");
	project_end(&s);
}

/* As on Lambda; and none that an image can name is in anybody's way. */
Test(image_functions, a_user_that_an_image_names_is_not_asked)
{
	static const char *const users[] = {
		"", "0", "root", "33:33", "www-data", "4294967295", "no-such-user", "nobody:nogroup"
	};
	struct project s;
	cleanup_store struct store store = begin(&s);
	const char *tree = make_tree(&store, "one");

	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		char name[16], says[160], yaml[80];

		(void)snprintf(name, sizeof(name), "user%zu", i);
		(void)snprintf(says, sizeof(says),
			       "{\"Entrypoint\":[\"/app/bin/boxed\"],\"User\":\"%s\"}", users[i]);
		store_import(&store, tree, name, says);
		(void)snprintf(yaml, sizeof(yaml), "functions:\n  f: {image: %s, timeout: 60s}\n",
			       name);
		project_deploy(&s, yaml);
		expect_about(&s, "f", "\"uid\":1000,\"gid\":1000,");
	}
	project_end(&s);
}

/* Which of its programs and directories are there is found out where they are. */
Test(image_functions, what_is_not_in_it_is_an_error_of_the_functions)
{
	static const struct {
		const char *function, *type, *why;
		int status;
	} rows[] = {
		{ "none", "Runtime.InvalidEntrypoint", "'/none': no such file or directory", 127 },
		{ "closed", "Runtime.InvalidEntrypoint", "'/app': permission denied", 126 },
		{ "nowhere", "Runtime.InvalidWorkingDir", "/nowhere", 125 },
	};
	struct project s;
	cleanup_store struct store store = begin(&s);

	store_import(&store, make_tree(&store, "one"), "app", SAYS);
	project_deploy(&s, "functions:\n"
			   "  none: {image: app, entrypoint: [/none]}\n"
			   "  closed: {image: app, entrypoint: [/app]}\n"
			   "  nowhere: {image: app, workdir: /nowhere}\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char want[128];

		OWN("invoke", "--log-tail", rows[i].function);
		cr_expect_eq(s.run.status, rows[i].status, "%s: %s", rows[i].function, s.run.err);
		(void)snprintf(want, sizeof(want), "{\"errorType\":\"%s\",", rows[i].type);
		cr_expect(strstr(s.run.out, want), "%s: %s", want, s.run.out);
		cr_expect(strstr(s.run.out, rows[i].why), "%s: %s", rows[i].why, s.run.out);
		(void)snprintf(want, sizeof(want), "\tPhase: init\tStatus: error\tError Type: %s\n",
			       rows[i].type);
		cr_expect(strstr(s.run.err, want), "%s: %s", want, s.run.err);
	}
	project_end(&s);
}

static void expect_digest(struct project *s, const char *function, const char *sha)
{
	const char *const words[] = { "show", function, NULL };
	const char *const json[] = { "show", "--json", function, NULL };
	char want[120];

	project_by(s, DAEMON_USER, words);
	(void)snprintf(want, sizeof(want), "digest        %s\n", sha);
	cr_expect(strstr(s->run.out, want), "%s: %s", want, s->run.out);
	cr_expect(strstr(s->run.out, "runtime       image app\n"), "%s", s->run.out);
	cr_expect(strstr(s->run.out, "command       /app/bin/boxed of-image\n"), "%s", s->run.out);
	project_by(s, DAEMON_USER, json);
	(void)snprintf(want, sizeof(want), "\"code_sha256\":\"%s\"", sha);
	cr_expect(strstr(s->run.out, want), "%s: %s", want, s->run.out);
	cr_expect(strstr(s->run.out, "\"image\":\"app\""), "%s", s->run.out);
	cr_expect(strstr(s->run.out, "\"start\":{\"command\":[\"/app/bin/boxed\",\"of-image\"]"),
		  "%s", s->run.out);
}

static void sha_now(const char *name, char ret[static 65])
{
	cleanup_fd int store = image_store_open(false, NULL);
	struct image image = { .fd = -1 };

	cr_assert_eq(image_open(store, name, &image, NULL), 0);
	(void)snprintf(ret, 65, "%s", image.sha256);
	image_close(&image);
}

/* Behind the file that goes, as project_expect_codes() has it. */
static void expect_unmounted(struct project *s, const char *sha)
{
	for (int i = 0; i < 1000 && mounts_with(sha); i++)
		project_by(s, DAEMON_USER, (const char *const[]){ "functions", "--json", NULL });
	cr_expect_eq(mounts_with(sha), 0);
}

/* By another of its name, by nothing; and back. */
Test(image_functions, outlive_what_becomes_of_their_image)
{
	struct project s;
	cleanup_store struct store store = begin(&s);
	cleanup_run struct run run = { 0 };
	static const char yaml[] = "functions:\n  f: {image: app, timeout: 60s}\n";
	static const char other[] = "{\"Entrypoint\":[\"/app/bin/boxed\",\"anew\"]}";
	char first[65], second[65];

	store_import(&store, make_tree(&store, "one"), "app", SAYS);
	sha_now("app", first);
	project_deploy(&s, yaml);
	project_expect(&s, "deployed f version 1 (new)\n");
	expect_digest(&s, "f", first);
	project_deploy(&s, yaml);
	project_expect(&s, "f unchanged, version 1\n");
	expect_about(&s, "f", "\"argument\":\"of-image\"");
	/* With others it has one mount. */
	project_deploy_as(&s, "1001", yaml);
	BY("1001", "invoke", "f");
	project_expect(&s, "\"argument\":\"of-image\"");
	OWN("run", "-q", "-m", "32M", "--cpu", "shared", "-t", "60s", "--rootfs", "app",
	    "--entrypoint", "/noop");
	cr_expect_eq(s.run.status, 0, "%s", s.run.err);
	cr_expect_eq(mounts_with(first), 1);
	store_import(&store, make_tree(&store, "two"), "app", other);
	sha_now("app", second);
	cr_assert_str_neq(first, second);
	/* What is deployed is what it was. */
	expect_digest(&s, "f", first);
	expect_about(&s, "f",
		     "\"argument\":\"of-image\",\"in\":\"/app\",\"told\":\"by "
		     "image\",\"function\":\"f\",\"n\":2");
	project_deploy(&s, yaml);
	project_expect(&s, "deployed f version 2 (updated)\n");
	expect_about(&s, "f", "{\"argument\":\"anew\",\"in\":\"/\",\"told\":\"-\"");
	project_expect_codes(&s, DAEMON_USER, 2);
	RUN_IMAGE(&run, "remove", "app");
	cr_assert_eq(run.status, 0, "%s", run.err);
	/* By contexts that are made now. */
	OWN("invoke", "f", "\"exit\"");
	expect_about(&s, "f", "{\"argument\":\"anew\"");
	OWN("deploy", "--rollback", "f");
	project_expect(&s, "deployed f version 1 (rolled back)\n");
	expect_about(&s, "f", "{\"argument\":\"of-image\",\"in\":\"/app\"");
	OWN("invoke", "--version", "2", "f", "\"about\"");
	project_expect(&s, "{\"argument\":\"anew\"");
	OWN("remove", "f");
	cr_expect_eq(s.run.status, 0, "%s", s.run.err);
	BY("1001", "remove", "f");
	cr_expect_eq(s.run.status, 0, "%s", s.run.err);
	project_expect_codes(&s, DAEMON_USER, 0);
	expect_unmounted(&s, first);
	expect_unmounted(&s, second);
	project_end(&s);
}

struct wrong {
	const char *yaml, *says;
};

Test(image_functions, what_is_wrong_is_said_with_its_line)
{
	static const struct wrong wrongs[] = {
		{ "functions:\n  f:\n    memory: 64\n    image: none\n",
		  "cloche.yaml:4: functions/f/image: there is no image 'none'" },
		{ "functions:\n  f:\n    image: silent\n",
		  "cloche.yaml:3: functions/f/image: 'silent' brings no command of its own: "
		  "expected one as 'handler'" },
		{ "functions:\n  f:\n    image: app\n    reuse: fork\n",
		  "cloche.yaml:4: functions/f/reuse: what runs 'image' cannot be forked" },
		{ "functions:\n  f:\n    image: app\n    code: ./code\n",
		  "functions/f/image: expected neither 'runtime' nor 'code'" },
	};
	struct project s;
	cleanup_store struct store store = begin(&s);

	/* There is no store, either. */
	project_put(&s, "cloche.yaml", wrongs[0].yaml);
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		char path[700];

		project_put(&s, "cloche.yaml", wrongs[i].yaml);
		(void)snprintf(path, sizeof(path), "%s/cloche.yaml", s.project);
		OWN("deploy", path);
		project_refused(&s, 1, wrongs[i].says);
		if (i > 0)
			continue;
		store_import(&store, make_tree(&store, "one"), "app", SAYS);
		store_import(&store, make_tree(&store, "two"), "silent", "{}");
		OWN("deploy", path);
		project_refused(&s, 1, wrongs[i].says);
	}
	project_expect_codes(&s, DAEMON_USER, 0);
	project_deploy(&s, "functions:\n  f: {image: silent, timeout: 60s,\n"
			   "      handler: [/app/bin/boxed, here]}\n");
	expect_about(&s, "f", "{\"argument\":\"here\",\"in\":\"/\"");
	project_end(&s);
}

/* One file where that can be, else a copy. */
Test(image_functions, an_image_is_kept_by_its_hash)
{
	cleanup_store struct store store = store_make();
	char other[] = "/dev/shm/cloche-test-XXXXXX", sha[65], file[80];
	struct image image = { .fd = -1 };
	struct cloche_err err = { 0 };
	struct stat is, was;

	store_build(&store, tree_make(&store, "tree"), "app", sha);
	(void)snprintf(file, sizeof(file), "%s" IMAGE_SUFFIX, sha);
	cr_assert(mkdir(store_file(&store, "code"), 0755) == 0 && mkdtemp(other));
	for (int i = 0; i < 2; i++) {
		const char *path = i ? other : store_file(&store, "code");
		cleanup_fd int from = image_store_open(false, NULL);
		cleanup_fd int to = image_store_open_at(path, false, &err);

		cr_assert(from >= 0 && to >= 0, "%s", err.text);
		cr_expect_eq(image_pin(from, "none", sha, 1 << 30, to, &err), -ENOENT);
		cr_expect_eq(image_pin(from, "app", other, 1 << 30, to, &err), -ESTALE);
		cr_expect_eq(image_pin(from, "app", sha, 4096, to, &err), -EFBIG);
		cr_expect_neq(faccessat(to, file, F_OK, 0), 0);
		cr_assert_eq(image_pin(from, "app", sha, 1 << 30, to, &err), 0, "%s", err.text);
		cr_assert_eq(image_pin(from, "app", sha, 1 << 30, to, &err), 0, "%s", err.text);
		cr_assert_eq(fstatat(to, file, &is, 0), 0);
		cr_assert_eq(fstatat(from, "app" IMAGE_SUFFIX, &was, 0), 0);
		cr_expect_eq(is.st_ino == was.st_ino && is.st_dev == was.st_dev, i == 0);
		cr_assert_eq(image_open(to, sha, &image, &err), 0, "%s", err.text);
		cr_expect_eq(image_verify(&image, sha, NULL, &err), 0, "%s", err.text);
		image_close(&image);
		cr_expect_eq(unlinkat(to, file, 0), 0);
	}
	cr_expect_eq(rmdir(other), 0);
}

/* As of other runtimes: its process, its context, or nothing is kept. */
Test(image_functions, are_kept_as_they_ask)
{
	static const struct {
		const char *function, *again, *n;
	} rows[] = {
		{ "process", "\"start\":\"warm\",\"reuse\":\"process\",\"invocation\":2",
		  "\"n\":2," },
		{ "context", "\"start\":\"warm\",\"reuse\":\"context\",\"invocation\":2",
		  "\"n\":1," },
		{ "none", "\"start\":\"cold\",\"reuse\":\"none\",\"invocation\":1", "\"n\":1," },
	};
	struct project s;
	cleanup_store struct store store = begin(&s);

	store_import(&store, make_tree(&store, "one"), "app", SAYS);
	project_deploy(&s, "functions:\n  process: {image: app, timeout: 60s}\n"
			   "  context: {image: app, timeout: 60s, reuse: context}\n"
			   "  none: {image: app, timeout: 60s, reuse: none}\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		expect_about(&s, rows[i].function, "\"n\":1,");
		OWN("invoke", "--report", "-", rows[i].function);
		cr_expect(strstr(s.run.out, rows[i].n), "%s: %s", rows[i].function, s.run.out);
		cr_expect(strstr(s.run.err, rows[i].again), "%s: %s", rows[i].function, s.run.err);
	}
	project_end(&s);
}

/* The user's own goes before the host's of that name, for him alone. */
Test(image_functions, are_of_their_owners_images)
{
	struct project s;
	cleanup_store struct store store = begin(&s);
	const char *own, *words[] = { "image", "import", NULL, "app", NULL };

	store_import(&store, make_tree(&store, "hosts"), "app",
		     "{\"Entrypoint\":[\"/app/bin/boxed\",\"hosts\"]}");
	own = oci_saying(&store, make_tree(&store, "own"),
			 "{\"Entrypoint\":[\"/app/bin/boxed\",\"own\"]}");
	RUN(&s.run, "chmod", "-R", "a+rX", store.dir);
	cr_assert_eq(s.run.status, 0, "%s", s.run.err);
	words[2] = own;
	/* Nobody says to him where images are. */
	cr_assert_eq(unsetenv(IMAGE_STORE_ENV), 0);
	project_by(&s, DAEMON_USER, words);
	cr_assert_eq(setenv(IMAGE_STORE_ENV, store.path, 1), 0);
	cr_assert_eq(s.run.status, 0, "%s", s.run.err);
	project_deploy(&s, "functions:\n  f: {image: app, timeout: 60s}\n");
	expect_about(&s, "f", "\"argument\":\"own\"");
	project_deploy_as(&s, "1001", "functions:\n  f: {image: app, timeout: 60s}\n");
	BY("1001", "invoke", "f");
	project_expect(&s, "\"argument\":\"hosts\"");
	cr_assert_eq(unsetenv(IMAGE_STORE_ENV), 0);
	OWN("image", "remove", "app");
	cr_assert_eq(setenv(IMAGE_STORE_ENV, store.path, 1), 0);
	cr_expect_eq(s.run.status, 0, "%s", s.run.err);
	OWN("invoke", "f", "\"exit\"");
	expect_about(&s, "f", "\"argument\":\"own\"");
	project_deploy(&s, "functions:\n  f: {image: app, timeout: 60s}\n");
	project_expect(&s, "deployed f version 2 (updated)\n");
	expect_about(&s, "f", "\"argument\":\"hosts\"");
	project_end(&s);
}

/* Whatever becomes of the daemon; without their image's name. */
Test(image_functions, are_there_again)
{
	struct store store = store_make();
	cleanup_run struct run run = { 0 };
	struct project s;

	project_begin(&s, "");
	store_import(&store, make_tree(&store, "one"), "app", SAYS);
	project_deploy(&s, "functions:\n  f: {image: app, timeout: 60s}\n");
	expect_about(&s, "f", "\"argument\":\"of-image\"");
	RUN_IMAGE(&run, "remove", "app");
	cr_assert_eq(run.status, 0, "%s", run.err);
	daemon_kill(&s.d);
	daemon_start(&s.d);
	expect_about(&s, "f", "\"argument\":\"of-image\",\"in\":\"/app\",\"told\":\"by image\"");
	project_end(&s);
	store_free(&store);
}

/* What they keep is their owner's. */
Test(image_functions, have_a_quota)
{
	cleanup_store struct store store = store_make();
	struct project s;
	char path[700];

	project_begin(&s, "per_owner: {code: 512K}");
	store_import(&store, make_tree(&store, "one"), "app", SAYS);
	project_put(&s, "cloche.yaml", "functions:\n  f: {image: app, timeout: 60s}\n");
	(void)snprintf(path, sizeof(path), "%s/cloche.yaml", s.project);
	OWN("deploy", path);
	project_refused(&s, 1, "of the 512K that user 1000 may have (limit 'per_owner.code')");
	project_expect_codes(&s, DAEMON_USER, 0);
	project_end(&s);
}
