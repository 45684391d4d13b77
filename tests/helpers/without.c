/* SPDX-License-Identifier: MIT */
/*
 * Runs a program on a kernel that seems to lack something.
 *
 *	without FEATURE[,FEATURE...] -- PROGRAM [ARG...]
 *	without --list
 *
 * A system call that tells by its number or a plain argument is answered by a seccomp filter, which
 * all children inherit. What hides behind a pointer (the flags of clone3, the name of a file) is
 * for a tracer: the filter stops those calls, the tracer reads the memory and lets the call pass or
 * answers it. A listener (seccomp_unotify(2)) would do as well, but there can be only one, and the
 * program under test has its own.
 *
 * The program keeps this process, its parent and its streams: the tracer is an orphan of another
 * session that ends with the last process that it traces. Between its look at the memory and the
 * kernel's another thread could change it; nothing here defends against the program.
 */
#include "../lib/features.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHOSEN_MAX 64
#define INSNS_MAX  (CHOSEN_MAX * 5 + 8)

struct chosen {
	const struct cut *cuts[CHOSEN_MAX];
	size_t n;
	bool traced; /* one of them needs the tracer */
};

static _Noreturn void fail(const char *what)
{
	(void)fprintf(stderr, "without: %s: %s\n", what, strerror(errno));
	exit(125);
}

/* ---- which ---- */

static bool needs_tracer(const struct cut *c)
{
	return c->how == CUT_BITS_AT || c->how == CUT_NAME;
}

static void choose(struct chosen *ch, const char *name)
{
	for (size_t i = 0; i < N_FEATURES; i++) {
		if (strcmp(features[i].name, name) != 0)
			continue;
		for (size_t k = 0; k < CUTS_MAX && features[i].cuts[k].how; k++) {
			if (ch->n == CHOSEN_MAX) {
				errno = E2BIG;
				fail(name);
			}
			ch->cuts[ch->n++] = &features[i].cuts[k];
			ch->traced |= needs_tracer(&features[i].cuts[k]);
		}
		return;
	}
	(void)fprintf(stderr, "without: unknown feature '%s'; 'without --list' has them\n", name);
	exit(125);
}

/* ---- the filter ---- */

#define LOAD(field)          \
	(struct sock_filter) \
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define JUMP(op, k, yes, no) (struct sock_filter) BPF_JUMP(BPF_JMP | (op) | BPF_K, k, yes, no)
#define RETURN(k)	     (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, k)

static size_t filter_make(const struct chosen *ch, struct sock_filter f[static INSNS_MAX])
{
	size_t n = 0;

	f[n++] = LOAD(arch);
	f[n++] = JUMP(BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0);
	f[n++] = RETURN(SECCOMP_RET_ALLOW);
	for (size_t i = 0; i < ch->n; i++) {
		const struct cut *c = ch->cuts[i];
		bool bits = c->how == CUT_BITS || c->how == CUT_EQUAL;

		f[n++] = LOAD(nr);
		f[n++] = JUMP(BPF_JEQ, (unsigned)c->nr, 0, bits ? 3 : 1);
		if (bits) { /* the low half: no flag of these calls is above it */
			f[n++] = LOAD(args[c->arg]);
			f[n++] = JUMP(c->how == CUT_EQUAL ? BPF_JEQ : BPF_JSET, (unsigned)c->bits,
				      0, 1);
		}
		f[n++] = RETURN(needs_tracer(c) ? SECCOMP_RET_TRACE
						: SECCOMP_RET_ERRNO | (unsigned)c->error);
	}
	f[n++] = RETURN(SECCOMP_RET_ALLOW);
	return n;
}

static void filter_load(const struct chosen *ch)
{
	struct sock_filter f[INSNS_MAX];
	struct sock_fprog prog = { .len = (unsigned short)filter_make(ch, f), .filter = f };

	/* Without no_new_privs where that may be: setuid programs shall be what they are. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == 0)
		return;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
		fail("load the filter");
}

/* ---- the tracer ---- */

static bool peek(pid_t pid, uint64_t at, void *buf, size_t len)
{
	struct iovec here = { buf, len }, there = { (void *)at, len };

	return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)len;
}

