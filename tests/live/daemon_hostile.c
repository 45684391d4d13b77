/* SPDX-License-Identifier: MIT */
/*
 * Who means ill to the daemon from outside: clients that say nonsense, do not read, hand over what
 * holds up; and what the process that they speak to could do if it were theirs.
 */
#include <criterion/criterion.h>
#include <glob.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "launch/given.h"
#include "launch/spec.h"
#include "serve/packet.h"
#include "serve/request.h"
#include "tests/lib/daemon.h"
#include "tests/lib/run.h"

/* ---- hostile clients ------------------------------------------------------------------------- */

/* A message of so many bytes, with so many descriptors. Each is answered, or it is hung up. */
static void expect_refused(const struct daemon *d, size_t len, unsigned fds)
{
	static char bytes[16384], answer[65536];
	char space[CMSG_SPACE(100 * sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = { .iov_base = bytes, .iov_len = len };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = fds ? space : NULL,
			    .msg_controllen = fds ? CMSG_SPACE(fds * sizeof(int)) : 0 };
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	int fd = daemon_knock(d);

	if (c)
		*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(fds * sizeof(int)),
				       .cmsg_level = SOL_SOCKET,
				       .cmsg_type = SCM_RIGHTS };
	for (unsigned i = 0; c && i < fds; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(fd));
	cr_assert_eq(sendmsg(fd, &h, MSG_NOSIGNAL), (ssize_t)len);
	cr_expect(recv(fd, answer, sizeof(answer), 0) >= 0);
	(void)close(fd);
}

Test(daemon_hostile, clients_that_say_nonsense_harm_nobody)
{
	static const size_t lens[] = { 1, 15, 16, 17, 100, 560, 1000, 16384 };
	static const unsigned fds[] = { 0, 1, 3, 4, 5, 8, 9, 10, 50, 100 };
	cleanup_run struct run run = { 0 };
	struct daemon d;
	int silent[64];
	pid_t front;

	daemon_prepare(&d);
	daemon_start(&d);
	front = daemon_front(&d);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		for (size_t k = 0; k < sizeof(fds) / sizeof(fds[0]); k++)
			expect_refused(&d, lens[i], fds[k]);
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++)
		silent[i] = daemon_knock(&d);
	AS_USER(&d, &run, "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++)
		(void)close(silent[i]);
	cr_expect_eq(daemon_front(&d), front, "the front was replaced");
	daemon_stop(&d);
}

/* A good request, but for what is said to be its binds: none of it harms the front or holds it up.
 */
static void expect_answer(const struct daemon *d, uint32_t binds, int fd, enum answer_kind kind)
{
	char *const argv[] = { (char *)"true", NULL };
	cleanup_free struct answer *answer = calloc(1, sizeof(*answer));
	struct packet_fds fds = { .fd = { STDIN_FILENO, STDERR_FILENO, STDERR_FILENO },
				  .n = REQUEST_FDS };
	cleanup_free struct sock_filter *insns = NULL;
	struct cloche_err err = { 0 };
	struct request r;
	struct spec spec;
	int socket = daemon_knock(d), order = -1;

	spec_defaults(&spec);
	spec.argv = argv;
	cr_assert_eq(request_make(&spec, NULL, &r, &insns, &order, &err), 0, "%s", err.text);
	r.binds = binds;
	fds.fd[REQUEST_FD_ORDER] = order;
	if (fd >= 0)
		fds.fd[fds.n++] = fd;
	cr_assert_eq(packet_send(socket, &r, sizeof(r), &fds), 0);
	cr_assert_eq(recv(socket, answer, sizeof(*answer), 0), (ssize_t)sizeof(*answer));
	cr_expect_eq(answer->kind, kind, "%u binds: %s%s", binds, answer->refused.text,
		     answer->outcome.err.text);
	cr_expect(kind != ANSWER_OUTCOME || answer->outcome.verdict == VERDICT_LAUNCH_ERROR);
	(void)close(order);
	(void)close(socket);
}

