/* SPDX-License-Identifier: MIT */
/*
 * inside WORD [ARG]: what the live tests want done in a context, without a shell or a libc to load,
 * so that it fits into the smallest memory limit. Each word does one thing and says on standard
 * output what came of it; attacks are escape.c's matter.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int word_exit(const char *arg)
{
	return atoi(arg);
}

static int word_signal(const char *arg)
{
	(void)raise(atoi(arg));
	return 99;
}

/* Touches ARG MiB, page by page. */
static int word_eat(const char *arg)
{
	size_t size = (size_t)atoi(arg) << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return 98;
	for (size_t i = 0; i < size; i += 4096)
		p[i] = 1;
	puts("eaten");
	return 0;
}

/* The same by a child that has our memory, which kills us, too. */
static int word_eat_by_child(const char *arg)
{
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0) {
		(void)word_eat(arg);
		_exit(0);
	}
	return 99;
}

/* Writes to a file in the directory ARG until that is refused. */
static int word_fill(const char *arg)
{
	static char page[4096];
	char path[256];
	size_t pages = 0;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/fill", arg);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return 98;
	memset(page, 1, sizeof(page));
	while (write(fd, page, sizeof(page)) == sizeof(page))
		pages++;
	printf("%s after %zu KiB\n", strerrorname_np(errno), pages * 4);
	return 0;
}

/* Forks up to ARG children that wait for us; says how many there were. ARG of -1: fails then. */
static int word_fork(const char *arg)
{
	int n = 0, want = abs(atoi(arg)), gate[2];
	char c;

	if (pipe(gate) < 0)
		return 98;
	for (; n < want; n++) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid == 0) {
			(void)close(gate[1]);
			(void)!read(gate[0], &c, 1);
			_exit(0);
		}
	}
	printf("%d children, then %s\n", n, n < want ? strerrorname_np(errno) : "enough");
	(void)fflush(stdout);
	(void)close(gate[1]);
	while (wait(NULL) > 0)
		;
	return n < want && atoi(arg) < 0;
}

/* Opens /dev/null up to ARG times. */
static int word_open(const char *arg)
{
	int n = 0, want = atoi(arg);

	while (n < want && open("/dev/null", O_RDONLY) >= 0)
		n++;
	printf("%d files, then %s\n", n, n < want ? strerrorname_np(errno) : "enough");
	return 0;
}

static int word_write(const char *arg)
{
	static char page[4096];
	long left = atol(arg);

	memset(page, 'x', sizeof(page));
	while (left > 0) {
		ssize_t n = write(1, page, left < 4096 ? (size_t)left : 4096);

		if (n < 0)
			return 98;
		left -= n;
	}
	return 0;
}

/* A connection to oneself over 127.0.0.1. */
static int word_loopback(const char *arg)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (server < 0 || client < 0 || bind(server, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(server, 1) < 0 || getsockname(server, (struct sockaddr *)&at, &len) < 0 ||
	    connect(client, (struct sockaddr *)&at, len) < 0 || accept(server, NULL, NULL) < 0) {
		puts(strerrorname_np(errno));
		return 0;
	}
	puts("connected");
	return 0;
}

/* Fills ARG connections over 127.0.0.1 whose other ends are never read; says how much is in them.
 */