/* To its end, byte by byte: what lies behind it may not be mapped. */
static bool name_is(pid_t pid, uint64_t at, const char *want)
{
	char text[4096];
	size_t n = 0;
	const char *last;

	while (n < sizeof(text) && peek(pid, at + n, &text[n], 1) && text[n])
		n++;
	if (n == sizeof(text) || n == 0)
		return false;
	text[n] = '\0';
	last = strrchr(text, '/');
	return strcmp(last ? last + 1 : text, want) == 0;
}

static bool is_cut(pid_t pid, const struct cut *c, const struct user_regs_struct *r)
{
	const uint64_t args[] = { r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9 };
	uint64_t word;

	if ((long)r->orig_rax != c->nr)
		return false;
	switch (c->how) {
	case CUT_CALL:
		return true;
	case CUT_BITS:
		return args[c->arg] & c->bits;
	case CUT_EQUAL:
		return args[c->arg] == c->bits;
	case CUT_BITS_AT:
		return peek(pid, args[c->arg] + c->offset, &word, sizeof(word)) && (word & c->bits);
	case CUT_NAME:
		return name_is(pid, args[c->arg], c->name);
	}
	return false;
}

static void answer(pid_t pid, const struct chosen *ch)
{
	struct user_regs_struct r;

	if (ptrace(PTRACE_GETREGS, pid, 0, &r) < 0)
		return; /* it was killed meanwhile */
	for (size_t i = 0; i < ch->n; i++)
		if (is_cut(pid, ch->cuts[i], &r)) {
			r.orig_rax = (unsigned long long)-1;
			r.rax = (unsigned long long)-ch->cuts[i]->error;
			(void)ptrace(PTRACE_SETREGS, pid, 0, &r);
			return;
		}
}

static _Noreturn void trace(const struct chosen *ch)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		int event = status >> 16, sig = WSTOPSIG(status);

		if (pid < 0 || !WIFSTOPPED(status))
			continue;
		if (event == PTRACE_EVENT_SECCOMP)
			answer(pid, ch);
		if (event == PTRACE_EVENT_STOP && sig != SIGTRAP)
			(void)ptrace(PTRACE_LISTEN, pid, 0, 0); /* stopped by a signal: so be it */
		else
			(void)ptrace(PTRACE_CONT, pid, 0, event ? 0 : sig);
	}
	_exit(0);
}

/* In the tracer, an orphan: nobody but the traced shall wait for it or hold a stream for it. */
static _Noreturn void tracer_main(const struct chosen *ch, pid_t traced, int ready)
{
	const long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			     PTRACE_O_TRACECLONE;
	int code = 0, null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)setsid();
	for (int fd = 0; fd < 3; fd++)
		(void)dup2(null, fd);
	if (ptrace(PTRACE_SEIZE, traced, 0, options) < 0)
		code = errno;
	if (write(ready, &code, sizeof(code)) != sizeof(code))
		_exit(1);
	for (int fd = 3; fd < 1024; fd++)
		(void)close(fd);
	if (code)
		_exit(1);
	trace(ch);
}

static void tracer_start(const struct chosen *ch)
{
	pid_t self = getpid(), pid;
	int p[2], code = EPIPE;

	(void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	if (pipe2(p, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		fail("start the tracer");
	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			tracer_main(ch, self, p[1]);
		_exit(pid < 0);
	}
	(void)close(p[1]);
	(void)waitpid(pid, NULL, 0);
	if (read(p[0], &code, sizeof(code)) < 0)
		code = errno;
	(void)close(p[0]);
	errno = code;
	if (code)
		fail("trace this process");
}

static void list(void)
{
	static const char *const kinds[] = { [FEATURE_NEEDED] = "refused",
					     [FEATURE_DEGRADES] = "degraded",
					     [FEATURE_SPARE] = "works" };

	for (size_t i = 0; i < N_FEATURES; i++)
		(void)printf("%-22s %-8s %s\n", features[i].name, kinds[features[i].kind],
			     features[i].what ? features[i].what : "");
}

int main(int argc, char **argv)
{
	struct chosen ch = { .n = 0 };

	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		list();
		return 0;
	}
	if (argc < 4 || strcmp(argv[2], "--") != 0) {
		(void)fprintf(stderr, "usage: without FEATURE[,FEATURE...] -- PROGRAM [ARG...]\n");
		return 125;
	}
	for (char *name; (name = strsep(&argv[1], ","));)
		choose(&ch, name);
	if (ch.traced)
		tracer_start(&ch);
	filter_load(&ch);
	(void)execvp(argv[3], argv + 3);
	fail(argv[3]);
}
