/* SPDX-License-Identifier: MIT */
/*
 * A client that says that another request follows: whose its context is meanwhile, and what becomes
 * of it when the client is silent, dies, changes its mind or says nonsense. What --repeat shows is
 * live/repeat.c's, through the daemon as without. Needs root.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "launch/given.h"
#include "launch/spec.h"
#include "run/outcome.h"
#include "serve/packet.h"
#include "serve/request.h"
#include "tests/lib/daemon.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"

struct asked {
	uint32_t hold;
	uint64_t memory_bytes;
	const char *bind; /* NULL: none */
	const char *script;
};

static void send_run(int socket, const struct asked *a)
{
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)(uintptr_t)a->script, NULL };
	struct bind_spec bind = { .src = a->bind, .dst = "/opt" };
	cleanup_free struct sock_filter *insns = NULL;
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC), order = -1, binds = -1;
	struct packet_fds fds = { .fd = { null, null, null }, .n = REQUEST_FDS };
	struct cloche_err err = { 0 };
	struct request r;
	struct spec spec;

	spec_defaults(&spec);
	spec.argv = argv;
	spec.memory_bytes = a->memory_bytes;
	spec.timeout_ns = 60 * 1000000000LL;
	spec.cpu_mode = CPU_SHARED; /* nobody waits for long while he is held */
	if (a->bind) {
		spec.binds = &bind;
		spec.n_binds = 1;
	}
	cr_assert_eq(request_make(&spec, NULL, &r, &insns, &order, &err), 0, "%s", err.text);
	r.hold = a->hold;
	fds.fd[REQUEST_FD_ORDER] = order;
	if (a->bind) {
		cr_assert_eq(given_pack(&spec, &binds, r.binds_claim, &err), 0, "%s", err.text);
		/* Not known to be the same as any others: such a context is nobody else's. */
		memset(r.binds_claim, 0, sizeof(r.binds_claim));
		fds.fd[fds.n++] = binds;
	}
	cr_assert_eq(packet_send(socket, &r, sizeof(r), &fds), 0);
}

/* The answer, whenever it comes; kind ANSWER_KINDS: it was hung up. */
static struct answer *hear(int socket)
{
	struct answer *a = calloc(1, sizeof(*a));

	cr_assert_not_null(a);
	if (recv(socket, a, sizeof(*a), 0) != (ssize_t)sizeof(*a))
		a->kind = ANSWER_KINDS;
	return a;
}

struct told {
	enum verdict verdict;
	char id[UUID_LEN];
	uint32_t invocation;
	bool warm;
	enum residue replaced;
};

static struct told ask(int socket, const struct asked *a)
{
	cleanup_free struct answer *answer = NULL;
	struct told t;

	send_run(socket, a);
	answer = hear(socket);
	cr_assert_eq(answer->kind, ANSWER_OUTCOME, "%u %s", answer->kind, answer->refused.text);
	t = (struct told){ .verdict = answer->outcome.verdict,
			   .invocation = answer->outcome.context.invocation,
			   .warm = answer->outcome.context.warm,
			   .replaced = answer->outcome.context.replaced };
	memcpy(t.id, answer->outcome.context.id, sizeof(t.id));
	cr_expect_neq(t.verdict, VERDICT_LAUNCH_ERROR, "%s", answer->outcome.err.text);
	return t;
}

#define MEM (32ULL << 20)
static const struct asked first = { .hold = 1, .memory_bytes = MEM, .script = "true" };
static const struct asked last = { .hold = 0, .memory_bytes = MEM, .script = "true" };

/* So many lines of `cloche ps` have the text, sooner or later. */
static void await_listed(const struct daemon *d, const char *text, size_t n)
{
	size_t seen = n + 1;

	while (seen != n) {
		cleanup_run struct run run = { 0 };
		char control[700];

		(void)snprintf(control, sizeof(control), "CLOCHE_CONTROL=%s", d->control);
		RUN(&run, "env", control, d->cloche, "ps", "--json");
		cr_assert_eq(run.status, 0, "%s", run.err);
		seen = 0;
		for (const char *at = run.out; (at = strstr(at, text)); at++)
			seen++;
	}
}

