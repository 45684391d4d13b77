/* SPDX-License-Identifier: MIT */
/*
 * What an owner without rights proves of the daemon's ledger: that his records extend what he kept
 * of them elsewhere; of others' he sees nothing, not even how many there are. Needs root.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/daemon.h"
#include "tests/lib/run.h"

#define OTHER "1001"

static void run_some(const struct daemon *d, const char *user, int n)
{
	for (int i = 0; i < n; i++) {
		cleanup_run struct run run = { 0 };

		daemon_run_as(d, user, &run,
			      (const char *const[]){ "-q", "--cpu", "shared", "-t", "60s", "-m",
						     "32M", "--", "true", NULL });
		cr_assert_eq(run.status, 0, "%s", run.err);
	}
}

static void ask(const struct daemon *d, const char *user, struct run *run, const char *const args[])
{
	struct daemon as = *d;

	as.verb = "audit";
	daemon_run_as(&as, user, run, args);
}
#define AUDIT(d, user, run, ...) ask((d), (user), (run), (const char *const[]){ __VA_ARGS__, NULL })

/* Where his records end; one line without its end. */
static void keep(const struct daemon *d, const char *user, char line[static 200])
{
	cleanup_run struct run run = { 0 };

	AUDIT(d, user, &run, "head");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert(run.out_len < 200 && strchr(run.out, '\n') == run.out + run.out_len - 1);
	(void)snprintf(line, 200, "%.*s", (int)run.out_len - 1, run.out);
}

static void expect_verified(const struct daemon *d, const char *against, int status,
			    const char *says)
{
	cleanup_run struct run run = { 0 };

	AUDIT(d, DAEMON_USER, &run, "verify", "--against", against);
	cr_expect_eq(run.status, status, "%s%s", run.out, run.err);
	expect_has(status == 2 ? run.err : run.out, says);
}

Test(owner_proof, his_records_extend_what_he_kept)
{
	cleanup_run struct run run = { 0 };
	char first[200], second[200], others[200], path[700];
	struct daemon d;
	FILE *f;

	daemon_prepare(&d);
	daemon_start(&d);
	AUDIT(&d, DAEMON_USER, &run, "head");
	cr_expect_eq(run.status, 1);
	expect_has(run.err, "no record of yours yet");
	run_free(&run);
	run_some(&d, DAEMON_USER, 2);
	keep(&d, DAEMON_USER, first);
	cr_expect_eq(strncmp(first, "cloche-own-1 owner=1000 invocations=2 sha256=", 45), 0, "%s",
		     first);
	run_some(&d, OTHER, 3);
	/* What others do changes nothing of it. */
	keep(&d, DAEMON_USER, second);
	cr_expect_str_eq(second, first);
	run_some(&d, DAEMON_USER, 1);
	keep(&d, DAEMON_USER, second);
	keep(&d, OTHER, others);
	expect_verified(&d, first, 0,
			"your records: 3 invocations of user 1000; proved here: they extend what "
			"was given (1 line)\nthe chain of all: intact, says the daemon, which has "
			"proved it; here it was not\n");
	(void)snprintf(path, sizeof(path), "%s/kept", d.dir);
	f = fopen(path, "we");
	cr_assert(f && fprintf(f, "%s\n\n%s\n", second, first) > 0 && fclose(f) == 0);
	expect_verified(&d, path, 0, "(2 lines)");
	expect_verified(&d, others, 1, "it is of user 1001");
	AUDIT(&d, DAEMON_USER, &run, "verify", "--json");
	cr_expect_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "\"intact\":true,\"owner\":1000,\"records\":3,");
	expect_has(run.out, "\"chain_of_all\":{\"proved_by\":\"daemon\",\"intact\":true}");
	run_free(&run);
	AUDIT(&d, DAEMON_USER, &run, "verify");
	cr_expect_eq(run.status, 0, "%s", run.err);
	expect_has(run.out,
		   "as the daemon has sent them; that they are as they were only --against");
	daemon_stop(&d);
}

/* All of it was put back: the ledger itself has nothing that tells. */
Test(owner_proof, an_older_copy_is_found_out)
{
	char first[200], second[200], third[200], copy[700];
	cleanup_run struct run run = { 0 };
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	run_some(&d, DAEMON_USER, 1);
	keep(&d, DAEMON_USER, first);
	(void)snprintf(copy, sizeof(copy), "%s/copy", d.dir);
	RUN(&run, "cp", "-a", d.ledger, copy);
	cr_assert_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	run_some(&d, DAEMON_USER, 1);
	keep(&d, DAEMON_USER, second);
	daemon_kill(&d);
	RUN(&run, "sh", "-c", "rm -rf \"$1\" && mv \"$2\" \"$1\"", "sh", d.ledger, copy);
	cr_assert_eq(run.status, 0, "%s", run.err);
	daemon_start(&d);
	expect_verified(&d, first, 0, "the chain of all: intact");
	expect_verified(&d, second, 1,
			"rolled back or replaced: they do not extend the line given (2 "
			"invocations): there are 1 only");
	/* Others in their place. */
	run_some(&d, DAEMON_USER, 1);
	expect_verified(&d, second, 1, "other records stand there");
	keep(&d, DAEMON_USER, third);
	expect_verified(&d, third, 0, "extend");
	daemon_stop(&d);
}

Test(owner_proof, what_is_no_line_of_his)
{
	static const char *const args[][3] = { { "verify", "--key", "/etc/passwd" },
					       { "head", "--key", "/etc/passwd" } };
	cleanup_run struct run run = { 0 };
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	expect_verified(&d, "/etc/passwd", 2,
			"line 1: not a line of an owner's 'cloche audit head'");
	expect_verified(&d, "cloche-own-1 owner=1000", 2, "not a line of an owner's");
	expect_verified(&d, "/nonexistent", 2, "neither a line of 'cloche audit head' nor a file");
	for (size_t i = 0; i < 2; i++) {
		AUDIT(&d, DAEMON_USER, &run, args[i][0], args[i][1], args[i][2]);
		cr_expect_eq(run.status, 2);
		expect_has(run.err, "which only root can prove");
		run_free(&run);
	}
	/* Root's is the chain. */
	AUDIT(&d, "0", &run, "verify");
	cr_expect_eq(run.status, 1);
	expect_has(run.err, "--ledger ");
	daemon_stop(&d);
}
