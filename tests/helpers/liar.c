/* SPDX-License-Identifier: MIT */
/*
 * liar open PATH | connect PATH: opens the FIFO PATH for writing, or connects to a Unix socket that
 * it binds to PATH, and has a second thread rewrite what it asked for while the call waits, so that
 * its memory says something harmless once the call is over.
 */
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static struct open_how how = { .flags = O_WRONLY | O_CLOEXEC };
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static const char *path;
static int server;
static atomic_int caller;

/* Asleep: in the one call that it makes now, which has read its arguments. */
static void wait_for_sleep(void)
{
	char file[64], text[512];

	while (!caller)
		;
	(void)snprintf(file, sizeof(file), "/proc/self/task/%d/stat", caller);
	for (;;) {
		int fd = open(file, O_RDONLY | O_CLOEXEC);
		ssize_t n = read(fd, text, sizeof(text) - 1);
		char *after;

		close(fd);
		text[n > 0 ? n : 0] = '\0';
		after = strrchr(text, ')');
		if (after && strncmp(after, ") S", 3) == 0)
			return;
	}
}

static void *rewrite_open(void *arg)
{
	int fd;

	wait_for_sleep();
	how.flags = O_RDONLY | O_CLOEXEC;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		exit(3);
	close(fd);
	return arg;
}

static void *rewrite_connect(void *arg)
{
	int fd;

	wait_for_sleep();
	address.sun_family = AF_INET;
	fd = accept(server, NULL, NULL);
	if (fd < 0)
		exit(3);
	close(fd);
	return arg;
}

static void start(void *(*what)(void *))
{
	pthread_t t;

	if (pthread_create(&t, NULL, what, NULL))
		exit(3);
}

static int lie_open(void)
{
	if (mkfifo(path, 0600))
		return 3;
	start(rewrite_open);
	caller = (int)syscall(SYS_gettid);
	return syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how)) < 0 || how.flags & O_WRONLY;
}

/* The queue has room for one: the second has to wait. */
static int lie_connect(void)
{
	int first = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int second = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (bind(server, (void *)&address, sizeof(address)) || listen(server, 0) ||
	    connect(first, (void *)&address, sizeof(address)))
		return 3;
	start(rewrite_connect);
	caller = (int)syscall(SYS_gettid);
	return connect(second, (void *)&address, sizeof(address)) || address.sun_family == AF_UNIX;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	path = argv[2];
	return strcmp(argv[1], "open") == 0 ? lie_open() : lie_connect();
}
