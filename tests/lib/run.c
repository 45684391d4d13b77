/* SPDX-License-Identifier: MIT */
/*
 * Running programs under test: see run.h. One poll loop waits for the program's end (by pidfd) and
 * empties its pipes, so that neither a full pipe nor a grandchild that keeps one open can hold a
 * test up. Standard input is a file in memory, which needs no feeding.
 */
#include "tests/lib/run.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/process.h"
#include "tests/lib/env.h"
#include "tests/lib/tmpdir.h"

extern char **environ;

static int input_open(const struct run *run)
{
	size_t len = run->input && !run->input_len ? strlen(run->input) : run->input_len;
	int fd;

	if (!run->input)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	fd = memfd_create("input", MFD_CLOEXEC);
	cr_assert(fd >= 0 && write(fd, run->input, len) == (ssize_t)len && lseek(fd, 0, 0) == 0,
		  "standard input of %zu bytes: %m", len);
	return fd;
}

/* In a process group of its own, so that a timeout ends its children too. */
/* An environment of the test's own, and where the daemon is, if all goes through one. */
static char *const *own_environment(const struct run *run, const char *room[static 64],
				    char control[static 700])
{
	size_t n = 0;

	if (!run->envp)
		return environ;
	if (!getenv("CLOCHE_CONTROL"))
		return (char *const *)run->envp;
	for (; run->envp[n]; n++) {
		cr_assert_lt(n, 62);
		room[n] = run->envp[n];
	}
	(void)snprintf(control, 700, "CLOCHE_CONTROL=%s", getenv("CLOCHE_CONTROL"));
	room[n++] = control;
	room[n] = NULL;
	return (char *const *)room;
}

static pid_t program_spawn(const struct run *run, const char *const argv[], int in, int out,
			   int err)
{
	const char *room[64];
	char control[700];
	char *const *envp = own_environment(run, room, control);
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	pid_t pid = -1;
	int r;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, err, STDERR_FILENO);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
	r = posix_spawnp(&pid, argv[0], &files, &attr, (char *const *)argv, envp);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	cr_assert_eq(r, 0, "cannot start %s: %s", argv[0], strerror(r));
	return pid;
}

/* Takes what the pipe holds now; false at its end. */
static bool pipe_drain(int fd, char **buf, size_t *len)
{
	for (;;) {
		char *grown = realloc(*buf, *len + 65536 + 1);
		ssize_t n;

		cr_assert(grown != NULL, "no memory for %zu bytes of output", *len);
		*buf = grown;
		n = read(fd, grown + *len, 65536);
		grown[*len + (n > 0 ? (size_t)n : 0)] = '\0';
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (n == 0)
			return false;
		*len += (size_t)n;
	}
}

/* Returns when the program has ended; kills it at the deadline. */
static void program_watch(struct run *run, const struct process *p, int out, int err)
{
	struct pollfd fds[] = { { p->pidfd, POLLIN, 0 }, { out, POLLIN, 0 }, { err, POLLIN, 0 } };
	int64_t deadline = clock_now_ns() +
			   NSEC_PER_MSEC * (run->timeout_ms ? run->timeout_ms : RUN_TIMEOUT_MS);

	for (;;) {
		int64_t left = deadline - clock_now_ns();

		if (left <= 0 && !run->timed_out) {
			run->timed_out = true;
			(void)kill(-p->pid, SIGKILL);
			process_kill(p);
		}
		if (poll(fds, 3, run->timed_out ? -1 : (int)(left / NSEC_PER_MSEC) + 1) < 0)
			cr_assert_eq(errno, EINTR, "poll: %m");
		if (fds[1].revents && !pipe_drain(out, &run->out, &run->out_len))
			fds[1].fd = -1;
		if (fds[2].revents && !pipe_drain(err, &run->err, &run->err_len))
			fds[2].fd = -1;
		if (fds[0].revents)
			break;
	}
	/* What it wrote last; grandchildren may still hold the pipes, nobody waits for these. */
	(void)pipe_drain(out, &run->out, &run->out_len);
	(void)pipe_drain(err, &run->err, &run->err_len);
}

void run_argv(struct run *run, const char *const argv[])
{
	cleanup_fd int in = input_open(run);
	cleanup_fd int out_r = -1, out_w = -1, err_r = -1, err_w = -1;
	int fds[2], status;
	struct process program;

	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	out_r = fds[0];
	out_w = fds[1];
	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	err_r = fds[0];
	err_w = fds[1];
	/* Only our ends: the program must see ordinary pipes. */
	cr_assert_eq(fcntl(out_r, F_SETFL, O_NONBLOCK), 0);
	cr_assert_eq(fcntl(err_r, F_SETFL, O_NONBLOCK), 0);

	program = process_open(program_spawn(run, argv, in, out_w, err_w));
	fd_close(&out_w);
	fd_close(&err_w);
	cr_assert(program.pidfd >= 0, "pidfd_open: %m");
	program_watch(run, &program, out_r, err_r);
	cr_assert_eq(process_reap(&program, &status), 0, "waitpid: %m");
	run->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	run->status = run->signal ? 128 + run->signal : WEXITSTATUS(status);
}

