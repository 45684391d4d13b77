/* SPDX-License-Identifier: MIT */
/*
 * One tracer loop: see tracing.h. Every stop of every traced process comes in by waitpid(2); a
 * timer signal interrupts it when the limit is over. A fault is made at the entry of a call, by
 * turning it into call number -1, and the error put into the result at its exit. PTRACE_O_EXITKILL:
 * when the test dies, so does all that it traces.
 */
#include "tests/lib/tracing.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

#define CALLS_MAX   65536
#define SYSCALL_MAX 600
#define OPTIONS                                                                                   \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | \
	 PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)

struct tracee {
	pid_t pid;
	int let_go;   /* a pidfd of a process that is no longer traced, or -1 */
	bool failing; /* between the entry and the exit of the call that is to fail */
	unsigned count[SYSCALL_MAX];
};

struct tracer {
	struct tracing *t;
	struct tracee *list; /* TRACING_PROCESSES of them, by birth */
	bool started;	     /* the program itself has been executed */
};

static int index_of(struct tracer *tr, pid_t pid)
{
	for (unsigned i = 0; i < tr->t->n_processes; i++)
		if (tr->list[i].pid == pid)
			return (int)i;
	return -1;
}

/* A birth is told by its parent's event or by its own first stop, whichever comes first. */
static unsigned add(struct tracer *tr, pid_t pid)
{
	int known = index_of(tr, pid);
	unsigned n = tr->t->n_processes;

	if (known >= 0)
		return (unsigned)known;
	cr_assert_lt(n, TRACING_PROCESSES, "more processes than expected");
	tr->list[n].pid = pid;
	tr->list[n].let_go = -1;
	tr->t->n_processes = n + 1;
	return n;
}

/* The context's slot is the name of its first cgroup. */
static void note_slot(struct tracer *tr, pid_t pid, const struct __ptrace_syscall_info *info)
{
	long word;
	char text[sizeof(word) + 1] = { 0 }, *end;

	if (tr->t->slot >= 0 || info->entry.nr != SYS_mkdirat)
		return;
	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, pid, (void *)(uintptr_t)info->entry.args[1], NULL);
	if (errno)
		return;
	memcpy(text, &word, sizeof(word));
	word = strtol(text, &end, 10);
	if (end > text && *end == '\0')
		tr->t->slot = (int)word;
}

static void note_call(struct tracer *tr, const struct call *c)
{
	struct tracing *t = tr->t;

	cr_assert_lt(t->n_calls, CALLS_MAX);
	t->calls[t->n_calls++] = *c;
}

size_t tracing_children(const struct tracing *t, unsigned process)
{
	size_t n = 0;

	for (unsigned i = 1; i < t->n_processes; i++)
		n += t->parent[i] == process;
	return n;
}

static void at_entry(struct tracer *tr, unsigned i, const struct __ptrace_syscall_info *info)
{
	struct tracee *p = &tr->list[i];
	const struct tracing *t = tr->t;
	struct call c = { .process = i, .nr = (long)info->entry.nr };

	if (c.nr < 0 || c.nr >= SYSCALL_MAX)
		return;
	c.nth = ++p->count[c.nr];
	note_call(tr, &c);
	note_slot(tr, p->pid, info);
	if (t->hit || t->fault == FAULT_NONE || t->at.process != i || t->at.nr != c.nr ||
	    t->at.nth != c.nth)
		return;
	tr->t->hit = true;
	tr->t->processes_at_hit = tr->t->n_processes;
	if (t->fault == FAULT_KILL) {
		(void)kill(p->pid, SIGKILL);
		return;
	}
	p->failing = true;
	/* What close(2) was given is closed whatever it says; a brk(2) that is not made answers
	 * with the old end, which is not an error number. */
	if (c.nr != SYS_close)
		(void)ptrace(PTRACE_POKEUSER, p->pid, (void *)offsetof(struct user, regs.orig_rax),
			     (void *)-1L);
}

static void at_exit(struct tracer *tr, unsigned i)
{
	struct tracee *p = &tr->list[i];
	long result = tr->t->at.nr == SYS_brk ? 0 : -tr->t->code;

	if (!p->failing)
		return;
	p->failing = false;
	(void)ptrace(PTRACE_POKEUSER, p->pid, (void *)offsetof(struct user, regs.rax),
		     (void *)result);
}

