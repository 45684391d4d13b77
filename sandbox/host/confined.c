/* SPDX-License-Identifier: MIT */
/*
 * Runs a job in a child that has given up all it could do harm with: see confined.h. The child
 * walks one table of steps, does its job, writes one answer into a pipe and ends. The caller
 * believes nothing of that but what it has checked, waits no longer than it said, and kills the
 * child whatever it said.
 */
#include "host/confined.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "host/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define X32_BIT	  0x40000000U
#define FILES_MAX 8		    /* descriptors, all small: memory files */
#define FSIZE_MAX (1U << 20)	    /* of one of them */
#define MAPS_MAX  ((size_t)1 << 20) /* of /proc/self/maps */

/* How the child's answer begins; len bytes follow when there is no error. */
struct answer {
	struct cloche_err err;
	uint64_t len;
};

struct child {
	const struct confined *confined;
	int out;
	FILE *to; /* the same, for what is said beyond the answer; NULL: nothing is */
	pid_t parent;
	rlim_t file_bytes; /* of one file */
	bool keeps_shared; /* what it shares is what it reads */
};

/* ---- the child: giving up ------------------------------------------------------------------- */

/* The lowest that is kept and no lower than from; INT_MAX: none. */
static int next_kept(const struct child *c, int from)
{
	const struct confined *confined = c->confined;
	int next = c->out >= from ? c->out : INT_MAX;

	if (confined->fd >= from && confined->fd < next)
		next = confined->fd;
	for (size_t i = 0; i < confined->n_fds; i++)
		if (confined->fds[i] >= from && confined->fds[i] < next)
			next = confined->fds[i];
	return next;
}

static int close_files(const struct child *c, struct cloche_err *err)
{
	for (int from = 0, kept;; from = kept + 1) {
		kept = next_kept(c, from);
		if (kept > from && syscall(SYS_close_range, (unsigned)from,
					   kept == INT_MAX ? ~0U : (unsigned)kept - 1, 0) < 0)
			return cloche_err_sys(err, errno, "close_range");
		if (kept == INT_MAX)
			return 0;
	}
}

/* Each line of the list begins "FROM-TO rwxs", the s for what is shared. */
int confined_unmap_shared(struct cloche_err *err)
{
	cleanup_free char *maps = NULL;
	size_t len;
	int r = file_load(AT_FDCWD, "/proc/self/maps", MAPS_MAX, &maps, &len, err);

	if (r < 0)
		return r;
	for (const char *line = maps; *line; line += *line != '\0') {
		uintptr_t from, to;
		char mode[5];

		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to, mode) != 3)
			return cloche_err_set(err, EBADMSG, "read '/proc/self/maps'");
		if (mode[3] == 's' && munmap((void *)from, to - from) < 0)
			return cloche_err_sys(err, errno, "munmap");
		line += strcspn(line, "\n");
	}
	return 0;
}

static int unmap_shared(const struct child *c, struct cloche_err *err)
{
	return confined_unmap_shared(err);
}

static int die_with_parent(const struct child *c, struct cloche_err *err)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return cloche_err_sys(err, errno, "die with the parent (prctl)");
	return getppid() == c->parent ? 0 : cloche_err_set(err, ESRCH, "the parent is gone");
}

/* A launch goes before all others, and is the last to be killed. */
static int be_ordinary(const struct child *c, struct cloche_err *err)
{
	const struct sched_param none = { 0 };
	int class = sched_getscheduler(0);
	sigset_t all;

	if ((class == SCHED_FIFO || class == SCHED_RR) &&
	    sched_setscheduler(0, SCHED_OTHER, &none) < 0)
		return cloche_err_sys(err, errno, "sched_setscheduler");
	(void)file_write_text(AT_FDCWD, "/proc/self/oom_score_adj", "1000", NULL);
	(void)sigfillset(&all);
	return sigprocmask(SIG_BLOCK, &all, NULL) < 0 ? cloche_err_sys(err, errno, "sigprocmask")
						      : 0;
}

static int bound(int resource, rlim_t value, struct cloche_err *err)
{
	struct rlimit l;

	if (getrlimit((__rlimit_resource_t)resource, &l) < 0)
		return cloche_err_sys(err, errno, "getrlimit %d", resource);
	value = value < l.rlim_max ? value : l.rlim_max;
	l = (struct rlimit){ value, value };
	return setrlimit((__rlimit_resource_t)resource, &l) < 0
		       ? cloche_err_sys(err, errno, "setrlimit %d", resource)
		       : 0;
}

