/* SPDX-License-Identifier: MIT */
/*
 * An image from packages by a user without rights: unpacked by himself in a user namespace, sent to
 * the daemon, his own. The archive is a folder of the test's, whose apt knows no other. Needs root.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/daemon.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"

/* A package of two programs, one of which is somebody's group's and set-group-ID; what the script
 * of recipes executes; the archive; apt's and the host's own files, for this process and what it
 * starts. $1: the folder, $2: a program. */
static const char archive[] =
	"set -e; cd \"$1\"; mkdir -p p/DEBIAN p/usr/bin p/usr/sbin p/usr/share/doc/tiny r/pool "
	"build "
	"r/dists/test/main/binary-amd64; chmod 1777 build\n"
	"cp \"$2\" p/usr/bin/tiny; cp \"$2\" p/usr/bin/tiny-of-group; cp \"$2\" "
	"p/usr/sbin/ldconfig\n"
	"echo free >p/usr/share/doc/tiny/copyright; mkfifo fifo; chmod 666 fifo\n"
	"chgrp 42 p/usr/bin/tiny-of-group; chmod 2755 p/usr/bin/tiny-of-group\n"
	"printf 'Package: tiny\\nVersion: 1\\nArchitecture: amd64\\nMaintainer: n "
	"<n@example.org>\\n"
	"Description: tiny\\n' >p/DEBIAN/control\n"
	"dpkg-deb -b p r/pool/tiny.deb; cd r\n"
	"sum() { sha256sum \"$1\" | cut -d' ' -f1; }; size() { stat -c %s \"$1\"; }\n"
	"list=main/binary-amd64/Packages\n"
	"{ dpkg-deb -f pool/tiny.deb; printf 'Filename: pool/tiny.deb\\nSize: %s\\nSHA256: "
	"%s\\n\\n' "
	"$(size pool/tiny.deb) $(sum pool/tiny.deb); } >dists/test/$list; cd dists/test\n"
	"printf 'Origin: Debian\\nSuite: test\\nCodename: test\\nArchitectures: amd64\\n"
	"Components: main\\nDate: Thu, 01 Jan 2026 00:00:00 UTC\\nSHA256:\\n %s %s %s\\n' "
	"$(sum $list) $(size $list) $list >Release\n"
	"chmod -R a+rX \"$1/r\"; mount -t tmpfs apt /etc/apt; cd /etc/apt\n"
	"mkdir apt.conf.d preferences.d sources.list.d trusted.gpg.d\n"
	"echo \"deb [trusted=yes] copy:$1/r test main\" >sources.list\n"
	"printf 'VERSION_CODENAME=test\\n! test -e %s/hold || { echo begun >%s/fifo; exec sleep "
	"300; }\\n' \"$1\" \"$1\" >\"$1/os-release\"\n"
	"chmod a+r \"$1/os-release\"; mount --bind \"$1/os-release\" /usr/lib/os-release\n"
	"echo tiny >\"$1/recipe\"; chmod a+r \"$1/recipe\"\n";

static void start(struct daemon *d)
{
	cleanup_run struct run run = { 0 };
	char program[600];

	daemon_prepare(d);
	cr_assert(unshare(CLONE_NEWNS) == 0 &&
			  mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0,
		  "%m");
	(void)snprintf(program, sizeof(program), "%s/noop", env_need("HELPERS"));
	RUN(&run, "sh", "-c", archive, "sh", d->dir, program);
	cr_assert_eq(run.status, 0, "%s", run.err);
	(void)snprintf(program, sizeof(program), "%s/build", d->dir);
	cr_assert_eq(setenv("TMPDIR", program, 1), 0);
	daemon_start(d);
	d->verb = "image";
}

static void expect_no_folder(const struct daemon *d)
{
	char path[600];
	struct dirent *e;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%s/build", d->dir);
	dir = opendir(path);
	cr_assert(dir != NULL, "%m");
	while ((e = readdir(dir)))
		cr_expect(e->d_name[0] == '.', "%s", e->d_name);
	(void)closedir(dir);
}

