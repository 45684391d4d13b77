/* SPDX-License-Identifier: MIT */
/*
 * streams WORD [ARG]: what a function tries with its standard streams; says on standard output what
 * came of it, as the name of an error or "done".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static int say(long r)
{
	puts(r < 0 ? strerrorname_np(errno) : "done");
	(void)fflush(stdout);
	return 0;
}

/* ARG bytes to standard input. */
static int word_write_input(const char *arg)
{
	static char page[4096];
	long left = atol(arg), n = 0;

	memset(page, 'x', sizeof(page));
	while (left > 0 && n >= 0) {
		n = write(0, page, left < 4096 ? (size_t)left : sizeof(page));
		left -= n;
	}
	return say(n);
}

/* The same by way of a name for it. */
static int word_reopen_input(const char *arg)
{
	int fd = open("/proc/self/fd/0", O_WRONLY);

	return say(fd < 0 ? fd : write(fd, "x", 1));
}

static const struct {
	const char *name;
	int flags;
} ways[] = {
	{ "r", O_RDONLY },
	{ "w", O_WRONLY },
	{ "rw", O_RDWR },
	{ "trunc", O_WRONLY | O_TRUNC },
	{ "append", O_WRONLY | O_APPEND },
};

/* Stream ARG, opened by each of its names in each way, a line for each name; to standard error, or
 * output where that is the one. */
static int word_ways(const char *arg)
{
	static const char *const names[] = { "/dev/stdin", "/dev/stdout", "/dev/stderr" };
	int n = atoi(arg), to = n == 2 ? 1 : 2;
	char fd[32], self[32];
	const char *const all[] = { names[n], fd, self };

	(void)snprintf(fd, sizeof(fd), "/dev/fd/%d", n);
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", n);
	for (size_t i = 0; i < 3; i++)
		for (size_t j = 0; j < sizeof(ways) / sizeof(ways[0]); j++) {
			int got = open(all[i], ways[j].flags | O_NONBLOCK | O_NOCTTY);

			dprintf(to, "%s %s%s", ways[j].name,
				got < 0 ? strerrorname_np(errno) : "done",
				j + 1 == sizeof(ways) / sizeof(ways[0]) ? "\n" : ", ");
			(void)close(got);
		}
	return 0;
}

/* What an owner could: whether any of it was done to one of the streams. */
static int word_own(const char *arg)
{
	static const struct timespec then[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	bool any = false;

	for (int i = 0; i < 3; i++) {
		char path[32];
		struct stat st;

		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", i);
		any |= fchmod(i, 0666) == 0 || chmod(path, 0666) == 0;
		any |= fstat(i, &st) == 0 && fchown(i, st.st_uid, 1000) == 0;
		any |= futimens(i, then) == 0 || utimensat(AT_FDCWD, path, then, 0) == 0;
		any |= truncate(path, 0) == 0;
	}
	puts(any ? "done" : "nothing");
	return 0;
}

/* The terminal that is standard input, by its name and without O_NOCTTY: whether it is this
 * session's then. */
static int word_take_terminal(const char *arg)
{
	int fd = open("/dev/stdin", O_RDWR);

	if (fd < 0)
		return say(fd);
	return say(ioctl(fd, TIOCSCTTY, 0) < 0 ? open("/dev/tty", O_RDWR | O_NOCTTY) : 0);
}

/* What a terminal of its own would do to others. */
static int word_pty(const char *arg)
{
	static const struct {
		const char *name;
		unsigned long request;
	} calls[] = { { "TIOCSTI", TIOCSTI },
		      { "TIOCSETD", TIOCSETD },
		      { "TIOCCONS", TIOCCONS },
		      { "TIOCLINUX", TIOCLINUX },
		      { "TIOCVHANGUP", 0x5437 } };
	int value = 3, unlocked = 0, m = posix_openpt(O_RDWR | O_NOCTTY), slave;

	if (m < 0 || ioctl(m, TIOCSPTLCK, &unlocked) < 0)
		return say(-1);
	slave = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		printf("%s %s\n", calls[i].name,
		       ioctl(slave, calls[i].request, &value) < 0 ? strerrorname_np(errno)
								  : "done");
	/* Its session may have it, and does: this is none of the caller's. */
	return say(ioctl(slave, TIOCSCTTY, 0));
}

/* Everything of a terminal that whoever has it may change; then sleeps ARG seconds. */
static int word_mess(const char *arg)
{
	struct winsize size = { 7, 13, 1, 1 };
	struct termios t;

	if (tcgetattr(0, &t) < 0)
		return 98;
	cfmakeraw(&t);
	t.c_cc[VINTR] = 'q';
	if (tcsetattr(0, TCSANOW, &t) < 0 || ioctl(0, TIOCSWINSZ, &size) < 0 ||
	    ioctl(0, TIOCEXCL) < 0)
		return 98;
	(void)sleep((unsigned)atoi(arg));
	(void)tcflow(0, TCOOFF);
	return 0;
}

/* By a leader of a session, which makes a terminal that it has open its own. */
static int word_controlling(const char *arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)setsid();
		_exit(ioctl(0, TIOCSCTTY, 0) < 0 ? errno : 0);
	}
	(void)wait(&pid);
	errno = WEXITSTATUS(pid);
	return say(errno ? -1 : 0);
}

/* ARG MiB of memory, to whoever is at the other end of standard input, output and error. */
static int word_pass(const char *arg)
{
	int fd = memfd_create("passed", 0), ok = 0;
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec iov = { "x", 1 };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };

	if (fd < 0 || ftruncate(fd, atol(arg) << 20) < 0)
		return 98;
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	for (int i = 0; i < 3; i++)
		ok |= sendmsg(i, &h, 0) >= 0;
	return say(ok ? 0 : -1);
}

static const struct {
	const char *name;
	int (*run)(const char *arg);
} words[] = {
	{ "write-input", word_write_input },
	{ "reopen-input", word_reopen_input },
	{ "ways", word_ways },
	{ "own", word_own },
	{ "take-terminal", word_take_terminal },
	{ "pty", word_pty },
	{ "mess", word_mess },
	{ "controlling", word_controlling },
	{ "pass", word_pass },

};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(argv[1], words[i].name) == 0)
			return words[i].run(argc > 2 ? argv[2] : "0");
	return 96;
}
