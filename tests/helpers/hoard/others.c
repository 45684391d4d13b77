/* SPDX-License-Identifier: MIT */
/* Memory's own bookkeeping, processes, timers, signals, IPC, what one binds oneself with. */
#include "hoard.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static int told(long r)
{
	return r < 0 ? -errno : 0;
}

static int nothing_make(unsigned process, unsigned i)
{
	return 0;
}

/* ---- memory ---- */

static int anonymous_make(unsigned process, unsigned i)
{
	char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	for (int k = 0; k < 65536; k += 4096)
		p[k] = 1;
	return 0;
}

/* Neighbours differ, so that none are merged. */
static void *area(unsigned i)
{
	return mmap(NULL, 4096, i % 2 ? PROT_READ : PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static int vma_make(unsigned process, unsigned i)
{
	void *p = area(i);

	return p == MAP_FAILED ? -errno : 0;
}

static int vma_named_make(unsigned process, unsigned i)
{
	char name[80], *p = area(i);

	memset(name, 'x', sizeof(name) - 1);
	name[79] = '\0';
	(void)snprintf(name, 12, "%u", i);
	name[strlen(name)] = '-';
	if (p == MAP_FAILED)
		return -errno;
	return told(prctl(0x53564d41 /* PR_SET_VMA */, 0, p, 4096, name));
}

/* A page table for each 2 MiB, with the one page of zeroes in all. */
static int page_table_make(unsigned process, unsigned i)
{
	volatile char *p =
		mmap(NULL, 2 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	(void)madvise((void *)p, 2 << 20, MADV_NOHUGEPAGE);
	(void)p[4096];
	return 0;
}

static int mlock_make(unsigned process, unsigned i)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? -errno : told(mlock(p, 4096));
}

static int shared_make(unsigned process, unsigned i)
{
	void *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? -errno : 0;
}

/* ---- processes, timers, signals ---- */

static int process_make(unsigned process, unsigned i)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			(void)pause();
	return told(pid);
}

/* A session each, and so a scheduler's group each; an I/O context. */
static int session_make(unsigned process, unsigned i)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)setsid();
		(void)syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 4);
		for (;;)
			(void)pause();
	}
	return told(pid);
}

static void *wait_for_ever(void *arg)
{
	for (;;)
		(void)pause();
	return NULL;
}

static int thread_make(unsigned process, unsigned i)
{
	pthread_attr_t attr;
	pthread_t t;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, 65536);
	return -pthread_create(&t, &attr, wait_for_ever, NULL);
}

static int timer_make(unsigned process, unsigned i)
{
	struct itimerspec at = { .it_value = { .tv_sec = 1000000 } };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	static timer_t t;

	(void)signal(SIGRTMIN, SIG_IGN);
	return timer_create(CLOCK_MONOTONIC, &ev, &t) < 0 ? -errno
							  : told(timer_settime(t, 0, &at, NULL));
}

static int signal_make(unsigned process, unsigned i)
{
	sigset_t set;

	if (i == 0) {
		(void)sigfillset(&set);
		(void)sigprocmask(SIG_BLOCK, &set, NULL);
	}
	return told(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = 1 }));
}

/* ---- pseudo-terminals ---- */

static int pty_open(int *ret_slave)
{
	int m = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK), unlocked = 0;

	if (m < 0 || ioctl(m, TIOCSPTLCK, &unlocked) < 0)
		return -errno;
	*ret_slave = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK);
	return *ret_slave < 0 ? -errno : m;
}

static int pty_make(unsigned process, unsigned i)
{
	int slave = -1, m = pty_open(&slave);

	return m < 0 ? m : 0;
}

/* What is written on both sides, and not read. */
static int pty_full_make(unsigned process, unsigned i)
{
	static char text[65536];
	int slave = -1, m = pty_open(&slave);
	struct termios raw;

	if (m < 0)
		return m;
	if (tcgetattr(slave, &raw) < 0)
		return -errno;
	cfmakeraw(&raw);
	if (tcsetattr(slave, TCSANOW, &raw) < 0)
		return -errno;
	while (write(m, text, sizeof(text)) > 0 || write(slave, text, sizeof(text)) > 0)
		;
	return 0;
}

