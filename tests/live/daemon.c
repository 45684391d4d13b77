/* SPDX-License-Identifier: MIT */
/*
 * The daemon from outside: users without rights run functions through it, and whoever dies on the
 * way, it answers once, writes one record and leaves nothing. Each test has a daemon of its own.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "tests/lib/daemon.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

/* ---- what comes of it ------------------------------------------------------------------------ */

static const struct {
	const char *args[10];
	const char *input;
	int status;
	const char *verdict;
	const char *out;
} outcomes[] = {
	{ { "--", "true" }, NULL, 0, "ok", "" },
	{ { "-b", "/usr/bin:/opt", "--", "/opt/true" }, NULL, 0, "ok", "" },
	{ { "--net", "loopback", "--", "true" }, NULL, 0, "ok", "" },
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
	{ { "--", "flock", "/usr/bin/env", "true" }, NULL, 159, "denied", "" },
};

/* That came on standard error; to be freed. */
static json_t *report_of(const struct run *run)
{
	char *line = run->err ? strchr(run->err, '{') : NULL;
	json_t *report = line ? json_loads(line, JSON_DISABLE_EOF_CHECK, NULL) : NULL;

	cr_assert(report != NULL, "no report in %s", run->err);
	return report;
}

static void expect_outcome(const struct daemon *d, size_t i)
{
	cleanup_run struct run run = { .input = outcomes[i].input };
	const char *args[DAEMON_ARGS_MAX] = { "-q", "--report", "-" };
	json_t *report;

	for (size_t n = 0; n < 10 && outcomes[i].args[n]; n++)
		args[3 + n] = outcomes[i].args[n];
	daemon_run_as_user(d, &run, args);
	cr_expect_eq(run.status, outcomes[i].status, "%zu: %d, %s", i, run.status, run.err);
	if (outcomes[i].out)
		cr_expect_str_eq(run.out, outcomes[i].out, "%zu: %s", i, run.out);
	report = report_of(&run);
	cr_expect_str_eq(json_string_value(json_object_get(report, "verdict")), outcomes[i].verdict,
			 "%zu", i);
	cr_expect_eq(json_integer_value(json_object_get(json_object_get(report, "owner"), "uid")),
		     atoi(DAEMON_USER));
	daemon_expect_records(d, json_string_value(json_object_get(report, "request_id")), 1);
	json_decref(report);
}

Test(daemon, a_user_without_rights_gets_what_root_gets)
{
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++)
		expect_outcome(&d, i);
	daemon_stop(&d);
}

/* A helper's word, which comes by standard input. */
static void run_helper(const struct daemon *d, struct run *run, const char *word)
{
	cleanup_free char *helper = env_helper("inside"), *bytes = NULL;
	char script[200];
	size_t len;

	cr_assert_eq(file_load(AT_FDCWD, helper, 16 << 20, &bytes, &len, NULL), 0);
	(void)snprintf(script, sizeof(script), "cat >/tmp/h && chmod +x /tmp/h && exec /tmp/h %s",
		       word);
	run->input = bytes;
	run->input_len = len;
	AS_USER(d, run, "-q", "-t", "60s", "--report", "-", "--", "sh", "-c", script);
	run->input = NULL;
}

/* As root hears of them: by name, arguments and number of times, to the limit. */
Test(daemon, denied_calls_are_named)
{
	cleanup_run struct run run = { 0 }, flood = { 0 };
	json_t *report, *list, *call;
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	run_helper(&d, &run, "deny 3");
	cr_expect_eq(run.status, 0, "%s", run.err);
	report = report_of(&run);
	list = json_object_get(report, "denied");
	call = json_array_get(list, 0);
	cr_expect_eq(json_array_size(list), 1);
	cr_expect_str_eq(json_string_value(json_object_get(call, "syscall")), "mount");
	cr_expect_eq(json_integer_value(json_object_get(call, "count")), 3);
	cr_expect_str_eq(json_string_value(json_object_get(call, "errno")), "EPERM");
	cr_expect_str_eq(json_string_value(json_array_get(json_object_get(call, "args"), 4)),
			 "0x5");
	cr_expect_eq(json_integer_value(json_object_get(report, "denied_overtaken")), 0);
	json_decref(report);
	run_helper(&d, &flood, "deny 1000000");
	cr_expect_eq(flood.status, 159, "%s", flood.err);
	report = report_of(&flood);
	cr_expect_str_eq(json_string_value(json_object_get(report, "verdict")), "denied");
	json_decref(report);
	daemon_stop(&d);
}

Test(daemon, without_one_both_mends_are_said)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;

	daemon_prepare(&d);
	AS_USER(&d, &run, "--", "true");
	cr_expect_eq(run.status, 125);
	expect_has(run.err, "sudo");
	expect_has(run.err, "cloche serve");
	cr_expect_eq(count_lines(run.err), 1, "%s", run.err);
	run_free(&run);
	/* Where root has run before, and made a directory of its own. */
	cr_assert_eq(chmod(d.dir, 0711), 0);
	(void)snprintf(d.control, sizeof(d.control), "%s/shut/control", d.dir);
	(void)snprintf(d.conf, sizeof(d.conf), "%s/shut", d.dir);
	cr_assert_eq(mkdir(d.conf, 0700), 0);
	AS_USER(&d, &run, "--", "true");
	cr_expect_eq(run.status, 125);
	expect_has(run.err, "sudo");
	expect_has(run.err, "cloche serve");
	tmpdir_free(&d.dir);
}