#ifndef __SANITIZE_ADDRESS__
/* The sanitizer's shadow alone has 16 TiB of addresses, so there is no bound beside it. */
static int bound_memory(const struct child *c, struct cloche_err *err)
{
	unsigned long long pages = 0;
	char text[128];
	int r = file_read_text(AT_FDCWD, "/proc/self/statm", text, sizeof(text), err);

	if (r < 0)
		return r;
	if (sscanf(text, "%llu", &pages) != 1)
		return cloche_err_set(err, EBADMSG, "read '/proc/self/statm'");
	return bound(RLIMIT_AS, pages * (rlim_t)sysconf(_SC_PAGESIZE) + c->confined->mem_bytes,
		     err);
}
#endif

static int bound_all(const struct child *c, struct cloche_err *err)
{
	const struct {
		int resource;
		rlim_t value;
	} bounds[] = {
		{ RLIMIT_CPU, c->confined->cpu_s },
		{ RLIMIT_NOFILE, FILES_MAX },
		{ RLIMIT_FSIZE, c->file_bytes },
		{ RLIMIT_NPROC, 0 },
		{ RLIMIT_CORE, 0 },
		{ RLIMIT_MEMLOCK, 0 },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(bounds) / sizeof(bounds[0]); i++)
		r = bound(bounds[i].resource, bounds[i].value, err);
	return r;
}

static int be_nobody(const struct child *c, struct cloche_err *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	if (geteuid() == 0) {
		/* Ends with the number behind the last capability. */
		for (int cap = 0; prctl(PR_CAPBSET_DROP, cap) == 0;)
			cap++;
		if (syscall(SYS_setgroups, 0, NULL) < 0 ||
		    syscall(SYS_setresgid, SLOT_UID_NONE, SLOT_UID_NONE, SLOT_UID_NONE) < 0 ||
		    syscall(SYS_setresuid, SLOT_UID_NONE, SLOT_UID_NONE, SLOT_UID_NONE) < 0)
			return cloche_err_sys(err, errno, "become uid %u", SLOT_UID_NONE);
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
	    syscall(SYS_capset, &head, none) < 0)
		return cloche_err_sys(err, errno, "drop all capabilities");
	/* Now: a change of ids makes it forget to die with its parent. */
	return die_with_parent(c, err);
}

static int lock_up(const struct child *c, struct cloche_err *err)
{
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return cloche_err_sys(err, errno, "become undumpable");
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0
		       ? cloche_err_sys(err, errno, "no_new_privs")
		       : 0;
}

#define MAY(call)                                              \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* Not with any bit of these in this argument, of which the kernel looks at the lower half. */
#define MAY_BUT(call, arg, bits)                                                              \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 4),                                \
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[arg])), \
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1),                             \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),                         \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

#define HUGE_PAGES 4U /* MFD_HUGETLB */

static int filter(const struct child *c, struct cloche_err *err)
{
	static const struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		MAY(read),
		MAY(pread64),
		MAY(write),
		MAY(poll),
		MAY(lseek),
		MAY(fstat),
		MAY(close),
		MAY(brk),
		MAY(munmap),
		MAY(mremap),
		MAY(madvise),
		MAY(futex),
		MAY(getrandom),
		MAY(clock_gettime),
		MAY(gettimeofday),
		MAY(getpid),
		MAY(gettid),
		MAY(uname),
		MAY(rt_sigprocmask),
		MAY(rt_sigreturn),
		MAY(sigaltstack), /* a sanitizer asks */
		MAY(restart_syscall),
		MAY(exit),
		MAY(exit_group),
		MAY_BUT(mmap, 2, PROT_EXEC),
		MAY_BUT(mprotect, 2, PROT_EXEC),
		MAY_BUT(memfd_create, 1, HUGE_PAGES),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};
	const struct sock_fprog prog = { .len = sizeof(code) / sizeof(code[0]),
					 .filter = (struct sock_filter *)code };

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0
		       ? cloche_err_sys(err, errno, "filter its system calls (seccomp)")
		       : 0;
}

static int prepare(const struct child *c, struct cloche_err *err)
{
	if (c->confined->prepare)
		c->confined->prepare();
	return 0;
}

static const struct step {
	int (*step)(const struct child *c, struct cloche_err *err);
	const char *why_here;
} steps[] = {
	{ be_ordinary, "first: nothing of it goes before others" },
	{ prepare, "while it may still call anything, before its memory is bounded" },
	{ unmap_shared, "by a file, which it could not open later" },
	{ close_files, "the last files are those of the steps before" },
#ifndef __SANITIZE_ADDRESS__
	{ bound_memory, "after what is unmapped" },
#endif
	{ bound_all, "no process, no file from here on" },
	{ be_nobody, "whatever needs root is done" },
	{ lock_up, "a change of ids would make it dumpable again" },
	{ filter, "last: none of the above passes it" },
};

