/* SPDX-License-Identifier: MIT */
/*
 * `cloche run` under conditions and with input that nobody plans for: what its caller left closed,
 * ignored, blocked or limited; paths that are links, climb, or hold newlines; roots that are no
 * roots; as much of everything as is allowed, and a little more. Plain wrong options are
 * bad_input.c's matter, attacks from inside escape.c's.
 */
#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/leftovers.h"
#include "tests/lib/roots.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* One complaint that names a word, and nothing else. */
static void expect_line(const struct run *run, int status, const char *word)
{
	cr_expect(run->status == status, "status %d, expected %d: %s", run->status, status,
		  run->err);
	cr_expect(lines(run->err) == 1 && strncmp(run->err, "cloche run: ", 12) == 0,
		  "not one line: %s", run->err);
	cr_expect(strstr(run->err, word) != NULL, "'%s' is not named: %s", word, run->err);
}

static void expect_quiet(const struct run *run, const char *out)
{
	cr_expect(run->status == 0 && run->err_len == 0, "status %d: %s", run->status, run->err);
	cr_expect_str_eq(run->out, out);
}

/* A shell line with $CLOCHE in it. */
static void run_shell(struct run *run, const char *line)
{
	(void)env_need("CLOCHE");
	RUN(run, "bash", "-c", line);
}

static void write_file(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "we");

	cr_assert(f && fwrite(text, 1, len, f) == len && fclose(f) == 0, "%s: %m", path);
}

/* ---- what the caller left ---- */

/* The first files opened would be standard error otherwise, and complaints be written into them. */
Test(abuse_caller, closed_streams)
{
	static const char *const lines_of[] = {
		"$CLOCHE run -q -- sh -c 'ls /proc/self/fd >/tmp/x; wc -l </tmp/x >&2' <&-",
		"$CLOCHE run -q -- sh -c 'ls /proc/self/fd >/tmp/x; wc -l </tmp/x >&2' >&-",
		"$CLOCHE run -q -- sh -c 'ls /proc/self/fd >/tmp/x; wc -l </tmp/x >&2' <&- >&-",
	};

	for (size_t i = 0; i < sizeof(lines_of) / sizeof(lines_of[0]); i++) {
		cleanup_run struct run run = { 0 };

		run_shell(&run, lines_of[i]);
		/* Three, and the one by which ls reads. */
		cr_expect(run.status == 0 && strcmp(run.err, "4\n") == 0, "%zu: status %d: %s", i,
			  run.status, run.err);
	}
}

Test(abuse_caller, complaints_without_standard_error)
{
	static const char *const lines_of[] = {
		"$CLOCHE run -- /no/such/command 2>&-",
		"$CLOCHE run -- /no/such/command <&- >&- 2>&-",
		"$CLOCHE run --output-limit 1M -- /no/such/command <&- >&- 2>&-",
		"$CLOCHE run -b /usr/share:/mnt -- /no/such/command <&- >&- 2>&-",
	};
	cleanup_free char *before = leftover_state(), *after = NULL;

	for (size_t i = 0; i < sizeof(lines_of) / sizeof(lines_of[0]); i++) {
		cleanup_run struct run run = { 0 };
		cleanup_run struct run next = { 0 };

		run_shell(&run, lines_of[i]);
		cr_expect_eq(run.status, 127, "%zu: status %d", i, run.status);
		RUN_CLOCHE(&next, "-q", "--", "echo", "well");
		expect_quiet(&next, "well\n");
	}
	after = leftover_state();
	cr_expect_str_eq(after, before);
}

/* Children whose end nobody wants to know are reaped by the kernel: there is none to wait for. */
Test(abuse_caller, ignored_and_blocked_signals)
{
	static const char script[] =
		"import os, signal\n"
		"for s in signal.valid_signals() - {9, 19}: signal.signal(s, signal.SIG_IGN)\n"
		"signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
		"c = os.environ['CLOCHE']\n"
		"os.execv(c, [c, 'run', '-q', '-t', '%s', '--', 'sh', '-c', '%s'])\n";
	cleanup_run struct run run = { 0 }, late = { 0 };
	cleanup_free char *line = NULL, *endless = NULL;

	cr_assert(asprintf(&line, script, "60s",
			   "grep -E ^Sig.Ign?:..*[1-9a-f] /proc/self/status; "
			   "kill -TERM $$") > 0 &&
		  asprintf(&endless, script, "200ms", "while :; do :; done") > 0);
	RUN(&run, "python3", "-c", line);
	cr_expect_eq(run.status, 128 + 15, "status %d: %s%s", run.status, run.out, run.err);
	RUN(&late, "python3", "-c", endless);
	cr_expect_eq(late.status, 124, "status %d: %s", late.status, late.err);
}

