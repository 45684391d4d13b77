/* SPDX-License-Identifier: MIT */
/* Other processes by ptrace(2): see captive.h. */
#include "tests/lib/captive.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define SYSCALL_BYTES 2
#define RED_ZONE      4096

void captive_let_go(const struct captive *c)
{
	cr_assert_eq(ptrace(PTRACE_SETREGS, c->pid, 0, &c->as_it_was), 0, "%m");
	cr_assert_eq(ptrace(PTRACE_DETACH, c->pid, 0, 0), 0, "%m");
}

unsigned long captive_put_text(const struct captive *c, const char *text)
{
	unsigned long at = (c->as_it_was.rsp - RED_ZONE) & ~7UL, word;

	for (size_t i = 0; i <= strlen(text); i += sizeof(word)) {
		word = 0;
		memcpy(&word, text + i,
		       strlen(text + i) < sizeof(word) ? strlen(text + i) : sizeof(word));
		cr_assert_eq(ptrace(PTRACE_POKEDATA, c->pid, at + i, word), 0, "%m");
	}
	return at;
}

#define AT_CALL (SIGTRAP | 0x80) /* PTRACE_O_TRACESYSGOOD */

/* Of a call, or a filter's. Signals of its own (a tick, base/tick.h) are stops, too, and are none
 * of ours: it does without them. Nothing may wait here meanwhile, or one is always there again
 * before it gets any further. */
static int go_to_stop(const struct captive *c)
{
	int status;

	do {
		cr_assert_eq(ptrace(PTRACE_SYSCALL, c->pid, 0, 0), 0, "%m");
		cr_assert_eq(waitpid(c->pid, &status, __WALL), c->pid);
	} while (WIFSTOPPED(status) && WSTOPSIG(status) != AT_CALL && WSTOPSIG(status) != SIGSYS);
	return status;
}

/* Not before it has come to the stop that was asked for. */
static void interrupt(struct captive *c, bool stands)
{
	int status;

	cr_assert_eq(ptrace(PTRACE_INTERRUPT, c->pid, 0, 0), 0, "%m");
	cr_assert(!stands || ptrace(PTRACE_CONT, c->pid, 0, 0) == 0, "%m");
	for (;;) {
		cr_assert_eq(waitpid(c->pid, &status, __WALL), c->pid);
		cr_assert(WIFSTOPPED(status), "it has ended: %x", (unsigned)status);
		if (status >> 16 == PTRACE_EVENT_STOP)
			break;
		cr_assert_eq(ptrace(PTRACE_CONT, c->pid, 0, WSTOPSIG(status)), 0, "%m");
	}
	cr_assert_eq(ptrace(PTRACE_GETREGS, c->pid, 0, &c->as_it_was), 0, "%m");
}

void captive_take(struct captive *ret, pid_t pid)
{
	ret->pid = pid;
	cr_assert_eq(ptrace(PTRACE_SEIZE, ret->pid, 0, PTRACE_O_TRACESYSGOOD), 0, "%m");
	interrupt(ret, false);
	/* In a call: the instruction before is what it called by. Else it computes, and goes on to
	 * the next one; behind rt_sigreturn(2) (it was in a handler) it computes again. */
	while ((long long)ret->as_it_was.orig_rax < 0) {
		cr_assert(WIFSTOPPED(go_to_stop(ret)), "it has ended");
		interrupt(ret, true);
	}
}

bool captive_call(const struct captive *c, long nr, const unsigned long args[4], long *ret)
{
	struct user_regs_struct r = c->as_it_was;
	int status;

	r.rip -= SYSCALL_BYTES;
	r.rax = (unsigned long)nr;
	r.orig_rax = ~0ULL;
	r.rdi = args[0];
	r.rsi = args[1];
	r.rdx = args[2];
	r.r10 = args[3];
	r.r8 = r.r9 = 0;
	cr_assert_eq(ptrace(PTRACE_SETREGS, c->pid, 0, &r), 0, "%m");
	status = go_to_stop(c);
	if (WIFSTOPPED(status))
		status = go_to_stop(c);
	cr_assert(WIFSTOPPED(status), "%x", (unsigned)status);
	cr_assert_eq(ptrace(PTRACE_GETREGS, c->pid, 0, &r), 0, "%m");
	*ret = (long)r.rax;
	/* A call that the filter kills for is taken back (its number stands there again), and the
	 * signal comes when it goes on; else it comes to a call of its own. */
	if (*ret != nr)
		return true;
	status = go_to_stop(c);
	if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGSYS) {
		cr_assert_eq(ptrace(PTRACE_CONT, c->pid, 0, SIGSYS), 0, "%m");
		cr_assert_eq(waitpid(c->pid, &status, __WALL), c->pid);
	}
	if (!WIFSIGNALED(status))
		return true;
	*ret = WTERMSIG(status);
	return false;
}

long captive_next(const struct captive *c)
{
	struct user_regs_struct r;

	do {
		cr_assert(WIFSTOPPED(go_to_stop(c)), "it has ended");
		cr_assert_eq(ptrace(PTRACE_GETREGS, c->pid, 0, &r), 0, "%m");
		/* At the beginning of a call that is what it returns so far. */
	} while ((long)r.rax != -ENOSYS || (long)r.orig_rax < 0);
	return (long)r.orig_rax;
}