/* One JSON object a line; no file means that there is no report. */
static void reports_read(struct run *run, const char *path)
{
	cleanup_file FILE *f = fopen(path, "re");
	json_error_t error;
	json_t *one;

	if (!f)
		return;
	run->reports = json_array();
	while ((one = json_loadf(f, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &error)))
		(void)json_array_append_new(run->reports, one);
	/* At the end there is nothing left to read; anything else is a damaged report. */
	cr_assert(feof(f) && json_error_code(&error) == json_error_premature_end_of_input,
		  "report %zu: %s, in column %d", json_array_size(run->reports) + 1, error.text,
		  error.column);
	run->report = json_array_get(run->reports, 0);
}

static bool asks_for_time(const char *const args[])
{
	for (size_t i = 0; args[i]; i++)
		if (strcmp(args[i], "-t") == 0 || strncmp(args[i], "--timeout", 9) == 0)
			return true;
	return false;
}

/* The report in it is made with the rights of the user whom root acts for. */
static char *report_folder(void)
{
	const char *uid = getenv("SUDO_UID");
	char *dir = tmpdir_make();

	if (uid && geteuid() == 0)
		cr_assert_eq(chown(dir, (uid_t)strtoul(uid, NULL, 10), (gid_t)-1), 0);
	return dir;
}

void run_cloche(struct run *run, const char *const args[])
{
	cleanup_tmpdir char *dir = report_folder();
	cleanup_free char *path = NULL, *helper = NULL;
	cleanup_free const char **argv = NULL;
	size_t n, count = 0;

	for (n = 0; args[n];)
		n++;
	argv = calloc(n + 12, sizeof(*argv));
	cr_assert(argv && asprintf(&path, "%s/report.json", dir) > 0);
	if (run->without) {
		helper = env_helper("without");
		argv[count++] = helper;
		argv[count++] = run->without;
		argv[count++] = "--";
	}
	argv[count++] = env_need("CLOCHE");
	argv[count++] = "run";
	if (!run->no_report) {
		argv[count++] = "--report";
		argv[count++] = path;
	}
	/* Who does not ask for a limit is not about limits, and an emulated machine is slow. */
	if (!asks_for_time(args)) {
		argv[count++] = "-t";
		argv[count++] = "50s";
	}
	/* An environment of the test's own does not lead to the test's ledger. */
	if (run->envp && getenv("CLOCHE_LEDGER")) {
		argv[count++] = "--ledger";
		argv[count++] = getenv("CLOCHE_LEDGER");
	}
	memcpy(argv + count, args, n * sizeof(*argv));
	run_argv(run, argv);
	if (!run->no_report)
		reports_read(run, path);
}

json_t *report_get(const struct run *run, const char *path)
{
	json_t *at = run->report;
	const char *p = path;

	cr_assert(at != NULL, "no report; standard error was: %s", run->err ? run->err : "");
	while (*p) {
		cleanup_free char *key = strndup(p, strcspn(p, "."));

		p += strlen(key) + (p[strlen(key)] == '.');
		at = json_object_get(at, key);
		cr_assert(at != NULL, "the report has no %s", path);
	}
	return at;
}

const char *report_text(const struct run *run, const char *path)
{
	json_t *at = report_get(run, path);

	cr_assert(json_is_string(at), "%s in the report is not a text", path);
	return json_string_value(at);
}

int64_t report_int(const struct run *run, const char *path)
{
	json_t *at = report_get(run, path);

	cr_assert(json_is_integer(at), "%s in the report is not a whole number", path);
	return (int64_t)json_integer_value(at);
}

void run_free(struct run *run)
{
	free(run->out);
	free(run->err);
	json_decref(run->reports);
	*run = (struct run){ .input = run->input,
			     .input_len = run->input_len,
			     .envp = run->envp,
			     .timeout_ms = run->timeout_ms,
			     .no_report = run->no_report,
			     .without = run->without };
}

bool report_is_null(const struct run *run, const char *path)
{
	return json_is_null(report_get(run, path));
}

void expect_end(const struct run *run, int status, const char *verdict)
{
	cr_expect(run->status == status, "status %d, expected %d; standard error: %s", run->status,
		  status, run->err);
	cr_expect_str_eq(report_text(run, "verdict"), verdict);
}

void expect_has(const char *text, const char *part)
{
	cr_assert(text && strstr(text, part), "'%s' lacks '%s'", text ? text : "", part);
}

const char *helpers_bind(void)
{
	static char bind[4200];

	(void)snprintf(bind, sizeof(bind), "%s:/opt", env_need("HELPERS"));
	return bind;
}

size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}