static int give_up(const struct child *c, struct cloche_err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(steps) / sizeof(steps[0]); i++)
		r = c->keeps_shared && steps[i].step == unmap_shared ? 0 : steps[i].step(c, err);
	return r < 0 ? cloche_err_wrap(err, "confine what reads it") : 0;
}

int confined_enter(const struct confined *confined, pid_t parent, uint64_t file_bytes,
		   struct cloche_err *err)
{
	const struct child c = { .confined = confined,
				 .out = -1,
				 .parent = parent,
				 .file_bytes = file_bytes,
				 .keeps_shared = true };

	return give_up(&c, err);
}

/* ---- the child: answering ------------------------------------------------------------------- */

/* What it has to say beyond its answer, if anything; the status that it ends with. */
static int child_say(const struct child *c)
{
	return !c->to || (c->confined->say(c->confined->arg, c->to) == 0 && fflush(c->to) == 0)
		       ? EXIT_SUCCESS
		       : EXIT_FAILURE;
}

static void __attribute__((noreturn)) child_main(const struct child *c, void *buf, size_t size)
{
	struct answer answer = { 0 };
	size_t len = 0;
	int r = give_up(c, &answer.err);

	if (r == 0) {
		r = c->confined->job(c->confined->arg, buf, size, &len, &answer.err);
		if (r < 0 && !answer.err.code)
			(void)cloche_err_sys(&answer.err, -r, "%s", c->confined->what);
	}
	answer.len = r == 0 ? len : 0;
	if (file_write_all(c->out, (const char *)&answer, sizeof(answer)) < 0 ||
	    file_write_all(c->out, buf, answer.len) < 0)
		_exit(EXIT_FAILURE);
	_exit(r == 0 ? child_say(c) : EXIT_SUCCESS);
}

/* ---- the caller ----------------------------------------------------------------------------- */

struct peer {
	const struct confined *confined;
	int in, pidfd;
	int64_t until_ns;
};

/* Waits until fd has something; 0: not by then. INT64_MAX: for ever. */
static int wait_for(int fd, int64_t until_ns)
{
	for (;;) {
		int64_t left = until_ns - clock_now_ns();
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t ms = left <= 0 ? 0 : (left - 1) / 1000000 + 1;
		int n = poll(&p, 1, until_ns == INT64_MAX ? -1 : (int)ms);

		if (n >= 0 || errno != EINTR)
			return n < 0 ? -errno : n;
	}
}

static int took_too_long(const struct peer *p, const char *what, unsigned s, struct cloche_err *err)
{
	return cloche_err_set(err, ETIMEDOUT, "%s: reading it took more than %u s%s",
			      p->confined->what, s, what);
}

/* Why there was no answer: how it ended. */
static int no_answer(const struct peer *p, struct cloche_err *err)
{
	siginfo_t end = { 0 };
	struct rusage used = { 0 };

	if (wait_for(p->pidfd, p->until_ns) == 0)
		return took_too_long(p, "", p->confined->wall_s, err);
	/* Left to be waited for by confined_run(); glibc's has no rusage. */
	if (syscall(SYS_waitid, P_PIDFD, p->pidfd, &end, WEXITED | WNOWAIT | WNOHANG | __WALL,
		    &used) < 0)
		return cloche_err_sys(err, errno, "%s: wait for who reads it", p->confined->what);
	if (end.si_code == CLD_EXITED)
		return cloche_err_set(err, EBADMSG, "%s: who reads it ended without an answer",
				      p->confined->what);
	/* The kernel's bound goes by ticks, and what it reports by the scheduler's clock. */
	if (end.si_status == SIGKILL &&
	    timeval_ns(used.ru_utime) + timeval_ns(used.ru_stime) + NSEC_PER_SEC / 2 >=
		    p->confined->cpu_s * NSEC_PER_SEC)
		return took_too_long(p, " of CPU time", p->confined->cpu_s, err);
	return cloche_err_set(err, EBADMSG, "%s: who reads it was killed by SIG%s",
			      p->confined->what, sigabbrev_np(end.si_status));
}