Test(abuse_caller, limits)
{
	static const struct {
		const char *line;
		int status;
	} table[] = {
		{ "ulimit -f 0; $CLOCHE run -q -- true", 125 },
		{ "ulimit -n 6; $CLOCHE run -q -- true", 125 },
		{ "ulimit -n 16; $CLOCHE run -q -- true", 125 },
		{ "ulimit -c unlimited; $CLOCHE run -q -- sh -c 'test $(ulimit -c) = 0'", 0 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		cleanup_run struct run run = { 0 };

		run_shell(&run, table[i].line);
		/* The ledger may complain as well. */
		cr_expect(run.status == table[i].status && (run.status != 0) == (run.err_len > 0),
			  "%s: status %d: %s", table[i].line, run.status, run.err);
	}
}

Test(abuse_caller, a_directory_that_is_gone)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *line = NULL;
	cleanup_run struct run run = { 0 };

	cr_assert(asprintf(&line,
			   "mkdir '%s/gone' && cd '%s/gone' && rmdir '%s/gone' && "
			   "$CLOCHE run -q -- pwd",
			   dir, dir, dir) > 0);
	run_shell(&run, line);
	expect_quiet(&run, "/tmp\n");
}

/* ---- paths ---- */

/* Whatever a name holds, what is said of it is one line. */
Test(abuse_paths, newlines_and_escapes)
{
	static const char *const options[] = { "--bind",    "--rootfs", "--policy",
					       "--workdir", "--report", "--env-file" };
	static const char *const names[] = { "/no\nsuch\033[2J", "no\nsuch", "/\xff\xfe\n" };

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
			cleanup_run struct run run = { 0 };
			size_t more = strcmp(options[i], "--report") == 0;

			RUN(&run, env_need("CLOCHE"), "run", "-q", options[i], names[k], "--",
			    "true");
			if (more && run.status == 0) {
				(void)unlink(names[k]);
				continue; /* a name like others */
			}
			cr_expect(lines(run.err) == 1 + more && !strchr(run.err, '\033'),
				  "%s %s: %s", options[i], names[k], run.err);
		}
}

Test(abuse_paths, sources_that_climb_and_links)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *file = path_in(dir, "file"), *link = path_in(dir, "link");
	cleanup_free char *climb = NULL, *linked = NULL, *relative = NULL;
	cleanup_run struct run run = { 0 };

	write_file(file, "seen\n", 5);
	cr_assert_eq(symlink("file", link), 0);
	cr_assert(asprintf(&climb, "%s/../%s/./file:/mnt/x", dir, strrchr(dir, '/') + 1) > 0 &&
		  asprintf(&linked, "%s:/mnt/x", link) > 0 &&
		  asprintf(&relative, "cd '%s' && $CLOCHE run -q -b file:/mnt/x -- cat /mnt/x",
			   dir) > 0);
	RUN_CLOCHE(&run, "-q", "-b", climb, "--", "cat", "/mnt/x");
	expect_quiet(&run, "seen\n");
	run_free(&run);
	RUN_CLOCHE(&run, "-q", "-b", linked, "--", "cat", "/mnt/x");
	expect_quiet(&run, "seen\n");
	run_free(&run);
	run_shell(&run, relative);
	expect_quiet(&run, "seen\n");
}

