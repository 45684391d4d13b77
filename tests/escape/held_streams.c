/* SPDX-License-Identifier: MIT */
/*
 * Clients of the daemon who hand over what they hold up themselves: pipes, files and sockets whose
 * locks are held for as long as they like. Neither the front nor anybody else waits for them, and
 * what is no stream at all is refused. Needs root.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/hash.h"
#include "launch/spec.h"
#include "serve/packet.h"
#include "serve/remote.h"
#include "serve/request.h"
#include "serve/stores.h"
#include "tests/lib/daemon.h"
#include "tests/lib/records.h"
#include "tests/lib/run.h"
#include "tests/lib/stdio.h"
#include "tests/lib/stuck.h"

/* ---- a client of its own --------------------------------------------------------------------- */

static int knock(const struct daemon *d)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%.107s", d->control);
	cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0, "%m");
	return fd;
}

struct asking {
	char *const *argv;   /* NULL: true(1) */
	const char *version; /* NULL: the daemon's own */
	uint64_t limit;
	uint32_t own_terminals, trace;
};

/* Those streams, as they are; the connection. */
static int ask(const struct daemon *d, const int streams[3], const struct asking *a)
{
	char *const argv[] = { (char *)"true", NULL };
	struct packet_fds fds = { .n = REQUEST_FDS };
	cleanup_free struct sock_filter *insns = NULL;
	cleanup_fd int order = -1;
	struct cloche_err err = { 0 };
	struct request r;
	struct spec spec;
	int socket = knock(d);

	spec_defaults(&spec);
	spec.argv = (char **)(uintptr_t)(a->argv ? a->argv : argv);
	spec.output_bytes = a->limit;
	spec.memory_bytes = 32 << 20;
	spec.cpu_mode = CPU_SHARED;
	cr_assert_eq(request_make(&spec, NULL, &r, &insns, &order, &err), 0, "%s", err.text);
	if (a->version)
		(void)snprintf(r.version, sizeof(r.version), "%s", a->version);
	r.own_terminals = a->own_terminals;
	r.trace = a->trace;
	memcpy(fds.fd, streams, 3 * sizeof(int));
	fds.fd[REQUEST_FD_ORDER] = order;
	cr_assert_eq(packet_send(socket, &r, sizeof(r), &fds), 0);
	return socket;
}

static struct answer *hear(int socket)
{
	struct answer *a = calloc(1, sizeof(*a));

	cr_assert_eq(recv(socket, a, sizeof(*a), 0), (ssize_t)sizeof(*a));
	(void)close(socket);
	return a;
}

static void expect_refused(const struct daemon *d, int fd, int as, uint64_t limit, const char *says)
{
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int streams[3] = { null, null, null };
	struct answer *a;

	cr_assert_geq(fd, 0, "%s: %m", says);
	streams[as] = fd;
	a = hear(ask(d, streams, &(struct asking){ .limit = limit }));
	cr_expect_eq(a->kind, ANSWER_OUTCOME);
	cr_expect_eq(a->outcome.verdict, VERDICT_LAUNCH_ERROR, "%s", says);
	expect_has(a->outcome.err.text, says);
	cr_expect_str_eq(a->outcome.err.stage, "streams");
	free(a);
}

/* ---- what is none ---------------------------------------------------------------------------- */