static void at_syscall(struct tracer *tr, unsigned i)
{
	struct __ptrace_syscall_info info;

	if (!tr->started ||
	    ptrace(PTRACE_GET_SYSCALL_INFO, tr->list[i].pid, (void *)sizeof(info), &info) <= 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		at_entry(tr, i, &info);
	else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
		at_exit(tr, i);
}

static void note_birth(struct tracer *tr, unsigned parent, pid_t pid)
{
	unsigned child = add(tr, pid);

	tr->t->parent[child] = parent;
	tr->t->last_birth[parent] = tr->t->n_calls;
}

/* True when the process was let go and must not be resumed. */
static bool at_event(struct tracer *tr, unsigned i, int event)
{
	struct tracee *p = &tr->list[i];
	unsigned long born;

	switch (event) {
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
	case PTRACE_EVENT_CLONE:
		if (ptrace(PTRACE_GETEVENTMSG, p->pid, NULL, &born) == 0)
			note_birth(tr, i, (pid_t)born);
		return false;
	case PTRACE_EVENT_EXEC:
		if (!tr->started) {
			tr->started = true;
			return false;
		}
		tr->t->executed = true;
		p->let_go = pidfd_open(p->pid, 0);
		cr_assert_geq(p->let_go, 0, "pidfd_open: %m");
		(void)ptrace(PTRACE_DETACH, p->pid, NULL, NULL);
		p->pid = -1;
		return true;
	default:
		return false;
	}
}

static void at_stop(struct tracer *tr, pid_t pid, int status)
{
	unsigned i = add(tr, pid);
	int signal = WSTOPSIG(status), event = status >> 16;

	if (event == PTRACE_EVENT_STOP)
		signal = 0; /* the first stop of a newborn */
	else if (event) {
		if (at_event(tr, i, event))
			return;
		signal = 0;
	} else if (signal == (SIGTRAP | 0x80)) {
		at_syscall(tr, i);
		signal = 0;
	}
	/* ESRCH: it was killed meanwhile; its end will be reported. */
	(void)ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)signal);
}

static void at_end(struct tracer *tr, pid_t pid, int status)
{
	int i = index_of(tr, pid);

	if (i < 0)
		return;
	tr->list[i].pid = -1;
	if (i == 0)
		tr->t->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void kill_all(struct tracer *tr)
{
	tr->t->hung = true;
	for (unsigned i = 0; i < tr->t->n_processes; i++) {
		if (tr->list[i].pid > 0)
			(void)kill(tr->list[i].pid, SIGKILL);
		if (tr->list[i].let_go >= 0)
			(void)pidfd_send_signal(tr->list[i].let_go, SIGKILL, NULL, 0);
	}
}

static void on_alarm(int signal)
{
}

static void limit_set(int seconds)
{
	const struct sigaction act = { .sa_handler = on_alarm };
	const struct itimerval t = { .it_interval.tv_sec = seconds ? 1 : 0,
				     .it_value.tv_sec = seconds };

	(void)sigaction(SIGALRM, &act, NULL);
	(void)setitimer(ITIMER_REAL, &t, NULL);
}

static void watch(struct tracer *tr)
{
	limit_set(TRACING_LIMIT_S);
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0 && errno == ECHILD)
			break;
		if (pid < 0)
			kill_all(tr); /* EINTR: the limit is over */
		else if (WIFSTOPPED(status))
			at_stop(tr, pid, status);
		else
			at_end(tr, pid, status);
	}
	/* Functions are not ours to wait for, but they must have gone with their pid 1. */
	for (unsigned i = 0; i < tr->t->n_processes; i++) {
		struct pollfd gone = { .fd = tr->list[i].let_go, .events = POLLIN };

		if (gone.fd >= 0 && poll(&gone, 1, TRACING_LIMIT_S * 1000) <= 0)
			kill_all(tr);
		fd_close(&tr->list[i].let_go);
	}
	limit_set(0);
}

/* Waits until it is traced, then becomes the program. */
static _Noreturn void become(const struct tracing *t, int gate, int out, int err)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char c;

	(void)setpgid(0, 0);
	if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0 ||
	    read(gate, &c, 1) != 1)
		_exit(122);
	(void)execv(t->argv[0], (char *const *)t->argv);
	_exit(123);
}

static char *read_all(int fd)
{
	struct stat st;
	char *text;

	cr_assert_eq(fstat(fd, &st), 0);
	text = calloc(1, (size_t)st.st_size + 1);
	cr_assert(text && pread(fd, text, (size_t)st.st_size, 0) == st.st_size);
	return text;
}

void tracing_run(struct tracing *t)
{
	cleanup_fd int out = memfd_create("out", MFD_CLOEXEC),
		       err = memfd_create("err", MFD_CLOEXEC);
	cleanup_free struct tracee *list = calloc(TRACING_PROCESSES, sizeof(*list));
	struct tracer tr = { .t = t, .list = list };
	int gate[2];
	pid_t pid;

	tracing_free(t);
	t->calls = calloc(CALLS_MAX, sizeof(*t->calls));
	t->slot = -1;
	cr_assert(out >= 0 && err >= 0 && list && t->calls && pipe2(gate, O_CLOEXEC) == 0);
	pid = fork();
	cr_assert_geq(pid, 0, "fork: %m");
	if (pid == 0)
		become(t, gate[0], out, err);
	(void)add(&tr, pid);
	cr_assert_eq(ptrace(PTRACE_SEIZE, pid, NULL, (void *)OPTIONS), 0, "ptrace: %m");
	cr_assert_eq(write(gate[1], "x", 1), 1);
	(void)close(gate[0]);
	(void)close(gate[1]);
	/* Seized, it runs; the first stop is that of its exec. */
	watch(&tr);
	t->out = read_all(out);
	t->err = read_all(err);
}

void tracing_free(struct tracing *t)
{
	free(t->calls);
	free(t->out);
	free(t->err);
	*t = (struct tracing){ .argv = t->argv, .at = t->at, .fault = t->fault, .code = t->code };
}

const char *call_name(long nr, char buf[static 24])
{
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)nr);

	(void)snprintf(buf, 24, "%s", name ? name : "");
	if (!name)
		(void)snprintf(buf, 24, "call %ld", nr);
	free(name);
	return buf;
}
