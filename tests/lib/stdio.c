/* SPDX-License-Identifier: MIT */
/* Runs with streams of a test's own making: see stdio.h. */
#include "tests/lib/stdio.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/env.h"
#include "tests/lib/run.h"

#define ARGS 12

pid_t start(const int fds[3], const char *const args[])
{
	const char *argv[ARGS + 8] = {
		env_need("CLOCHE"), "run", "-t", "50s", "-b", helpers_bind()
	};
	size_t n = 6;
	pid_t pid;

	for (size_t i = 0; args[i]; i++)
		argv[n++] = args[i];
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC), moved[3];

		for (int i = 0; i < 3; i++)
			moved[i] = fcntl(fds[i] < 0 ? null : fds[i], F_DUPFD_CLOEXEC, 10);
		for (int i = 0; i < 3; i++)
			(void)dup2(moved[i], i);
		(void)signal(SIGPIPE, SIG_DFL);
		(void)execv(argv[0], (char *const *)argv);
		_exit(99);
	}
	return pid;
}

int end_of(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		cr_assert_eq(errno, EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/*
 * A terminal says EIO when its other side is closed, and may say so with bytes still unread: what
 * was written and closed between the kernel's looking for bytes and its looking for the end
 * (n_tty_read(), drivers/tty/n_tty.c). After an EIO nobody writes any more, so the read after it
 * tells for sure.
 */
static ssize_t read_to_end(int fd, char *buf, size_t size)
{
	ssize_t n = read(fd, buf, size);

	return n < 0 && errno == EIO ? read(fd, buf, size) : n;
}

size_t take(int fd, char *buf, size_t size, bool until_end)
{
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len < size - 1) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (!until_end && poll(&p, 1, 0) == 0)
			break;
		n = read_to_end(fd, buf + len, size - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	buf[len] = '\0';
	return len;
}

int cloche_on_terminal(const char *const argv[], unsigned short columns, char *out, size_t size)
{
	/* Asked for here: a test that fails in the child would never end. */
	const char *cloche = env_need("CLOCHE");
	int fd, status;
	pid_t pid = forkpty(&fd, NULL, NULL, &(struct winsize){ .ws_row = 24, .ws_col = columns });

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		(void)setenv("TERM", "xterm", 1);
		(void)execv(cloche, (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	(void)take(fd, out, size, true);
	(void)close(fd);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int file_of(const char *text)
{
	int fd = memfd_create("stream", MFD_CLOEXEC);

	cr_assert(fd >= 0 && fchmod(fd, 0600) == 0 &&
		  write(fd, text, strlen(text)) == (ssize_t)strlen(text) &&
		  lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

const char *text_of(int fd)
{
	static char text[65536];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

struct terminal_pair terminal_open(void)
{
	struct terminal_pair t = { posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), -1 };

	cr_assert(t.master >= 0 && grantpt(t.master) == 0 && unlockpt(t.master) == 0, "%m");
	t.slave = open(ptsname(t.master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	cr_assert_geq(t.slave, 0, "%m");
	return t;
}

void terminal_close(struct terminal_pair *t)
{
	(void)close(t->slave);
	(void)close(t->master);
}

void pair_open(int ret[2])
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret), 0);
}

int run_on_terminal(const struct terminal_pair *t, const int fds[3], const char *const args[])
{
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		if (setsid() < 0 || ioctl(t->slave, TIOCSCTTY, 0) < 0)
			_exit(99);
		_exit(end_of(start(fds, args)));
	}
	return end_of(pid);
}
