/* SPDX-License-Identifier: MIT */
/* Contexts with binds, kept for the next invocation: who opens the very same has one, and nobody
 * else, whatever that is called now. Needs root. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "launch/given.h"
#include "launch/spec.h"
#include "serve/packet.h"
#include "serve/request.h"
#include "tests/lib/daemon.h"
#include "tests/lib/run.h"

#define OTHER "1001"
#define SMALL "-m", "64M", "--cpu", "shared", "-t", "60s", "--report", "-"
#define COLD  "\"start\":\"cold\""
#define WARM  "\"start\":\"warm\""

static void put(const struct daemon *d, const char *name, const char *text)
{
	char path[700];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", d->dir, name);
	f = fopen(path, "we");
	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s: %m", path);
}

static void dir(const struct daemon *d, const char *name)
{
	char path[700];

	(void)snprintf(path, sizeof(path), "%s/%s", d->dir, name);
	cr_assert_eq(mkdir(path, 0755), 0, "%s: %m", path);
}

static void move(const struct daemon *d, const char *from, const char *to)
{
	char a[700], b[700];

	(void)snprintf(a, sizeof(a), "%s/%s", d->dir, from);
	(void)snprintf(b, sizeof(b), "%s/%s", d->dir, to);
	cr_assert_eq(rename(a, b), 0, "%m");
}

static void begin(struct daemon *d)
{
	daemon_prepare(d);
	daemon_start(d);
	dir(d, "one");
	put(d, "one/f", "one");
	dir(d, "two");
	put(d, "two/f", "two");
}

/* `cat /mnt/f` with that bound at /mnt. */
static void show(struct run *run, const struct daemon *d, const char *source)
{
	char bind[800];

	run_free(run);
	(void)snprintf(bind, sizeof(bind), "%s/%s:/mnt", d->dir, source);
	AS_USER(d, run, SMALL, "-b", bind, "--", "cat", "/mnt/f");
}

/* The user's context is there for the next one. */
static void await_ready(struct daemon *d)
{
	bool ready = false;

	while (!ready) {
		cleanup_run struct run run = { 0 };

		d->verb = "ps";
		AS_USER(d, &run, "--json");
		d->verb = "run";
		ready = strstr(run.out, "\"state\":\"ready\"") != NULL;
	}
}

static void expect(const struct run *run, const char *out, const char *start)
{
	cr_expect_eq(run->status, 0, "%s", run->err);
	cr_expect_str_eq(run->out, out);
	expect_has(run->err, start);
}

Test(daemon_binds, the_same_are_found_warm)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;

	begin(&d);
	show(&run, &d, "one");
	expect(&run, "one", COLD);
	await_ready(&d);
	show(&run, &d, "one");
	expect(&run, "one", WARM);
	await_ready(&d);
	/* By another name. */
	show(&run, &d, "two/../one");
	expect(&run, "one", WARM);
	await_ready(&d);
	show(&run, &d, "two");
	expect(&run, "two", COLD);
	/* What is read-only for one is so for the next. */
	await_ready(&d);
	show(&run, &d, "one");
	expect_has(run.err, WARM);
	daemon_stop(&d);
}

Test(daemon_binds, what_has_taken_the_name_is_another)
{
	cleanup_run struct run run = { 0 };
	char path[700], link_to[700];
	struct daemon d;

	begin(&d);
	(void)snprintf(path, sizeof(path), "%s/link", d.dir);
	(void)snprintf(link_to, sizeof(link_to), "%s/one", d.dir);
	cr_assert_eq(symlink(link_to, path), 0);
	show(&run, &d, "link");
	expect(&run, "one", COLD);
	await_ready(&d);
	show(&run, &d, "one");
	expect(&run, "one", WARM);
	await_ready(&d);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(symlink("two", path), 0);
	show(&run, &d, "link");
	expect(&run, "two", COLD);
	await_ready(&d);
	move(&d, "one", "was");
	move(&d, "two", "one");
	show(&run, &d, "one");
	expect(&run, "two", WARM);
	await_ready(&d);
	show(&run, &d, "was");
	expect(&run, "one", WARM);
	daemon_stop(&d);
}

/* A context that is there with a directory is of no use to who may not reach that any more. */
Test(daemon_binds, who_may_not_open_it_now_has_none)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	char path[700];

	begin(&d);
	dir(&d, "gate");
	move(&d, "one", "gate/one");
	show(&run, &d, "gate/one");
	expect(&run, "one", COLD);
	await_ready(&d);
	(void)snprintf(path, sizeof(path), "%s/gate", d.dir);
	cr_assert_eq(chmod(path, 0700), 0);
	show(&run, &d, "gate/one");
	cr_expect_eq(run.status, 125, "%s", run.err);
	cr_expect_str_eq(run.out, "");
	cr_assert_eq(chmod(path, 0755), 0);
	/* Nor is another user's his. */
	d.user = OTHER;
	show(&run, &d, "gate/one");
	expect(&run, "one", COLD);
	/* In a context that is kept the file counts as it is now. */
	await_ready(&d);
	(void)snprintf(path, sizeof(path), "%s/gate/one/f", d.dir);
	cr_assert_eq(chmod(path, 0600), 0);
	show(&run, &d, "gate/one");
	expect_has(run.err, WARM);
	cr_expect_eq(run.status, 1);
	cr_expect_str_eq(run.out, "");
	daemon_stop(&d);
}