Test(escape_held_streams, what_the_front_does_not_hand_on)
{
	cleanup_fd int counter = eventfd(0, EFD_CLOEXEC), huge = -1, file = file_of("x");
	cleanup_fd int place = open("/etc/passwd", O_PATH | O_CLOEXEC);
	cleanup_fd int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	cleanup_fd int kmsg = open("/dev/kmsg", O_RDONLY | O_CLOEXEC);
	cleanup_fd int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int sys = open("/sys/kernel/uevent_seqnum", O_RDONLY | O_CLOEXEC);
	int pair[2];
	struct daemon d;
	pid_t front;

	daemon_prepare(&d);
	daemon_start(&d);
	front = daemon_front(&d);
	pair_open(pair);
	for (int as = 0; as < 3; as++) {
		expect_refused(&d, pair[0], as, 0, "a socket");
		expect_refused(&d, counter, as, 0, "no file, pipe");
		expect_refused(&d, place, as, 0, "a place (O_PATH)");
		expect_refused(&d, master, as, 0, "a device (5:2)");
		expect_refused(&d, kmsg, as, 0, "a device (1:11)");
		expect_refused(&d, dir, as, 0, "no file, pipe");
		expect_refused(&d, sys, as, 0, "on a file system that the daemon does not know");
	}
	/* Nobody but the warden writes for the function, and into pipes only. */
	for (int as = 1; as < 3; as++)
		expect_refused(&d, file, as, 1000, "an output limit is for pipes only");
	huge = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);
	if (huge >= 0)
		expect_refused(&d, huge, 0, 0, "on a file system that the daemon does not know");
	cr_expect_eq(daemon_front(&d), front, "the front was replaced");
	(void)close(pair[0]);
	(void)close(pair[1]);
	daemon_stop(&d);
}

/* ---- whose terminal it is -------------------------------------------------------------------- */

/* Whether it opens by its name, as the client says that it is the one which controls it. */
static void expect_named(const struct daemon *d, const struct terminal_pair *t, int status)
{
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)": </dev/stdin", NULL };
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const struct asking a = { .argv = argv, .own_terminals = 1 };
	struct answer *said = hear(ask(d, (int[]){ t->slave, null, null }, &a));

	cr_expect_eq(said->kind, ANSWER_OUTCOME);
	cr_expect_eq(outcome_exit_status(&said->outcome), status, "%s", said->outcome.err.text);
	free(said);
}

/* Only of one's own: nobody else's changes its group, and its mode, for a function. */
Test(escape_held_streams, a_terminal_that_is_said_to_be_ones_own)
{
	struct terminal_pair t = terminal_open();
	struct stat was, now;
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	cr_assert(fchmod(t.slave, 0600) == 0 && fstat(t.slave, &was) == 0);
	expect_named(&d, &t, 0);
	cr_assert(fstat(t.slave, &now) == 0);
	cr_expect(now.st_mode == was.st_mode && now.st_gid == was.st_gid);
	cr_assert_eq(fchown(t.slave, 1234, (gid_t)-1), 0);
	expect_named(&d, &t, 2);
	terminal_close(&t);
	daemon_stop(&d);
}

/* ---- what is held ---------------------------------------------------------------------------- */

/* With who holds it, and nobody else but the daemon has its descriptor then. The first is refused,
 * so that the front alone closes it; the other runs. */
static void expect_no_harm(const struct daemon *d, int fd, int as, const char *what)
{
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int streams[3] = { null, null, null };
	pid_t front = daemon_front(d);
	int first, other;

	streams[as] = fd;
	first = ask(d, streams, &(struct asking){ .version = "of another time" });
	other = ask(d, streams, &(struct asking){ .argv = NULL });
	(void)close(fd);
	free(hear(first));
	daemon_expect_serves(d);
	daemon_expect_serves(d);
	cr_expect_eq(daemon_front(d), front, "%s: the front was replaced", what);
	(void)close(other);
}

/* Nor does it keep the daemon from its end, and the next from its beginning. */
static void expect_end_and_next(struct daemon *d)
{
	cr_assert_eq(kill(d->pid, SIGTERM), 0);
	cr_expect_eq(process_status(d->pid), 0);
	(void)fclose(d->said);
	daemon_start(d);
	daemon_expect_serves(d);
}

static struct stuck hold_reader(int p[2])
{
	cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
	return stuck_begin(STUCK_WRITE, p[1], &p[0], 1);
}

static struct stuck hold_writer(int p[2])
{
	cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
	cr_assert_eq(write(p[1], "x", 1), 1);
	return stuck_begin(STUCK_READ, p[0], &p[1], 1);
}

