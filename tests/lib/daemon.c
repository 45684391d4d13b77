/* SPDX-License-Identifier: MIT */
/* Starts, asks and ends a daemon of the test's own: see daemon.h. */
#include "tests/lib/daemon.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
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

/* ---- the daemon ------------------------------------------------------------------------------ */

void daemon_reconfigure(const struct daemon *d, const char *lines)
{
	FILE *f = fopen(d->conf, "we");

	cr_assert(f != NULL, "%s: %m", d->conf);
	fprintf(f, "control: %s\nstate: %s/state\n%s%s", d->control, d->dir,
		strstr(lines, "grace:") ? "" : "grace: 100ms\n", lines);
	cr_assert_eq(fclose(f), 0);
}

void daemon_configure(const struct daemon *d, const char *line)
{
	FILE *f = fopen(d->conf, "ae");

	cr_assert(f && fprintf(f, "%s\n", line) > 0 && fclose(f) == 0);
}

/* The program, where another user can execute it. */
static void copy_program(const struct daemon *d)
{
	cleanup_run struct run run = { 0 };

	RUN(&run, "cp", env_need("CLOCHE"), d->cloche);
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_eq(chmod(d->cloche, 0755), 0);
}

void daemon_prepare(struct daemon *d)
{
	if (geteuid() != 0)
		test_skip("needs root");
	d->dir = tmpdir_make_open();
	(void)snprintf(d->mark, sizeof(d->mark), "CLOCHE_TEST_DAEMON=%d", getpid());
	(void)snprintf(d->control, sizeof(d->control), "%s/control", d->dir);
	(void)snprintf(d->conf, sizeof(d->conf), "%s/conf", d->dir);
	(void)snprintf(d->cloche, sizeof(d->cloche), "%s/cloche", d->dir);
	(void)snprintf(d->ledger, sizeof(d->ledger), "%s/state/daemon/ledger", d->dir);
	d->verb = "run";
	d->user = DAEMON_USER;
	d->groups = "--clear-groups";
	daemon_reconfigure(d, "");
	copy_program(d);
}

pid_t daemon_spawn(const struct daemon *d, int err)
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

void expect_line(FILE *f, const char *text)
{
	char line[1000] = "";

	while (fgets(line, sizeof(line), f))
		if (strstr(line, text))
			return;
	cr_assert_fail("'%s' was not said, but last: %s", text, line);
}

void daemon_start(struct daemon *d)
{
	int fds[2];

	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	d->pid = daemon_spawn(d, fds[1]);
	cr_assert(d->pid > 0);
	(void)close(fds[1]);
	d->said = fdopen(fds[0], "r");
	expect_line(d->said, "cloche serve: ready");
	leftovers_end();
}

int process_status(pid_t pid)
{
	int status = -1;

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

unsigned process_children(pid_t pid, pid_t *ret, unsigned most)
{
	cleanup_file FILE *f = NULL;
	char path[64];
	unsigned n = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "re");
	while (f && n < most && fscanf(f, "%d", &ret[n]) == 1)
		n++;
	return n;
}

void daemon_expect_nothing(const struct daemon *d)
{
	cleanup_free char *left = NULL;
	char metrics[600];

	cr_expect_eq(leftover_processes(d->mark), 0, "a process");
	cr_expect_eq(access(d->control, F_OK), -1, "the socket");
	(void)snprintf(metrics, sizeof(metrics), "%s/metrics", d->dir);
	cr_expect_eq(access(metrics, F_OK), -1, "the socket of metrics");
	cr_expect_eq(leftover_cgroups(&left), 0, "%s", left);
}

void daemon_stop(struct daemon *d)
{
	cr_assert_eq(kill(d->pid, SIGTERM), 0);
	cr_expect_eq(process_status(d->pid), 0);
	(void)fclose(d->said);
	daemon_expect_nothing(d);
	tmpdir_free(&d->dir);
}

void daemon_kill(struct daemon *d)
{
	leftovers_begin();
	cr_assert_eq(kill(d->pid, SIGKILL), 0);
	cr_expect_eq(process_status(d->pid), 137);
	(void)fclose(d->said);
}