Test(daemon_hostile, what_is_said_to_be_binds)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	int pair[2], ends[2];
	pid_t front;

	daemon_prepare(&d);
	daemon_start(&d);
	front = daemon_front(&d);
	cr_assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0 &&
		  pipe2(ends, O_CLOEXEC) == 0);
	expect_answer(&d, 1, -1, ANSWER_REFUSED);
	expect_answer(&d, 0, pair[0], ANSWER_REFUSED);
	expect_answer(&d, GIVEN_MAX + 1, pair[0], ANSWER_REFUSED);
	expect_answer(&d, 1, pair[0], ANSWER_OUTCOME);
	expect_answer(&d, 1, ends[0], ANSWER_OUTCOME);
	expect_answer(&d, 1, ends[1], ANSWER_OUTCOME);
	expect_answer(&d, GIVEN_MAX, STDERR_FILENO, ANSWER_OUTCOME);
	(void)close(pair[1]);
	expect_answer(&d, 1, pair[0], ANSWER_OUTCOME);
	AS_USER(&d, &run, "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect_eq(daemon_front(&d), front, "the front was replaced");
	daemon_stop(&d);
}

/* Where the socket is shown to a function, and where mounts are not idmapped, it could connect. */
Test(daemon_hostile, functions_are_no_users)
{
	static const char *const uids[] = { "1900000000", "1900004095", "1900004096",
					    "1900004097" };
	static const char *const args[] = { "-q", "-m",	 "32M", "--cpu", "shared",
					    "-t", "60s", "--",	"true",	 NULL };
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	for (size_t i = 0; i < sizeof(uids) / sizeof(uids[0]); i++) {
		cleanup_run struct run run = { 0 };

		daemon_run_as(&d, uids[i], &run, args);
		cr_expect_eq(run.status, 125, "%s: %d", uids[i], run.status);
		expect_has(run.err, "functions may not use the daemon");
	}
	daemon_stop(&d);
}

/* ---- descriptors that wait ------------------------------------------------------------------- */

/* The loopback of a network of the test's own. */
static void have_loopback(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	cleanup_fd int fd = -1;

	cr_assert_eq(unshare(CLONE_NEWNET), 0, "%m");
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(ioctl(fd, SIOCSIFFLAGS, &lo), 0, "%m");
}

/* A socket whose last close(2) takes an hour, as long as *ret_peer is there and reads nothing. */
static int lingering(int *ret_peer)
{
	const struct linger hour = { .l_onoff = 1, .l_linger = 3600 };
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	static char much[65536];
	cleanup_fd int listens = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert(bind(listens, (struct sockaddr *)&at, len) == 0 && listen(listens, 1) == 0 &&
		  getsockname(listens, (struct sockaddr *)&at, &len) == 0 &&
		  connect(fd, (struct sockaddr *)&at, len) == 0);
	*ret_peer = accept4(listens, NULL, NULL, SOCK_CLOEXEC);
	cr_assert_geq(*ret_peer, 0);
	while (send(fd, much, sizeof(much), MSG_DONTWAIT) > 0)
		;
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hour, sizeof(hour)), 0);
	return fd;
}

/* A byte, and such a descriptor that nobody else has then. */
static int put_lingering(int socket)
{
	char space[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = { .iov_base = (char[]){ "x" }, .iov_len = 1 };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = space,
			    .msg_controllen = sizeof(space) };
	int peer, fd = lingering(&peer);

	*CMSG_FIRSTHDR(&h) = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
					       .cmsg_level = SOL_SOCKET,
					       .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&h)), &fd, sizeof(fd));
	cr_assert_eq(sendmsg(socket, &h, MSG_NOSIGNAL), 1, "%m");
	(void)close(fd);
	return peer;
}

