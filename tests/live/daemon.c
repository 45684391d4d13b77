/* SPDX-License-Identifier: MIT */
/*
 * The daemon from outside: users without rights run functions through it, and whoever dies on the
 * way, it answers once, writes one record and leaves nothing. Each test has a daemon of its own.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/leftovers.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#define USER	 "1000"
#define ARGS_MAX 40

struct daemon {
	char *dir;     /* others may pass it */
	char mark[64]; /* K=V in the environment of the daemon and of what it starts */
	char control[600], conf[600], cloche[600], ledger[600];
	pid_t pid;
	FILE *said; /* its standard error */
};

/* ---- the daemon ------------------------------------------------------------------------------ */

static void write_conf(const struct daemon *d)
{
	FILE *f = fopen(d->conf, "we");

	cr_assert(f != NULL, "%s: %m", d->conf);
	fprintf(f, "control: %s\nstate: %s/state\ngrace: 100ms\n", d->control, d->dir);
	cr_assert_eq(fclose(f), 0);
}

/* The program, where another user can execute it. */
static void copy_program(const struct daemon *d)
{
	cleanup_run struct run run = { 0 };

	RUN(&run, "cp", env_need("CLOCHE"), d->cloche);
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_eq(chmod(d->cloche, 0755), 0);
}

static void prepare(struct daemon *d)
{
	if (geteuid() != 0)
		test_skip("needs root");
	d->dir = tmpdir_make_open();
	(void)snprintf(d->mark, sizeof(d->mark), "CLOCHE_TEST_DAEMON=%d", getpid());
	(void)snprintf(d->control, sizeof(d->control), "%s/control", d->dir);
	(void)snprintf(d->conf, sizeof(d->conf), "%s/conf", d->dir);
	(void)snprintf(d->cloche, sizeof(d->cloche), "%s/cloche", d->dir);
	(void)snprintf(d->ledger, sizeof(d->ledger), "%s/state/daemon/ledger", d->dir);
	write_conf(d);
	copy_program(d);
}

static pid_t spawn_daemon(const struct daemon *d, int err)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
		(void)putenv((char *)(uintptr_t)d->mark);
		(void)dup2(err, STDERR_FILENO);
		(void)execl(env_need("CLOCHE"), "cloche", "serve", "--config", d->conf, NULL);
		_exit(127);
	}
	return pid;
}

/* A line that has the text; ends the test where the other end is gone before. */
static void expect_line(FILE *f, const char *text)
{
	char line[1000] = "";

	while (fgets(line, sizeof(line), f))
		if (strstr(line, text))
			return;
	cr_assert_fail("'%s' was not said, but last: %s", text, line);
}

static void start(struct daemon *d)
{
	int fds[2];

	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	d->pid = spawn_daemon(d, fds[1]);
	cr_assert(d->pid > 0);
	(void)close(fds[1]);
	d->said = fdopen(fds[0], "r");
	expect_line(d->said, "cloche serve: ready");
}

