/* SPDX-License-Identifier: MIT */
/*
 * What of the host's /etc and /var goes with its /usr: packages' configuration, as it is at each
 * run, and what --etc adds. Needs root.
 */
#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/images.h"
#include "tests/lib/own_etc.h"
#include "tests/lib/run.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void expect_cat(const char *path, const char *text, const char *when)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "-q", "--", "sh", "-c", "cat \"$1\" 2>/dev/null || echo none", "sh", path);
	cr_expect_str_eq(run.out, text, "%s, %s: '%s' %s", path, when, run.out, run.err);
}

/* What comes, goes, changes in place, is closed and opened is seen so by the run after it. */
Test(etc, each_run_has_what_is_there)
{
	static const char *const paths[] = { "/etc/papersize", "/etc/php/8.2/own.ini",
					     "/etc/java-99-openjdk/own.cfg", "/etc/ssl/openssl.cnf",
					     "/var/cache/fontconfig/own" };

	own_etc();
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		expect_cat(paths[i], "none\n", "not there");
		etc_file(paths[i], "one\n", 0644);
		expect_cat(paths[i], "one\n", "installed");
		etc_file(paths[i], "two\n", 0644);
		expect_cat(paths[i], "two\n", "changed");
		cr_assert_eq(chmod(paths[i], 0640), 0);
		expect_cat(paths[i], "none\n", "closed");
		cr_assert_eq(chmod(paths[i], 0644), 0);
		expect_cat(paths[i], "two\n", "opened");
		cr_assert_eq(unlink(paths[i]), 0);
		expect_cat(paths[i], "none\n", "removed");
	}
}

/* A directory as a whole: closed, it is not there, whatever is in it. */
Test(etc, directories_close_and_open)
{
	own_etc();
	etc_file("/etc/R/own", "one\n", 0644);
	expect_cat("/etc/R/own", "one\n", "open");
	etc_dir("/etc/R", 0700);
	expect_cat("/etc/R/own", "none\n", "closed");
	etc_dir("/etc/R", 0755);
	expect_cat("/etc/R/own", "one\n", "open again");
}

/* As alternatives(7) and versions of packages have it. */
Test(etc, links_within_etc)
{
	own_etc();
	etc_file("/etc/fpc-3.2.cfg", "fpc\n", 0644);
	etc_dir("/etc/alternatives", 0755);
	etc_link("/etc/fpc-3.2.cfg", "/etc/alternatives/fpc.cfg");
	etc_link("/etc/alternatives/fpc.cfg", "/etc/fpc.cfg");
	expect_cat("/etc/fpc.cfg", "fpc\n", "through two links");
}

/* What is not on the list is not there, and what Cloche writes itself is Cloche's. */
Test(etc, no_more_than_the_list)
{
	cleanup_run struct run run = { 0 };

	own_etc();
	etc_file("/etc/unlisted", "seen\n", 0644);
	etc_file("/etc/hostname", "seen\n", 0644);
	etc_file("/etc/passwd", "seen:x:5:5::/:/bin/sh\n", 0644);
	etc_file("/etc/ssl/private/key", "seen\n", 0644);
	RUN_CLOCHE(&run, "-q", "--", "sh", "-c", "! grep -rs seen /etc && cat /etc/hostname");
	cr_expect_str_eq(run.out, "cloche\n", "%s%s", run.out, run.err);
}

Test(etc, option_adds)
{
	cleanup_run struct run run = { 0 }, image = { 0 };

	own_etc();
	etc_file("/etc/own/deep/file", "file\n", 0644);
	etc_file("/etc/own/deep/closed", "closed\n", 0600);
	etc_file("/etc/single", "single\n", 0644);
	etc_link("single", "/etc/link");
	RUN_CLOCHE(&run, "-q", "--etc", "own", "--etc", "/etc/single", "--etc", "link", "--", "sh",
		   "-c", "cat /etc/own/deep/* /etc/single /etc/link; ls /etc/own/deep");
	cr_expect_str_eq(run.out, "file\nsingle\nsingle\nclosed\nfile\n", "%s", run.err);
	RUN_CLOCHE(&image, "-q", "--etc", "own/deep/file", "--", "sh", "-c",
		   "cat /etc/own/deep/file; ls /etc/own/deep");
	cr_expect_str_eq(image.out, "file\nfile\n", "%s", image.err);
}