static pid_t spawn_with(const struct daemon *d, const char *const args[], int fd, int as)
{
	const char *argv[DAEMON_ARGS_MAX];
	char control[700];
	pid_t pid;

	daemon_user_argv(d, args, argv, control);
	pid = fork();
	if (pid == 0) {
		(void)dup2(fd, as);
		(void)execvp(argv[0], (char **)(uintptr_t)argv);
		_exit(127);
	}
	return pid;
}

/* What comes by a stream that is copied, beside its bytes, is thrown away by its client, who
 * copies. */
Test(daemon_hostile, what_comes_with_a_stream_and_lingers_holds_up_nobody)
{
	const char *const args[] = { "-q",
				     "-m",
				     "32M",
				     "--cpu",
				     "shared",
				     "-t",
				     "60s",
				     "--",
				     "sh",
				     "-c",
				     "test $(wc -c) = 1",
				     NULL };
	struct daemon d;
	int pair[2], peer;
	pid_t front, pid;

	daemon_prepare(&d);
	daemon_start(&d);
	front = daemon_front(&d);
	have_loopback();
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid = spawn_with(&d, args, pair[0], STDIN_FILENO);
	(void)close(pair[0]);
	peer = put_lingering(pair[1]);
	(void)close(pair[1]);
	cr_expect_eq(process_status(pid), 0);
	cr_expect_eq(daemon_front(&d), front, "the front was replaced");
	(void)close(peer);
	daemon_stop(&d);
}