Test(daemon_repeat, nobody_else_has_it_meanwhile)
{
	struct told mine, others, again, after;
	struct daemon d;
	int a, b;

	daemon_prepare(&d);
	daemon_start(&d);
	a = daemon_knock(&d);
	mine = ask(a, &first);
	cr_expect_eq(mine.invocation, 1);
	b = daemon_knock(&d);
	/* Of the same owner and kind; and it does not wait for what it may not have. */
	others = ask(b, &last);
	cr_expect_str_neq(others.id, mine.id);
	again = ask(a, &last);
	cr_expect_str_eq(again.id, mine.id);
	cr_expect_eq(again.invocation, 2);
	cr_expect(again.warm);
	/* Then it is as any other that is kept. */
	await_listed(&d, "\"ready\"", 2);
	(void)close(b);
	b = daemon_knock(&d);
	after = ask(b, &last);
	cr_expect(after.warm);
	(void)close(b);
	(void)close(a);
	daemon_stop(&d);
}

/* Nobody's history is found by who repeats: its first is cold. */
Test(daemon_repeat, begins_with_a_new_one)
{
	struct told t;
	struct daemon d;
	int a;

	daemon_prepare(&d);
	daemon_start(&d);
	a = daemon_knock(&d);
	(void)ask(a, &last);
	(void)close(a);
	await_listed(&d, "\"ready\"", 1);
	a = daemon_knock(&d);
	t = ask(a, &first);
	cr_expect(!t.warm);
	cr_expect_eq(t.invocation, 1);
	(void)close(a);
	daemon_stop(&d);
}

Test(daemon_repeat, a_dirty_one_is_replaced_by_a_new_one)
{
	static const struct asked dirty = { 1, MEM, NULL, "echo x >/tmp/x" };
	struct told t[3];
	struct daemon d;
	int a;

	daemon_prepare(&d);
	daemon_start(&d);
	/* One that is idle, and is not taken for it. */
	a = daemon_knock(&d);
	(void)ask(a, &last);
	(void)close(a);
	await_listed(&d, "\"ready\"", 1);
	a = daemon_knock(&d);
	t[0] = ask(a, &dirty);
	t[1] = ask(a, &dirty);
	t[2] = ask(a, &last);
	cr_expect_eq(t[0].replaced, RESIDUE_NONE);
	for (int i = 1; i < 3; i++) {
		cr_expect_str_neq(t[i].id, t[i - 1].id);
		cr_expect_eq(t[i].invocation, 1);
		cr_expect_neq(t[i].replaced, RESIDUE_NONE);
	}
	(void)close(a);
	daemon_stop(&d);
}

/* Of another kind it is another one; and what it had is anybody's of its owner. */
Test(daemon_repeat, another_kind_has_another_one)
{
	static const struct asked other = { 0, 2 * MEM, NULL, "true" };
	struct told mine, t;
	struct daemon d;
	int a;

	daemon_prepare(&d);
	daemon_start(&d);
	a = daemon_knock(&d);
	mine = ask(a, &first);
	t = ask(a, &other);
	cr_expect_str_neq(t.id, mine.id);
	cr_expect_eq(t.invocation, 1);
	await_listed(&d, "\"ready\"", 2);
	(void)close(a);
	daemon_stop(&d);
}

/* Who sends binds is known by the real number, who connects by the effective one. */
static void become(uid_t uid)
{
	cr_assert_eq(setresuid(uid, uid, 0), 0, "%m");
}

static int knock_as_user(const struct daemon *d)
{
	int socket;

	become(1000);
	socket = daemon_knock(d);
	become(0);
	return socket;
}

static struct told ask_as_user(int socket, const struct asked *a)
{
	struct told t;

	become(1000);
	t = ask(socket, a);
	become(0);
	return t;
}

/* With its binds, which are of one connection. */
Test(daemon_repeat, whoever_dies_leaves_no_binds)
{
	static const struct asked bound = { 1, MEM, "/usr/bin", "/opt/true && exit 3" };
	struct told mine, t;
	struct daemon d;
	int a;

	daemon_prepare(&d);
	daemon_start(&d);
	a = knock_as_user(&d);
	mine = ask_as_user(a, &bound);
	t = ask_as_user(a, &bound);
	cr_expect_eq(t.verdict, VERDICT_ERROR);
	cr_expect_str_eq(t.id, mine.id);
	await_listed(&d, "\"context\"", 1);
	(void)close(a);
	await_listed(&d, "\"context\"", 0);
	/* In the midst of the second one. */
	a = knock_as_user(&d);
	(void)ask_as_user(a, &bound);
	become(1000);
	send_run(a, &(struct asked){ 1, MEM, bound.bind, "exec sleep 300" });
	become(0);
	await_listed(&d, "sleep 300", 1);
	(void)close(a);
	await_listed(&d, "\"context\"", 0);
	daemon_stop(&d);
}

