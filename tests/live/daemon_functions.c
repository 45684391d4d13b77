/* SPDX-License-Identifier: MIT */
/* Functions that users without rights deploy, go back with and remove, by the daemon: nobody
 * else's, within limits, and whatever becomes of the daemon. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/hash.h"
#include "function/function_json.h"
#include "serve/listing.h"
#include "serve/packet.h"
#include "serve/remote.h"
#include "serve/remote_function.h"
#include "serve/request.h"
#include "serve/stores.h"
#include "tests/lib/daemon.h"
#include "tests/lib/env.h"
#include "tests/lib/oci.h"
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

/* What a shell completes is asked of the daemon. */
Test(daemon_functions, are_completed)
{
	static const char ask[] =
		"PATH=$1:$PATH CLOCHE_CONTROL=$2; export CLOCHE_CONTROL; "
		"eval \"$(cloche completion bash)\"; COMP_WORDS=(cloche \"$3\" \"$4\"); "
		"COMP_CWORD=2; _cloche; echo \"${COMPREPLY[@]}\"";
	static const char *const verbs[] = { "show", "remove", "invoke", "logs" };
	struct scene s;

	begin(&s, "");
	deploy(&s, "functions:\n" F("hello", "128") F("help", "128") F("other", "128"));
	expect_ok(&s, "");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		run_free(&s.run);
		RUN(&s.run, "bash", "-c", ask, "bash", s.d.dir, s.d.control, verbs[i], "he");
		cr_expect_str_eq(s.run.out, "hello help\n", "%s: %s", verbs[i], s.run.err);
	}
	end(&s);
}