Test(abuse_paths, the_host_by_another_name)
{
	static const char *const names[] = {
		"/", "//", "/.", "/usr/..", "/proc/self/root", "/proc/self/cwd/"
	};

	cr_assert_eq(chdir("/"), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		cleanup_free char *bind = NULL;
		cleanup_run struct run run = { 0 }, root = { 0 };

		cr_assert(asprintf(&bind, "%s:/mnt", names[i]) > 0);
		RUN(&run, env_need("CLOCHE"), "run", "-b", bind, "--", "true");
		expect_line(&run, 125, names[i]);
		RUN(&root, env_need("CLOCHE"), "run", "--rootfs", names[i], "--", "true");
		expect_line(&root, 125, names[i]);
	}
}

/* The masks of /proc are not to be covered, and the launch itself needs it. */
Test(abuse_paths, destinations)
{
	static const struct {
		const char *dst;
		int status;
	} table[] = { { "/proc", 2 },	   { "//proc/", 2 },   { "/proc/self/x", 2 },
		      { "/proc/sys", 2 },  { "/sys", 0 },      { "/tmp", 0 },
		      { "/tmp/a/b/c", 0 }, { "/var/task", 0 }, { "/new/deep/place", 0 },
		      { "/bin/x", 0 },	   { "/dev/x", 125 },  { "/etc/x", 0 } };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		cleanup_free char *bind = NULL;
		cleanup_run struct run run = { 0 };

		cr_assert(asprintf(&bind, "/usr/share:%s", table[i].dst) > 0);
		RUN(&run, env_need("CLOCHE"), "run", "-q", "-b", bind, "--", "true");
		cr_expect(run.status == table[i].status && lines(run.err) == (run.status != 0),
			  "%s: status %d: %s", table[i].dst, run.status, run.err);
	}
}

/* ---- much ---- */

/* As many as there may be, each at a place of its own. */
Test(abuse_much, binds)
{
	enum { MOST = 1024 };
	cleanup_free const char **argv = calloc(2 * (MOST + 1) + 8, sizeof(*argv));
	cleanup_free char *text = calloc(MOST + 1, 64);
	cleanup_run struct run run = { .timeout_ms = 120000 };
	struct rlimit usual;
	size_t n = 0;

	cr_assert(argv && text && getrlimit(RLIMIT_NOFILE, &usual) == 0);
	usual.rlim_cur = 1024;
	argv[n++] = env_need("CLOCHE");
	argv[n++] = "run";
	argv[n++] = "-q";
	for (size_t i = 0; i <= MOST; i++) {
		(void)snprintf(text + i * 64, 64, "/usr/share:/mnt/%zu", i);
		argv[n++] = "-b";
		argv[n++] = text + i * 64;
	}
	argv[n++] = "--";
	argv[n++] = "ls";
	argv[n++] = "/mnt";
	run_argv(&run, argv);
	expect_line(&run, 2, "1025");
	run_free(&run);
	argv[n - 5] = "-b"; /* the last one twice in place of one too many */
	argv[n - 4] = NULL;
	memmove(&argv[n - 5], &argv[n - 3], 4 * sizeof(*argv));
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &usual), 0);
	run_argv(&run, argv);
	cr_expect_eq(run.status, 0, "status %d: %s", run.status, run.err);
	cr_expect_eq(lines(run.out), MOST);
}

/* From a file, since execve(2) takes no 2 MB on the way in. */
Test(abuse_much, environment)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *path = path_in(dir, "env"), *text = malloc(4U << 20);
	cleanup_run struct run run = { 0 };
	size_t len = 0;

	cr_assert_not_null(text);
	for (int i = 0; len < (900U << 10); i++)
		len += (size_t)sprintf(text + len, "V%d=%0*d\n", i, 1000, 7);
	write_file(path, text, len);
	RUN_CLOCHE(&run, "-q", "--env-file", path, "--", "sh", "-c", "env | grep -c ^V");
	cr_expect(run.status == 0 && atoi(run.out) > 900, "status %d: %s%s", run.status, run.out,
		  run.err);
	run_free(&run);
	for (int i = 100000; len < (2U << 20); i++)
		len += (size_t)sprintf(text + len, "V%d=%0*d\n", i, 1000, 7);
	write_file(path, text, len);
	RUN(&run, env_need("CLOCHE"), "run", "--env-file", path, "--", "true");
	cr_expect_eq(run.status, 2);
	cr_expect_eq(lines(run.err), 1, "%.300s", run.err);
}

