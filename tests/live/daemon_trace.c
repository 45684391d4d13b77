/* SPDX-License-Identifier: MIT */
/* Traces of users without rights, through the daemon: each of his own invocations, and of nothing
 * else; and those who ask for too much, take nothing, or die. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "host/slot.h"
#include "serve/remote.h"
#include "serve/remote_kept.h"
#include "tests/lib/daemon.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/trace_file.h"
#include "trace/trace.h"

#define OTHER_USER "1002"
/* Several at a time, also where there is little memory or everything is slow. */
#define SMALL "-m", "64M", "--cpu", "shared", "-t", "60s"
/* Runs until it is told to end; each of its events has the word. */
#define BUSY(word) \
	"echo begun; while :; do : >/tmp/" word "; read -t 0.01 x </dev/zero; sleep 0.01; done"
static const char busy[] = BUSY("x"), busy_mine[] = BUSY("mine"), busy_theirs[] = BUSY("theirs"),
		  thrice[] = "unshare -U true 2>/dev/null; unshare -U true 2>/dev/null; "
			     "unshare -U true 2>/dev/null; :";

static const char *path_in(const struct daemon *d, const char *name)
{
	static char paths[8][700];
	static unsigned next;
	char *path = paths[next++ % 8];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", d->dir, name);
	return path;
}

static struct daemon begin(const char *lines)
{
	struct daemon d;

	daemon_prepare(&d);
	daemon_reconfigure(&d, lines);
	daemon_start(&d);
	/* The clients make files there. */
	cr_assert_eq(chmod(d.dir, 01777), 0);
	return d;
}

static char *text_of(const char *path)
{
	struct cloche_err err;
	char *text = NULL;
	size_t len;

	cr_assert_eq(file_load(AT_FDCWD, path, 64 << 20, &text, &len, &err), 0, "%s", err.text);
	return text;
}

static void has(const char *path, const char *word, bool it_has)
{
	cleanup_free char *text = text_of(path);

	cr_expect_eq(strstr(text, word) != NULL, it_has, "'%s' in %s: %.2000s", word, path, text);
}

/* ---- what there is --------------------------------------------------------------------------- */

Test(daemon_trace, is_the_users_own_file)
{
	cleanup_run struct run run = { 0 };
	cleanup_trace struct trace t = { 0 };
	struct daemon d = begin("");
	const char *path = path_in(&d, "t"), *report = path_in(&d, "r");
	char figures[80];
	struct stat st;

	AS_USER(&d, &run, "-q", SMALL, "--name", "busy", "--trace", path, "--report", report, "--",
		"sh", "-c", "echo said; unshare -U true 2>/dev/null; exit 7");
	cr_expect_eq(run.status, 7, "%s", run.err);
	cr_expect_str_eq(run.out, "said\n");
	cr_expect_str_empty(run.err);
	cr_assert(stat(path, &st) == 0 && st.st_uid == (uid_t)atoi(DAEMON_USER));
	t = trace_file_read(path);
	cr_expect(t.ended && t.lost == 0 && t.n == t.n_written);
	cr_expect_str_eq(t.function, "busy");
	cr_expect_str_eq(t.verdict, "error");
	has(path, "\"syscall\":\"unshare\"", true);
	(void)snprintf(figures, sizeof(figures),
		       "\"trace\":{\"events\":%zu,\"lost\":0,\"complete\":%s}", t.n,
		       t.complete ? "true" : "false");
	has(report, figures, true);
	has(report, t.request_id, true);
	daemon_stop(&d);
}

/* Also in a context that others, traced or not, have had before. */
Test(daemon_trace, has_its_own_invocation_alone)
{
	struct daemon d = begin("");
	const char *t = path_in(&d, "t"), *report = path_in(&d, "r"), *many = path_in(&d, "m");
	cleanup_run struct run run = { 0 };
	char name[16], word[16], one[720];

	for (int i = 0; i < 6; i++) {
		cleanup_run struct run untraced = { 0 }, traced = { 0 };

		(void)snprintf(name, sizeof(name), "word%d", i);
		AS_USER(&d, &untraced, "-q", SMALL, "--", "sh", "-c", ": untraced");
		AS_USER(&d, &traced, "-q", SMALL, "--trace", t, "--report", report, "--", "sh",
			"-c", ":", name);
		cr_assert_eq(traced.status, 0, "%s", traced.err);
		has(t, name, true);
		has(t, "untraced", false);
		(void)snprintf(word, sizeof(word), "word%d", i - 1);
		has(t, word, false);
		has(t, "\"event\":\"exec\"", true);
		has(report, "\"start\":\"warm\"", true);
	}
	AS_USER(&d, &run, "-q", SMALL, "--repeat", "3", "--trace", many, "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	for (int i = 1; i <= 3; i++) {
		cleanup_trace struct trace each = { 0 };

		(void)snprintf(one, sizeof(one), "%s.%d", many, i);
		each = trace_file_read(one);
		cr_expect(each.ended && each.lost == 0 && each.n >= 2);
	}
	daemon_stop(&d);
}