Test(daemon_packages, built_by_himself_and_run)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	char recipe[600];

	start(&d);
	(void)snprintf(recipe, sizeof(recipe), "%s/recipe", d.dir);
	AS_USER(&d, &run, "build", "--recipe", recipe, "mine");
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "mine ");
	run_free(&run);
	expect_no_folder(&d);
	AS_USER(&d, &run, "list");
	expect_has(run.out, "(yours)");
	run_free(&run);
	d.verb = "run";
	for (int i = 0; i < 2; i++) {
		AS_USER(&d, &run, "-q", "--cpu", "shared", "-t", "60s", "-m", "32M", "--rootfs",
			"mine", "--", i ? "tiny-of-group" : "tiny");
		cr_expect_eq(run.status, 0, "%s", run.err);
		run_free(&run);
	}
	daemon_stop(&d);
}

Test(daemon_packages, what_cannot_be_unpacked_is_told)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	char recipe[600];
	FILE *f;

	start(&d);
	(void)snprintf(recipe, sizeof(recipe), "%s/other", d.dir);
	f = fopen(recipe, "we");
	cr_assert(f && fputs("no-such-package\n", f) >= 0 && fclose(f) == 0);
	cr_assert_eq(chmod(recipe, 0644), 0);
	AS_USER(&d, &run, "build", "--recipe", recipe, "mine");
	cr_expect_eq(run.status, 1);
	expect_has(run.err, "no-such-package");
	cr_expect_eq(count_lines(run.err), 1, "%s", run.err);
	expect_no_folder(&d);
	daemon_stop(&d);
}

/* As a host may have it; the word is for the user. */
Test(daemon_packages, a_host_without_user_namespaces_for_users)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	char command[2000];

	start(&d);
	/* In a user namespace in which there may be no further one. */
	(void)snprintf(command, sizeof(command),
		       "echo 0 >/proc/sys/user/max_user_namespaces && CLOCHE_CONTROL=%s %s image "
		       "build --recipe %s/recipe mine",
		       d.control, d.cloche, d.dir);
	RUN(&run, "setpriv", "--reuid", DAEMON_USER, "--regid", DAEMON_USER, "--clear-groups",
	    "env", "-u", "CLOCHE_LEDGER", "unshare", "--user", "--map-user", DAEMON_USER,
	    "--keep-caps", "sh", "-c", command);
	cr_expect_eq(run.status, 1, "%d %s", run.status, run.err);
	expect_has(run.err, "this host does not let users have user namespaces");
	cr_expect_eq(count_lines(run.err), 1, "%s", run.err);
	expect_no_folder(&d);
	daemon_stop(&d);
}

/* By a signal that nobody can see to, in the midst of it. */
Test(daemon_packages, whoever_is_killed_leaves_nothing)
{
	cleanup_run struct run run = { 0 };
	char path[600];
	struct client c;
	struct daemon d;
	FILE *f;

	start(&d);
	(void)snprintf(path, sizeof(path), "%s/hold", d.dir);
	f = fopen(path, "we");
	cr_assert(f && fclose(f) == 0);
	(void)snprintf(path, sizeof(path), "%s/recipe", d.dir);
	c = client_start(&d, (const char *const[]){ "build", "--recipe", path, "mine", NULL });
	(void)snprintf(path, sizeof(path), "%s/fifo", d.dir);
	f = fopen(path, "re");
	expect_line(f, "begun");
	(void)fclose(f);
	cr_assert_eq(kill(c.pid, SIGKILL), 0);
	cr_expect_eq(process_status(c.pid), 137);
	/* Who keeps the folder has it, too: it is gone when nobody has. */
	client_expect_over(&c);
	expect_no_folder(&d);
	AS_USER(&d, &run, "list");
	cr_expect(!strstr(run.out, "mine"), "%s", run.out);
	daemon_stop(&d);
}