static int receive(const struct peer *p, void *to, size_t len, struct cloche_err *err)
{
	char *at = to;

	while (len > 0) {
		int r = wait_for(p->in, p->until_ns);
		ssize_t n;

		if (r == 0)
			return took_too_long(p, "", p->confined->wall_s, err);
		n = r < 0 ? r : read(p->in, at, len);
		if (n < 0)
			return cloche_err_sys(err, r < 0 ? -r : errno, "%s: hear of who reads it",
					      p->confined->what);
		if (n == 0)
			return no_answer(p, err);
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int take_answer(const struct peer *p, void *buf, size_t size, size_t *ret_len,
		       struct cloche_err *err)
{
	struct answer answer = { 0 };
	int r = receive(p, &answer, sizeof(answer), err);

	if (r < 0)
		return r;
	if (answer.err.code < 0 || answer.err.code > 4095 || answer.len > size)
		return cloche_err_set(err, EBADMSG, "%s: what was read of it is no answer",
				      p->confined->what);
	if (answer.err.code)
		return cloche_err_take(err, &answer.err);
	r = receive(p, buf, answer.len, err);
	if (r == 0)
		*ret_len = answer.len;
	return r;
}

static int start(const struct confined *confined, void *buf, size_t size, bool copies,
		 struct peer *ret, struct cloche_err *err)
{
	cleanup_fd int in = -1, out = -1;
	int pair[2], pidfd = -1;
	/* No signal at its end, which might be ignored and would take the pidfd's meaning away. */
	struct clone_args args = { .flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
				   .pidfd = (uintptr_t)&pidfd };
	struct child child = { .confined = confined, .parent = getpid(), .file_bytes = FSIZE_MAX };
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return cloche_err_sys(err, errno, "pipe2");
	in = pair[0];
	out = child.out = pair[1];
	/* Here: under its filter no stream is made. */
	if (copies) {
		child.to = fdopen(out, "w");
		if (!child.to)
			return cloche_err_sys(err, errno, "fdopen");
		(void)TAKE_FD(out);
	}
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		child_main(&child, buf, size);
	if (child.to)
		(void)fclose(child.to);
	if (pid < 0)
		return cloche_err_sys(err, errno, "%s: start who reads it (clone3)",
				      confined->what);
	*ret = (struct peer){ .confined = confined,
			      .in = TAKE_FD(in),
			      .pidfd = pidfd,
			      .until_ns = confined->wall_s
						  ? clock_now_ns() + confined->wall_s * NSEC_PER_SEC
						  : INT64_MAX };
	return 0;
}

static void end(struct peer *p)
{
	(void)syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
	while (waitid(P_PIDFD, (id_t)p->pidfd, &(siginfo_t){ 0 }, WEXITED | __WALL) < 0 &&
	       errno == EINTR)
		;
	fd_close(&p->pidfd);
	fd_close(&p->in);
}

int confined_run(const struct confined *confined, void *buf, size_t size, size_t *ret_len,
		 struct cloche_err *err)
{
	struct peer peer = { .in = -1, .pidfd = -1 };
	int r = start(confined, buf, size, false, &peer, err);

	if (r < 0)
		return r;
	r = take_answer(&peer, buf, size, ret_len, err);
	end(&peer);
	return r;
}

/* Until it says no more. */
static int copy(const struct peer *p, FILE *to, struct cloche_err *err)
{
	char buf[1 << 16];

	for (;;) {
		int r = wait_for(p->in, p->until_ns);
		ssize_t n;

		if (r == 0)
			return took_too_long(p, "", p->confined->wall_s, err);
		n = r < 0 ? r : read(p->in, buf, sizeof(buf));
		if (n < 0)
			return cloche_err_sys(err, r < 0 ? -r : errno, "%s: hear of who reads it",
					      p->confined->what);
		if (n == 0)
			return 0;
		if (fwrite(buf, 1, (size_t)n, to) != (size_t)n)
			return cloche_err_sys(err, errno ? errno : EIO, "write");
	}
}

/* Whether it said all that it had to say. */
static int check_end(const struct peer *p, struct cloche_err *err)
{
	siginfo_t how = { 0 };

	if (wait_for(p->pidfd, p->until_ns) == 1 &&
	    waitid(P_PIDFD, (id_t)p->pidfd, &how, WEXITED | WNOWAIT | WNOHANG | __WALL) == 0 &&
	    how.si_code == CLD_EXITED && how.si_status == EXIT_SUCCESS)
		return 0;
	return no_answer(p, err);
}

int confined_copy(const struct confined *confined, FILE *(*open)(void *arg, struct cloche_err *err),
		  void *arg, struct cloche_err *err)
{
	struct peer peer = { .in = -1, .pidfd = -1 };
	size_t none = 0;
	FILE *to = NULL;
	int r = start(confined, NULL, 0, true, &peer, err);

	if (r < 0)
		return r;
	r = take_answer(&peer, NULL, 0, &none, err);
	if (r == 0 && !(to = open(arg, err)))
		r = -err->code;
	if (r == 0)
		r = copy(&peer, to, err);
	if (r == 0)
		r = check_end(&peer, err);
	end(&peer);
	return r;
}