void daemon_expect_serves(const struct daemon *d)
{
	cleanup_run struct run run = { 0 };

	/* Where it has little memory and lends most of it to others, too. */
	AS_USER(d, &run, "-m", "64M", "--cpu", "shared", "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
}

/* The launcher's other children are still it by name. */
static bool is_front(int pid)
{
	char path[64], line[16] = "";
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	(void)!fread(line, 1, sizeof(line) - 1, f);
	(void)fclose(f);
	return strcmp(line, "cloched") == 0;
}

/* Wardens are its children, too. */
#define CHILDREN_MAX 1100

pid_t daemon_front(const struct daemon *d)
{
	pid_t all[CHILDREN_MAX], front = 0;
	unsigned n = process_children(d->pid, all, CHILDREN_MAX);

	for (unsigned i = 0; i < n && !front; i++)
		front = is_front(all[i]) ? all[i] : 0;
	cr_assert_neq(front, 0, "no front");
	return front;
}

/* ---- clients --------------------------------------------------------------------------------- */

void daemon_user_argv(const struct daemon *d, const char *const args[],
		      const char *argv[static DAEMON_ARGS_MAX], char control[static 700])
{
	size_t n = 0;

	(void)snprintf(control, 700, "CLOCHE_CONTROL=%s", d->control);
	argv[n++] = "setpriv";
	argv[n++] = "--reuid";
	argv[n++] = d->user;
	argv[n++] = "--regid";
	argv[n++] = d->user;
	argv[n++] = d->groups;
	argv[n++] = "env";
	/* The one of all tests is root's. */
	argv[n++] = "-u";
	argv[n++] = "CLOCHE_LEDGER";
	argv[n++] = control;
	argv[n++] = d->cloche;
	argv[n++] = d->verb;
	while (*args && n + 1 < DAEMON_ARGS_MAX)
		argv[n++] = *args++;
	argv[n] = NULL;
}

void daemon_run_as_user(const struct daemon *d, struct run *run, const char *const args[])
{
	const char *argv[DAEMON_ARGS_MAX];
	char control[700];

	daemon_user_argv(d, args, argv, control);
	run_argv(run, argv);
}

void daemon_run_as(const struct daemon *d, const char *uid, struct run *run,
		   const char *const args[])
{
	struct daemon other = *d;

	other.user = uid;
	daemon_run_as_user(&other, run, args);
}

int daemon_knock(const struct daemon *d)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%.107s", d->control);
	cr_assert(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0, "%m");
	return fd;
}

struct client client_start(const struct daemon *d, const char *const args[])
{
	const char *argv[DAEMON_ARGS_MAX];
	char control[700];
	struct client c;
	int out[2], err[2];

	daemon_user_argv(d, args, argv, control);
	cr_assert(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
	c.pid = fork();
	if (c.pid == 0) {
		/* A shell that runs us behind it has it ignored, and a client leaves that so. */
		(void)signal(SIGINT, SIG_DFL);
		(void)dup2(out[1], STDOUT_FILENO);
		(void)dup2(err[1], STDERR_FILENO);
		(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	(void)close(out[1]);
	(void)close(err[1]);
	c.out = fdopen(out[0], "r");
	c.err = fdopen(err[0], "r");
	return c;
}

struct client client_begin_args(const struct daemon *d, const char *const args[])
{
	struct client c = client_start(d, args);

	expect_line(c.out, "begun");
	return c;
}

struct client client_begin(const struct daemon *d)
{
	return client_begin_args(d, (const char *const[]){ "-m", "64M", "--cpu", "shared", "-t",
							   "300s", "-e", d->mark, "--", "sh", "-c",
							   "echo begun; exec sleep 300", NULL });
}

void client_expect_over(struct client *c)
{
	cr_expect_eq(fgetc(c->out), EOF);
	(void)fclose(c->out);
	(void)fclose(c->err);
}

void client_expect_lost(struct client *c)
{
	expect_line(c->err, "the daemon has ended before it answered");
	cr_expect_eq(process_status(c->pid), 125);
	client_expect_over(c);
}

void daemon_expect_records(const struct daemon *d, const char *what, size_t n)
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