/* At once, by one user: each has its own code, and all come to their end. */
Test(daemon_functions, are_deployed_side_by_side)
{
	struct client c[4];
	char yaml[200], path[700], name[32];
	struct scene s;

	begin(&s, "");
	s.d.verb = "deploy";
	for (int i = 0; i < 4; i++) {
		(void)snprintf(name, sizeof(name), "code%d", i);
		make_dir(&s, name);
		(void)snprintf(name, sizeof(name), "code%d/app.py", i);
		put_file(&s, name, name);
		(void)snprintf(yaml, sizeof(yaml),
			       "functions:\n  f%d:\n    runtime: python3\n    code: code%d\n"
			       "    handler: app.handler\n",
			       i, i);
		(void)snprintf(name, sizeof(name), "cloche%d.yaml", i);
		put_file(&s, name, yaml);
		(void)snprintf(path, sizeof(path), "%s/%s", s.project, name);
		c[i] = client_start(&s.d, (const char *const[]){ path, NULL });
	}
	for (int i = 0; i < 4; i++) {
		expect_line(c[i].out, "version 1 (new)");
		cr_expect_eq(process_status(c[i].pid), 0);
		(void)fclose(c[i].out);
		(void)fclose(c[i].err);
	}
	cr_expect_eq(count_codes(&s, DAEMON_USER), 4);
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

/* ---- what is sent is hostile ------------------------------------------------------------------
 */

/* Bytes as the code of that hash, as a client of no rights may send them. In a process of its own,
 * which says what it is told. */
static char *send_code(const struct scene *s, const void *bytes, size_t len, const char *sha256)
{
	static char text[600];
	int told[2];
	pid_t pid;
	ssize_t n;

	cr_assert_eq(pipe2(told, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		const struct remote_image what = { .name = sha256, .form = IMAGE_OF_CODE };
		struct remote r = { .socket = -1 };
		struct cloche_err err = { 0 };
		int fd = -1;

		if (setresgid(1000, 1000, 1000) < 0 || setresuid(1000, 1000, 1000) < 0)
			_exit(1);
		(void)signal(SIGPIPE, SIG_IGN);
		if (remote_image_begin(s->d.control, &what, &r, &fd, &err) == 0) {
			(void)file_write_all(fd, bytes, len);
			(void)close(fd);
			(void)remote_image_done(&r, &err);
		}
		(void)!write(told[1], err.code ? err.text : "done",
			     err.code ? strlen(err.text) : 4);
		_exit(0);
	}
	(void)close(told[1]);
	n = read(told[0], text, sizeof(text) - 1);
	(void)close(told[0]);
	text[n > 0 ? n : 0] = '\0';
	cr_assert_eq(process_status(pid), 0);
	return text;
}

static void expect_told(const char *told, const char *text)
{
	cr_expect(strstr(told, text), "told: %s\nnot: %s", told, text);
}

static const struct {
	struct entry entries[4];
	const char *says;
} climbers[] = {
	{ { { ENTRY_FILE, "../out", "x" } }, "leads out" },
	{ { { ENTRY_FILE, "a/../../out", "x" } }, "leads out" },
	{ { { ENTRY_LINK, "up", ".." }, { ENTRY_FILE, "up/out", "x" } }, "leads out" },
	{ { { ENTRY_LINK, "up", "/../.." }, { ENTRY_DIR, "up/out", NULL } }, "leads out" },
	{ { { ENTRY_HARD, "mine", "../../../../etc/shadow" } }, "leads out" },
	{ { { ENTRY_HARD, "mine", "/etc/shadow" } }, "a link to it cannot be made" },
};

Test(daemon_functions, code_that_climbs_out_is_refused)
{
	struct scene s;

	begin(&s, "");
	for (size_t i = 0; i < sizeof(climbers) / sizeof(climbers[0]); i++) {
		struct bytes tar = tar_make(climbers[i].entries);
		char sha256[HASH_HEX_LEN];

		hash_sha256_hex(tar.data, tar.len, sha256);
		expect_told(send_code(&s, tar.data, tar.len, sha256), climbers[i].says);
		free(tar.data);
	}
	cr_expect_eq(count_codes(&s, DAEMON_USER), 0);
	end(&s);
}

/* Whoever receives it computes the hash. */
Test(daemon_functions, code_of_another_hash_is_refused)
{
	static const struct entry plain[] = { { ENTRY_FILE, "app.py", "text" }, { 0 } };
	struct bytes tar = tar_make(plain);
	char sha256[HASH_HEX_LEN];
	struct scene s;

	begin(&s, "");
	hash_sha256_hex("other", 5, sha256);
	expect_told(send_code(&s, tar.data, tar.len, sha256), "is not what was announced");
	expect_told(send_code(&s, tar.data, tar.len, "../images/x"), "without its hash");
	expect_told(send_code(&s, tar.data, tar.len, "mine"), "without its hash");
	/* Cut off. */
	hash_sha256_hex(tar.data, tar.len, sha256);
	expect_told(send_code(&s, tar.data, tar.len / 2, sha256), "is not what was announced");
	cr_expect_eq(count_codes(&s, DAEMON_USER), 0);
	expect_told(send_code(&s, tar.data, tar.len, sha256), "done");
	cr_expect_eq(count_codes(&s, DAEMON_USER), 1);
	/* It is no image. */
	OWN("image", "list");
	cr_expect(!strstr(s.run.out, sha256), "%s", s.run.out);
	daemon_expect_serves(&s.d);
	end(&s);
	free(tar.data);
}

/* Whatever is asked for by its hash must be there when it is deployed. */
Test(daemon_functions, code_that_is_not_there_is_not_deployed)
{
	struct cloche_err err = { 0 };
	struct function_config c;
	json_t *list, *done = NULL;
	struct scene s;

	begin(&s, "");
	function_config_defaults(&c, FAMILY_PROVIDED);
	(void)snprintf(c.name, sizeof(c.name), "f");
	(void)snprintf(c.runtime, sizeof(c.runtime), "provided");
	hash_sha256_hex("none", 4, c.code.sha256);
	list = json_pack("[o]", function_to_json(&c));
	cr_expect_eq(remote_deploy(s.d.control, list, &done, &err), -ESTALE, "%s", err.text);
	/* Nor what is none, or twice. */
	(void)json_array_append_new(list, function_to_json(&c));
	cr_expect_eq(remote_deploy(s.d.control, list, &done, &err), -EINVAL, "%s", err.text);
	(void)json_array_set_new(list, 1, json_pack("{s:s}", "name", "g"));
	cr_expect_eq(remote_deploy(s.d.control, list, &done, &err), -EBADMSG, "%s", err.text);
	c.timeout_ns = 0;
	(void)json_array_clear(list);
	cr_expect_eq(remote_deploy(s.d.control, list, &done, &err), -EBADMSG, "%s", err.text);
	(void)json_array_append_new(list, function_to_json(&c));
	cr_expect_eq(remote_deploy(s.d.control, list, &done, &err), -EINVAL, "%s", err.text);
	json_decref(list);
	daemon_expect_serves(&s.d);
	end(&s);
}

/* A DEPLOY of any bytes, with any descriptor. */
static char *send_deploy(const struct scene *s, int fd, size_t len)
{
	static struct answer answer;
	struct request request = { .kind = REQUEST_DEPLOY, .order_len = (uint32_t)len };
	struct packet_fds fds = { .fd = { fd }, .n = fd >= 0 ? 1 : 0 };
	struct remote r = { .socket = -1 };
	struct cloche_err err = { 0 };

	cr_assert_eq(remote_open(s->d.control, &r, &err), 0, "%s", err.text);
	request_version(request.version);
	cr_assert_eq(packet_send(r.socket, &request, sizeof(request), &fds), 0);
	while (poll(&(struct pollfd){ .fd = r.socket, .events = POLLIN }, 1, -1) < 0)
		;
	cr_assert_eq(packet_recv(r.socket, &answer, sizeof(answer), &fds), sizeof(answer));
	cr_expect_eq(answer.kind, ANSWER_REFUSED);
	remote_close(&r);
	return answer.refused.text;
}

static int hold(const char *text)
{
	int fd = listing_hand(text, strlen(text));

	cr_assert_geq(fd, 0);
	return fd;
}

Test(daemon_functions, what_is_no_function_is_refused)
{
	static const char *const texts[] = {
		"", "{}", "[]", "[1]", "[{}]", "[[", "null", "[{\"name\":\"f\",\"name\":\"f\"}]"
	};
	struct scene s;
	int ends[2], fd;

	begin(&s, "");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		fd = hold(texts[i]);
		cr_expect_str_neq(send_deploy(&s, fd, strlen(texts[i])), "");
		(void)close(fd);
	}
	fd = hold("[]");
	/* More than there is; more than there may be; from what may be waited for; from nothing. */
	expect_told(send_deploy(&s, fd, 3), "read the functions");
	expect_told(send_deploy(&s, fd, 1 << 21), "what there is not");
	(void)close(fd);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	expect_told(send_deploy(&s, ends[0], 2), "read the functions");
	expect_told(send_deploy(&s, -1, 2), "read the functions");
	daemon_expect_serves(&s.d);
	end(&s);
}

/* ---- zips --------------------------------------------------------------------------------------
 */

static void make_zip(struct scene *s, const char *script)
{
	char path[700];

	(void)snprintf(path, sizeof(path), "%s/code.zip", s->project);
	(void)unlink(path);
	RUN(&s->run, "python3", "-c", script, path);
	cr_assert_eq(s->run.status, 0, "%s", s->run.err);
}

#define ZIPPED \
	"functions:\n  z:\n    runtime: python3\n    code: code.zip\n    handler: app.handler\n"

static const char good_zip[] =
	"import sys, zipfile\n"
	"z = zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED)\n"
	"z.writestr('app.py', 'handler = None\\n')\n"
	"i = zipfile.ZipInfo('bin/tool'); i.create_system = 3; i.external_attr = 0o100755 << 16\n"
	"z.writestr(i, '#!/bin/sh\\n')\n"
	"z.close()\n";

static const char climbing_zip[] = "import sys, zipfile\n"
				   "z = zipfile.ZipFile(sys.argv[1], 'w')\n"
				   "z.writestr('../out', 'x')\n"
				   "z.close()\n";

static const char linking_zip[] =
	"import sys, zipfile\n"
	"z = zipfile.ZipFile(sys.argv[1], 'w')\n"
	"i = zipfile.ZipInfo('up'); i.create_system = 3; i.external_attr = 0o120777 << 16\n"
	"z.writestr(i, '..')\n"
	"z.writestr('up/out', 'x')\n"
	"z.close()\n";

static const char bomb[] = "import sys, zipfile\n"
			   "z = zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED)\n"
			   "z.writestr('zeros', b'\\0' * (5 << 20))\n"
			   "z.close()\n";

/* What it says of itself is a lie. */
static const char lying_bomb[] = "import sys, zipfile, struct\n"
				 "z = zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED)\n"
				 "z.writestr('zeros', b'\\0' * (5 << 20))\n"
				 "z.close()\n"
				 "b = open(sys.argv[1], 'rb').read()\n"
				 "b = b.replace(struct.pack('<I', 5 << 20), struct.pack('<I', 5))\n"
				 "open(sys.argv[1], 'wb').write(b)\n";

Test(daemon_functions, zips_are_code)
{
	struct scene s;

	begin(&s, "per_owner: {code_unpacked: 4M}");
	make_zip(&s, good_zip);
	deploy(&s, ZIPPED);
	expect_ok(&s, "deployed z version 1 (new)");
	deploy(&s, ZIPPED);
	expect_ok(&s, "z unchanged, version 1");
	make_zip(&s, climbing_zip);
	deploy(&s, ZIPPED);
	expect_refused(&s, 1, "leads out");
	make_zip(&s, linking_zip);
	deploy(&s, ZIPPED);
	expect_refused(&s, 1, "leads out");
	make_zip(&s, bomb);
	deploy(&s, ZIPPED);
	expect_refused(&s, 1, "unpacked it is more than 4M");
	make_zip(&s, lying_bomb);
	deploy(&s, ZIPPED);
	cr_expect_eq(s.run.status, 1);
	put_file(&s, "code.zip", "PK no zip");
	deploy(&s, ZIPPED);
	expect_refused(&s, 1, "neither a directory nor a zip");
	cr_expect_eq(count_codes(&s, DAEMON_USER), 1);
	OWN("show", "--json", "z");
	expect_ok(&s, "\"current\":1");
	daemon_expect_serves(&s.d);
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
