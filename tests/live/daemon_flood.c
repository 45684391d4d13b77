/* SPDX-License-Identifier: MIT */
/*
 * Who connects to the daemon again and again, or often, and asks nothing: he has his part of the
 * connections, and of the line at the socket nobody has more than is soon seen to. Needs root.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "serve/request.h"
#include "tests/lib/daemon.h"
#include "tests/lib/run.h"

#define HOSTILE	   1001
#define SILENT_MAX 64 /* of one user */
#define USERS	   10
#define LINE_MAX   64 /* at the socket */
#define FLOODERS   4

static const char *const args[] = { "-q",  "-m", "32M",	 "--cpu",  "shared", "-t",
				    "60s", "--", "echo", "served", NULL };

static void expect_served(const struct daemon *d)
{
	cleanup_run struct run run = { 0 };

	AS_USER(d, &run, "-q", "-m", "32M", "--cpu", "shared", "-t", "60s", "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
}

static int knock_as(const struct daemon *d, uid_t uid)
{
	int fd;

	cr_assert_eq(seteuid(uid), 0, "%m");
	fd = daemon_knock(d);
	cr_assert_eq(seteuid(0), 0, "%m");
	return fd;
}

/* Why it was hung up, once it is. */
static void expect_told(int fd, const char *text)
{
	cleanup_free struct answer *a = calloc(1, sizeof(*a));

	cr_assert_not_null(a);
	cr_assert_eq(recv(fd, a, sizeof(*a), 0), (ssize_t)sizeof(*a), "%m");
	cr_expect_eq(a->kind, ANSWER_REFUSED);
	expect_has(a->refused.text, text);
	cr_expect_eq(recv(fd, a, sizeof(*a), 0), 0);
}

static bool is_told(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

Test(daemon_flood, one_user_is_silent_only_so_often)
{
	cleanup_run struct run run = { 0 };
	int fds[SILENT_MAX + 10];
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	for (size_t i = 0; i < SILENT_MAX + 10; i++)
		fds[i] = knock_as(&d, HOSTILE);
	for (size_t i = SILENT_MAX; i < SILENT_MAX + 10; i++)
		expect_told(fds[i], "user 1001 has connected 64 times and asked nothing yet");
	/* He has taken it from himself alone. */
	expect_served(&d);
	daemon_run_as(&d, "1001", &run, args);
	cr_expect(run.status == 125 && is_told(fds[0]) == false, "%d: %s", run.status, run.err);
	expect_has(run.err, "asked nothing yet");
	run_free(&run);
	(void)close(fds[0]);
	/* As soon as the front has seen that. */
	for (int status = 125; status;) {
		daemon_run_as(&d, "1001", &run, args);
		status = run.status;
		run_free(&run);
	}
	for (size_t i = 1; i < SILENT_MAX + 10; i++)
		(void)close(fds[i]);
	daemon_stop(&d);
}

/* All that there may be, of users each of whom has no more than he may: the first make room. */
Test(daemon_flood, who_asks_goes_before_who_is_silent)
{
	static int fds[USERS * (SILENT_MAX - 4)];
	const size_t all = sizeof(fds) / sizeof(fds[0]);
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	for (size_t i = 0; i < all; i++)
		fds[i] = knock_as(&d, (uid_t)(2000 + i % USERS));
	expect_served(&d);
	expect_told(fds[0], "nothing was asked, and others ask");
	cr_expect(!is_told(fds[all - 1]), "the last one went first");
	for (size_t i = 0; i < all; i++)
		(void)close(fds[i]);
	daemon_stop(&d);
}

/* Until there is no more room, while nobody lets them in. */
static size_t fill_line(const struct daemon *d, int *fds, size_t most)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t n;

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%.107s", d->control);
	cr_assert_eq(seteuid(HOSTILE), 0, "%m");
	for (n = 0; n < most; n++) {
		fds[n] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (connect(fds[n], (struct sockaddr *)&at, sizeof(at)) < 0)
			break;
	}
	cr_assert_eq(seteuid(0), 0, "%m");
	return n;
}

Test(daemon_flood, nobody_has_a_long_line_before_him)
{
	static int fds[500];
	pid_t front;
	struct client c;
	struct daemon d;
	size_t n;

	daemon_prepare(&d);
	daemon_start(&d);
	front = daemon_front(&d);
	cr_assert_eq(kill(front, SIGSTOP), 0);
	n = fill_line(&d, fds, sizeof(fds) / sizeof(fds[0]));
	cr_expect_leq(n, LINE_MAX, "%zu", n);
	c = client_start(&d, args);
	cr_assert_eq(kill(front, SIGCONT), 0);
	expect_line(c.out, "served");
	cr_expect_eq(process_status(c.pid), 0);
	client_expect_over(&c);
	for (size_t i = 0; i <= n; i++)
		(void)close(fds[i]);
	daemon_stop(&d);
}

/* By as many as can, as fast as they can, each with something to say now and then. */
static pid_t flood(const struct daemon *d, unsigned *count)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (setgid(HOSTILE) < 0 || setuid(HOSTILE) < 0)
			_exit(99);
		for (unsigned i = 0;; i++) {
			int fd = daemon_knock(d);

			if (i % 2)
				(void)send(fd, "nonsense", 8, MSG_NOSIGNAL | MSG_DONTWAIT);
			(void)close(fd);
			(void)__atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
		}
	}
	return pid;
}

Test(daemon_flood, others_are_served_in_the_midst_of_it)
{
	unsigned *count = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[FLOODERS], front;
	struct daemon d;

	cr_assert_neq(count, MAP_FAILED);
	daemon_prepare(&d);
	daemon_start(&d);
	front = daemon_front(&d);
	for (int i = 0; i < FLOODERS; i++)
		pids[i] = flood(&d, count);
	for (int i = 0; i < 10; i++) {
		unsigned before = __atomic_load_n(count, __ATOMIC_RELAXED);

		while (__atomic_load_n(count, __ATOMIC_RELAXED) - before < 100)
			(void)poll(NULL, 0, 1);
		expect_served(&d);
	}
	for (int i = 0; i < FLOODERS; i++) {
		cr_assert_eq(kill(pids[i], SIGKILL), 0);
		cr_expect_eq(process_status(pids[i]), 137);
	}
	cr_expect_eq(daemon_front(&d), front, "the front was replaced");
	daemon_stop(&d);
}