/* Both at once, and each of what one does shows by a name. */
Test(daemon_trace, of_two_owners_has_each_ones_own)
{
	struct daemon d = begin(""), other = d;
	const char *mine = path_in(&d, "mine"), *theirs = path_in(&d, "theirs");
	struct client a, b;

	other.user = OTHER_USER;
	a = client_begin_args(&d, (const char *const[]){ "-q", SMALL, "--trace", mine, "--", "sh",
							 "-c", busy_mine, NULL });
	b = client_begin_args(&other, (const char *const[]){ "-q", SMALL, "--trace", theirs, "--",
							     "sh", "-c", busy_theirs, NULL });
	cr_expect_eq(kill(a.pid, SIGINT), 0);
	cr_expect_eq(process_status(a.pid), 130);
	cr_expect_eq(kill(b.pid, SIGINT), 0);
	cr_expect_eq(process_status(b.pid), 130);
	has(mine, "mine", true);
	has(mine, "theirs", false);
	has(theirs, "theirs", true);
	has(theirs, "mine", false);
	has(mine, "\"verdict\":\"cancelled\"", true);
	client_expect_over(&a);
	client_expect_over(&b);
	daemon_stop(&d);
}

/* ---- what is kept ---------------------------------------------------------------------------- */

static void expect_lacks(const char *text, const char *what)
{
	cr_expect(!strstr(text, what), "'%s' in %s", what, text);
}

/* `cloche trace ARGS…` by the user; "0": by root. */
static void ask(const struct daemon *d, const char *uid, struct run *run, const char *const args[])
{
	struct daemon other = *d;

	run_free(run);
	other.user = uid;
	other.verb = "trace";
	daemon_run_as_user(&other, run, args);
}
#define ASK(d, uid, run, ...) ask((d), (uid), (run), (const char *const[]){ __VA_ARGS__, NULL })

/* The id of the only one that there is. */
static void only_id(const struct daemon *d, const char *uid, char ret[static 40])
{
	cleanup_run struct run run = { 0 };

	ASK(d, uid, &run, "--list", "--format", "json");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_eq(sscanf(run.out, "{\"request_id\":\"%36[0-9a-f-]\"", ret), 1, "%s", run.out);
	cr_assert_eq(strchr(run.out, '\n'), strrchr(run.out, '\n'), "%s", run.out);
}

Test(daemon_trace, kept_ones_are_their_owners)
{
	struct daemon d = begin("");
	cleanup_run struct run run = { 0 };
	char mine[40], theirs[40], prefix[9];

	ASK(&d, DAEMON_USER, &run, "--list");
	cr_expect(run.status == 0 && strstr(run.out, "none is kept"), "%s%s", run.out, run.err);
	run_free(&run);
	AS_USER(&d, &run, "-q", SMALL, "--keep-trace", "--name", "busy", "--", "sh", "-c",
		": mine");
	cr_expect_eq(run.status, 0);
	cr_expect_str_empty(run.err);
	run_free(&run);
	daemon_run_as(&d, OTHER_USER, &run,
		      (const char *const[]){ "-q", SMALL, "--keep-trace", "--trace",
					     path_in(&d, "t"), "--", "sh", "-c", ": theirs",
					     NULL });
	cr_expect_eq(run.status, 0);
	cr_expect_str_empty(run.err);
	has(path_in(&d, "t"), ": theirs", true);
	only_id(&d, DAEMON_USER, mine);
	only_id(&d, OTHER_USER, theirs);
	(void)snprintf(prefix, sizeof(prefix), "%.8s", mine);
	ASK(&d, DAEMON_USER, &run, prefix);
	cr_expect_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, mine);
	expect_has(run.out, ": mine");
	ASK(&d, DAEMON_USER, &run, "--list");
	expect_has(run.out, " busy ");
	expect_has(run.out, " ok ");
	/* As if there were none of that id. */
	ASK(&d, OTHER_USER, &run, mine);
	cr_expect_eq(run.status, 1);
	cr_expect_str_empty(run.out);
	expect_has(run.err, "no trace of that request that the daemon keeps for you");
	ASK(&d, OTHER_USER, &run, prefix);
	cr_expect_eq(run.status, 1);
	ASK(&d, "0", &run, "--list");
	expect_has(run.out, "OWNER");
	expect_has(run.out, mine);
	expect_has(run.out, theirs);
	expect_has(run.out, " " OTHER_USER "\n");
	ASK(&d, "0", &run, theirs);
	expect_has(run.out, ": theirs");
	expect_lacks(run.out, ": mine");
	daemon_stop(&d);
}