/* ---- ends ------------------------------------------------------------------------------------ */

Test(daemon, an_interrupt_cancels)
{
	struct daemon d;
	struct client c;

	daemon_prepare(&d);
	daemon_start(&d);
	c = client_begin(&d);
	cr_assert_eq(kill(c.pid, SIGINT), 0);
	cr_expect_eq(process_status(c.pid), 130);
	client_expect_over(&c);
	daemon_expect_records(&d, "cancelled", 1);
	daemon_stop(&d);
}

Test(daemon, a_client_that_dies_has_its_invocation_cancelled)
{
	struct daemon d;
	struct client c;

	daemon_prepare(&d);
	daemon_start(&d);
	c = client_begin(&d);
	cr_assert_eq(kill(c.pid, SIGKILL), 0);
	cr_expect_eq(process_status(c.pid), 137);
	client_expect_over(&c);
	daemon_expect_serves(&d);
	daemon_stop(&d);
}

/* Of another user's there is no trace to be had, and one does not hold up the other. */
Test(daemon, two_at_a_time)
{
	struct daemon d;
	struct client a, b;

	daemon_prepare(&d);
	daemon_start(&d);
	a = client_begin(&d);
	b = client_begin(&d);
	cr_assert_eq(kill(a.pid, SIGTERM), 0);
	cr_expect_eq(process_status(a.pid), 143);
	client_expect_over(&a);
	cr_assert_eq(kill(b.pid, SIGINT), 0);
	cr_expect_eq(process_status(b.pid), 130);
	client_expect_over(&b);
	daemon_expect_records(&d, "cancelled", 2);
	daemon_stop(&d);
}

Test(daemon, its_end_cancels_what_runs_and_leaves_nothing)
{
	struct daemon d;
	struct client c;

	daemon_prepare(&d);
	daemon_start(&d);
	c = client_begin(&d);
	cr_assert_eq(kill(d.pid, SIGTERM), 0);
	cr_expect_eq(process_status(d.pid), 0);
	client_expect_over(&c);
	/* No signal of its own: what SIGTERM would have made of it. */
	cr_expect_eq(process_status(c.pid), 143);
	daemon_expect_nothing(&d);
	daemon_expect_records(&d, "cancelled", 1);
	(void)fclose(d.said);
	tmpdir_free(&d.dir);
}

Test(daemon, a_front_that_dies_is_replaced)
{
	struct daemon d;
	struct client c;

	daemon_prepare(&d);
	daemon_start(&d);
	c = client_begin(&d);
	cr_assert_eq(kill(daemon_front(&d), SIGKILL), 0);
	expect_line(d.said, "the front is ended: it has ended");
	client_expect_lost(&c);
	daemon_expect_serves(&d);
	daemon_stop(&d);
}

/* The launcher's other child. */
static pid_t warden_of(const struct daemon *d)
{
	pid_t both[2];

	cr_assert_eq(process_children(d->pid, both, 2), 2);
	cr_assert_eq(both[0], daemon_front(d));
	return both[1];
}

Test(daemon, a_warden_that_dies_takes_its_own_and_no_other)
{
	struct client c, other;
	struct daemon d;
	int status;

	daemon_prepare(&d);
	daemon_start(&d);
	c = client_begin(&d);
	cr_assert_eq(kill(warden_of(&d), SIGKILL), 0);
	status = process_status(c.pid);
	cr_expect_eq(status, 125, "%d", status);
	client_expect_over(&c);
	other = client_begin(&d);
	daemon_expect_serves(&d);
	cr_assert_eq(kill(other.pid, SIGINT), 0);
	cr_expect_eq(process_status(other.pid), 130);
	client_expect_over(&other);
	daemon_expect_records(&d, "-  ", 3);
	daemon_stop(&d);
}

/* The records of what ran then are written by the next one, once each. */
/* So many records say what the function has used; and it is not charged for what it did not end. */
static void expect_counted(const struct daemon *d, size_t n)
{
	cleanup_run struct run run = { 0 };
	size_t found = 0;

	CLOCHE(&run, "audit", "show", "--json", "--ledger", d->ledger);
	cr_assert_eq(run.status, 0, "%s", run.err);
	for (const char *at = run.out; (at = strstr(at, "{\"request_id\"")); at++) {
		json_t *record = json_loads(at, JSON_DISABLE_EOF_CHECK, NULL);

		cr_assert_not_null(record, "%s", at);
		found += json_integer_value(json_object_get(record, "on_cpu_ns")) > 0 &&
			 json_integer_value(json_object_get(record, "memory_peak_bytes")) > 0 &&
			 json_integer_value(json_object_get(record, "billed_ms")) == 0;
		json_decref(record);
	}
	cr_expect_eq(found, n, "%zu of %zu in %s", found, n, run.out);
}