static int wait_status(pid_t pid)
{
	int status = -1;

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Nothing of it is there any more. */
static void expect_nothing(const struct daemon *d)
{
	cleanup_free char *left = NULL;

	cr_expect_eq(leftover_processes(d->mark), 0, "a process");
	cr_expect_eq(access(d->control, F_OK), -1, "the socket");
	cr_expect_eq(leftover_cgroups(&left), 0, "%s", left);
}

static void stop(struct daemon *d)
{
	cr_assert_eq(kill(d->pid, SIGTERM), 0);
	cr_expect_eq(wait_status(d->pid), 0);
	(void)fclose(d->said);
	expect_nothing(d);
	tmpdir_free(&d->dir);
}

static pid_t front_of(const struct daemon *d)
{
	char path[64];
	FILE *f;
	int pid = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", d->pid, d->pid);
	f = fopen(path, "re");
	cr_assert(f && fscanf(f, "%d", &pid) == 1, "%s: %m", path);
	(void)fclose(f);
	return pid;
}

/* ---- clients --------------------------------------------------------------------------------- */

static void fill_argv(const struct daemon *d, const char *const args[],
		      const char *argv[static ARGS_MAX], char control[static 700])
{
	size_t n = 0;

	(void)snprintf(control, 700, "CLOCHE_CONTROL=%s", d->control);
	argv[n++] = "setpriv";
	argv[n++] = "--reuid=" USER;
	argv[n++] = "--regid=" USER;
	argv[n++] = "--clear-groups";
	argv[n++] = "env";
	argv[n++] = control;
	argv[n++] = d->cloche;
	argv[n++] = "run";
	while (*args && n + 1 < ARGS_MAX)
		argv[n++] = *args++;
	argv[n] = NULL;
}

static void as_user_argv(const struct daemon *d, struct run *run, const char *const args[])
{
	const char *argv[ARGS_MAX];
	char control[700];

	fill_argv(d, args, argv, control);
	run_argv(run, argv);
}
#define AS_USER(d, run, ...) as_user_argv((d), (run), (const char *const[]){ __VA_ARGS__, NULL })

/* One whose function has said "begun" and does not end by itself. */
struct client {
	pid_t pid;
	FILE *out, *err;
};

static struct client begin_client(const struct daemon *d)
{
	static const char *const args[] = { "-t", "300s", "-e", NULL,
					    "--", "sh",	  "-c", "echo begun; exec sleep 300",
					    NULL };
	const char *argv[ARGS_MAX], *own[sizeof(args) / sizeof(args[0])];
	char control[700];
	struct client c;
	int out[2], err[2];

	memcpy(own, args, sizeof(args));
	own[3] = d->mark;
	fill_argv(d, own, argv, control);
	cr_assert(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
	c.pid = fork();
	if (c.pid == 0) {
		(void)dup2(out[1], STDOUT_FILENO);
		(void)dup2(err[1], STDERR_FILENO);
		(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	(void)close(out[1]);
	(void)close(err[1]);
	c.out = fdopen(out[0], "r");
	c.err = fdopen(err[0], "r");
	expect_line(c.out, "begun");
	return c;
}

/* Nobody holds its output: the function is dead, and the daemon has let it go. */
static void expect_over(struct client *c)
{
	cr_expect_eq(fgetc(c->out), EOF);
	(void)fclose(c->out);
	(void)fclose(c->err);
}

static void expect_records(const struct daemon *d, const char *what, size_t n)
{
	cleanup_run struct run run = { 0 };
	size_t found = 0;

	CLOCHE(&run, "audit", "show", "--ledger", d->ledger);
	cr_assert_eq(run.status, 0, "%s", run.err);
	for (const char *at = run.out; (at = strstr(at, what)); at++)
		found++;
	cr_expect_eq(found, n, "'%s' %zu times in %s", what, found, run.out);
	run_free(&run);
	CLOCHE(&run, "audit", "verify", "--ledger", d->ledger);
	cr_expect_eq(run.status, 0, "%s%s", run.out, run.err);
}

/* ---- what comes of it ------------------------------------------------------------------------ */

static const struct {
	const char *args[10];
	const char *input;
	int status;
	const char *verdict;
	const char *out;
} outcomes[] = {
	{ { "--", "true" }, NULL, 0, "ok", "" },
	{ { "--", "false" }, NULL, 1, "error", "" },
	{ { "--", "cat" }, "hello", 0, "ok", "hello" },
	{ { "-e", "A=b", "--", "sh", "-c", "echo $A" }, NULL, 0, "ok", "b\n" },
	{ { "--", "sh", "-c", "echo x >/dev/stderr" }, NULL, 0, "ok", "" },
	{ { "-t", "50ms", "--", "sleep", "60" }, NULL, 124, "timeout", "" },
	{ { "--cpu-time", "20ms", "-t", "60s", "--", "sh", "-c", "while :; do :; done" },
	  NULL,
	  124,
	  "cpu_timeout",
	  "" },
	{ { "-m", "16M", "--cpu", "1", "-t", "60s", "--", "tail", "/dev/zero" },
	  NULL,
	  137,
	  "oom",
	  "" },
	{ { "--", "/no-such" }, NULL, 127, "launch_error", "" },
	{ { "--output-limit", "1K", "--", "yes" }, NULL, 153, "output_limit", NULL },
	{ { "--", "sh", "-c", "kill -9 $$" }, NULL, 137, "signal", "" },
};

static void expect_outcome(const struct daemon *d, size_t i)
{
	cleanup_run struct run run = { .input = outcomes[i].input };
	const char *args[ARGS_MAX] = { "-q", "--report", "-" };
	json_t *report;
	char *line;

	for (size_t n = 0; n < 10 && outcomes[i].args[n]; n++)
		args[3 + n] = outcomes[i].args[n];
	as_user_argv(d, &run, args);
	cr_expect_eq(run.status, outcomes[i].status, "%zu: %d, %s", i, run.status, run.err);
	if (outcomes[i].out)
		cr_expect_str_eq(run.out, outcomes[i].out, "%zu: %s", i, run.out);
	line = run.err ? strchr(run.err, '{') : NULL;
	report = line ? json_loads(line, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
	cr_assert(report != NULL, "%zu: no report in %s", i, run.err);
	cr_expect_str_eq(json_string_value(json_object_get(report, "verdict")), outcomes[i].verdict,
			 "%zu", i);
	cr_expect_eq(json_integer_value(json_object_get(json_object_get(report, "owner"), "uid")),
		     atoi(USER));
	expect_records(d, json_string_value(json_object_get(report, "request_id")), 1);
	json_decref(report);
}

Test(daemon, a_user_without_rights_gets_what_root_gets)
{
	struct daemon d;

	prepare(&d);
	start(&d);
	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++)
		expect_outcome(&d, i);
	stop(&d);
}

Test(daemon, what_is_not_there_yet_is_refused_by_its_name)
{
	static const char *const options[][2] = {
		{ "--bind", "/tmp" },	       { "--rootfs", "/" },	{ "--trace", "/tmp/x" },
		{ "--policy", "./mine.json" }, { "--net", "loopback" }, { "--ledger", "/tmp/x" },
		{ "--meter", "off" },	       { "--repeat", "2" },	{ "--prices", "lambda" },
	};
	struct daemon d;

	prepare(&d);
	start(&d);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		cleanup_run struct run run = { 0 };

		AS_USER(&d, &run, options[i][0], options[i][1], "--", "echo", "ran");
		cr_expect_eq(run.status, 125, "%s: %d", options[i][0], run.status);
		expect_has(run.err, options[i][0]);
		expect_has(run.err, "not through the daemon yet; run as root");
		cr_expect_str_eq(run.out, "");
	}
	stop(&d);
}

Test(daemon, without_one_both_mends_are_said)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;

	prepare(&d);
	AS_USER(&d, &run, "--", "true");
	cr_expect_eq(run.status, 125);
	expect_has(run.err, "sudo");
	expect_has(run.err, "cloche serve");
	cr_expect_eq(count_lines(run.err), 1, "%s", run.err);
	tmpdir_free(&d.dir);
}

/* ---- ends ------------------------------------------------------------------------------------ */

Test(daemon, an_interrupt_cancels)
{
	struct daemon d;
	struct client c;

	prepare(&d);
	start(&d);
	c = begin_client(&d);
	cr_assert_eq(kill(c.pid, SIGINT), 0);
	cr_expect_eq(wait_status(c.pid), 130);
	expect_over(&c);
	expect_records(&d, "cancelled", 1);
	stop(&d);
}

Test(daemon, a_client_that_dies_has_its_invocation_cancelled)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	struct client c;

	prepare(&d);
	start(&d);
	c = begin_client(&d);
	cr_assert_eq(kill(c.pid, SIGKILL), 0);
	cr_expect_eq(wait_status(c.pid), 137);
	expect_over(&c);
	AS_USER(&d, &run, "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	stop(&d);
}

/* Of another user's there is no trace to be had, and one does not hold up the other. */
Test(daemon, two_at_a_time)
{
	struct daemon d;
	struct client a, b;

	prepare(&d);
	start(&d);
	a = begin_client(&d);
	b = begin_client(&d);
	cr_assert_eq(kill(a.pid, SIGTERM), 0);
	cr_expect_eq(wait_status(a.pid), 143);
	expect_over(&a);
	cr_assert_eq(kill(b.pid, SIGINT), 0);
	cr_expect_eq(wait_status(b.pid), 130);
	expect_over(&b);
	expect_records(&d, "cancelled", 2);
	stop(&d);
}

Test(daemon, its_end_cancels_what_runs_and_leaves_nothing)
{
	struct daemon d;
	struct client c;

	prepare(&d);
	start(&d);
	c = begin_client(&d);
	cr_assert_eq(kill(d.pid, SIGTERM), 0);
	cr_expect_eq(wait_status(d.pid), 0);
	expect_over(&c);
	/* No signal of its own: what SIGTERM would have made of it. */
	cr_expect_eq(wait_status(c.pid), 143);
	expect_nothing(&d);
	expect_records(&d, "cancelled", 1);
	(void)fclose(d.said);
	tmpdir_free(&d.dir);
}

Test(daemon, killed_it_takes_all_with_it_and_starts_anew)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	struct client c;

	prepare(&d);
	start(&d);
	c = begin_client(&d);
	cr_assert_eq(kill(d.pid, SIGKILL), 0);
	cr_expect_eq(wait_status(d.pid), 137);
	expect_line(c.err, "the daemon has ended before it answered");
	cr_expect_eq(wait_status(c.pid), 125);
	expect_over(&c);
	(void)fclose(d.said);
	start(&d);
	AS_USER(&d, &run, "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	expect_records(&d, " ok ", 1);
	stop(&d);
}

Test(daemon, a_front_that_dies_is_replaced)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	struct client c;

	prepare(&d);
	start(&d);
	c = begin_client(&d);
	cr_assert_eq(kill(front_of(&d), SIGKILL), 0);
	expect_line(d.said, "the front is ended: it has ended");
	expect_line(c.err, "the daemon has ended before it answered");
	cr_expect_eq(wait_status(c.pid), 125);
	expect_over(&c);
	AS_USER(&d, &run, "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	stop(&d);
}

Test(daemon, a_second_one_on_the_same_state_says_so_and_ends)
{
	struct daemon d;
	int fds[2];
	FILE *said;
	pid_t pid;

	prepare(&d);
	start(&d);
	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	pid = spawn_daemon(&d, fds[1]);
	(void)close(fds[1]);
	said = fdopen(fds[0], "r");
	expect_line(said, "another daemon serves with the state directory");
	cr_expect_eq(wait_status(pid), 1);
	(void)fclose(said);
	cr_expect_eq(access(d.control, F_OK), 0);
	stop(&d);
}

/* As systemd waits for it (sd_notify(3)). */
Test(daemon, whoever_waits_for_it_is_told)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char said[100] = "";
	struct daemon d;

	prepare(&d);
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%.90s/notify", d.dir);
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0, "%m");
	(void)setenv("NOTIFY_SOCKET", at.sun_path, 1);
	start(&d);
	(void)unsetenv("NOTIFY_SOCKET");
	cr_expect_gt(recv(fd, said, sizeof(said) - 1, 0), 0);
	cr_expect_str_eq(said, "READY=1");
	(void)close(fd);
	stop(&d);
}

