/* SPDX-License-Identifier: MIT */
/*
 * What hostile clients of the daemon cost another user: a no-op by one who stays, alone, and beside
 * those of another user who connect and say nothing or a half of something, who hand over a pipe
 * that is full and a FIFO that nobody writes, who stop in the midst of it and who are killed at any
 * moment. They do so as fast as a thousand times a second in all: what is measured is the daemon,
 * not two CPUs.
 */
#include "daemon.h"

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "launch/spec.h"
#include "sample.h"

#define HOSTILE_USER 1001
#define CONNECTIONS  2000

struct crowd {
	const struct daemon *d;
	const char *fifo;
};

static void rest(long ms)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = ms * NSEC_PER_MSEC }, NULL);
}

/* ---- hostile clients, a process each, for ever ------------------------------------------------
 */

static int knock(const struct daemon *d)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%.107s", d->control);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		fd_close(&fd);
	return fd;
}

/* As many as there may be, and more, at a time. */
static void say_nothing(const struct crowd *c)
{
	static int open[CONNECTIONS];
	size_t n = 0;

	for (;; n = (n + 1) % CONNECTIONS) {
		if (open[n] > 0)
			(void)close(open[n]);
		open[n] = knock(c->d);
		rest(2);
	}
}

static void say_half(const struct crowd *c)
{
	for (size_t len = 1;; len = len % 3000 + 7) {
		static const char bytes[4096];
		int fd = knock(c->d);

		if (fd >= 0)
			(void)send(fd, bytes, len, MSG_NOSIGNAL);
		fd_close(&fd);
		rest(4);
	}
}

/* A `cloche run` with these streams. */
static pid_t client(const struct crowd *c, int in, int out, const char *script)
{
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(in < 0 ? null : in, 0);
		(void)dup2(out < 0 ? null : out, 1);
		(void)dup2(null, 2);
		(void)execl(c->d->client, "cloche", "run", "-q", "-m", "16M", "-t", "5s",
			    "--output-limit", "1M", "--", "sh", "-c", script, NULL);
		_exit(127);
	}
	return pid;
}

static void wait_for(pid_t pid)
{
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
}

static void hold_up(const struct crowd *c)
{
	int full[2], fifo = open(c->fifo, O_RDWR | O_CLOEXEC);

	if (pipe2(full, O_CLOEXEC) < 0)
		_exit(1);
	for (;;) {
		pid_t one = client(c, -1, full[1], "head -c 200000 /dev/zero");
		pid_t two = client(c, fifo, -1, "cat");

		wait_for(one);
		wait_for(two);
	}
}

static void stop_midway(const struct crowd *c)
{
	for (;;) {
		pid_t pid = client(c, -1, -1, "sleep 1");

		rest(50);
		(void)kill(pid, SIGSTOP);
		rest(500);
		(void)kill(pid, SIGKILL);
		wait_for(pid);
	}
}

static void die_anywhere(const struct crowd *c)
{
	for (;;) {
		pid_t pid = client(c, -1, -1, "sleep 1");

		rest(1 + bench_random(40));
		(void)kill(pid, SIGKILL);
		wait_for(pid);
		rest(20);
	}
}

static void (*const kinds[])(const struct crowd *c) = { say_nothing, say_half, hold_up, stop_midway,
							die_anywhere };
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* A process with all of them below it, which takes them with it. */
static pid_t crowd_begin(const struct crowd *c)
{
	struct cloche_err err;
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (daemon_become(HOSTILE_USER, &err) < 0)
		_exit(1);
	(void)setenv("CLOCHE_CONTROL", c->d->control, 1);
	for (size_t i = 0; i < KINDS; i++)
		if (fork() == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			kinds[i](c);
		}
	for (;;)
		(void)pause();
}

/* ---- who measures ---------------------------------------------------------------------------- */

struct seen {
	struct cloche_err err;
	int64_t p50[2], p99[2]; /* alone, beside them */
};

static int calls(const struct daemon *d, const struct spec *spec, int null, unsigned n,
		 int64_t *ret_p50, int64_t *ret_p99, struct cloche_err *err)
{
	cleanup_sample struct sample s = { 0 };
	int r = 0;

	for (unsigned i = 0; r == 0 && i < n; i++) {
		int64_t start = clock_now_ns();

		r = daemon_call(d, spec, null, err);
		if (r == 0)
			r = sample_add(&s, clock_now_ns() - start, err);
	}
	*ret_p50 = sample_median(&s);
	*ret_p99 = sample_quantile(&s, 990);
	return r;
}

static void measure(const struct bench *bench, struct daemon *d, int turn, struct seen *ret)
{
	int r = daemon_become(DAEMON_USER, &ret->err);
	char *argv[2];
	struct spec spec;

	if (r == 0)
		r = daemon_spec(d, argv, &spec, &ret->err);
	if (r == 0)
		(void)calls(d, &spec, bench->stage.null_fd, bench->quick ? 300 : 2000,
			    &ret->p50[turn], &ret->p99[turn], &ret->err);
}

static int measure_apart(const struct bench *bench, struct daemon *d, int turn, struct seen *seen,
			 struct cloche_err *err)
{
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		measure(bench, d, turn, seen);
		_exit(0);
	}
	wait_for(pid);
	if (seen->err.code)
		*err = seen->err;
	return -seen->err.code;
}

static void tell(struct bench *bench, const struct seen *s)
{
	static const char *const names[] = { "alone", "beside hostile clients" };
	json_t *rows = json_object();

	printf("\nA no-op by a client that stays, beside another user's hostile ones (ms)\n"
	       "  %-42s%9s%9s\n",
	       "", "p50", "p99");
	for (int i = 0; i < 2; i++) {
		printf("  %-42s%9.3f%9.3f\n", names[i], (double)s->p50[i] / 1e6,
		       (double)s->p99[i] / 1e6);
		json_object_set_new(rows, names[i],
				    json_pack("{s:I, s:I}", "p50_ns", (json_int_t)s->p50[i],
					      "p99_ns", (json_int_t)s->p99[i]));
	}
	json_object_set_new(bench->root, "hostile", rows);
	(void)fflush(stdout);
}

int hostile_measure(struct bench *bench, struct figures *figures, struct cloche_err *err)
{
	struct seen *seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char fifo[sizeof(bench->stage.dir) + 8];
	struct crowd crowd = { .fifo = fifo };
	struct daemon d;
	int r;

	if (seen == MAP_FAILED)
		return cloche_err_sys(err, errno, "map a page");
	(void)snprintf(fifo, sizeof(fifo), "%s/fifo", bench->stage.dir);
	r = daemon_begin(&bench->stage, &d, err);
	crowd.d = &d;
	if (r == 0 && (mkfifo(fifo, 0666) < 0 || chmod(fifo, 0666) < 0))
		r = cloche_err_sys(err, errno, "make '%s'", fifo);
	if (r == 0)
		r = measure_apart(bench, &d, 0, seen, err);
	if (r == 0) {
		pid_t pid = crowd_begin(&crowd);

		rest(500);
		r = measure_apart(bench, &d, 1, seen, err);
		(void)kill(pid, SIGKILL);
		wait_for(pid);
	}
	if (r == 0) {
		tell(bench, seen);
		figures->hostile_ratio = (double)seen->p99[1] / (double)seen->p99[0];
	}
	daemon_end(&d);
	(void)unlink(fifo);
	(void)munmap(seen, sizeof(*seen));
	return r;
}
