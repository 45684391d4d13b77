/* SPDX-License-Identifier: MIT */
/* Binds, roots and profiles of users without rights, through the daemon. What of binds is the
 * warden's: given.c. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/daemon.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"

static const struct {
	const char *source, *mode;
	int status;
	const char *said;
} binds[] = {
	{ "own", "ro", 1, "Read-only file system" },
	{ "own", "rw", 0, "" },
	{ "roots", "ro", 125, "--bind 'roots': you may not read it" },
	{ "open", "rw", 125, "--bind 'open': you may not write to it" },
	{ "roots/in", "ro", 125, "--bind 'roots/in' (openat2): permission denied" },
	{ "/", "ro", 125, "that is '/', the whole host" },
	{ "/proc", "ro", 125, "is on a file system that the daemon does not know" },
};

/* With the client's rights, and its files are the function's. */
Test(daemon_own, binds_are_the_users)
{
	cleanup_run struct run run = { 0 };
	char script[1024];
	struct stat st;
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	(void)snprintf(script, sizeof(script),
		       "cd '%s' && mkdir -p own roots/in open && echo secret >own/f && chmod 600 "
		       "own/f && chmod 700 own roots && chown -R " DAEMON_USER ":" DAEMON_USER
		       " own",
		       d.dir);
	RUN(&run, "sh", "-c", script);
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_eq(chdir(d.dir), 0);
	for (size_t i = 0; i < sizeof(binds) / sizeof(binds[0]); i++) {
		cleanup_run struct run one = { 0 };
		char bind[600];

		(void)snprintf(bind, sizeof(bind), "%s:/new/place:%s", binds[i].source,
			       binds[i].mode);
		AS_USER(&d, &one, "-q", "-b", bind, "-b", "own/f:/opt/f", "--", "sh", "-c",
			"cat /opt/f && stat -c %u:%g /opt/f && echo left >/new/place/left");
		cr_expect((one.status == 0) == (binds[i].status == 0) &&
				  (one.status == 125) == (binds[i].status == 125),
			  "%s: %d: %s", bind, one.status, one.err);
		expect_has(one.err, binds[i].said);
		cr_expect_str_eq(one.out, binds[i].status == 125 ? "" : "secret\n1000:1000\n");
	}
	cr_expect(stat("own/left", &st) == 0 && st.st_uid == (uid_t)atoi(DAEMON_USER));
	daemon_stop(&d);
}

/* A context that has binds is nobody else's afterwards. */
Test(daemon_own, binds_are_of_one_invocation)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	AS_USER(&d, &run, "-b", "/usr/bin:/opt", "--", "test", "-x", "/opt/env");
	cr_expect_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	AS_USER(&d, &run, "-b", "/usr/lib:/opt", "--", "test", "-e", "/opt/env");
	cr_expect_eq(run.status, 1, "%s", run.err);
	run_free(&run);
	AS_USER(&d, &run, "--", "test", "-e", "/opt/env");
	cr_expect_eq(run.status, 1, "%s", run.err);
	daemon_stop(&d);
}

/* So is a profile: read with the client's rights, and compiled by it. */
Test(daemon_own, profiles_are_the_users)
{
	cleanup_run struct run run = { 0 };
	char script[1024], path[600];
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	(void)snprintf(
		script, sizeof(script),
		"cd '%s' && echo '{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":"
		"[\"mkdir\",\"mkdirat\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":28}]}' "
		">own.json "
		"&& cp own.json roots.json && chmod 600 own.json roots.json && "
		"chown " DAEMON_USER " own.json",
		d.dir);
	RUN(&run, "sh", "-c", script);
	cr_assert_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	(void)snprintf(path, sizeof(path), "%s/own.json", d.dir);
	AS_USER(&d, &run, "-q", "--policy", path, "--", "mkdir", "/tmp/x");
	cr_expect_eq(run.status, 1, "%s", run.err);
	expect_has(run.err, "No space left on device");
	run_free(&run);
	/* The walls stand behind it, and another one's context is not taken for it. */
	AS_USER(&d, &run, "-q", "--policy", path, "--", "unshare", "-U", "true");
	cr_expect_eq(run.status, 1);
	expect_has(run.err, "Operation not permitted");
	run_free(&run);
	AS_USER(&d, &run, "-q", "--", "mkdir", "/tmp/x");
	cr_expect_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	(void)snprintf(path, sizeof(path), "%s/roots.json", d.dir);
	AS_USER(&d, &run, "-q", "--policy", path, "--", "true");
	cr_expect_eq(run.status, 125, "%s", run.err);
	expect_has(run.err, "ermission denied");
	daemon_stop(&d);
}

/* And a root: what its owner keeps to itself in it is no function's. */
Test(daemon_own, roots_are_the_users)
{
	cleanup_run struct run run = { 0 };
	char script[1024], root[600], helpers[4200];
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	(void)snprintf(
		script, sizeof(script),
		"cd '%s' && mkdir -p r/dev r/proc r/sys r/tmp r/bin && cp '%s/noop' r/bin && "
		"chmod -R 755 r && chown -R " DAEMON_USER " r && mkdir shut && cp -r r shut && "
		"chmod 700 shut",
		d.dir, env_need("HELPERS"));
	RUN(&run, "sh", "-c", script);
	cr_assert_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	(void)snprintf(root, sizeof(root), "%s/r", d.dir);
	AS_USER(&d, &run, "-q", "--rootfs", root, "--", "/bin/noop");
	cr_expect_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	(void)snprintf(helpers, sizeof(helpers), "%s/bin:/tmp/place", root);
	AS_USER(&d, &run, "-q", "--rootfs", root, "-b", helpers, "--", "/tmp/place/noop");
	cr_expect_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	AS_USER(&d, &run, "-q", "--rootfs", root, "--", "/usr/bin/env");
	cr_expect_eq(run.status, 127, "%s", run.err);
	run_free(&run);
	(void)snprintf(root, sizeof(root), "%s/shut/r", d.dir);
	AS_USER(&d, &run, "-q", "--rootfs", root, "--", "/bin/noop");
	cr_expect_eq(run.status, 125, "%s", run.err);
	expect_has(run.err, "permission denied");
	daemon_stop(&d);
}