/* Whoever opens the file anew waits for who holds its lease: lease-break-time. */
Test(daemon_hostile, a_file_under_lease_holds_up_nobody)
{
	const char *const args[] = { "-q",  "-m", "32M", "--cpu", "shared",	   "-t",
				     "60s", "--", "sh",	 "-c",	  "echo said >&2", NULL };
	char path[700], said[16] = "";
	struct daemon d;
	pid_t front, pid;
	int fd;

	daemon_prepare(&d);
	daemon_start(&d);
	front = daemon_front(&d);
	(void)snprintf(path, sizeof(path), "%s/err", d.dir);
	(void)signal(SIGIO, SIG_IGN);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	cr_assert(fd >= 0 && write(fd, "x", 1) == 1 && fchmod(fd, 0666) == 0);
	cr_assert_eq(fcntl(fd, F_SETLEASE, F_WRLCK), 0, "%m");
	pid = spawn_with(&d, args, fd, STDERR_FILENO);
	cr_expect_eq(process_status(pid), 0);
	cr_expect_eq(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
	(void)close(fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_expect_eq(read(fd, said, sizeof(said) - 1), 6);
	cr_expect_str_eq(said, "xsaid\n");
	(void)close(fd);
	cr_expect_eq(daemon_front(&d), front, "the front was replaced");
	daemon_stop(&d);
}

/* A reader that takes nothing holds up itself: the pipe is full, and all that came is still there.
 */
Test(daemon_hostile, a_client_that_does_not_read_holds_up_nobody)
{
	static const char *const args[] = { "-q",
					    "-m",
					    "64M",
					    "--cpu",
					    "shared",
					    "-t",
					    "300s",
					    "--",
					    "sh",
					    "-c",
					    "echo begun; head -c 1000000 /dev/zero >&2",
					    NULL };
	cleanup_run struct run run = { 0 };
	char buf[4096];
	size_t all = 0, n;
	struct client c;
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	c = client_begin_args(&d, args);
	AS_USER(&d, &run, "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	while ((n = fread(buf, 1, sizeof(buf), c.err)) > 0)
		all += n;
	cr_expect_eq(all, 1000000, "%zu", all);
	cr_expect_eq(process_status(c.pid), 0);
	client_expect_over(&c);
	daemon_stop(&d);
}

/* What is mounted elsewhere only may be anybody's, and to look at it may take for ever: who runs
 * something copies it. */
Test(daemon_hostile, files_are_taken_from_mounts_that_are_known)
{
	static const char *const shell =
		"cd '%s' && mkdir -p there && chmod 777 there && { %s :; } && setpriv "
		"--reuid=" DAEMON_USER " --regid=" DAEMON_USER
		" --clear-groups env -u CLOCHE_LEDGER CLOCHE_CONTROL='%s' sh -c '%s/cloche run -- "
		"echo hello "
		">there/out'; status=$?; cat there/out; exit $status";
	cleanup_run struct run run = { 0 };
	struct daemon d;
	char command[4096];

	daemon_prepare(&d);
	daemon_start(&d);
	(void)snprintf(command, sizeof(command), shell, d.dir, "", d.control, d.dir);
	RUN(&run, "sh", "-c", command);
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect_str_eq(run.out, "hello\n");
	run_free(&run);
	(void)snprintf(command, sizeof(command), shell, d.dir,
		       "mount -t tmpfs -o mode=777 there there;", d.control, d.dir);
	RUN(&run, "unshare", "--mount", "sh", "-c", command);
	cr_expect_eq(run.status, 0, "%d: %s", run.status, run.err);
	cr_expect_str_eq(run.out, "hello\n");
	daemon_stop(&d);
}

/* What the front is, as the kernel sees it. */
Test(daemon_hostile, the_front_has_no_rights)
{
	static const char *const lines[] = { "Uid:\t1900004097\t1900004097\t1900004097\t1900004097",
					     "CapInh:\t0000000000000000",
					     "CapPrm:\t0000000000000000",
					     "CapEff:\t0000000000000000",
					     "CapBnd:\t0000000000000000",
					     "CapAmb:\t0000000000000000",
					     "NoNewPrivs:\t1",
					     "Seccomp:\t2" };
	cleanup_run struct run run = { 0 };
	struct daemon d;
	char path[64];

	daemon_prepare(&d);
	daemon_start(&d);
	(void)snprintf(path, sizeof(path), "/proc/%d/status", daemon_front(&d));
	RUN(&run, "cat", path);
	for (size_t i = strstr(run.out, lines[0]) ? 0 : 1; i < sizeof(lines) / sizeof(lines[0]);
	     i++)
		expect_has(run.out, lines[i]);
	cr_expect(!strstr(run.out, "Uid:\t0"), "%s", run.out);
	daemon_stop(&d);
}

static bool may_be_open(const char *what)
{
	static const char *const kinds[] = { "/dev/null", "socket:", "pipe:", "anon_inode:[event",
					     "anon_inode:[timerfd" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(what, kinds[i], strlen(kinds[i])) == 0)
			return true;
	/* By the names of its view; the last lists the host's mounts. */
	return strncmp(what, "/home", strlen("/home")) == 0 || strstr(what, "/mountinfo");
}

/* Neither what makes a context nor what counts in it, nor root's files or terminal. */
Test(daemon_hostile, the_front_has_nothing_open_that_is_not_its_own)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	struct client c;
	char pattern[64], what[512];
	glob_t found = { 0 };

	daemon_prepare(&d);
	daemon_start(&d);
	c = client_begin(&d);
	(void)snprintf(pattern, sizeof(pattern), "/proc/%d/fd/*", daemon_front(&d));
	cr_assert_eq(glob(pattern, 0, NULL, &found), 0);
	cr_expect_gt(found.gl_pathc, 5);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		ssize_t n = readlink(found.gl_pathv[i], what, sizeof(what) - 1);

		what[n > 0 ? n : 0] = '\0';
		/* What the function executes, O_PATH, and its page. */
		cr_expect(may_be_open(what) || strstr(what, "/bin/") ||
				  strstr(what, "/memfd:context") || strstr(what, "/memfd:order"),
			  "%s", what);
	}
	globfree(&found);
	cr_assert_eq(kill(c.pid, SIGINT), 0);
	cr_expect_eq(process_status(c.pid), 130);
	client_expect_over(&c);
	daemon_stop(&d);
}
