/* SPDX-License-Identifier: MIT */
/*
 * streams WORD [ARG]: what a function tries with its standard streams; says on standard output what
 * came of it, as the name of an error or "done".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
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