static uint64_t bytes_of(const struct daemon *d, const char *uid)
{
	char path[800];
	uint64_t bytes = 0;
	struct stat st;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%s/state/owners/%s/traces", d->dir, uid);
	cr_assert(stat(path, &st) == 0 && (st.st_mode & 0777) == 0700 && st.st_uid == 0);
	dir = opendir(path);
	for (const struct dirent *e; (e = readdir(dir));)
		if (fstatat(dirfd(dir), e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
			bytes += (uint64_t)st.st_size;
	(void)closedir(dir);
	return bytes;
}

/* Who keeps many has the oldest removed, and nobody else's. */
Test(daemon_trace, kept_ones_have_a_bound, .timeout = 90)
{
	struct daemon d = begin("per_owner: {kept_traces: 1M}\nowners: [{user: 1003, kept_traces: "
				"0}]\n");
	cleanup_run struct run run = { 0 };
	char first[40], theirs[40];

	daemon_run_as(&d, OTHER_USER, &run,
		      (const char *const[]){ "-q", SMALL, "--keep-trace", "--", "true", NULL });
	only_id(&d, OTHER_USER, theirs);
	for (int i = 0; i < 8; i++) {
		cleanup_run struct run one = { 0 };

		AS_USER(&d, &one, "-q", SMALL, "-t", "250ms", "--keep-trace", "--report",
			path_in(&d, "r"), "-b", helpers_bind(), "--", "/opt/inside", "events", "2");
		cr_expect_eq(one.status, 124, "%s", one.err);
		cr_expect_str_empty(one.err);
		if (i == 0)
			only_id(&d, DAEMON_USER, first);
		/* With what the recorder writes before it looks again. */
		cr_expect_leq(bytes_of(&d, DAEMON_USER), (1 << 20) + (1 << 18));
	}
	ASK(&d, DAEMON_USER, &run, "--list");
	expect_lacks(run.out, first);
	ASK(&d, DAEMON_USER, &run, first);
	cr_expect_eq(run.status, 1);
	ASK(&d, OTHER_USER, &run, theirs);
	cr_expect_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	daemon_run_as(
		&d, "1003", &run,
		(const char *const[]){ "-q", SMALL, "--keep-trace", "--", "echo", "ran", NULL });
	cr_expect_eq(run.status, 0);
	cr_expect_str_eq(run.out, "ran\n");
	expect_has(run.err, "no trace is kept: ");
	expect_has(run.err, "(limit 'per_owner.kept_traces')");
	daemon_stop(&d);
}

/* Who asks and takes nothing has a bound, and others are shown theirs meanwhile. */
Test(daemon_trace, kept_ones_that_nobody_takes_hold_up_nobody, .timeout = 200)
{
	struct daemon d = begin("");
	cleanup_run struct run run = { .timeout_ms = 150000 };
	struct cloche_err err = { 0 };
	int pipes[3] = { -1, -1, -1 }, r = -EBUSY;

	AS_USER(&d, &run, "-q", SMALL, "--repeat", "20", "--keep-trace", "--", "sh", "-c", thrice);
	cr_assert_eq(run.status, 0, "%s", run.err);
	for (int i = 0; i < 3; i++) {
		struct remote remote;

		cr_assert_eq(remote_open(d.control, &remote, &err), 0, "%s", err.text);
		cr_expect_eq(remote_kept_open(&remote, NULL, &pipes[i], &err), i < 2 ? 0 : -EBUSY,
			     "%s", err.text);
		remote_close(&remote);
	}
	expect_has(err.text, "user 0 is shown traces 2 times already");
	ASK(&d, DAEMON_USER, &run, "--list");
	cr_expect_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, " ok ");
	for (int i = 0; i < 2; i++)
		(void)close(pipes[i]);
	for (int i = 0; i < 1000 && r == -EBUSY; i++) {
		struct remote remote;

		cr_assert_eq(remote_open(d.control, &remote, &err), 0, "%s", err.text);
		r = remote_kept_open(&remote, NULL, &pipes[0], &err);
		remote_close(&remote);
		(void)usleep(10000);
	}
	cr_expect_eq(r, 0, "%s", err.text);
	(void)close(pipes[0]);
	daemon_stop(&d);
}

/* Whoever has no rights and is a child of a child of the launcher's: reads a ring. 0: there is
 * none. *ret_parent may be NULL. */
static pid_t scribe_and(const struct daemon *d, pid_t *ret_parent)
{
	char path[64], line[200];
	pid_t found = 0;
	DIR *proc = opendir("/proc");

	cr_assert(proc);
	for (const struct dirent *e; (e = readdir(proc));) {
		int pid = atoi(e->d_name), parent = 0, above = 0, uid = 0;
		FILE *f;

		(void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
		f = pid ? fopen(path, "re") : NULL;
		while (f && fgets(line, sizeof(line), f)) {
			(void)sscanf(line, "PPid: %d", &parent);
			(void)sscanf(line, "Uid: %d", &uid);
		}
		if (f)
			(void)fclose(f);
		(void)snprintf(path, sizeof(path), "/proc/%d/stat", parent);
		f = uid == SLOT_UID_NONE ? fopen(path, "re") : NULL;
		if (f && fscanf(f, "%*d %*s %*c %d", &above) == 1 && above == d->pid) {
			found = pid;
			if (ret_parent)
				*ret_parent = parent;
		}
		if (f)
			(void)fclose(f);
	}
	(void)closedir(proc);
	return found;
}

static pid_t scribe_of(const struct daemon *d)
{
	return scribe_and(d, NULL);
}

/* What a daemon that was killed had not finished goes with the next one; what is kept stays. */
Test(daemon_trace, kept_ones_outlive_the_daemon)
{
	struct daemon d = begin("");
	cleanup_run struct run run = { 0 };
	char id[40], path[800];
	pid_t tracer = 0;
	struct client a;
	DIR *dir;

	AS_USER(&d, &run, "-q", SMALL, "--keep-trace", "--", "true");
	cr_assert_eq(run.status, 0, "%s", run.err);
	only_id(&d, DAEMON_USER, id);
	a = client_begin_args(&d,
			      (const char *const[]){ "-q", SMALL, "--keep-trace", "-t", "60s", "-e",
						     d.mark, "--", "sh", "-c", busy, NULL });
	/* One that is told that the launcher has ended removes it itself. */
	cr_assert_neq(scribe_and(&d, &tracer), 0);
	cr_expect_eq(kill(tracer, SIGKILL), 0);
	daemon_kill(&d);
	client_expect_lost(&a);
	daemon_start(&d);
	(void)snprintf(path, sizeof(path), "%s/state/owners/" DAEMON_USER "/traces", d.dir);
	dir = opendir(path);
	cr_assert(dir);
	for (const struct dirent *e; (e = readdir(dir));)
		cr_expect(e->d_name[0] == '.' ? !strstr(e->d_name, "new")
					      : strstr(e->d_name, id) != NULL,
			  "%s", e->d_name);
	(void)closedir(dir);
	ASK(&d, DAEMON_USER, &run, id);
	cr_expect_eq(run.status, 0, "%s", run.err);
	daemon_stop(&d);
}

/* ---- who has too many ------------------------------------------------------------------------ */

/* The invocation is worth more than its trace; and what one has is nobody else's matter. */
Test(daemon_trace, over_the_limit_is_none_and_it_says_so)
{
	cleanup_run struct run run = { 0 };
	struct daemon d = begin("per_owner: {traces: 1}\nowners: [{user: " OTHER_USER
				", traces: 1}, {user: 1003, traces: 0}]\n");
	const char *report = path_in(&d, "r"), *theirs = path_in(&d, "theirs"),
		   *own = path_in(&d, "own"), *none = path_in(&d, "none");
	struct client a;

	a = client_begin_args(&d,
			      (const char *const[]){ "-q", SMALL, "--trace", path_in(&d, "a"), "-t",
						     "60s", "--", "sh", "-c", busy, NULL });
	AS_USER(&d, &run, "-q", SMALL, "--trace", own, "--report", report, "--", "echo", "ran");
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect_str_eq(run.out, "ran\n");
	expect_has(run.err, "the trace could not be written to");
	expect_has(run.err, "(limit 'per_owner.traces')");
	has(report, "\"trace\":null", true);
	has(report, "it could not be recorded or written", true);
	run_free(&run);
	daemon_run_as(&d, OTHER_USER, &run,
		      (const char *const[]){ "-q", SMALL, "--trace", theirs, "--", "true", NULL });
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect_str_empty(run.err);
	run_free(&run);
	daemon_run_as(&d, "1003", &run,
		      (const char *const[]){ "-q", SMALL, "--trace", none, "--", "true", NULL });
	cr_expect_eq(run.status, 0, "%s", run.err);
	expect_has(run.err, "0 in use of the 0 that user 1003 may have at a time");
	run_free(&run);
	cr_expect_eq(kill(a.pid, SIGINT), 0);
	cr_expect_eq(process_status(a.pid), 130);
	client_expect_over(&a);
	AS_USER(&d, &run, "-q", SMALL, "--trace", own, "--", "true");
	cr_expect_eq(run.status, 0);
	daemon_stop(&d);
}

/* ---- who takes nothing, and who dies --------------------------------------------------------- */

static void status_has(pid_t pid, const char *line)
{
	cleanup_free char *text = NULL;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
	text = text_of(path);
	cr_expect(strstr(text, line), "%s: %s", line, text);
}

static size_t count_files(pid_t pid, const char *what)
{
	char path[64], name[100], to[300];
	size_t n = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	cr_assert(dir, "%s: %m", path);
	for (const struct dirent *e; (e = readdir(dir));) {
		ssize_t len;

		(void)snprintf(name, sizeof(name), "%s/%.20s", path, e->d_name);
		len = readlink(name, to, sizeof(to) - 1);
		to[len > 0 ? len : 0] = '\0';
		n += strstr(to, what) != NULL;
	}
	(void)closedir(dir);
	return n;
}

/* Who reads what a function named has nothing else; and of the rings the front has none. */
Test(daemon_trace, who_reads_it_has_no_rights)
{
	struct daemon d = begin("");
	struct client a;
	pid_t scribe;

	a = client_begin_args(&d,
			      (const char *const[]){ "-q", SMALL, "--trace", path_in(&d, "t"), "-t",
						     "60s", "--", "sh", "-c", busy, NULL });
	scribe = scribe_of(&d);
	cr_assert_neq(scribe, 0, "nobody reads");
	status_has(scribe, "CapPrm:\t0000000000000000");
	status_has(scribe, "CapEff:\t0000000000000000");
	status_has(scribe, "CapBnd:\t0000000000000000");
	status_has(scribe, "NoNewPrivs:\t1");
	status_has(scribe, "Seccomp:\t2");
	/* A socket, a pipe. */
	cr_expect_eq(count_files(scribe, ":"), 2);
	cr_expect_eq(count_files(daemon_front(&d), "bpf"), 0);
	cr_expect_eq(kill(a.pid, SIGINT), 0);
	cr_expect_eq(process_status(a.pid), 130);
	client_expect_over(&a);
	daemon_stop(&d);
}

/* Who had the ring of another one before it has let it go by now, or does so soon. */
static void expect_traced(const struct daemon *d, const char *t)
{
	for (int i = 0; i < 100; i++) {
		cleanup_run struct run run = { 0 };

		AS_USER(d, &run, "-q", SMALL, "--trace", t, "--", "true");
		cr_assert_eq(run.status, 0, "%s", run.err);
		if (run.err_len == 0) {
			/* Whether each switch of it was seen is the meter's to say, and no
			 * matter here. */
			has(t, "\"lost\":0,\"complete\":", true);
			has(t, "\"verdict\":\"ok\"", true);
			return;
		}
		expect_has(run.err, "(limit 'per_owner.traces')");
	}
	cr_assert_fail("it is never traced again");
}

static void wait_until_none(const struct daemon *d)
{
	for (int i = 0; i < 3000 && scribe_of(d); i++)
		(void)usleep(10000);
	cr_expect_eq(scribe_of(d), 0, "a trace that nobody reads goes on");
}

/* Its client is killed, or only its trace's reader is: both end. */
Test(daemon_trace, ends_with_its_client)
{
	cleanup_run struct run run = { 0 };
	struct daemon d = begin("per_owner: {traces: 1}\n");
	const char *t = path_in(&d, "t");

	for (int i = 0; i < 3; i++) {
		struct client a = client_begin_args(
			&d, (const char *const[]){ "-q", SMALL, "--trace", t, "-t", "60s", "-e",
						   d.mark, "--", "sh", "-c", busy, NULL });

		cr_expect_eq(kill(a.pid, SIGKILL), 0);
		cr_expect_eq(process_status(a.pid), 137);
		client_expect_over(&a);
		wait_until_none(&d);
	}
	expect_traced(&d, t);
	daemon_stop(&d);
}

/* One that is stopped reads nothing: its function makes events for as long as it has, what finds no
 * room is counted, and nobody else is held up. */
Test(daemon_trace, that_nobody_reads_holds_up_nobody, .timeout = 90)
{
	struct daemon d = begin("");
	const char *t = path_in(&d, "t"), *report = path_in(&d, "r"), *theirs = path_in(&d, "o");
	cleanup_trace struct trace cut = { 0 };
	cleanup_run struct run run = { 0 };
	struct client a;

	a = client_begin_args(
		&d, (const char *const[]){ "-q", SMALL, "--trace", t, "--report", report, "--cpu",
					   "2", "-t", "4s", "-b", helpers_bind(), "--", "sh", "-c",
					   "echo begun; exec /opt/inside events 2", NULL });
	cr_expect_eq(kill(a.pid, SIGSTOP), 0);
	daemon_run_as(&d, OTHER_USER, &run,
		      (const char *const[]){ "-q", SMALL, "--trace", theirs, "--", "true", NULL });
	cr_expect_eq(run.status, 0, "%s", run.err);
	has(theirs, "\"event\":\"end\"", true);
	/* Its deadline comes all the same, and who wrote the trace waits no longer than for so
	 * long. */
	wait_until_none(&d);
	cr_expect_eq(kill(a.pid, SIGCONT), 0);
	cr_expect_eq(process_status(a.pid), 124);
	client_expect_over(&a);
	cut = trace_file_read(t);
	if (cut.ended)
		cr_expect(cut.lost > 0 && !cut.complete);
	has(report, cut.ended ? "\"complete\":false" : "\"trace\":null", true);
	daemon_stop(&d);
}

/* Whatever of the daemon is killed, the next invocation is traced. */
Test(daemon_trace, after_any_of_the_daemon_was_killed)
{
	struct daemon d = begin("per_owner: {traces: 1}\n");
	const char *t = path_in(&d, "t");

	for (int i = 0; i < 3; i++) {
		cleanup_run struct run run = { 0 };
		struct client a = client_begin_args(
			&d, (const char *const[]){ "-q", SMALL, "--trace", t, "-t", "60s", "-e",
						   d.mark, "--", "sh", "-c", busy, NULL });
		pid_t scribe = scribe_of(&d);

		cr_assert_neq(scribe, 0);
		if (i == 0) {
			cr_expect_eq(kill(daemon_front(&d), SIGKILL), 0);
			client_expect_lost(&a);
		} else if (i == 1) {
			daemon_kill(&d);
			client_expect_lost(&a);
			daemon_start(&d);
		} else {
			cr_expect_eq(kill(scribe, SIGKILL), 0);
			cr_expect_eq(kill(a.pid, SIGINT), 0);
			cr_expect_eq(process_status(a.pid), 130);
			expect_line(a.err, "the trace could not be written to");
			client_expect_over(&a);
		}
		wait_until_none(&d);
		expect_traced(&d, t);
	}
	daemon_stop(&d);
}
