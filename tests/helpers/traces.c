/* SPDX-License-Identifier: MIT */
/*
 * traces: prints, a line each, what of an invocation before this one a program could find in the
 * same context: counters that went on, objects, names. Then it leaves as many of these traces as it
 * can without leaving anything that is there: it makes and removes, sends and receives, forks and
 * reaps, takes memory and gives it back.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HOARD (24 << 20)
/* CPU time that it uses, ns; and page faults. */
#define BUSY   1000000000LL
#define FAULTS 4000

static void show_file_inode(const char *dir)
{
	char path[64];
	struct stat st = { 0 };
	int fd;

	(void)snprintf(path, sizeof(path), "%s/x", dir);
	fd = open(path, O_CREAT | O_RDWR | O_EXCL, 0600);
	if (fd < 0 || fstat(fd, &st) < 0)
		perror(path);
	printf("%s: a new file is inode %lu\n", dir, (unsigned long)st.st_ino);
	(void)close(fd);
	(void)unlink(path);
}

static void show_ipc(void)
{
	int shm = shmget(IPC_PRIVATE, 4096, 0600), sem = semget(IPC_PRIVATE, 1, 0600),
	    msg = msgget(IPC_PRIVATE, 0600);

	printf("System V: %d %d %d\n", shm, sem, msg);
	(void)shmctl(shm, IPC_RMID, NULL);
	(void)semctl(sem, 0, IPC_RMID);
	(void)msgctl(msg, IPC_RMID, NULL);
}

/* Whole; or what is not the same from one to the next is taken out of it by the filter. */
static void show_file(const char *path, const char *with)
{
	FILE *f = fopen(path, "r");
	char line[1024];

	while (f && fgets(line, sizeof(line), f))
		if (!with || strncmp(line, with, strlen(with)) == 0)
			printf("%s: %s", path, line);
	if (f)
		(void)fclose(f);
}

/* The last number that a process got here. */
static void show_last_pid(void)
{
	FILE *f = fopen("/proc/loadavg", "r");
	char line[128] = "";

	if (f && fgets(line, sizeof(line), f) && strrchr(line, ' '))
		printf("last pid %s", strrchr(line, ' ') + 1);
	if (f)
		(void)fclose(f);
}

static void show_less(const char *path, const char *key, long long than)
{
	FILE *f = fopen(path, "r");
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		long long v = atoll(line + strlen(key));

		if (strncmp(line, key, strlen(key)) == 0)
			printf("%s %s is %s\n", path, key, v < than ? "small" : line);
	}
	if (f)
		(void)fclose(f);
}

static void show_cgroups(void)
{
	/* Where they are depends on the host; what is not there says nothing. */
	show_less("/sys/fs/cgroup/memory/memory.max_usage_in_bytes", "", HOARD);
	show_less("/sys/fs/cgroup/memory.peak", "", HOARD);
	show_less("/sys/fs/cgroup/memory/memory.failcnt", "", 1);
	show_less("/sys/fs/cgroup/memory.events", "max ", 1);
	show_less("/sys/fs/cgroup/memory.events", "oom_kill ", 1);
	show_less("/sys/fs/cgroup/pids/pids.peak", "", 8);
	show_less("/sys/fs/cgroup/pids.peak", "", 8);
	show_less("/sys/fs/cgroup/pids/pids.events", "max ", 1);
	show_less("/sys/fs/cgroup/pids.events", "max ", 1);
	/* CPU time on v1 alone: the only cgroup of v2 is as new as its other counts show, and where
	 * a kernel is emulated a start takes any time. */
	show_less("/sys/fs/cgroup/cpuacct/cpuacct.usage", "", BUSY / 2);
	show_less("/sys/fs/cgroup/cpuacct/cpuacct.stat", "user ", 50);
	show_less("/sys/fs/cgroup/cpu/cpu.stat", "nr_throttled ", 50);
	show_less("/sys/fs/cgroup/memory/memory.stat", "pgfault ", FAULTS);
	show_less("/sys/fs/cgroup/memory.stat", "pgfault ", FAULTS);
}