Test(abuse_much, env_files_that_are_none)
{
	static const char many[] = "A=1\n\0\0\0\nB=2\n";
	static const char late[] = "A=1\r\n# fine\r\n\r\nB=\0\r\n";
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *path = path_in(dir, "env");
	cleanup_run struct run run = { 0 };

	write_file(path, many, sizeof(many) - 1);
	RUN(&run, env_need("CLOCHE"), "run", "--env-file", path, "--", "true");
	expect_line(&run, 2, ":2:");
	run_free(&run);
	write_file(path, late, sizeof(late) - 1);
	RUN(&run, env_need("CLOCHE"), "run", "--env-file", path, "--", "true");
	expect_line(&run, 2, ":4:");
	run_free(&run);
	RUN(&run, env_need("CLOCHE"), "run", "--env-file", "/dev/zero", "--", "true");
	expect_line(&run, 2, "/dev/zero");
}

/* More than execve(2) takes is the command's own matter: too long a list is no missing file. */
Test(abuse_much, arguments)
{
	cleanup_run struct run run = { 0 };

	run_shell(&run, "$CLOCHE run -q -- true $(seq 100000)");
	expect_quiet(&run, "");
}

/* ---- the report ---- */

Test(abuse_report, places_that_take_none)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	const char *const places[] = { dir, "/etc/passwd/report", "/proc/report", "/dev/full",
				       "/no/such/dir/report" };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		cleanup_run struct run run = { .no_report = true };

		RUN_CLOCHE(&run, "-q", "--report", places[i], "--", "sh", "-c", "echo out; exit 5");
		cr_expect_eq(run.status, 5, "%s: status %d: %s", places[i], run.status, run.err);
		cr_expect_str_eq(run.out, "out\n");
		cr_expect(lines(run.err) == 2 && strstr(run.err, places[i]) &&
				  strstr(run.err, "\n{\"schema\":\"cloche.report/1\""),
			  "%s: %s", places[i], run.err);
	}
}

Test(abuse_report, of_a_run_that_was_refused)
{
	cleanup_run struct run run = { .no_report = true };

	RUN_CLOCHE(&run, "--report", "/dev/full", "-b", "/no/such:/mnt", "--", "true");
	cr_expect_eq(run.status, 125);
	cr_expect(strstr(run.err, "/no/such") && strstr(run.err, "\"verdict\":\"launch_error\""),
		  "%s", run.err);
}

/* ---- output that cannot be passed on ---- */

/* With a limit it goes through the supervisor, who alone knows why it was lost: the function is
 * told by SIGPIPE, and the user in words. */
Test(abuse_output, full_disk)
{
	cleanup_run struct run run = { 0 };

	run_shell(&run, "$CLOCHE run -q -t 20s --output-limit 64M -- yes >/dev/full");
	expect_line(&run, 141, "standard output");
	run_free(&run);
	run_shell(&run, "$CLOCHE run -q --output-limit 1M -- yes | head -n 1");
	cr_expect_str_eq(run.out, "y\n");
}

/* ---- roots ---- */

Test(abuse_rootfs, a_minimal_one)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *root = root_make(dir, "root", "inside");
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "-q", "--rootfs", root, "/bin/inside", "exit", "7");
	cr_expect_eq(run.status, 7, "%s", run.err);
	run_free(&run);
	RUN_CLOCHE(&run, "-q", "-m", "64M", "--rootfs", root, "/bin/inside", "fill", "/bin");
	cr_expect_eq(run.status, 98, "it is writable: %s%s", run.out, run.err);
	run_free(&run);
	/* Nothing of the host is beside it. */
	RUN_CLOCHE(&run, "-q", "--rootfs", root, "--", "true");
	cr_expect_eq(run.status, 127, "%s", run.err);
}