/* A worker of the kernel's frees them. */
static int pty_gone_make(unsigned process, unsigned i)
{
	int slave = -1, m = pty_open(&slave);

	if (m < 0)
		return m;
	(void)close(slave);
	(void)close(m);
	return 0;
}

/* ---- IPC ---- */

static int shm_make(unsigned process, unsigned i)
{
	return told(shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600));
}

static int sem_make(unsigned process, unsigned i)
{
	return told(semget(IPC_PRIVATE, 1000, IPC_CREAT | 0600));
}

static int sem_undo_make(unsigned process, unsigned i)
{
	int id = semget(IPC_PRIVATE, 1000, IPC_CREAT | 0600);
	struct sembuf op = { .sem_op = 1, .sem_flg = SEM_UNDO };

	return id < 0 ? -errno : told(semop(id, &op, 1));
}

static int msg_make(unsigned process, unsigned i)
{
	static struct {
		long type;
		char text[8192];
	} m = { .type = 1 };
	int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);

	if (id < 0)
		return -errno;
	while (msgsnd(id, &m, sizeof(m.text), IPC_NOWAIT) == 0)
		;
	return 0;
}

static int msg_small_make(unsigned process, unsigned i)
{
	struct {
		long type;
		char text[1];
	} m = { .type = 1 };
	int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);

	if (id < 0)
		return -errno;
	for (int k = 0; k < 4000 && msgsnd(id, &m, 1, IPC_NOWAIT) == 0; k++)
		;
	return 0;
}

static int mqueue_make(unsigned process, unsigned i)
{
	struct mq_attr attr = { .mq_maxmsg = 10, .mq_msgsize = 1 };
	char name[32];
	mqd_t q;

	(void)snprintf(name, sizeof(name), "/%u-%u", process, i);
	q = mq_open(name, O_RDWR | O_CREAT | O_NONBLOCK, 0600, &attr);
	if (q < 0)
		return -errno;
	for (unsigned k = 0; k < 10; k++)
		(void)mq_send(q, "x", 1, k);
	return 0;
}

/* ---- what one binds oneself with ---- */

static int ruleset_make(unsigned process, unsigned i)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = 0xfff };

	return told(syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0));
}

static int rule_make(unsigned process, unsigned i)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = 0xfff };
	struct landlock_path_beneath_attr at = { .allowed_access = 4 };
	static int set = -1;
	char path[32];
	int r;

	if (i == 0)
		set = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	(void)snprintf(path, sizeof(path), "/tmp/%u-%u", process, i);
	at.parent_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (set < 0 || at.parent_fd < 0)
		return -errno;
	r = told(syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &at, 0));
	(void)close(at.parent_fd);
	return r;
}

/* Each a process of its own: a thread's filters add up to a bound. */
static int seccomp_make(unsigned process, unsigned i)
{
	static struct sock_filter insns[4000];
	struct sock_fprog prog = { .len = 4000, .filter = insns };

	for (int k = 0; k < 3999; k++)
		insns[k] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 0x1234567);
	insns[3999] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	return told(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog));
}

const struct hoard_object hoard_others[] = {
	{ "nothing", nothing_make },
	{ "anonymous", anonymous_make },
	{ "vma", vma_make },
	{ "vma-named", vma_named_make },
	{ "page-table", page_table_make },
	{ "mlock", mlock_make },
	{ "shared-anonymous", shared_make },
	{ "process", process_make },
	{ "session", session_make },
	{ "pty", pty_make },
	{ "pty-full", pty_full_make },
	{ "pty-gone", pty_gone_make },
	{ "thread", thread_make },
	{ "posix-timer", timer_make },
	{ "signal", signal_make },
	{ "sysv-shm", shm_make },
	{ "sysv-sem", sem_make },
	{ "sysv-sem-undo", sem_undo_make },
	{ "sysv-msg", msg_make },
	{ "sysv-msg-small", msg_small_make },
	{ "posix-mqueue", mqueue_make },
	{ "landlock-ruleset", ruleset_make },
	{ "landlock-rule", rule_make },
	{ "seccomp-filter", seccomp_make },
	{ .name = NULL },
};
