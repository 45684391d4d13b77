/* SPDX-License-Identifier: MIT */
/*
 * Something for the meter to count: run inside an armed cgroup with a list of things to do.
 *   burn MS | touch MIB | fork N (N children at once) | threads N | kill SIG (itself, blocked) |
 *   exec (this program again with the rest of the list), thread-exec (the same, by a second thread)
 *   write PATH | read PATH | udp PORT (binds to it and connects to itself) | mount N (times, with
 *   1, 2, 3 for addresses: to be denied) | flood N (the same, from two processes, half each) |
 *   unix PATH (binds to it and connects to it; '@' begins an abstract name) |
 *   wide PATH (write, by a number with dirt above its lower half) | handle SIG (sends it to itself
 * and returns from a handler) | leaders N (children whose first threads leave, all at once) | nap N
 *   (times 2 ms) | crew N (threads that burn 3 ms and sleep 2 ms, five times) |
 *   wait FD (for a byte) | attach FD (a program to its raw tracepoint; says the link's number on
 * 61)
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void burn(long ms)
{
	long long end = cpu_ns() + ms * 1000000LL;

	while (cpu_ns() < end)
		;
}

static void touch(size_t mib)
{
	char *p;

	if (!mib)
		return;
	p = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* Small pages, so that the faults can be counted. */
	if (p == MAP_FAILED || madvise(p, mib << 20, MADV_NOHUGEPAGE))
		exit(3);
	for (size_t i = 0; i < mib << 20; i += 4096)
		p[i] = 1;
	munmap(p, mib << 20);
}

/* All children live at once: each holds the pipe until the last one is born. */
static void fork_many(long n)
{
	int gate[2];
	char b;

	if (pipe(gate))
		exit(3);
	for (long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			exit(3);
		if (!pid) {
			close(gate[1]);
			_exit(read(gate[0], &b, 1) ? 1 : 0);
		}
	}
	close(gate[1]);
	while (wait(NULL) > 0)
		;
	close(gate[0]);
}

static void *nothing(void *arg)
{
	return arg;
}

static void thread_many(long n)
{
	pthread_t t;

	for (long i = 0; i < n; i++)
		if (pthread_create(&t, NULL, nothing, NULL) || pthread_join(t, NULL))
			exit(3);
}

static void *burn_and_sleep(void *arg)
{
	struct timespec t;

	for (int i = 0; i < 5; i++) {
		long long end;

		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
		end = t.tv_sec * 1000000000LL + t.tv_nsec + 3000000;
		do
			clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
		while (t.tv_sec * 1000000000LL + t.tv_nsec < end);
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	}
	return arg;
}

static void crew(long n)
{
	pthread_t t[16];

	for (long i = 0; i < n; i++)
		if (i == 16 || pthread_create(&t[i], NULL, burn_and_sleep, NULL))
			exit(3);
	for (long i = 0; i < n; i++)
		pthread_join(t[i], NULL);
}

/* Takes the whole process over: the leader dies in its join, this thread gets its number. */
static void *exec_rest(void *arg)
{
	char **argv = arg;

	(void)execv(argv[0], argv);
	exit(3);
}

static void exec_in_thread(char **argv)
{
	pthread_t t;

	if (!pthread_create(&t, NULL, exec_rest, argv))
		pthread_join(t, NULL);
	exit(3);
}

static void kill_self(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), sig);
}

static void open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
}

static void udp(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (void *)&a, sizeof(a)) || connect(fd, (void *)&a, sizeof(a)))
		exit(3);
	close(fd);
}

static void unix_both(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(a);
	int to = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int from = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	if (*path == '@') {
		a.sun_path[0] = '\0';
		len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	}
	if (to < 0 || from < 0 || bind(to, (void *)&a, len) || connect(from, (void *)&a, len))
		exit(3);
	if (*path != '@')
		unlink(path);
	close(to);
	close(from);
}