Test(escape_held_streams, a_pipe_that_is_read_or_written_for_ever)
{
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	for (int as = 0; as < 3; as++) {
		int p[2];
		struct stuck s = as ? hold_writer(p) : hold_reader(p);

		(void)close(p[as ? 0 : 1]);
		expect_no_harm(&d, p[as ? 1 : 0], as, "a pipe");
		stuck_end(&s);
		daemon_expect_serves(&d);
	}
	daemon_stop(&d);
}

Test(escape_held_streams, what_is_held_when_the_daemon_ends)
{
	struct daemon d;
	struct stuck s;
	int p[2];

	daemon_prepare(&d);
	daemon_start(&d);
	s = hold_writer(p);
	(void)close(p[0]);
	expect_no_harm(&d, p[1], 1, "a pipe");
	expect_end_and_next(&d);
	stuck_end(&s);
	daemon_stop(&d);
}

Test(escape_held_streams, a_file_that_is_written_for_ever)
{
	char path[700];
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	(void)snprintf(path, sizeof(path), "%s/file", d.dir);
	for (int as = 0; as < 3; as++)
		for (int how = STUCK_READ; how <= STUCK_PWRITE; how++) {
			int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
			struct stuck s;

			cr_assert(fd >= 0 && pwrite(fd, "x", 1, 0) == 1);
			s = stuck_begin((enum stuck_how)how, fd, NULL, 0);
			expect_no_harm(&d, fd, as, "a file");
			stuck_end(&s);
		}
	daemon_stop(&d);
}

Test(escape_held_streams, a_socket_that_is_read_for_ever)
{
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	for (int as = 0; as < 3; as++) {
		struct stuck s;
		int pair[2];

		pair_open(pair);
		cr_assert_eq(write(pair[1], "x", 1), 1);
		s = stuck_begin(STUCK_READ, pair[0], NULL, 0);
		expect_no_harm(&d, pair[0], as, "a socket");
		stuck_end(&s);
		(void)close(pair[1]);
	}
	daemon_stop(&d);
}

/* It has the page of what it says copied before it holds anything of anybody's. */
Test(escape_held_streams, a_message_that_does_not_come)
{
	struct daemon d;
	struct stuck s;
	int socket;

	daemon_prepare(&d);
	daemon_start(&d);
	socket = knock(&d);
	s = stuck_begin(STUCK_WRITE, socket, NULL, 0);
	daemon_expect_serves(&d);
	stuck_end(&s);
	daemon_expect_serves(&d);
	(void)close(socket);
	daemon_stop(&d);
}

/* ---- pipes of the daemon's ------------------------------------------------------------------- */

/* What an image is made of, which its client does not end to write. */
Test(escape_held_streams, an_image_that_does_not_come)
{
	const struct remote_image what = { .name = "mine", .form = IMAGE_OF_TREE };
	struct remote remote = { .socket = -1 };
	struct cloche_err err = { 0 };
	struct daemon d;
	struct stuck s;
	int end = -1;

	daemon_prepare(&d);
	daemon_start(&d);
	cr_assert_eq(remote_image_begin(d.control, &what, &remote, &end, &err), 0, "%s", err.text);
	s = stuck_begin(STUCK_WRITE, end, &remote.socket, 1);
	(void)close(end);
	daemon_expect_serves(&d);
	remote_close(&remote);
	daemon_expect_serves(&d);
	stuck_end(&s);
	daemon_stop(&d);
}

static int hear_trace(int socket)
{
	cleanup_free struct answer *a = calloc(1, sizeof(*a));
	struct packet_fds fds = { .n = 0 };
	int r = -EAGAIN;

	while (r == -EAGAIN)
		r = packet_recv(socket, a, sizeof(*a), &fds);
	cr_assert_eq(r, (int)sizeof(*a));
	cr_assert_eq(a->kind, ANSWER_TRACE, "%u: %s", a->kind, a->outcome.err.text);
	cr_assert_eq(fds.n, 1);
	return fds.fd[0];
}