Test(daemon, a_front_that_dies_loses_no_record)
{
	struct client c[3];
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	for (int i = 0; i < 3; i++)
		c[i] = client_begin(&d);
	cr_assert_eq(kill(daemon_front(&d), SIGKILL), 0);
	for (int i = 0; i < 3; i++)
		client_expect_lost(&c[i]);
	expect_line(d.said, "3 that ran when a front ended: in the ledger as cancelled");
	daemon_expect_records(&d, "cancelled", 3);
	expect_counted(&d, 3);
	daemon_stop(&d);
}

/* With an invocation to drive, and with a client that knocks. */
Test(daemon, a_front_that_hangs_is_replaced)
{
	struct daemon d;
	struct client c;

	daemon_prepare(&d);
	daemon_reconfigure(&d, "silence: 500ms\n");
	daemon_start(&d);
	c = client_begin(&d);
	cr_assert_eq(kill(daemon_front(&d), SIGSTOP), 0);
	expect_line(d.said, "the front is ended: it was asked whether it is alive");
	client_expect_lost(&c);
	expect_line(d.said, "1 that ran when a front ended");
	cr_assert_eq(kill(daemon_front(&d), SIGSTOP), 0);
	/* It is not lost: the next one sees to it. */
	daemon_expect_serves(&d);
	expect_line(d.said, "the front is ended: it was asked whether it is alive");
	daemon_expect_records(&d, "cancelled", 1);
	daemon_expect_records(&d, " ok ", 1);
	daemon_stop(&d);
}

Test(daemon, a_second_one_on_the_same_state_says_so_and_ends)
{
	struct daemon d;
	int fds[2];
	FILE *said;
	pid_t pid;

	daemon_prepare(&d);
	daemon_start(&d);
	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	pid = daemon_spawn(&d, fds[1]);
	(void)close(fds[1]);
	said = fdopen(fds[0], "r");
	expect_line(said, "another daemon serves with the state directory");
	cr_expect_eq(process_status(pid), 1);
	(void)fclose(said);
	cr_expect_eq(access(d.control, F_OK), 0);
	daemon_stop(&d);
}

/* As systemd waits for it (sd_notify(3)). */
Test(daemon, whoever_waits_for_it_is_told)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char said[100] = "";
	struct daemon d;

	daemon_prepare(&d);
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%.90s/notify", d.dir);
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0, "%m");
	(void)setenv("NOTIFY_SOCKET", at.sun_path, 1);
	daemon_start(&d);
	(void)unsetenv("NOTIFY_SOCKET");
	cr_expect_gt(recv(fd, said, sizeof(said) - 1, 0), 0);
	cr_expect_str_eq(said, "READY=1");
	daemon_stop(&d);
	memset(said, 0, sizeof(said));
	cr_expect_gt(recv(fd, said, sizeof(said) - 1, MSG_DONTWAIT), 0);
	cr_expect_str_eq(said, "STOPPING=1");
	(void)close(fd);
}

Test(daemon, what_cannot_serve_says_why)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	char line[1000];
	FILE *f;

	daemon_prepare(&d);
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
	RUN(&run, "setpriv", "--reuid=" DAEMON_USER, "--regid=" DAEMON_USER, "--clear-groups",
	    d.cloche, "serve");
	/* The copy has no daemon's program beside it; an installed one asks for root. */
	cr_expect(run.status == 125 || run.status == 1, "%d", run.status);
	expect_has(run.err, run.status == 125 ? "libexec/cloched" : "needs root");
	run_free(&run);
	/* Under whatever prefix it is installed. */
	(void)snprintf(line, sizeof(line),
		       "cd %s && mkdir bin libexec && mv cloche bin && touch libexec/cloched && "
		       "chmod a+x libexec/cloched && exec setpriv --reuid=" DAEMON_USER
		       " --regid=" DAEMON_USER " --clear-groups bin/cloche serve",
		       d.dir);
	RUN(&run, "sh", "-c", line);
	cr_expect_eq(run.status, 1, "%d: %s", run.status, run.err);
	expect_has(run.err, "needs root");
	tmpdir_free(&d.dir);
}

/* Of bpf(2) what pins and finds what is pinned, as where there is no bpffs. */
static void refuse_pins(void)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, BPF_OBJ_PIN, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, BPF_OBJ_GET, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};
	struct sock_fprog filter = { .len = sizeof(insns) / sizeof(insns[0]), .filter = insns };

	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0, "%m");
}

/* It serves all the same; what the meter alone can tell is null, and who insists is refused. */
Test(daemon, serves_on_a_host_without_a_meter)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;

	daemon_prepare(&d);
	refuse_pins();
	daemon_start(&d);
	AS_USER(&d, &run, "-q", "-m", "32M", "--cpu", "shared", "-t", "60s", "--report", "-", "--",
		"true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	expect_has(run.err, "\"busy_ns\":null");
	run_free(&run);
	AS_USER(&d, &run, "-q", "-m", "32M", "-t", "60s", "--meter", "required", "--", "true");
	cr_expect_eq(run.status, 125);
	expect_has(run.err, "--meter: the daemon has no BPF meter");
	daemon_stop(&d);
}