/* The kernel takes the lower half of the register for the number. */
static void open_wide(const char *path)
{
	long fd = syscall(1L << 32 | SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT, 0600);

	if (fd < 0)
		exit(3);
	close((int)fd);
}

static void on_signal(int sig)
{
	(void)sig;
}

static void handle(int sig)
{
	if (signal(sig, on_signal) == SIG_ERR || raise(sig))
		exit(3);
}

static void *wait_for_gate(void *arg)
{
	char b;

	_exit(read(*(int *)arg, &b, 1) ? 1 : 0);
}

/* Like fork_many, but what waits is a second thread, the first one being gone. */
static void leaders(long n)
{
	static int gate[2], ready[2];
	pthread_t t;
	char b;

	if (pipe(gate) || pipe(ready))
		exit(3);
	for (long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			exit(3);
		if (pid)
			continue;
		close(gate[1]);
		if (pthread_create(&t, NULL, wait_for_gate, &gate[0]) ||
		    write(ready[1], "", 1) != 1)
			_exit(3);
		pthread_exit(NULL);
	}
	for (long i = 0; i < n; i++)
		if (read(ready[0], &b, 1) != 1)
			exit(3);
	close(gate[1]);
	while (wait(NULL) > 0)
		;
}

static void nap(long n)
{
	struct timespec t = { .tv_nsec = 2000000 };

	while (n-- > 0)
		nanosleep(&t, NULL);
}

static void wait_for(int fd)
{
	char b;

	if (read(fd, &b, 1) != 1)
		exit(3);
}

static void attach(int program)
{
	union bpf_attr attr = { .raw_tracepoint.prog_fd = (unsigned)program };
	long link = syscall(SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &attr, sizeof(attr));

	if (link < 0 || write(61, &link, sizeof(link)) != sizeof(link))
		exit(3);
}

static void mounts(long n)
{
	while (n-- > 0)
		(void)syscall(SYS_mount, 1, 2, 3, 4, 5);
}

static void flood(long n)
{
	pid_t pid = fork();

	mounts(pid ? n - n / 2 : n / 2);
	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
}

static int is_file(const char *what, const char *path)
{
	if (strcmp(what, "write") == 0)
		open_file(path, O_WRONLY | O_CREAT);
	else if (strcmp(what, "read") == 0)
		open_file(path, O_RDONLY);
	else if (strcmp(what, "unix") == 0)
		unix_both(path);
	else if (strcmp(what, "wide") == 0)
		open_wide(path);
	else
		return 0;
	return 1;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i += 2) {
		const char *what = argv[i];
		long n = i + 1 < argc ? atol(argv[i + 1]) : 0;

		if (strcmp(what, "exec") == 0) {
			argv[i] = argv[0];
			execv(argv[0], argv + i);
			return 3;
		}
		if (strcmp(what, "thread-exec") == 0) {
			argv[i] = argv[0];
			exec_in_thread(argv + i);
		}
		if (strcmp(what, "burn") == 0)
			burn(n);
		else if (strcmp(what, "touch") == 0)
			touch((size_t)n);
		else if (strcmp(what, "fork") == 0)
			fork_many(n);
		else if (strcmp(what, "threads") == 0)
			thread_many(n);
		else if (strcmp(what, "kill") == 0)
			kill_self((int)n);
		else if (strcmp(what, "udp") == 0)
			udp((uint16_t)n);
		else if (strcmp(what, "mount") == 0)
			mounts(n);
		else if (strcmp(what, "flood") == 0)
			flood(n);
		else if (strcmp(what, "handle") == 0)
			handle((int)n);
		else if (strcmp(what, "leaders") == 0)
			leaders(n);
		else if (strcmp(what, "nap") == 0)
			nap(n);
		else if (strcmp(what, "crew") == 0)
			crew(n);
		else if (strcmp(what, "wait") == 0)
			wait_for((int)n);
		else if (strcmp(what, "attach") == 0)
			attach((int)n);
		else if (i + 1 < argc && is_file(what, argv[i + 1]))
			continue;
		else
			return 2;
	}
	return 0;
}