static void show_stream(int fd)
{
	struct f_owner_ex owner = { 0 };

	(void)fcntl(fd, F_GETOWN_EX, &owner);
	printf("stream %d: flags %x, signal %d, owner %d %d, pipe %d\n", fd, fcntl(fd, F_GETFL),
	       fcntl(fd, F_GETSIG), owner.type, owner.pid, fcntl(fd, F_GETPIPE_SZ));
}

static void show(void)
{
	printf("pid %d\n", getpid());
	show_last_pid();
	show_file_inode("/tmp");
	show_file_inode("/dev/shm");
	show_ipc();
	show_file("/proc/net/unix", NULL);
	show_file("/proc/net/dev", "    lo:");
	show_file("/proc/net/snmp", "Udp:");
	show_file("/proc/net/snmp", "Ip:");
	show_file("/proc/net/ip6_flowlabel", NULL);
	show_cgroups();
	for (int fd = 0; fd < 3; fd++)
		show_stream(fd);
	(void)fflush(stdout);
}

/* ---- what it leaves ---- */

static void use_loopback(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
	char c;

	if (a < 0)
		return;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	(void)bind(a, (struct sockaddr *)&at, len);
	(void)getsockname(a, (struct sockaddr *)&at, &len);
	for (int i = 0; i < 10; i++)
		if (sendto(b, "x", 1, 0, (struct sockaddr *)&at, len) == 1)
			(void)recv(a, &c, 1, 0);
	(void)close(a);
	(void)close(b);
}

static void use_memory(void)
{
	char *p = mmap(NULL, HOARD + (HOARD >> 1), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return;
	(void)madvise(p, HOARD + (HOARD >> 1), MADV_NOHUGEPAGE);
	memset(p, 1, HOARD + (HOARD >> 1));
	(void)munmap(p, HOARD + (HOARD >> 1));
}

/* Two sockets that hold each other in their queues, and a name that nobody can see but the next. */
static void use_unix(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "\0left" };
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + 5;
	char space[CMSG_SPACE(2 * sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = "x", .iov_len = 1 };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = space,
			    .msg_controllen = sizeof(space) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	int fds[2], named = socket(AF_UNIX, SOCK_DGRAM, 0);

	if (named < 0 || socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) < 0)
		return;
	(void)bind(named, (struct sockaddr *)&at, len);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(c), (int[]){ fds[1], named }, 2 * sizeof(int));
	(void)sendmsg(fds[0], &h, 0);
}

static void use_cpu(void)
{
	struct timespec used = { 0 };

	do
		(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	while (used.tv_sec * 1000000000LL + used.tv_nsec < BUSY + BUSY / 5);
}

static void use_pids(void)
{
	for (int i = 0; i < 40; i++)
		if (fork() == 0)
			_exit(0);
		else if (i % 2)
			while (wait(NULL) > 0)
				;
}

static void use_ipc(void)
{
	for (int i = 0; i < 5; i++) {
		int id = shmget(IPC_PRIVATE, 4096, 0600);

		(void)shmctl(id, IPC_RMID, NULL);
	}
}

static void use_streams(void)
{
	for (int fd = 0; fd < 3; fd++) {
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK | O_ASYNC);
		(void)fcntl(fd, F_SETSIG, 34);
		(void)fcntl(fd, F_SETOWN, getpid());
	}
}

int main(int argc, char **argv)
{
	show();
	if (argc > 1 && strcmp(argv[1], "show") == 0)
		return 0;
	use_ipc();
	use_memory();
	use_cpu();
	use_loopback();
	use_pids();
	use_streams();
	if (argc > 1 && strcmp(argv[1], "unix") == 0)
		use_unix();
	return 0;
}