static int word_queue(const char *arg)
{
	static char page[65536];
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	int server = socket(AF_INET, SOCK_STREAM, 0), big = 4 << 20;
	long long queued = 0;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	(void)setsockopt(server, SOL_SOCKET, SO_RCVBUF, &big, sizeof(big));
	if (bind(server, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(server, 1) < 0 ||
	    getsockname(server, (struct sockaddr *)&at, &len) < 0)
		return 98;
	for (int n = atoi(arg); n > 0; n--) {
		int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		ssize_t k;

		(void)setsockopt(client, SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
		(void)connect(client, (struct sockaddr *)&at, len);
		if (accept(server, NULL, NULL) < 0)
			return 98;
		while ((k = write(client, page, sizeof(page))) > 0)
			queued += k;
	}
	printf("%lld MiB\n", queued >> 20);
	return 0;
}

/* A call that every shipped policy denies, so often. */
static int word_deny(const char *arg)
{
	long n = atol(arg);

	for (long i = 0; i < n; i++)
		if (syscall(SYS_mount, 1, 2, 3, 4, 5) == 0 || errno != EPERM)
			return 1;
	return 0;
}

/* What an allocator that knows NUMA calls for each of its pieces. */
static int word_numa(const char *arg)
{
	long n = atol(arg);

	for (long i = 0; i < n; i++)
		if (syscall(SYS_mbind, 0, 0, 0, 0, 0, 0) == 0 || errno != EPERM ||
		    syscall(SYS_set_mempolicy, 0, 0, 0) == 0 || errno != EPERM)
			return 1;
	return 0;
}

static void on_signal(int sig)
{
	(void)sig;
}

/* The same while a child sends us signals as fast as it can, so that many are interrupted before
 * anybody has taken notice of them. */
static int word_deny_signalled(const char *arg)
{
	const struct sigaction act = { .sa_handler = on_signal }; /* no SA_RESTART: EINTR */
	long n = atol(arg), interrupted = 0;
	pid_t parent = getpid(), child;

	(void)sigaction(SIGUSR1, &act, NULL);
	child = fork();
	if (child == 0)
		while (kill(parent, SIGUSR1) == 0)
			;
	for (long i = 0; i < n; i++) {
		if (syscall(SYS_mount, 1, 2, 3, 4, 5) == 0 || (errno != EPERM && errno != EINTR))
			return 1;
		interrupted += errno == EINTR;
	}
	(void)kill(child, SIGKILL);
	printf("%ld interrupted\n", interrupted);
	return 0;
}

/* Leaves something behind that the next invocation of this context must not find. */
static int word_leave(const char *what)
{
	if (strcmp(what, "nothing") == 0)
		return 0;
	if (strcmp(what, "file") == 0)
		return symlink("nowhere", "/tmp/left") < 0;
	if (strcmp(what, "hidden") == 0)
		return mkdir("/tmp/.left", 0700) < 0;
	if (strcmp(what, "shm") == 0)
		return shm_open("/left", O_CREAT | O_RDWR, 0600) < 0;
	if (strcmp(what, "sysv") == 0)
		return shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600) < 0;
	if (strcmp(what, "mqueue") == 0)
		return mq_open("/left", O_CREAT | O_RDWR, 0600, NULL) == (mqd_t)-1;
	if (strcmp(what, "connection") == 0)
		return word_loopback(""); /* closed in a moment: TIME_WAIT */
	if (strcmp(what, "process") == 0) {
		pid_t pid = fork();

		if (pid == 0) {
			(void)setsid();
			for (;;)
				(void)pause();
		}
		return pid < 0;
	}
	return 97;
}

/* Failing opens with a long name, for ever, from ARG processes. */
static int word_events(const char *arg)
{
	char name[256];

	memset(name, 1, sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	for (int n = atoi(arg); n > 1; n--)
		if (fork() == 0)
			break;
	while (name[0])
		(void)syscall(SYS_openat, -1, name, O_WRONLY, 0);
	return 0;
}

/* Makes the descriptor ARG non-blocking and fills what is behind it. */
static int word_choke(const char *arg)
{
	static char page[4096];
	int fd = atoi(arg);

	memset(page, 'A', sizeof(page));
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return 98;
	while (write(fd, page, sizeof(page)) > 0)
		;
	while (write(fd, page, 1) > 0)
		;
	/* Whoever listens to the other one may begin to read. */
	return puts("full") < 0;
}

/* Says whether the descriptor ARG blocks, and makes it not to. */
static int word_flags(const char *arg)
{
	int fd = atoi(arg), flags = fcntl(fd, F_GETFL);

	puts(flags & O_NONBLOCK ? "does not block" : "blocks");
	return fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0;
}

/* Of which pid 1 hears when it dies. */
static void make_orphan(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		pid = fork();
		while (pid == 0 && getppid() != 1)
			(void)sched_yield();
		_exit(0);
	}
	(void)waitpid(pid, NULL, 0);
}

/* Returns when pid 1, which may go before others while it launches and while there is nothing to
 * reap, does so no more. */
static int word_usual(const char *arg)
{
	make_orphan();
	while (sched_getscheduler(1) > SCHED_OTHER)
		(void)sched_yield();
	printf("%d %d\n", sched_getscheduler(0), sched_getscheduler(1));
	return 0;
}

static const struct {
	const char *name;
	int (*run)(const char *arg);
} words[] = {
	{ "exit", word_exit },
	{ "signal", word_signal },
	{ "eat", word_eat },
	{ "fill", word_fill },
	{ "fork", word_fork },
	{ "open", word_open },
	{ "write", word_write },
	{ "loopback", word_loopback },
	{ "leave", word_leave },
	{ "deny", word_deny },
	{ "events", word_events },
	{ "choke", word_choke },
	{ "flags", word_flags },
	{ "queue", word_queue },
	{ "eat-by-child", word_eat_by_child },
	{ "deny-signalled", word_deny_signalled },
	{ "numa", word_numa },
	{ "usual", word_usual },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(argv[1], words[i].name) == 0)
			return words[i].run(argc > 2 ? argv[2] : "0");
	(void)fprintf(stderr, "usage: inside WORD [ARG]\n");
	return 96;
}
