/* SPDX-License-Identifier: MIT */
/*
 * The front itself, made by ptrace(2) to call what it never would: what its filter does not have
 * kills it, and another serves; what its view does not have is not there, however it is walked.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "serve/own_filter.h"
#include "tests/lib/captive.h"
#include "tests/lib/daemon.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"

/* ---- calls ----------------------------------------------------------------------------------- */

static const struct {
	const char *what;
	long nr;
	unsigned long args[4];
} forbidden[] = {
	{ "socket", SYS_socket, { AF_UNIX, SOCK_STREAM } },
	{ "execve", SYS_execve, { 0 } },
	{ "fork", SYS_fork, { 0 } },
	{ "clone", SYS_clone, { SIGCHLD } },
	{ "a thread", SYS_clone, { 0x3d0f00 } },
	{ "ptrace", SYS_ptrace, { 0 } },
	{ "mount", SYS_mount, { 0 } },
	{ "unshare", SYS_unshare, { CLONE_NEWUSER } },
	{ "bpf", SYS_bpf, { 0 } },
	{ "keyctl", SYS_keyctl, { 0 } },
	{ "kill", SYS_kill, { 1, 0 } },
	{ "memory to execute", SYS_mmap, { 0, 4096, 7, 0x22 } },
	{ "TIOCSTI", SYS_ioctl, { 2, 0x5412 } },
	{ "setuid", SYS_setuid, { 0 } },
	{ "io_uring", SYS_io_uring_setup, { 1, 0 } },
};

static void expect_death(size_t i)
{
	cleanup_run struct run run = { 0 };
	struct captive c;
	struct daemon d;
	long end = 0;

	daemon_prepare(&d);
	daemon_start(&d);
	captive_take(&c, daemon_front(&d));
	cr_assert(!captive_call(&c, forbidden[i].nr, forbidden[i].args, &end), "%s returned %ld",
		  forbidden[i].what, end);
	cr_expect_eq(end, SIGSYS, "%s: %ld", forbidden[i].what, end);
	expect_line(d.said, "killed for a system call that it may not make");
	/* Whoever comes now waits for the next one. */
	AS_USER(&d, &run, "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	daemon_stop(&d);
}

Test(front_sealed, what_it_may_not_call_kills_it)
{
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
		expect_death(i);
}

Test(front_sealed, both_processes_are_filtered)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	char path[64];

	daemon_prepare(&d);
	daemon_start(&d);
	(void)snprintf(path, sizeof(path), "/proc/%d/status", daemon_front(&d));
	RUN(&run, "cat", path);
	expect_has(run.out, "Seccomp:\t2");
	expect_has(run.out, "Seccomp_filters:\t2");
	run_free(&run);
	(void)snprintf(path, sizeof(path), "/proc/%d/status", d.pid);
	RUN(&run, "cat", path);
	expect_has(run.out, "Seccomp:\t2");
	expect_has(run.out, "Seccomp_filters:\t1");
	daemon_stop(&d);
}

/* ---- files ----------------------------------------------------------------------------------- */

Test(front_sealed, it_sees_what_it_reads_and_nothing_else)
{
	static const char *const want = "./dev/null\n./etc/passwd\n./home\n./proc/self\n"
					"./proc/sys/kernel/random/boot_id\n";
	cleanup_run struct run run = { 0 };
	struct daemon d;
	char command[256];

	daemon_prepare(&d);
	daemon_start(&d);
	(void)snprintf(
		command, sizeof(command),
		"cd /proc/%d/root && find . \\( -path ./home -o -path ./proc/self \\) -prune "
		"-print -o ! -type d -print | LC_ALL=C sort",
		daemon_front(&d));
	RUN(&run, "sh", "-c", command);
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect_str_eq(run.out, want);
	run_free(&run);
	/* The host's are in none of its mounts. */
	(void)snprintf(command, sizeof(command), "cut -d' ' -f5 /proc/%d/mountinfo | LC_ALL=C sort",
		       daemon_front(&d));
	RUN(&run, "sh", "-c", command);
	cr_expect_str_eq(run.out, "/\n/dev/null\n/etc/passwd\n/home\n/proc/self\n"
				  "/proc/sys/kernel/random/boot_id\n");
	daemon_stop(&d);
}

