/* SPDX-License-Identifier: MIT */
/*
 * A function process that stays: for each byte that comes by standard input it does something and
 * answers with that byte, as a runtime that asks for its next event.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <sys/stat.h>
#include <unistd.h>

static void say(char c)
{
	if (write(STDOUT_FILENO, &c, 1) != 1)
		_exit(9);
}

static void burn(long ms)
{
	struct timespec t;

	do
		(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	while (t.tv_nsec / 1000000 + t.tv_sec * 1000 < ms);
}

static void *burn_5(void *arg)
{
	burn(5);
	return NULL;
}

/* Each in a thread of its own, whose CPU time begins at 0. */
static void burn_by(int threads)
{
	pthread_t t[8];

	for (int i = 0; i < threads; i++)
		if (pthread_create(&t[i], NULL, burn_5, NULL) != 0)
			_exit(8);
	for (int i = 0; i < threads; i++)
		(void)pthread_join(t[i], NULL);
}

static void burn_one(void)
{
	burn_by(1);
}

static void burn_four(void)
{
	burn_by(4);
}

static void spin(void)
{
	for (volatile unsigned long i = 0;; i++)
		;
}

static void touch(size_t mib)
{
	size_t len = mib << 20;
	char *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		_exit(7);
	for (size_t i = 0; i < len; i += 4096)
		((volatile char *)at)[i] = 1;
	(void)munmap(at, len);
}

static void touch_16(void)
{
	touch(16);
}

static void touch_all(void)
{
	touch(256);
}

static void fork_one(void (*what)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		what();
		_exit(0);
	}
	if (pid < 0)
		_exit(6);
}

static void write_for_ever(void)
{
	static char many[4096];

	for (;;)
		if (write(STDERR_FILENO, many, sizeof(many)) <= 0)
			return;
}

static void fork_spinner(void)
{
	fork_one(spin);
}

static void fork_writer(void)
{
	fork_one(write_for_ever);
}

static void ignore_all(void)
{
	for (int i = 1; i < NSIG; i++)
		(void)signal(i, SIG_IGN);
}

/* The parent waits, unkillable but by a kill, until the child that has its memory is gone. */
static void vfork_one(void)
{
	if (vfork() == 0) {    /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
		(void)pause(); /* NOLINT(clang-analyzer-unix.Vfork) */
		_exit(0);
	}
}

static void vfork_in_child(void)
{
	fork_one(vfork_one);
}

static void on_alarm(int sig)
{
}

/* Timers that go off all the time, also while nothing may run. */
static void set_timers(void)
{
	const struct itimerval every = { .it_interval = { .tv_usec = 500 },
					 .it_value = { .tv_usec = 500 } };
	const struct sigaction act = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };

	(void)sigaction(SIGALRM, &act, NULL);
	(void)setitimer(ITIMER_REAL, &every, NULL);
}

static int api_socket(struct sockaddr_in *ret)
{
	*ret = (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(9001),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	return socket(AF_INET, SOCK_STREAM, 0);
}

/* What is said there comes out here. */
static void ask_api(void)
{
	struct sockaddr_in at;
	int fd = api_socket(&at);
	char c = '!';

	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || read(fd, &c, 1) != 1)
		c = '?';
	(void)close(fd);
	say(c);
}

static void take_api(void)
{
	struct sockaddr_in at;
	int fd = api_socket(&at), one = 1;
	bool taken;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	taken = bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 1) == 0;
	if (!taken) {
		at.sin_addr.s_addr = htonl(INADDR_ANY);
		taken = bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 1) == 0;
	}
	(void)close(fd);
	say(taken ? 'T' : 'N');
}

/* Whose file it is that is on top; and whether it can be changed. */
static void read_layers(void)
{
	int fd = open("/opt/which", O_RDONLY);
	char c = '?';

	if (read(fd, &c, 1) != 1)
		c = '?';
	(void)close(fd);
	say(c);
}

static void write_code(void)
{
	char where[64];

	if (mkdir("/var/task/mine", 0700) == 0 || errno != EROFS || mkdir("/opt/mine", 0700) == 0 ||
	    errno != EROFS)
		say('W');
	else
		say(getcwd(where, sizeof(where)) && strcmp(where, "/var/task") == 0 ? 'R' : '?');
}

static void make_denied_call(void)
{
	if (unshare(CLONE_NEWUSER) == 0)
		_exit(5);
}

static void sleep_2(void)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
}

/* False: it has answered itself. */
static bool do_one(char c)
{
	static const struct {
		char c;
		void (*what)(void);
		bool answers;
	} table[] = {
		{ 'b', burn_one, false },	{ 't', burn_four, false },
		{ 's', sleep_2, false },	{ 'm', touch_16, false },
		{ 'o', touch_all, false },	{ 'f', fork_spinner, false },
		{ 'v', vfork_in_child, false }, { 'w', fork_writer, false },
		{ 'i', ignore_all, false },	{ 'a', set_timers, false },
		{ 'l', spin, false },		{ 'c', ask_api, true },
		{ 'p', take_api, true },	{ 'r', read_layers, true },
		{ 'k', write_code, true },	{ 'd', make_denied_call, false },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].c == c) {
			table[i].what();
			return !table[i].answers;
		}
	return true;
}

int main(int argc, char **argv)
{
	char c;

	if (argc > 1 && strcmp(argv[1], "busy") == 0)
		burn_one();
	if (argc > 1 && strcmp(argv[1], "fails") == 0)
		return 0;
	if (argc > 1 && strcmp(argv[1], "hangs") == 0)
		(void)pause();
	say('n');
	while (read(STDIN_FILENO, &c, 1) == 1) {
		if (c == 'x' || c == 'X')
			return c == 'x' ? 0 : 3;
		if (do_one(c))
			say(c);
	}
	return 1;
}
