/* SPDX-License-Identifier: MIT */
/* GET /metrics: what it says is what was done, who may ask is root and a group, and who asks
 * nonsense harms nobody. */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/lib/daemon.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#define QUICK "-m", "16M", "--cpu", "shared", "-t", "60s"

/* By curl(1); *run has the body, and the status behind it. */
static void get(const struct daemon *d, struct run *run, const char *path)
{
	char socket[700], url[100];

	(void)snprintf(socket, sizeof(socket), "%s/metrics", d->dir);
	(void)snprintf(url, sizeof(url), "http://localhost%s", path);
	RUN(run, "setpriv", "--reuid", d->user, "--regid", d->user, d->groups, "curl", "-sS",
	    "--max-time", "60", "-w", "%{http_code} %{content_type}\n", "--unix-socket", socket,
	    url);
}

Test(metrics, say_what_was_done)
{
	cleanup_run struct run run = { 0 };
	struct client c;
	struct daemon d;

	daemon_prepare(&d);
	daemon_reconfigure(&d, "per_owner: {memory: 100M}\n");
	daemon_start(&d);
	AS_USER(&d, &run, QUICK, "true");
	run_free(&run);
	AS_USER(&d, &run, QUICK, "false");
	run_free(&run);
	AS_USER(&d, &run, QUICK, "false");
	run_free(&run);
	c = client_begin(&d);
	AS_USER(&d, &run, QUICK, "-m", "90M", "true");
	cr_expect_eq(run.status, 125, "%s", run.err);
	run_free(&run);
	d.user = "0";
	get(&d, &run, "/metrics");
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "cloche_invocations_total{verdict=\"ok\"} 1\n");
	expect_has(run.out, "cloche_invocations_total{verdict=\"error\"} 2\n");
	expect_has(run.out, "cloche_refusals_total{limit=\"per_owner.memory\"} 1\n");
	expect_has(run.out, "cloche_ledger_records_total 3\n");
	expect_has(run.out, "cloche_launch_seconds_count 3\n");
	expect_has(run.out, "cloche_contexts{state=\"busy\"} 1\n");
	expect_has(run.out, "# TYPE cloche_daemon_cpu_seconds_total counter\n");
	expect_has(run.out, "cloche_daemon_memory_bytes{process=\"launcher\"} ");
	expect_has(run.out, "cloche_daemon_memory_bytes{process=\"front\"} ");
	expect_has(run.out, "200 text/plain; version=0.0.4");
	cr_assert_eq(kill(c.pid, SIGINT), 0);
	cr_expect_eq(process_status(c.pid), 130);
	client_expect_over(&c);
	daemon_stop(&d);
}

Test(metrics, are_root_s_and_a_group_s)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	get(&d, &run, "/metrics");
	cr_expect_neq(run.status, 0);
	run_free(&run);
	d.groups = "--groups=50";
	get(&d, &run, "/metrics");
	cr_expect_neq(run.status, 0);
	daemon_stop(&d);
	run_free(&run);

	daemon_prepare(&d);
	daemon_reconfigure(&d, "metrics_group: 50\n");
	daemon_start(&d);
	get(&d, &run, "/metrics");
	cr_expect_neq(run.status, 0);
	run_free(&run);
	d.groups = "--groups=50";
	get(&d, &run, "/metrics");
	cr_expect_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "cloche_invocations_total{verdict=\"ok\"} 0\n");
	daemon_stop(&d);
}

Test(metrics, are_all_that_there_is)
{
	static const char *const paths[] = { "/", "/metrics/", "/etc/passwd", "/../metrics2" };
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	d.user = "0";
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		cleanup_run struct run run = { 0 };

		get(&d, &run, paths[i]);
		expect_has(run.out, "404 ");
	}
	daemon_stop(&d);
}

static int connect_to(const struct daemon *d)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%.90s/metrics", d->dir);
	cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0, "%m");
	return fd;
}

static void ask_with(const struct daemon *d, const char *const said[], size_t n, int fds[static 24])
{
	for (size_t i = 0; i < 24; i++) {
		const char *text = said[i % n];

		fds[i] = connect_to(d);
		(void)send(fds[i], text, strlen(text), MSG_NOSIGNAL);
	}
}

/* More than there may be at a time, with what is no request, or the beginning of one. */
Test(metrics, who_asks_nonsense_harms_nobody)
{
	static const char post[] = "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n"
				   "\r\nxxxx";
	static const char *const said[] = { "",
					    "GET ",
					    "GET /metrics HTTP/1.1\r\n",
					    "\r\n\r\n\r\n",
					    post,
					    "\xff\xfe\x01garbage \x80\r\n\r\n" };
	cleanup_run struct run run = { 0 };
	struct daemon d;
	int fds[24];

	daemon_prepare(&d);
	daemon_start(&d);
	ask_with(&d, said, sizeof(said) / sizeof(said[0]), fds);
	AS_USER(&d, &run, QUICK, "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	for (size_t i = 0; i < 24; i++)
		(void)close(fds[i]);
	d.user = "0";
	get(&d, &run, "/metrics");
	expect_has(run.out, "cloche_invocations_total{verdict=\"ok\"} 1\n");
	daemon_stop(&d);
}

/* So many wait that no further one is taken, and all go at once: who comes next is taken again. */
Test(metrics, a_crowd_that_goes_leaves_the_door_open)
{
	static const char *const said[] = { "GET " };
	cleanup_run struct run run = { 0 };
	struct daemon d;
	int fds[24];
	pid_t front;

	daemon_prepare(&d);
	daemon_start(&d);
	ask_with(&d, said, 1, fds);
	/* When this is answered the crowd has been seen, and as many as may be are in. */
	AS_USER(&d, &run, QUICK, "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	front = daemon_front(&d);
	cr_assert_eq(kill(front, SIGSTOP), 0);
	for (size_t i = 0; i < 24; i++)
		(void)close(fds[i]);
	cr_assert_eq(kill(front, SIGCONT), 0);
	d.user = "0";
	get(&d, &run, "/metrics");
	expect_has(run.out, "cloche_invocations_total{verdict=\"ok\"} 1\n");
	daemon_stop(&d);
}
