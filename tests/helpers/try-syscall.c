/* SPDX-License-Identifier: MIT */
/*
 * Makes one system call and says whether it reached the kernel or a filter answered it; for the
 * rows of policies/NAME.table, run for real.
 *
 *	try-syscall [x32:|i386:]NUMBER [ARG…]
 *
 * Arguments that are not given are pointers and descriptors that nothing can be done with, so a
 * call that reaches the kernel fails with EFAULT, EBADF, EINVAL or the like, and only a filter
 * says EPERM or ENOSYS. It prints one word on standard output: the name of the errno, "ok" when
 * the call succeeded, "signal N" when it was killed, "exit" when it ended the process, "blocked"
 * when it did not come back. The call is made in a child, so that none of this hurts.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define X32_BIT	   0x40000000L
#define BAD	   (-4097L) /* no address, no descriptor, no id, no known flag set */
#define BLOCKED_US 200000   /* until a call counts as blocked */

struct call {
	long nr, args[6];
	int i386;
};

/* int 0x80: the 32-bit gate, which a 64-bit process can use too. */
static long call_i386(const struct call *c)
{
#ifdef __x86_64__
	long rc = c->nr;

	__asm__ volatile("int $0x80"
			 : "+a"(rc)
			 : "b"(c->args[0]), "c"(c->args[1]), "d"(c->args[2]), "S"(c->args[3]),
			   "D"(c->args[4])
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)rc;
#else
	return -ENOSYS;
#endif
}

static long call_make(const struct call *c)
{
	long rc;

	if (c->i386)
		return call_i386(c);
	rc = syscall(c->nr, c->args[0], c->args[1], c->args[2], c->args[3], c->args[4], c->args[5]);
	return rc < 0 ? -errno : rc;
}

static int call_read(int argc, char **argv, struct call *c)
{
	const char *text = argv[1];
	char *end;

	c->i386 = strncmp(text, "i386:", 5) == 0;
	c->nr = strncmp(text, "x32:", 4) == 0 ? X32_BIT : 0;
	text += c->i386 ? 5 : c->nr ? 4 : 0;
	c->nr |= strtol(text, &end, 0);
	if (end == text || *end)
		return -1;
	for (int i = 0; i < 6; i++)
		c->args[i] = BAD;
	for (int i = 2; i < argc; i++) {
		c->args[i - 2] = (long)strtoull(argv[i], &end, 0);
		if (end == argv[i] || *end)
			return -1;
	}
	return 0;
}

/* The child's answer lies in memory that both see: a pipe would need further calls. */
struct answer {
	volatile int done;
	volatile long rc;
};

static int answer_print(const struct answer *a, int status)
{
	const char *name;

	if (!a->done && WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		return puts("blocked") < 0;
	if (!a->done && WIFSIGNALED(status))
		return printf("signal %d\n", WTERMSIG(status)) < 0;
	if (!a->done)
		return puts("exit") < 0;
	if (a->rc >= 0)
		return puts("ok") < 0;
	name = strerrorname_np((int)-a->rc);
	return (name ? puts(name) : printf("errno %ld\n", -a->rc)) < 0;
}

int main(int argc, char **argv)
{
	struct call c;
	struct answer *a;
	int status;
	pid_t pid;

	if (argc < 2 || argc > 8 || call_read(argc, argv, &c) < 0) {
		(void)fprintf(stderr, "usage: try-syscall [x32:|i386:]NUMBER [ARG...]\n");
		return 2;
	}
	a = mmap(NULL, sizeof(*a), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	/* Where fork is denied the call is made here: its death is then seen by who started us. */
	pid = a == MAP_FAILED ? -1 : fork();
	if (a == MAP_FAILED || (pid < 0 && errno != EPERM)) {
		perror("try-syscall");
		return 1;
	}
	if (pid <= 0) {
		(void)ualarm(BLOCKED_US, 0);
		a->rc = call_make(&c);
		a->done = 1;
		if (pid == 0)
			_exit(0);
		(void)ualarm(0, 0);
		return answer_print(a, 0);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 1;
	return answer_print(a, status);
}