Test(daemon, what_cannot_serve_says_why)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	FILE *f;

	prepare(&d);
	f = fopen(d.conf, "we");
	cr_assert(f && fputs("contexts: none\n", f) >= 0 && fclose(f) == 0);
	CLOCHE(&run, "serve", "--config", d.conf);
	cr_expect_eq(run.status, 1);
	expect_has(run.err, d.conf);
	expect_has(run.err, "line 1");
	run_free(&run);
	CLOCHE(&run, "serve", "--config", "/no-such");
	cr_expect_eq(run.status, 1);
	expect_has(run.err, "/no-such");
	run_free(&run);
	RUN(&run, "setpriv", "--reuid=" USER, "--regid=" USER, "--clear-groups", d.cloche, "serve");
	/* The copy has no daemon's program beside it; an installed one asks for root. */
	cr_expect(run.status == 125 || run.status == 1, "%d", run.status);
	expect_has(run.err, run.status == 125 ? "libexec/cloched" : "needs root");
	tmpdir_free(&d.dir);
}

/* ---- hostile clients ------------------------------------------------------------------------- */

static int knock(const struct daemon *d)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%.107s", d->control);
	cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0, "%m");
	return fd;
}

/* A message of so many bytes, with so many descriptors. Each is answered, or it is hung up. */
static void expect_refused(const struct daemon *d, size_t len, unsigned fds)
{
	static char bytes[16384], answer[65536];
	char space[CMSG_SPACE(100 * sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = { .iov_base = bytes, .iov_len = len };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = fds ? space : NULL,
			    .msg_controllen = fds ? CMSG_SPACE(fds * sizeof(int)) : 0 };
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	int fd = knock(d);

	if (c)
		*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(fds * sizeof(int)),
				       .cmsg_level = SOL_SOCKET,
				       .cmsg_type = SCM_RIGHTS };
	for (unsigned i = 0; c && i < fds; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(fd));
	cr_assert_eq(sendmsg(fd, &h, MSG_NOSIGNAL), (ssize_t)len);
	cr_expect(recv(fd, answer, sizeof(answer), 0) >= 0);
	(void)close(fd);
}