Test(daemon_repeat, nonsense_between_two)
{
	struct request cancel = { .kind = REQUEST_CANCEL };
	cleanup_free struct answer *refused = NULL, *more = NULL, *end = NULL;
	struct told mine, t;
	struct daemon d;
	pid_t front;
	int a;

	daemon_prepare(&d);
	daemon_start(&d);
	front = daemon_front(&d);
	request_version(cancel.version);
	a = daemon_knock(&d);
	mine = ask(a, &first);
	/* A wish to cancel may cross with the answer. */
	cr_assert_eq(packet_send(a, &cancel, sizeof(cancel), NULL), 0);
	t = ask(a, &first);
	cr_expect_eq(t.verdict, VERDICT_OK);
	cr_expect_str_eq(t.id, mine.id);
	send_run(a, &(struct asked){ 2, MEM, NULL, "true" });
	refused = hear(a);
	cr_expect_eq(refused->kind, ANSWER_REFUSED);
	(void)close(a);
	/* Two at once: the second is not what may come now, and the first has its end. */
	a = daemon_knock(&d);
	(void)ask(a, &first);
	send_run(a, &(struct asked){ 1, MEM, NULL, "exec sleep 300" });
	send_run(a, &first);
	end = hear(a);
	cr_expect_eq(end->kind, ANSWER_KINDS);
	(void)close(a);
	await_listed(&d, "\"busy\"", 0);
	cr_expect_eq(daemon_front(&d), front, "the front was replaced");
	daemon_stop(&d);
}

static bool is_dead(pid_t pid)
{
	char path[64], line[256], state = 'Z';
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (f && fgets(line, sizeof(line), f))
		state = strrchr(line, ')')[2];
	if (f)
		(void)fclose(f);
	return state == 'Z' || state == 'X';
}

/* All of the daemon's children but its front; reaped they need not be. */
static void kill_wardens(const struct daemon *d)
{
	pid_t front = daemon_front(d), pid;
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", d->pid, d->pid);
	f = fopen(path, "re");
	cr_assert_not_null(f, "%s: %m", path);
	while (fscanf(f, "%d", &pid) == 1)
		if (pid != front) {
			(void)kill(pid, SIGKILL);
			while (!is_dead(pid))
				;
		}
	(void)fclose(f);
}

Test(daemon_repeat, one_that_dies_in_between_is_replaced)
{
	struct told mine, t;
	struct daemon d;
	int a;

	daemon_prepare(&d);
	daemon_start(&d);
	a = daemon_knock(&d);
	mine = ask(a, &first);
	kill_wardens(&d);
	t = ask(a, &last);
	cr_expect_eq(t.verdict, VERDICT_OK);
	cr_expect_str_neq(t.id, mine.id);
	(void)close(a);
	daemon_stop(&d);
}

/*
 * The client waits between two, for whoever reads what it says: it keeps its context from nobody
 * for long, and goes on when it is read.
 */
Test(daemon_repeat, a_client_that_is_held_up_goes_on, .timeout = 120)
{
	static const char *const args[] = { "-m",  "32M",      "--cpu", "shared", "-t",
					    "60s", "--repeat", "2",	"--",	  "sh",
					    "-c",  "echo ran", NULL };
	char block[4096] = { 0 }, line[64];
	const char *argv[DAEMON_ARGS_MAX];
	char control[700];
	struct daemon d;
	int err[2], out[2];
	FILE *f;
	pid_t pid;

	daemon_prepare(&d);
	daemon_start(&d);
	cr_assert(pipe2(err, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	cr_assert_eq(fcntl(err[1], F_SETFL, O_NONBLOCK), 0);
	while (write(err[1], block, sizeof(block)) > 0)
		;
	cr_assert_eq(fcntl(err[1], F_SETFL, 0), 0);
	daemon_user_argv(&d, args, argv, control);
	pid = fork();
	if (pid == 0) {
		(void)dup2(out[1], STDOUT_FILENO);
		(void)dup2(err[1], STDERR_FILENO);
		(void)execvp(argv[0], (char **)(uintptr_t)argv);
		_exit(99);
	}
	(void)close(out[1]);
	(void)close(err[1]);
	f = fdopen(out[0], "r");
	cr_assert(f && fgets(line, sizeof(line), f));
	cr_expect_str_eq(line, "ran\n");
	/* The daemon does not wait for ever. */
	await_listed(&d, "\"busy\"", 1);
	await_listed(&d, "\"ready\"", 1);
	while (read(err[0], block, sizeof(block)) > 0)
		;
	cr_expect(fgets(line, sizeof(line), f));
	cr_expect_str_eq(line, "ran\n");
	cr_expect_eq(process_status(pid), 0);
	daemon_expect_records(&d, " ok ", 2);
	(void)fclose(f);
	(void)close(err[0]);
	daemon_stop(&d);
}