/* A trace's lines, of which its client does not end to read the first. */
Test(escape_held_streams, a_trace_that_is_read_for_ever)
{
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct daemon d;
	struct stuck s;
	int socket, end;

	daemon_prepare(&d);
	daemon_start(&d);
	socket = ask(&d, (int[]){ null, null, null }, &(struct asking){ .trace = 1 });
	end = hear_trace(socket);
	s = stuck_begin(STUCK_READ, end, &socket, 1);
	(void)close(end);
	daemon_expect_serves(&d);
	(void)close(socket);
	daemon_expect_serves(&d);
	stuck_end(&s);
	daemon_stop(&d);
}

/* ---- what comes with nothing ----------------------------------------------------------------- */

static size_t open_in(pid_t pid)
{
	char pattern[64];
	glob_t found = { 0 };
	size_t n;

	(void)snprintf(pattern, sizeof(pattern), "/proc/%d/fd/*", pid);
	cr_assert_eq(glob(pattern, 0, NULL, &found), 0);
	n = found.gl_pathc;
	globfree(&found);
	return n;
}

/* Descriptors with a message of no byte, which is as if it were the end, are closed like others. */
Test(escape_held_streams, descriptors_with_no_byte_do_not_stay)
{
	enum { TIMES = 20 };
	struct packet_fds fds = { .n = PACKET_FDS };
	struct daemon d;
	pid_t front;
	size_t before;

	daemon_prepare(&d);
	daemon_start(&d);
	daemon_expect_serves(&d);
	front = daemon_front(&d);
	before = open_in(front);
	for (unsigned i = 0; i < fds.n; i++)
		fds.fd[i] = STDERR_FILENO;
	for (int i = 0; i < TIMES; i++) {
		int socket = knock(&d);

		cr_assert_eq(packet_send(socket, "", 0, &fds), 0);
		(void)close(socket);
	}
	daemon_expect_serves(&d);
	/* By threads, in their own time. */
	while (open_in(front) >= before + TIMES)
		(void)poll(NULL, 0, 20);
	cr_expect_eq(daemon_front(&d), front);
	daemon_stop(&d);
}

/* ---- what is executed ------------------------------------------------------------------------ */

/* What a process' first thread, which is the front's loop, has read. */
static unsigned long long bytes_read(pid_t pid)
{
	unsigned long long n = 0;
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/io", pid, pid);
	f = fopen(path, "re");
	cr_assert(f && fscanf(f, "rchar: %llu", &n) == 1, "%s: %m", path);
	(void)fclose(f);
	return n;
}

static void hash_file(const char *path, char ret[static HASH_HEX_LEN])
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	cr_assert(fd >= 0 && fstat(fd, &st) == 0, "%s: %m", path);
	cr_assert_eq(hash_sha256_fd(fd, 0, (uint64_t)st.st_size, ret, NULL), 0);
}

/* A file of the client's that is big, or on a disk that is slow, is read beside the loop. */
Test(escape_held_streams, what_is_executed_holds_up_nobody)
{
	enum { BIG = 30 << 20 };
	cleanup_run struct run run = { 0 };
	char dir[700], path[720], bind[720], want[HASH_HEX_LEN];
	unsigned long long before;
	struct daemon d;
	json_t *list;

	daemon_prepare(&d);
	(void)snprintf(dir, sizeof(dir), "%s/code", d.dir);
	(void)snprintf(path, sizeof(path), "%s/big", dir);
	(void)snprintf(bind, sizeof(bind), "%s:/opt/code", dir);
	cr_assert_eq(mkdir(dir, 0755), 0);
	RUN(&run, "cp", "/usr/bin/true", path);
	run_free(&run);
	cr_assert(chmod(path, 0755) == 0 && truncate(path, BIG) == 0);
	hash_file(path, want);
	daemon_start(&d);
	before = bytes_read(daemon_front(&d));
	AS_USER(&d, &run, "-q", "--bind", bind, "--", "/opt/code/big");
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect_lt(bytes_read(daemon_front(&d)) - before, BIG);
	list = records_read(d.ledger);
	cr_expect_str_eq(record_text(json_array_get(list, 0), "code_sha256"), want);
	json_decref(list);
	daemon_stop(&d);
}