/* The host's own /usr bound into it, as a package builder does. */
Test(abuse_rootfs, with_a_mount_in_it)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *root = root_make(dir, "root", "inside"), *usr = path_in(root, "usr");
	cleanup_free char *lib = path_in(root, "lib"), *lib64 = path_in(root, "lib64");
	cleanup_run struct run run = { 0 };

	cr_assert(mkdir(usr, 0755) == 0 && symlink("usr/lib", lib) == 0 &&
		  symlink("usr/lib64", lib64) == 0);
	cr_assert_eq(mount("/usr", usr, NULL, MS_BIND, NULL), 0, "%m");
	RUN_CLOCHE(&run, "-q", "--rootfs", root, "--", "sh", "-c",
		   "ls /; test -e /etc; echo $?; touch /usr/x 2>/dev/null; echo $?");
	cr_expect_eq(umount2(usr, MNT_DETACH), 0);
	cr_expect_str_eq(run.out, "bin\ndev\nlib\nlib64\nproc\nsys\ntmp\nusr\n1\n1\n", "%s",
			 run.err);
}

/* Links are followed nowhere: what is mounted must not land elsewhere. */
Test(abuse_rootfs, what_it_lacks)
{
	static const char *const needed[] = { "dev", "proc", "sys", "tmp" };
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *root = root_make(dir, "root", "inside");

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		cleanup_free char *path = path_in(root, needed[i]), *quoted = NULL;
		cleanup_run struct run run = { 0 };

		cr_assert(asprintf(&quoted, "'%s'", needed[i]) > 0);
		cr_assert_eq(rmdir(path), 0);
		RUN(&run, env_need("CLOCHE"), "run", "-q", "--rootfs", root, "/bin/inside", "exit",
		    "0");
		expect_line(&run, 125, quoted);
		run_free(&run);
		cr_assert_eq(symlink("/etc", path), 0);
		RUN(&run, env_need("CLOCHE"), "run", "-q", "--rootfs", root, "/bin/inside", "exit",
		    "0");
		expect_line(&run, 125, quoted);
		cr_assert(unlink(path) == 0 && mkdir(path, 0755) == 0);
	}
}

/* ---- bombs of no memory that anybody would call memory ---- */

Test(abuse_bombs, inodes_and_depth)
{
	static const char script[] =
		"cd /tmp; i=0; while : >$i; do i=$((i+1)); done 2>/dev/null\n"
		"ls | wc -l; rm -f *; while mkdir d && cd d; do :; done 2>/dev/null; echo deep";
	cleanup_run struct run run = { .timeout_ms = 120000 };

	RUN_CLOCHE(&run, "-q", "-m", "64M", "--tmp-size", "256K", "--cpu", "shared", "-t", "60s",
		   "--", "bash", "-c", script);
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect(atoi(run.out) > 20 && atoi(run.out) < 100, "%s files in 256 KiB", run.out);
	cr_expect(strstr(run.out, "deep") != NULL);
}

/* What waits in sockets is memory, too. */
Test(abuse_bombs, sockets)
{
	cleanup_run struct run run = { .timeout_ms = 120000 }, netlink = { 0 };

	RUN_CLOCHE(&run, "-q", "-m", "64M", "--cpu", "shared", "-t", "60s", "--net", "loopback",
		   "-b", helpers_bind(), "--", "/opt/inside", "queue", "40");
	/* On unified v2 they are in the limit, and it may be what ends this. */
	cr_expect(run.status == 0 || strcmp(report_text(&run, "verdict"), "oom") == 0, "%d: %s",
		  run.status, run.err);
	cr_expect_lt(atoll(run.out), 64, "%s", run.out);
	/* What waits in these is counted nowhere. */
	RUN_CLOCHE(&netlink, "-q", "--", "python3", "-c",
		   "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)");
	cr_expect_not_null(strstr(netlink.err, "Errno 97"), "%s", netlink.err);
}

Test(abuse_bombs, shared_memory)
{
	static const char *const sizes[][2] = { { "32M", "ENOSPC after 32768 KiB\n" },
						{ "3M", "ENOSPC after 3072 KiB\n" } };

	for (size_t i = 0; i < 2; i++) {
		cleanup_run struct run run = { .timeout_ms = 120000 };

		/* Half the memory is also what there is without the option. */
		RUN_INSIDE(&run, "-q", "-m", "64M", "-t", "60s", "--cpu", "shared",
			   i ? "--shm-size" : "--tmp-size", sizes[i][0], INSIDE, "fill",
			   "/dev/shm");
		cr_expect_eq(run.status, 0, "%s", run.err);
		cr_expect_str_eq(run.out, sizes[i][1]);
	}
}