static const struct {
	const char *path;
	int flags;
	int code;
} opens[] = {
	{ "/etc/passwd", O_RDONLY, 0 },
	{ ".", O_RDONLY | O_DIRECTORY, 0 },
	{ "/etc/shadow", O_RDONLY, ENOENT },
	{ "/usr", O_RDONLY, ENOENT },
	{ "/proc/1/status", O_RDONLY, ENOENT },
	{ "/proc/self/root/usr", O_RDONLY, ENOENT },
	{ "../etc/shadow", O_RDONLY, ENOENT },
	{ "../../../../../../usr", O_RDONLY, ENOENT },
	{ "/proc/self/cwd/../../../../usr", O_RDONLY, ENOENT },
	{ "/etc/passwd", O_WRONLY, EACCES },
	{ "/new", O_WRONLY | O_CREAT, EROFS },
};

Test(front_sealed, no_path_leads_out_of_its_view)
{
	struct daemon d;
	struct captive c;

	daemon_prepare(&d);
	daemon_start(&d);
	captive_take(&c, daemon_front(&d));
	for (size_t i = 0; i < sizeof(opens) / sizeof(opens[0]); i++) {
		const unsigned long args[4] = { (unsigned long)AT_FDCWD,
						captive_put_text(&c, opens[i].path),
						(unsigned long)opens[i].flags, 0600 };
		long r = 0;

		cr_assert(captive_call(&c, SYS_openat, args, &r), "%s", opens[i].path);
		cr_expect(opens[i].code ? r == -opens[i].code : r >= 0, "%s: %ld", opens[i].path,
			  r);
		/* Also by what is open: there is no directory of the host's. */
		for (long fd = 0; fd < 64; fd++) {
			const unsigned long up[4] = { (unsigned long)fd,
						      captive_put_text(&c, "../usr"), O_PATH, 0 };

			cr_assert(captive_call(&c, SYS_openat, up, &r));
			cr_expect(r == -EBADF || r == -ENOTDIR || r == -ENOENT, "%ld: %ld", fd, r);
		}
	}
	captive_let_go(&c);
	daemon_stop(&d);
}

/* Programs that add a user make a new file. */
Test(front_sealed, a_new_passwd_is_seen_by_the_next_front)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	pid_t front;
	struct stat st;

	daemon_prepare(&d);
	daemon_start(&d);
	front = daemon_front(&d);
	cr_assert_eq(stat("/etc/passwd", &st), 0);
	/* What any change of it is. */
	cr_assert_eq(chmod("/etc/passwd", st.st_mode & 07777), 0);
	AS_USER(&d, &run, "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	expect_line(d.said, "the front is ended");
	run_free(&run);
	AS_USER(&d, &run, "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect_neq(daemon_front(&d), front);
	daemon_stop(&d);
}

/* ---- what functions inherit ------------------------------------------------------------------ */

/* As of the launcher, whose filter is under every function's policy: that answers first, and what
 * it denies is heard of. */
Test(front_sealed, a_denied_call_is_counted_behind_the_launchers_filter)
{
	static const struct {
		const char *name, *number;
	} calls[] = { { "reboot", "169" }, { "swapon", "167" }, { "userfaultfd", "323" } };
	struct cloche_err err = { 0 };

	if (geteuid() != 0)
		test_skip("needs root");
	cr_assert_eq(own_filter_launcher(&err), 0, "%s", err.text);
	cr_expect_eq(syscall(SYS_userfaultfd, 0), -1);
	cr_expect_eq(errno, ENOSYS);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		cleanup_run struct run run = { 0 };

		RUN_INSIDE(&run, "/opt/try-syscall", calls[i].number);
		expect_end(&run, 0, "ok");
		expect_has(run.out, "EPERM");
		cr_expect_str_eq(json_string_value(json_object_get(
					 json_array_get(report_get(&run, "denied"), 0), "syscall")),
				 calls[i].name);
	}
}