Test(daemon, clients_that_say_nonsense_harm_nobody)
{
	static const size_t lens[] = { 1, 15, 16, 17, 100, 560, 1000, 16384 };
	static const unsigned fds[] = { 0, 1, 3, 4, 5, 8, 9, 10, 50, 100 };
	cleanup_run struct run run = { 0 };
	struct daemon d;
	int silent[64];
	pid_t front;

	prepare(&d);
	start(&d);
	front = front_of(&d);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		for (size_t k = 0; k < sizeof(fds) / sizeof(fds[0]); k++)
			expect_refused(&d, lens[i], fds[k]);
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++)
		silent[i] = knock(&d);
	AS_USER(&d, &run, "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++)
		(void)close(silent[i]);
	cr_expect_eq(front_of(&d), front, "the front was replaced");
	stop(&d);
}

/* A reader that takes nothing holds up itself: the pipe is full, and all that came is still there.
 */
Test(daemon, a_client_that_does_not_read_holds_up_nobody)
{
	static const char *const args[] = {
		"-q", "-t", "300s", "--", "sh", "-c", "echo begun; head -c 1000000 /dev/zero >&2",
		NULL
	};
	const char *argv[ARGS_MAX];
	cleanup_run struct run run = { 0 };
	char control[700], buf[4096];
	size_t all = 0, n;
	struct client c;
	struct daemon d;
	int out[2], err[2];

	prepare(&d);
	start(&d);
	fill_argv(&d, args, argv, control);
	cr_assert(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
	c.pid = fork();
	if (c.pid == 0) {
		(void)dup2(out[1], STDOUT_FILENO);
		(void)dup2(err[1], STDERR_FILENO);
		(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	(void)close(out[1]);
	(void)close(err[1]);
	c.out = fdopen(out[0], "r");
	c.err = fdopen(err[0], "r");
	expect_line(c.out, "begun");
	AS_USER(&d, &run, "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	while ((n = fread(buf, 1, sizeof(buf), c.err)) > 0)
		all += n;
	cr_expect_eq(all, 1000000, "%zu", all);
	cr_expect_eq(wait_status(c.pid), 0);
	expect_over(&c);
	stop(&d);
}

/* What is mounted elsewhere only may be anybody's, and to look at it may take for ever. */
Test(daemon, files_are_taken_from_mounts_that_are_known)
{
	static const char *const shell =
		"cd '%s' && mkdir -p there && chmod 777 there && { %s :; } && setpriv --reuid=" USER
		" --regid=" USER
		" --clear-groups env CLOCHE_CONTROL='%s' sh -c '%s/cloche run -- echo hello "
		">there/out'; status=$?; cat there/out; exit $status";
	cleanup_run struct run run = { 0 };
	struct daemon d;
	char command[4096];

	prepare(&d);
	start(&d);
	(void)snprintf(command, sizeof(command), shell, d.dir, "", d.control, d.dir);
	RUN(&run, "sh", "-c", command);
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect_str_eq(run.out, "hello\n");
	run_free(&run);
	(void)snprintf(command, sizeof(command), shell, d.dir,
		       "mount -t tmpfs -o mode=777 there there;", d.control, d.dir);
	RUN(&run, "unshare", "--mount", "sh", "-c", command);
	cr_expect_eq(run.status, 125, "%d: %s", run.status, run.err);
	expect_has(run.err, "standard output is on a file system that the daemon does not know");
	stop(&d);
}

/* What the front is, as the kernel sees it. */
Test(daemon, the_front_has_no_rights)
{
	static const char *const lines[] = { "Uid:\t1900004097\t1900004097\t1900004097\t1900004097",
					     "CapInh:\t0000000000000000",
					     "CapPrm:\t0000000000000000",
					     "CapEff:\t0000000000000000",
					     "CapBnd:\t0000000000000000",
					     "CapAmb:\t0000000000000000",
					     "NoNewPrivs:\t1" };
	cleanup_run struct run run = { 0 };
	struct daemon d;
	char path[64];

	prepare(&d);
	start(&d);
	(void)snprintf(path, sizeof(path), "/proc/%d/status", front_of(&d));
	RUN(&run, "cat", path);
	for (size_t i = strstr(run.out, lines[0]) ? 0 : 1; i < sizeof(lines) / sizeof(lines[0]);
	     i++)
		expect_has(run.out, lines[i]);
	cr_expect(!strstr(run.out, "Uid:\t0"), "%s", run.out);
	stop(&d);
}

static bool may_be_open(const struct daemon *d, const char *what)
{
	static const char *const kinds[] = { "/dev/null", "socket:", "pipe:", "anon_inode:[event",
					     "anon_inode:[timerfd" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(what, kinds[i], strlen(kinds[i])) == 0)
			return true;
	return strncmp(what, d->ledger, strlen(d->ledger) - strlen("/ledger")) == 0;
}

/* Neither what makes a context nor what counts in it, nor root's files or terminal. */
Test(daemon, the_front_has_nothing_open_that_is_not_its_own)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	struct client c;
	char pattern[64], what[512];
	glob_t found = { 0 };

	prepare(&d);
	start(&d);
	c = begin_client(&d);
	(void)snprintf(pattern, sizeof(pattern), "/proc/%d/fd/*", front_of(&d));
	cr_assert_eq(glob(pattern, 0, NULL, &found), 0);
	cr_expect_gt(found.gl_pathc, 5);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		ssize_t n = readlink(found.gl_pathv[i], what, sizeof(what) - 1);

		what[n > 0 ? n : 0] = '\0';
		/* What the function executes, O_PATH, and its page. */
		cr_expect(may_be_open(&d, what) || strstr(what, "/bin/") ||
				  strstr(what, "/memfd:context") || strstr(what, "/memfd:order"),
			  "%s", what);
	}
	globfree(&found);
	cr_assert_eq(kill(c.pid, SIGINT), 0);
	cr_expect_eq(wait_status(c.pid), 130);
	expect_over(&c);
	stop(&d);
}