/* Where another one may write he may not, and the place is part of it. */
Test(daemon_binds, the_same_source_otherwise_is_another)
{
	static const char *const how[] = { "/mnt:ro", "/mnt:rw", "/tmp/mnt:ro" };
	struct daemon d;
	char bind[800], path[700];

	begin(&d);
	(void)snprintf(path, sizeof(path), "%s/one", d.dir);
	cr_assert(chown(path, 1000, 1000) == 0);
	for (size_t i = 0; i < 2 * (sizeof(how) / sizeof(how[0])); i++) {
		cleanup_run struct run run = { 0 };
		bool rw = i % 3 == 1;

		(void)snprintf(bind, sizeof(bind), "%s/one:%s", d.dir, how[i % 3]);
		AS_USER(&d, &run, SMALL, "-b", bind, "--", "sh", "-c",
			"cd /mnt || cd /tmp/mnt; : >new && rm new && echo wrote");
		expect_has(run.err, i < 3 ? COLD : WARM);
		cr_expect_eq(strcmp(run.out, "wrote\n") == 0, rw, "%s: %s%s", bind, run.out,
			     run.err);
		await_ready(&d);
		/* All three are there, and none is another's. */
		while (i < 3) {
			cleanup_run struct run ps = { 0 };
			size_t n = 0;

			d.verb = "ps";
			AS_USER(&d, &ps, "--json");
			d.verb = "run";
			for (const char *at = ps.out; (at = strstr(at, "\"ready\"")); at++)
				n++;
			if (n == i + 1)
				break;
		}
	}
	daemon_stop(&d);
}

/* ---- who lies -------------------------------------------------------------------------------- */

/* Asks for `cat /mnt/f` with one source, and says of it what is said of another. */
static void ask(int socket, const char *source, const char *claimed)
{
	struct bind_spec bind = { .src = claimed, .dst = "/mnt" };
	char *const argv[] = { (char *)"cat", (char *)"/mnt/f", NULL };
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct packet_fds fds = { .fd = { null, null, null }, .n = REQUEST_FDS };
	cleanup_free struct sock_filter *insns = NULL;
	cleanup_fd int order = -1, binds = -1, ignored = -1;
	unsigned char claim[HASH_LEN];
	struct cloche_err err = { 0 };
	struct request r;
	struct spec spec;

	spec_defaults(&spec);
	spec.argv = argv;
	spec.memory_bytes = 64ULL << 20;
	spec.timeout_ns = 60LL * 1000000000;
	spec.cpu_mode = CPU_SHARED;
	spec.binds = &bind;
	spec.n_binds = 1;
	cr_assert_eq(request_make(&spec, NULL, &r, &insns, &order, &err), 0, "%s", err.text);
	cr_assert_eq(given_pack(&spec, &ignored, claim, &err), 0, "%s", err.text);
	bind.src = source;
	cr_assert_eq(given_pack(&spec, &binds, r.binds_claim, &err), 0, "%s", err.text);
	memcpy(r.binds_claim, claim, sizeof(claim));
	fds.fd[REQUEST_FD_ORDER] = order;
	fds.fd[fds.n++] = binds;
	cr_assert_eq(packet_send(socket, &r, sizeof(r), &fds), 0);
}

enum { SERVED = 10, NOT_RUN, NO_ANSWER };

/* As the user, by all his numbers. */
static int asked(const struct daemon *d, const char *source, const char *claimed)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct answer *a = calloc(1, sizeof(*a));
		int socket;

		if (!a || setresgid(1000, 1000, 1000) < 0 || setresuid(1000, 1000, 1000) < 0)
			_exit(1);
		socket = daemon_knock(d);
		ask(socket, source, claimed);
		if (recv(socket, a, sizeof(*a), 0) != (ssize_t)sizeof(*a))
			_exit(NO_ANSWER);
		_exit(a->outcome.verdict == VERDICT_OK ? SERVED : a->outcome.ran ? 1 : NOT_RUN);
	}
	return process_status(pid);
}

Test(daemon_binds, who_lies_has_nothing_by_it)
{
	cleanup_run struct run run = { 0 };
	char one[700], two[700];
	struct daemon d;

	begin(&d);
	(void)snprintf(one, sizeof(one), "%s/one", d.dir);
	(void)snprintf(two, sizeof(two), "%s/two", d.dir);
	/* The first of that kind has what he gave. */
	cr_expect_eq(asked(&d, two, one), SERVED);
	await_ready(&d);
	/* That is not what his own, who says the truth, have: it ends. */
	cr_expect_eq(asked(&d, one, one), NOT_RUN);
	cr_expect_eq(asked(&d, one, one), SERVED);
	d.user = OTHER;
	show(&run, &d, "one");
	expect(&run, "one", COLD);
	daemon_stop(&d);
}