Test(etc, option_refuses)
{
	static const struct {
		const char *name, *said;
		int status;
	} table[] = {
		{ "", "--etc '': expected the name of a file", 2 },
		{ ".", "--etc '.': expected", 2 },
		{ "/", "--etc '/': expected", 2 },
		{ "/etc/", "--etc '': expected", 2 },
		{ "/usr/share", "--etc '/usr/share': expected", 2 },
		{ "../root", "--etc '../root': expected", 2 },
		{ "own/../../root", "--etc 'own/../../root': expected", 2 },
		{ "own/..", "--etc 'own/..': expected", 2 },
		{ "nonesuch", "--etc 'nonesuch': open '/etc/nonesuch': no such file", 125 },
		{ "closed", "--etc 'closed': not everybody may read", 125 },
		{ "shut", "--etc 'shut': not everybody may read", 125 },
		{ "shut/open", "--etc 'shut/open': not everybody may read", 125 },
		{ "out", "--etc 'out': leads out, to '/proc/", 125 },
		{ "fifo", "--etc 'fifo': not everybody may read", 125 },
	};

	own_etc();
	etc_file("/etc/closed", "", 0640);
	etc_file("/etc/shut/open", "", 0644);
	etc_dir("/etc/shut", 0711);
	cr_assert_eq(chmod("/etc/shut", 0700), 0);
	etc_link("/proc/self/mounts", "/etc/out");
	cr_assert_eq(mkfifo("/etc/fifo", 0666), 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		cleanup_run struct run run = { 0 };

		RUN_CLOCHE(&run, "-q", "--etc", table[i].name, "--", "true");
		cr_expect(run.status == table[i].status && strstr(run.err, table[i].said) &&
				  count_lines(run.err) == 1,
			  "%s: status %d: %s", table[i].name, run.status, run.err);
	}
}

/* The real host's: each that is installed does what it cannot do without its part of /etc. */
Test(etc, runtimes)
{
	static const struct {
		const char *program, *script, *out;
	} table[] = {
		{ "/usr/bin/perl", "perl -e 'require Config; print 6 * 7'", "42" },
		{ "/usr/bin/python3", "python3 -c 'import ssl; print(6 * 7)'", "42\n" },
		{ "/usr/bin/openssl",
		  "openssl req -x509 -newkey rsa:1024 -nodes -keyout /tmp/k -out /tmp/c -subj "
		  "/CN=x "
		  "2>/dev/null && openssl x509 -noout -subject -in /tmp/c",
		  "subject=CN = x\n" },
		{ "/etc/php/8.2/mods-available/mbstring.ini", "php -r 'echo mb_strlen(\"abc\");'",
		  "3" },
		{ "/usr/bin/Rscript", "Rscript -e 'cat(stats::sd(c(1, 3)) ^ 2)'", "2" },
		{ "/usr/bin/mcs",
		  "echo 'class H { static void Main() { System.Console.Write(42); } }' >/tmp/h.cs "
		  "&& "
		  "mcs -out:/tmp/h.exe /tmp/h.cs && mono /tmp/h.exe",
		  "42" },
		{ "/usr/bin/fpc",
		  "echo 'begin write(42); end.' >/tmp/h.pas && fpc -v0 -FE/tmp /tmp/h.pas "
		  ">/dev/null "
		  "2>&1; /tmp/h",
		  "42" },
		{ "/usr/bin/mvn", "mvn -v | grep -c 'Apache Maven'", "1\n" },
	};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		cleanup_run struct run run = { 0 };

		if (access(table[i].program, F_OK) < 0)
			continue;
		n++;
		RUN_CLOCHE(&run, "-q", "--pids", "200", "-t", "50s", "--", "sh", "-c",
			   table[i].script);
		cr_expect_str_eq(run.out, table[i].out, "%s: status %d: %s%s", table[i].program,
				 run.status, run.out, run.err);
	}
	cr_expect_gt(n, 0, "none is installed");
}
