/* SPDX-License-Identifier: MIT */
/*
 * Standard streams as a way out: what may be one at all, what crosses beside bytes, what of a
 * terminal is left changed. Needs root.
 */
#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/stdio.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define STREAMS "/opt/streams"

/* ---- what may be a stream ---- */

static int make_directory(void)
{
	return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int make_place(void)
{
	return open("/etc/passwd", O_PATH | O_CLOEXEC);
}

static int make_place_of_directory(void)
{
	return open("/", O_PATH | O_CLOEXEC);
}

/* Of those that there are, none may be openable (a device cgroup, a small machine). */
static int make_block(void)
{
	static const char *const names[] = { "/dev/vda", "/dev/sda", "/dev/loop0", "/dev/ram0",
					     "/dev/nbd0" };
	int fd = -1;

	for (size_t i = 0; fd < 0 && i < sizeof(names) / sizeof(names[0]); i++)
		fd = open(names[i], O_RDONLY | O_CLOEXEC);
	return fd;
}

static int make_kmsg(void)
{
	return open("/dev/kmsg", O_RDONLY | O_CLOEXEC);
}

static int make_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

static int make_epoll(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

static int make_timerfd(void)
{
	return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
}

static int make_inotify(void)
{
	return inotify_init1(IN_CLOEXEC);
}

static int make_pidfd(void)
{
	return pidfd_open(getpid(), 0);
}

static int make_secret(void)
{
	return (int)syscall(SYS_memfd_secret, O_CLOEXEC);
}

static int make_namespace(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static int make_memory(void)
{
	return open("/proc/self/mem", O_RDWR | O_CLOEXEC);
}

static int make_queue(void)
{
	int fd = mq_open("/cloche-test-stream", O_RDWR | O_CREAT, 0600, NULL);

	(void)mq_unlink("/cloche-test-stream");
	return fd;
}

static int make_datagram(void)
{
	return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int make_packets(void)
{
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

static int make_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static int make_listening(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(listen(fd, 1), 0, "%m");
	return fd;
}

static int make_master(void)
{
	return posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
}

static const struct refused {
	const char *says;
	int (*make)(void);
} refused[] = {
	{ "a directory", make_directory },
	{ "a place (O_PATH)", make_place },
	{ "a place (O_PATH)", make_place_of_directory },
	{ "a block device", make_block },
	{ "a device (1:11)", make_kmsg },
	{ "no file", make_eventfd },
	{ "no file", make_epoll },
	{ "no file", make_timerfd },
	{ "no file", make_inotify },
	{ "a namespace", make_namespace },
	{ "open for writing", make_memory },
	{ "a message queue", make_queue },
	{ "a socket for messages", make_datagram },
	{ "a socket for messages", make_packets },
	{ "a socket of a family", make_netlink },
	{ "a socket that listens", make_listening },
	{ "the master side", make_master },
	{ "standard ", make_pidfd }, /* no file, or a process */
	{ "secret memory", make_secret },
};

static const char *const names[] = { "standard input is ", "standard output is " };

/* By name, with what to do, and before there is anything of a context. */
Test(escape_streams, what_is_no_stream_is_refused)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		for (int as = 0; as < 3; as++) {
			cleanup_fd int fd = refused[i].make(), said = file_of("");
			int fds[3] = { -1, -1, said };
			int status;

			/* What this kernel or machine has not, nobody can give. */
			if (fd < 0)
				continue;
			fds[as] = fd;
			status = start(fds, (const char *const[]){ "--", "echo", "ran", NULL });
			cr_expect_eq(end_of(status), 125, "%s as %d", refused[i].says, as);
			/* Nothing is said where nobody could read it. */
			if (as == 2)
				continue;
			expect_has(text_of(said), names[as]);
			expect_has(text_of(said), refused[i].says);
			expect_has(text_of(said), "FILE");
			cr_expect_eq(count_lines(text_of(said)), 1, "%s", text_of(said));
		}
}

/* To write the refusal to what is refused would change it, or wait for ever. */
Test(escape_streams, what_is_no_standard_error_is_not_written_to)
{
	cleanup_fd int counter = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t n = 0;

	cr_expect_eq(RUN_WITH(-1, -1, counter, "--report", "-", "--", "true"), 125);
	cr_expect_eq(read(counter, &n, sizeof(n)), -1, "%lu was added", n);
}

Test(escape_streams, the_report_of_a_refusal)
{
	cleanup_fd int dir = make_directory(), said = file_of("");

	cr_expect_eq(RUN_WITH(dir, -1, said, "--report", "-", "--", "true"), 125);
	expect_has(text_of(said), "\"verdict\":\"launch_error\"");
	expect_has(text_of(said), "standard input is a directory");
}

Test(escape_streams, files_pipes_terminals_and_a_few_devices_are)
{
	static const char *const paths[] = { "/dev/null",   "/dev/zero",    "/dev/full",
					     "/dev/random", "/dev/urandom", "/proc/version",
					     "/etc/passwd" };
	struct terminal_pair t = terminal_open();
	cleanup_fd int memory = file_of("x");
	int p[2];

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		cleanup_fd int fd = open(paths[i], O_RDONLY | O_CLOEXEC);

		cr_expect_eq(RUN_WITH(fd, -1, -1, "--", "true"), 0, "%s", paths[i]);
	}
	cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
	cr_expect_eq(RUN_WITH(p[0], p[1], -1, "--", "true"), 0);
	cr_expect_eq(RUN_WITH(memory, memory, -1, "--", "true"), 0);
	cr_expect_eq(
		RUN_WITH(t.slave, t.slave, t.slave, "--", "sh", "-c", "test -t 0 -a -t 1 -a -t 2"),
		0);
	terminal_close(&t);
	(void)close(p[0]);
	(void)close(p[1]);
}

/* ---- sockets ---- */

static void feed(const int pair[2], size_t bytes)
{
	static char page[4096];

	memset(page, 'x', sizeof(page));
	if (fork() != 0)
		return;
	/* Else it would wait for itself to read. */
	(void)close(pair[0]);
	while (bytes > 0) {
		size_t n = bytes < sizeof(page) ? bytes : sizeof(page);

		if (send(pair[1], page, n, MSG_NOSIGNAL) < 0)
			_exit(1);
		bytes -= n;
	}
	(void)shutdown(pair[1], SHUT_WR);
	_exit(0);
}

/* As Node's child_process does it: a pair for each, and the end of input by shutdown(2). */
Test(escape_streams, sockets_carry_bytes)
{
	enum { MUCH = 3 << 20 };
	char *all = malloc(MUCH + 2);
	int in[2], out[2];
	pid_t pid;

	pair_open(in);
	pair_open(out);
	cr_assert_eq(fcntl(out[1], F_SETFL, O_NONBLOCK), 0);
	cr_assert_eq(fcntl(in[0], F_SETFL, O_NONBLOCK), 0);
	feed(in, MUCH);
	pid = START(in[0], out[1], -1, "-q", "-t", "50s", "--", "cat");
	(void)close(in[0]);
	(void)close(in[1]);
	(void)close(out[1]);
	cr_expect_eq(take(out[0], all, MUCH + 2, true), MUCH);
	cr_expect_eq(end_of(pid), 0);
	(void)close(out[0]);
	free(all);
}

/* One connection as all three, as inetd(8) gives it. */
Test(escape_streams, one_socket_for_all)
{
	char text[256];
	int s[2];
	pid_t pid;

	pair_open(s);
	cr_assert_eq(write(s[1], "hello\n", 6), 6);
	(void)shutdown(s[1], SHUT_WR);
	pid = START(s[0], s[0], s[0], "-q", "--", "sh", "-c",
		    "read x; echo out $x; echo err >&2; echo out");
	(void)close(s[0]);
	(void)take(s[1], text, sizeof(text), true);
	cr_expect_str_eq(text, "out hello\nerr\nout\n");
	cr_expect_eq(end_of(pid), 0);
	(void)close(s[1]);
}

/* What the first invocation left of the input is the second one's. */
Test(escape_streams, a_socket_is_read_on_by_the_next_invocation)
{
	char text[256];
	int in[2], out[2];
	pid_t pid;

	pair_open(in);
	pair_open(out);
	cr_assert_eq(write(in[1], "a\nb\nc\n", 6), 6);
	(void)close(in[1]);
	pid = START(in[0], out[1], -1, "-q", "--repeat", "3", "--", "head", "-c", "2");
	(void)close(in[0]);
	(void)close(out[1]);
	(void)take(out[0], text, sizeof(text), true);
	cr_expect_str_eq(text, "a\nb\nc\n");
	cr_expect_eq(end_of(pid), 0);
	(void)close(out[0]);
}

/* The function is told as by a pipe, and its time is kept though nobody reads. */
Test(escape_streams, a_reader_that_is_gone_or_asleep)
{
	int gone[2], asleep[2];

	pair_open(gone);
	(void)close(gone[0]);
	cr_expect_eq(RUN_WITH(-1, gone[1], -1, "-q", "-t", "50s", "--", "yes"), 128 + SIGPIPE);
	pair_open(asleep);
	cr_expect_eq(RUN_WITH(-1, asleep[1], -1, "-q", "-t", "300ms", "--", "yes"), 124);
	(void)close(gone[1]);
	(void)close(asleep[0]);
	(void)close(asleep[1]);
}

/* A descriptor that is on its way keeps what it names: 40 MB of a function that is gone. */
Test(escape_streams, nothing_is_passed_by_a_socket)
{
	char text[256], control[256];
	struct iovec iov = { text, sizeof(text) };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	int s[2];
	ssize_t n;

	pair_open(s);
	cr_expect_eq(RUN_WITH(s[0], s[0], s[0], "-q", "-m", "64M", STREAMS, "pass", "40"), 0);
	n = recvmsg(s[1], &h, MSG_DONTWAIT);
	cr_expect_eq(h.msg_controllen, 0, "a descriptor was passed");
	cr_assert_gt(n, 0);
	text[n] = '\0';
	cr_expect_str_eq(text, "ENOTSOCK\n");
	(void)close(s[0]);
	(void)close(s[1]);
}

/* ---- names ---- */

/* They are in tests/live/stream_names.c, in all ways; here, what an owner could do beside. */
Test(escape_streams, nobody_is_made_the_owner_of_a_stream)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_fd int said = file_of(""), in = -1, out = -1;
	char path[512];
	int p[2], q[2];
	struct stat was, now;

	in = open(tmpdir_path(path, dir, "file"), O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
	out = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	cr_assert(pipe2(p, O_CLOEXEC) == 0 && pipe2(q, O_CLOEXEC) == 0 && fstat(in, &was) == 0);
	cr_expect_eq(RUN_WITH(in, said, out, "-q", STREAMS, "own"), 0);
	cr_expect(fstat(in, &now) == 0 && now.st_mode == was.st_mode &&
		  now.st_mtim.tv_nsec == was.st_mtim.tv_nsec);
	cr_expect_eq(RUN_WITH(p[0], said, q[1], "-q", STREAMS, "own"), 0);
	cr_expect_str_eq(text_of(said), "nothing\nnothing\n");
	for (int i = 0; i < 2; i++) {
		(void)close(p[i]);
		(void)close(q[i]);
	}
}

/* What is appended to a log is all that is done to it, and nobody reads what is in it. */
Test(escape_streams, one_file_as_input_and_output)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_fd int in = -1, out = -1, said = file_of("");
	char path[512];

	out = open(tmpdir_path(path, dir, "log"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	cr_assert(out >= 0 && fchmod(out, 0666) == 0 && write(out, "before\n", 7) == 7);
	cr_expect_eq(RUN_WITH(-1, out, said, "-q", "--", "sh", "-c",
			      "cat /dev/stdout >&2; true >/dev/stdout; true 1<>/dev/stdout; :"),
		     0);
	in = open(path, O_RDONLY | O_CLOEXEC);
	cr_expect_eq(RUN_WITH(in, out, said, "-q", "--", "sh", "-c",
			      "true >/dev/stdin; true >/dev/stdout; echo in >&0; echo out"),
		     0);
	cr_expect_null(strstr(text_of(said), "before"), "%s", text_of(said));
	cr_expect_str_eq(text_of(in), "before\nout\n");
}

/* By the function's number and group, when it is gone. */
static int as_function(const int fds[2])
{
	char path[40];

	for (uid_t id = 1900000000; id < 1900000004; id++)
		for (int i = 0; i < 4; i++) {
			pid_t pid = fork();

			(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[i % 2]);
			if (pid == 0) {
				if (setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0 ||
				    setresuid(id, id, id) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0)
					_exit(99);
				_exit(open(path, (i < 2 ? O_RDONLY : O_WRONLY) | O_NONBLOCK |
							 O_CLOEXEC) < 0
					      ? errno
					      : 0);
			}
			if (end_of(pid) != EACCES)
				return -1;
		}
	return 0;
}

Test(escape_streams, a_name_ends_with_the_run)
{
	int p[2], q[2];

	cr_assert(pipe2(p, O_CLOEXEC) == 0 && pipe2(q, O_CLOEXEC) == 0);
	cr_expect_eq(RUN_WITH(p[0], q[1], -1, "-q", "--", "true"), 0);
	cr_expect_eq(as_function(p), 0);
	cr_expect_eq(as_function(q), 0);
	for (int i = 0; i < 2; i++) {
		(void)close(p[i]);
		(void)close(q[i]);
	}
}

/* The caller's session has it; one that no session has does not open at all. */
Test(escape_streams, a_terminal_is_not_taken_by_its_name)
{
	struct terminal_pair t = terminal_open();
	cleanup_fd int said = file_of("");
	const int fds[3] = { t.slave, said, -1 };
	pid_t session;

	cr_expect_eq(RUN_WITH(t.slave, said, -1, "-q", STREAMS, "take-terminal"), 0);
	cr_expect_lt(ioctl(t.slave, TIOCGSID, &session), 0);
	cr_expect_eq(run_on_terminal(&t, fds,
				     (const char *const[]){ "-q", STREAMS, "take-terminal", NULL }),
		     0);
	cr_expect_str_eq(text_of(said), "EACCES\nENXIO\n");
	terminal_close(&t);
}

/* ---- terminals ---- */

struct look {
	struct termios settings;
	struct winsize size;
	int exclusive;
};

static struct look look_at(const struct terminal_pair *t)
{
	struct look l = { .size = { 0 } };

	cr_assert(tcgetattr(t->slave, &l.settings) == 0 &&
		  ioctl(t->slave, TIOCGWINSZ, &l.size) == 0 &&
		  ioctl(t->slave, TIOCGEXCL, &l.exclusive) == 0);
	return l;
}

static bool same_settings(const struct termios *a, const struct termios *b)
{
	return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_cflag == b->c_cflag &&
	       a->c_lflag == b->c_lflag && a->c_line == b->c_line && a->c_ispeed == b->c_ispeed &&
	       a->c_ospeed == b->c_ospeed && memcmp(a->c_cc, b->c_cc, sizeof(a->c_cc)) == 0;
}

static void expect_as_it_was(const struct terminal_pair *t, const struct look *was,
			     const char *what)
{
	struct look now = look_at(t);
	char text[256];

	cr_expect(same_settings(&now.settings, &was->settings) &&
			  now.size.ws_row == was->size.ws_row &&
			  now.size.ws_col == was->size.ws_col && now.exclusive == was->exclusive,
		  "after %s", what);
	/* Output goes on. */
	(void)take(t->master, text, sizeof(text), false);
	cr_assert_eq(fcntl(t->slave, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	cr_expect_eq(write(t->slave, "on", 2), 2, "after %s: %m", what);
	cr_expect_eq(take(t->master, text, sizeof(text), false), 2, "after %s", what);
	cr_assert_eq(fcntl(t->slave, F_SETFL, O_RDWR), 0);
}

static void mess_up(const struct terminal_pair *t, const int fds[3], const char *timeout,
		    const char *seconds, int status)
{
	const struct look was = look_at(t);
	pid_t pid = start(
		fds, (const char *const[]){ "-q", "-t", timeout, STREAMS, "mess", seconds, NULL });

	cr_expect_eq(end_of(pid), status);
	expect_as_it_was(t, &was, timeout);
}

Test(escape_streams, a_terminal_is_set_back)
{
	struct terminal_pair t = terminal_open();
	const struct winsize size = { 24, 80, 0, 0 };

	cr_assert_eq(ioctl(t.slave, TIOCSWINSZ, &size), 0);
	mess_up(&t, (const int[]){ t.slave, t.slave, t.slave }, "50s", "0", 0);
	mess_up(&t, (const int[]){ t.slave, -1, -1 }, "50s", "0", 0);
	mess_up(&t, (const int[]){ t.slave, t.slave, t.slave }, "700ms", "60", 124);
	terminal_close(&t);
}

/* It would be hung up with the end of the run, for all who have it, and take signals from what is
 * typed. Also where the profile lets everything pass. */
Test(escape_streams, a_terminal_that_is_nobodys_does_not_become_the_functions)
{
	static const char lax[] = "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}";
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *path = NULL;
	const char *const policies[] = { "default", dir };

	cr_assert(asprintf(&path, "%s/lax.json", dir) > 0);
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		struct terminal_pair t = terminal_open();
		cleanup_fd int said = file_of("");
		const char *policy = policies[i] == dir ? path : policies[i];
		FILE *f = fopen(path, "we");
		pid_t session;

		cr_assert(f && fputs(lax, f) >= 0 && fclose(f) == 0);
		cr_expect_eq(RUN_WITH(t.slave, said, -1, "-q", "--policy", policy, STREAMS,
				      "controlling"),
			     0, "%s", policy);
		cr_expect_str_eq(text_of(said), "EPERM\n", "%s", policy);
		cr_expect_lt(ioctl(t.slave, TIOCGSID, &session), 0, "%s", policy);
		terminal_close(&t);
	}
}

/* Those of its own are its own to control, unless one of the caller's could be meant. */
Test(escape_streams, its_own_terminals_do_nothing_to_others)
{
	static const char refused_all[] = "TIOCSTI EPERM\nTIOCSETD EPERM\nTIOCCONS EPERM\n"
					  "TIOCLINUX EPERM\nTIOCVHANGUP EPERM\n";
	struct terminal_pair t = terminal_open();
	cleanup_fd int said = file_of("");
	cleanup_free char *all = NULL;

	cr_expect_eq(RUN_WITH(-1, said, -1, "-q", STREAMS, "pty"), 0);
	cr_expect_eq(RUN_WITH(t.slave, said, -1, "-q", STREAMS, "pty"), 0);
	cr_assert(asprintf(&all, "%sdone\n%sEPERM\n", refused_all, refused_all) > 0);
	cr_expect_str_eq(text_of(said), all);
	terminal_close(&t);
}

Test(escape_streams, a_terminal_is_set_back_when_cancelled)
{
	struct terminal_pair t = terminal_open();
	const struct look was = look_at(&t);
	struct look now = was;
	siginfo_t ended = { 0 };
	pid_t pid = START(t.slave, -1, -1, "-q", "-t", "50s", STREAMS, "mess", "60");

	/* The last that it does before it sleeps. */
	while (!now.exclusive &&
	       waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       ended.si_pid == 0)
		now = look_at(&t);
	cr_expect(now.exclusive, "it ended before");
	(void)kill(pid, SIGTERM);
	cr_expect_eq(end_of(pid), 128 + SIGTERM);
	expect_as_it_was(&t, &was, "SIGTERM");
	terminal_close(&t);
}
