/* SPDX-License-Identifier: MIT */
/*
 * What a confined process may not, tried by jobs that are what a parser would be that somebody has
 * taken over. Each says in its answer what it got; none may hold up or harm who waits for it.
 */
#include "host/confined.h"

#include "base/err.h"
#include "base/fd.h"
#include "host/slot.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1ULL << 20)

static struct confined job_of(int (*job)(void *, void *, size_t, size_t *, struct cloche_err *),
			      void *arg)
{
	return (struct confined){ .what = "the job",
				  .fd = -1,
				  .job = job,
				  .arg = arg,
				  .mem_bytes = 64 * MIB,
				  .cpu_s = 1,
				  .wall_s = 20 };
}

static int answer(void *buf, size_t size, size_t *len, const char *text)
{
	*len = strlen(text);
	if (*len > size)
		return -EMSGSIZE;
	memcpy(buf, text, *len);
	return 0;
}

/* ---- what it is for ------------------------------------------------------------------------- */

static int echo(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	return answer(buf, size, len, arg);
}

Test(confined, the_answer_is_the_callers)
{
	struct confined c = job_of(echo, (void *)"hello");
	char buf[8] = "........";
	struct cloche_err err = { 0 };
	size_t len = 0;

	cr_assert_eq(confined_run(&c, buf, sizeof(buf), &len, &err), 0, "%s", err.text);
	cr_expect_eq(len, 5);
	cr_expect_eq(memcmp(buf, "hello...", 8), 0);
	c.arg = (void *)"";
	cr_assert_eq(confined_run(&c, buf, sizeof(buf), &len, &err), 0, "%s", err.text);
	cr_expect_eq(len, 0);
}

static int fill(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	memset(buf, 'x', size);
	*len = size;
	return 0;
}

/* More than a pipe holds. */
Test(confined, a_long_answer_comes_whole)
{
	static char buf[3 << 20];
	struct confined c = job_of(fill, NULL);
	struct cloche_err err = { 0 };
	size_t len = 0;

	cr_assert_eq(confined_run(&c, buf, sizeof(buf), &len, &err), 0, "%s", err.text);
	cr_expect_eq(len, sizeof(buf));
	cr_expect(buf[0] == 'x' && !memcmp(buf, buf + 1, sizeof(buf) - 1));
}

static int read_file(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	ssize_t n = pread(*(int *)arg, buf, size, 0);

	*len = n < 0 ? 0 : (size_t)n;
	return n < 0 ? -errno : 0;
}

Test(confined, its_file_can_be_read)
{
	cleanup_fd int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct confined c = job_of(read_file, &fd);
	struct cloche_err err = { 0 };
	char buf[4];
	size_t len = 0;

	c.fd = fd;
	cr_assert_eq(confined_run(&c, buf, sizeof(buf), &len, &err), 0, "%s", err.text);
	cr_expect_eq(memcmp(buf, "\177ELF", 4), 0);
	/* Another is not open there. */
	c.fd = -1;
	cr_expect_eq(confined_run(&c, buf, sizeof(buf), &len, &err), -EBADF, "%s", err.text);
}

static int fail(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	return cloche_err_set(err, EDOM, "%s", "line 3: \033[31mno number");
}

static int fail_without_words(void *arg, void *buf, size_t size, size_t *len,
			      struct cloche_err *err)
{
	return -ERANGE;
}

Test(confined, its_error_is_the_callers)
{
	struct confined c = job_of(fail, NULL);
	struct cloche_err err = { 0 };
	char buf[8];
	size_t len = 77;

	cr_expect_eq(confined_run(&c, buf, sizeof(buf), &len, &err), -EDOM);
	cr_expect_eq(len, 77);
	cr_expect_eq(err.code, EDOM);
	cr_expect_str_eq(err.text, "line 3: ?[31mno number");
	c = job_of(fail_without_words, NULL);
	cr_expect_eq(confined_run(&c, buf, sizeof(buf), &len, &err), -ERANGE);
	cr_expect(strstr(err.text, "the job: "), "%s", err.text);
}

/* ---- what it says at length ------------------------------------------------------------------ */

static int nothing_wrong(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	*len = 0;
	return 0;
}

/* More than any buffer holds; 0: it dies in the midst of it. */
static int say_lines(void *arg, FILE *to)
{
	unsigned n = *(unsigned *)arg;

	for (unsigned i = 0; i < (n ? n : 99999); i++)
		(void)fprintf(to, "line %u\n", i);
	if (!n)
		__builtin_trap();
	return n == 7 ? -EIO : 0;
}

static struct confined sayer(unsigned *n)
{
	struct confined c = job_of(nothing_wrong, n);

	c.say = say_lines;
	return c;
}

static FILE *give(void *arg, struct cloche_err *err)
{
	return arg;
}

static FILE *refuse(void *arg, struct cloche_err *err)
{
	(void)cloche_err_set(err, EISDIR, "no place");
	return NULL;
}

Test(confined, what_it_says_is_copied)
{
	cleanup_free char *text = NULL;
	unsigned n = 200000, lines = 0;
	struct confined c = sayer(&n);
	struct cloche_err err = { 0 };
	size_t len;
	FILE *f = open_memstream(&text, &len);

	c.wall_s = 0;
	cr_assert_eq(confined_copy(&c, give, f, &err), 0, "%s", err.text);
	cr_assert_eq(fclose(f), 0);
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	cr_expect_eq(lines, n);
	cr_expect_eq(memcmp(text + len - 12, "line 199999\n", 12), 0);
}

/* Half of it is not taken for all of it. */
Test(confined, what_breaks_off_is_an_error)
{
	static const unsigned how[] = { 0, 7 }; /* killed; it says that it could not */

	for (size_t i = 0; i < 2; i++) {
		cleanup_free char *text = NULL;
		unsigned n = how[i];
		struct confined c = sayer(&n);
		struct cloche_err err = { 0 };
		size_t len;
		FILE *f = open_memstream(&text, &len);

		cr_expect_eq(confined_copy(&c, give, f, &err), -EBADMSG, "%u: %s", n, err.text);
		cr_assert_eq(fclose(f), 0);
	}
}

/* Its job's error comes before anything is opened; and what cannot be opened gets nothing. */
Test(confined, nothing_is_opened_for_a_failure)
{
	unsigned n = 1;
	struct confined c = sayer(&n);
	struct cloche_err err = { 0 };
	FILE *full = fopen("/dev/full", "we");

	c.job = fail;
	cr_expect_eq(confined_copy(&c, refuse, NULL, &err), -EDOM, "%s", err.text);
	c.job = nothing_wrong;
	cr_expect_eq(confined_copy(&c, refuse, NULL, &err), -EISDIR, "%s", err.text);
	n = 200000;
	cr_expect_eq(confined_copy(&c, give, full, &err), -ENOSPC, "%s", err.text);
	(void)fclose(full);
}

static int read_third(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	const int *fds = arg;

	for (int i = 0; i < 3; i++)
		if (read(fds[i], &(char){ 0 }, 1) != 1)
			return -EBADF;
	return read(fds[3], &(char){ 0 }, 1) == -1 ? 0 : -EEXIST;
}

/* Whatever their order; and no other. */
Test(confined, all_its_files_can_be_read)
{
	int fds[4];
	struct confined c = job_of(read_third, fds);
	struct cloche_err err = { 0 };
	size_t len = 0;

	for (int i = 3; i >= 0; i--)
		fds[i] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	c.fd = fds[1];
	c.fds = (int[]){ fds[0], fds[2] };
	c.n_fds = 2;
	cr_expect_eq(confined_run(&c, NULL, 0, &len, &err), 0, "%s", err.text);
}

/* ---- what it may not ------------------------------------------------------------------------ */

/* Each is tried in the child; what it gets goes into the answer, nothing when it gets nothing. */
struct tried {
	const char *what;
	int got; /* what the call returned, or -errno */
};

static struct tried tries[64];
static size_t n_tries;
static void *shared;

static void note(struct tried *t, size_t *n, const char *what, long got)
{
	t[(*n)++] = (struct tried){ what, got < 0 ? -errno : (int)got };
}
#define TRY(what, call) note(t, &n, what, (long)(call))

static int try_all(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	struct tried *t = buf;
	struct stat st;
	size_t n = 0;
	int zero = 0;

	TRY("open", open("/etc/passwd", O_RDONLY));
	TRY("open its own memory", open("/proc/self/mem", O_RDWR));
	TRY("make a file", syscall(SYS_creat, "/tmp/cloche-confined", 0600));
	TRY("openat2", syscall(SYS_openat2, AT_FDCWD, "/", &(long[3]){ 0 }, 24));
	TRY("stat", stat("/etc/passwd", &st));
	TRY("readlink", readlink("/proc/self/exe", (char[9]){ 0 }, 9));
	TRY("unlink", unlink("/tmp/cloche-confined"));
	TRY("chdir", chdir("/"));
	TRY("socket", socket(AF_UNIX, SOCK_STREAM, 0));
	TRY("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){ 0 }));
	TRY("pipe", pipe((int[2]){ 0 }));
	TRY("fork", syscall(SYS_fork));
	TRY("vfork", syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0));
	TRY("clone3", syscall(SYS_clone3, &(long[11]){ 0 }, 88));
	TRY("exec", syscall(SYS_execve, "/bin/true", NULL, NULL));
	TRY("kill the caller", kill(getppid(), 0));
	TRY("kill all", kill(-1, 0));
	TRY("tgkill", syscall(SYS_tgkill, getppid(), getppid(), 0));
	TRY("ptrace", syscall(SYS_ptrace, 16, 1, 0, 0));
	TRY("read the caller", syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0));
	TRY("unshare", unshare(CLONE_NEWUSER));
	TRY("bpf", syscall(SYS_bpf, 0, NULL, 0));
	TRY("keyctl", syscall(SYS_keyctl, 0, -3, 0, 0, 0));
	TRY("io_uring", syscall(SYS_io_uring_setup, 1, NULL));
	TRY("seccomp", syscall(SYS_seccomp, 2, 0, &zero));
	TRY("prctl", prctl(PR_SET_DUMPABLE, 1));
	TRY("setuid", syscall(SYS_setuid, 0));
	TRY("limits", prlimit(0, RLIMIT_CPU, NULL, NULL));
	TRY("ioctl", syscall(SYS_ioctl, 0, 0x5413, 0));
	TRY("dup", dup(0));
	TRY("sendmsg", syscall(SYS_sendmsg, 0, NULL, 0));
	TRY("executable memory",
	    (long)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == -1
		    ? -1
		    : 0);
	TRY("memory made executable",
	    mprotect((void *)((uintptr_t)&st & ~4095UL), 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
	*len = n * sizeof(*t);
	return 0;
}

Test(confined, nothing_else_is_let_through)
{
	struct confined c = job_of(try_all, NULL);
	struct cloche_err err = { 0 };
	size_t len = 0;

	cr_assert_eq(confined_run(&c, tries, sizeof(tries), &len, &err), 0, "%s", err.text);
	n_tries = len / sizeof(tries[0]);
	cr_assert_gt(n_tries, 30);
	for (size_t i = 0; i < n_tries; i++)
		cr_expect_eq(tries[i].got, -EPERM, "%s: %d", tries[i].what, tries[i].got);
}

static int touch_shared(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	*(volatile char *)shared = 'y';
	return answer(buf, size, len, "written");
}

/* What the caller shares with others, maps of the kernel's among it, is not the child's to write.
 */
Test(confined, shared_memory_is_not_there)
{
	struct confined c = job_of(touch_shared, NULL);
	struct cloche_err err = { 0 };
	char buf[16];
	size_t len = 0;

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(shared, MAP_FAILED);
	*(char *)shared = 'x';
	cr_expect_eq(confined_run(&c, buf, sizeof(buf), &len, &err), -EBADMSG, "%s", err.text);
	cr_expect_eq(*(char *)shared, 'x');
}

static char status[8192]; /* /proc/PID/status of a child */

static int hold(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	for (;;)
		(void)syscall(SYS_futex, &(int){ 0 }, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	return 0;
}

static const char *line_of(const char *key)
{
	const char *at = strstr(status, key);

	cr_assert_not_null(at, "%s", key);
	return at + strlen(key);
}

static void expect_line(const char *key, const char *want)
{
	const char *line = line_of(key);

	cr_expect(strncmp(line, want, strlen(want)) == 0 && line[strlen(want)] == '\n',
		  "%s is %.*s, not %s", key, (int)strcspn(line, "\n"), line, want);
}

/* Another process looks at it while it waits. */
static pid_t watch(int out)
{
	pid_t me = getpid(), pid = fork();

	if (pid != 0)
		return pid;
	for (;;) {
		char path[64], text[sizeof(status)] = "";
		cleanup_file FILE *children = NULL;
		int child = 0;

		(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", me, me);
		children = fopen(path, "re");
		while (children && fscanf(children, "%d", &child) == 1 && child == getpid())
			child = 0;
		(void)snprintf(path, sizeof(path), "/proc/%d/status", child);
		if (child) {
			cleanup_file FILE *f = fopen(path, "re");
			size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

			/* Confined when the filter is there. */
			if (n > 0 && strstr(text, "Seccomp:\t2\n")) {
				(void)!write(out, text, n);
				(void)kill(child, SIGKILL);
				_exit(0);
			}
		}
		(void)sched_yield();
	}
}

Test(confined, it_is_nobody)
{
	struct confined c = job_of(hold, NULL);
	struct cloche_err err = { 0 };
	char buf[16], ids[64];
	int pair[2];
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	cr_assert_eq(pipe2(pair, O_CLOEXEC), 0);
	pid = watch(pair[1]);
	cr_assert_gt(pid, 0);
	cr_expect_lt(confined_run(&c, buf, sizeof(buf), &len, &err), 0);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	n = read(pair[0], status, sizeof(status) - 1);
	cr_assert_gt(n, 0);
	status[n] = '\0';
	if (geteuid() == 0) {
		(void)snprintf(ids, sizeof(ids), "%u\t%u\t%u\t%u", SLOT_UID_NONE, SLOT_UID_NONE,
			       SLOT_UID_NONE, SLOT_UID_NONE);
		expect_line("\nUid:\t", ids);
		expect_line("\nGid:\t", ids);
		expect_line("\nGroups:\t", " ");
		expect_line("\nCapBnd:\t", "0000000000000000");
	}
	expect_line("\nCapInh:\t", "0000000000000000");
	expect_line("\nCapPrm:\t", "0000000000000000");
	expect_line("\nCapEff:\t", "0000000000000000");
	expect_line("\nCapAmb:\t", "0000000000000000");
	expect_line("\nNoNewPrivs:\t", "1");
	(void)close(pair[0]);
	(void)close(pair[1]);
}

/* ---- what it may not take ------------------------------------------------------------------- */

static int loop(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	for (volatile unsigned i = 0;; i++)
		;
	return 0;
}

Test(confined, who_computes_for_ever_is_killed)
{
	struct confined c = job_of(loop, NULL);
	struct cloche_err err = { 0 };
	char buf[16];
	size_t len = 0;

	c.wall_s = 600;
	cr_expect_eq(confined_run(&c, buf, sizeof(buf), &len, &err), -ETIMEDOUT);
	cr_expect_str_eq(err.text, "the job: reading it took more than 1 s of CPU time");
}

Test(confined, who_waits_for_ever_is_killed)
{
	struct confined c = job_of(hold, NULL);
	struct cloche_err err = { 0 };
	char buf[16];
	size_t len = 0;

	c.wall_s = 1;
	cr_expect_eq(confined_run(&c, buf, sizeof(buf), &len, &err), -ETIMEDOUT);
	cr_expect_str_eq(err.text, "the job: reading it took more than 1 s");
}

#ifndef __SANITIZE_ADDRESS__ /* which has no bound of addresses */
static int allocate(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	size_t got = 0;
	char text[32];

	while (got < 10 * 1024 * MIB && malloc(MIB))
		got += MIB;
	if (malloc((size_t)(10 * 1024 * MIB)) ||
	    mmap(NULL, 10 * 1024 * MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		 0) != MAP_FAILED)
		got += 10 * 1024 * MIB;
	(void)snprintf(text, sizeof(text), "%zu", (size_t)(got / MIB));
	return answer(buf, size, len, text);
}

Test(confined, memory_has_an_end)
{
	struct confined c = job_of(allocate, NULL);
	struct cloche_err err = { 0 };
	char buf[32] = "";
	size_t len = 0;
	long mib;

	cr_assert_eq(confined_run(&c, buf, sizeof(buf) - 1, &len, &err), 0, "%s", err.text);
	mib = strtol(buf, NULL, 10);
	cr_expect(mib > 32 && mib <= 64, "%ld MiB", mib);
}
#endif

static int fill_files(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	static char mib[MIB];
	size_t got = 0;
	char text[32];

	for (int fd; (fd = memfd_create("x", 0)) >= 0;)
		for (ssize_t n; (n = write(fd, mib, sizeof(mib))) > 0;)
			got += (size_t)n;
	(void)snprintf(text, sizeof(text), "%zu", (size_t)(got / MIB));
	return answer(buf, size, len, text);
}

Test(confined, files_have_an_end)
{
	struct confined c = job_of(fill_files, NULL);
	struct cloche_err err = { 0 };
	char buf[32] = "";
	size_t len = 0;

	cr_assert_eq(confined_run(&c, buf, sizeof(buf) - 1, &len, &err), 0, "%s", err.text);
	cr_expect_leq(strtol(buf, NULL, 10), 8, "%s MiB", buf);
}

/* ---- what it may say ------------------------------------------------------------------------ */

/* The one descriptor that writes. */
static int find_pipe(void)
{
	int fd = 0;

	while (fd < 1024 && write(fd, "", 0) != 0)
		fd++;
	return fd;
}

struct lie {
	struct cloche_err err;
	uint64_t len;
};

static int tell(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	(void)!write(find_pipe(), arg, sizeof(struct lie));
	_exit(0);
}

static int tell_without_end(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	static const char much[65536];

	(void)!write(find_pipe(), arg, sizeof(struct lie));
	while (write(find_pipe(), much, sizeof(much)) > 0)
		;
	return 0;
}

static int expect_lie(struct lie lie,
		      int (*job)(void *, void *, size_t, size_t *, struct cloche_err *),
		      struct cloche_err *ret)
{
	struct confined c = job_of(job, &lie);
	char buf[64 + 1] = "";
	size_t len = 0;
	int r = confined_run(&c, buf, sizeof(buf) - 1, &len, ret);

	cr_expect_eq(buf[64], '\0');
	cr_expect_leq(len, 64);
	return r;
}

Test(confined, what_is_no_answer_is_refused)
{
	struct cloche_err err = { 0 };
	struct lie lie = { .len = 65 };

	cr_expect_eq(expect_lie(lie, tell, &err), -EBADMSG, "%s", err.text);
	cr_expect_eq(expect_lie(lie, tell_without_end, &err), -EBADMSG, "%s", err.text);
	lie.len = UINT64_MAX;
	cr_expect_eq(expect_lie(lie, tell_without_end, &err), -EBADMSG, "%s", err.text);
	/* Less than it said. */
	lie.len = 64;
	cr_expect_eq(expect_lie(lie, tell, &err), -EBADMSG, "%s", err.text);
	/* More than it said: of that nothing is taken. */
	cr_expect_eq(expect_lie(lie, tell_without_end, &err), 0, "%s", err.text);
	lie = (struct lie){ .err.code = -1 };
	cr_expect_eq(expect_lie(lie, tell, &err), -EBADMSG, "%s", err.text);
	lie.err.code = 1 << 20;
	cr_expect_eq(expect_lie(lie, tell, &err), -EBADMSG, "%s", err.text);
	/* An error without an end, and of anything. */
	lie.err.code = EDOM;
	memset(lie.err.text, 0x1b, sizeof(lie.err.text));
	memset(lie.err.stage, 0x1b, sizeof(lie.err.stage));
	cr_expect_eq(expect_lie(lie, tell, &err), -EDOM);
	cr_expect_eq(strlen(err.text), sizeof(err.text) - 1);
	cr_expect_eq(strspn(err.text, "?"), strlen(err.text));
	cr_expect_str_eq(err.stage, "");
}

static int end(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	_exit(0);
}

static int crash(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	__asm__ volatile("ud2");
	return 0;
}

static int close_and_hold(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	(void)close(find_pipe());
	return hold(arg, buf, size, len, err);
}

Test(confined, who_does_not_answer_is_told_of)
{
	struct confined c = job_of(end, NULL);
	struct cloche_err err = { 0 };
	char buf[16];
	size_t len = 0;

	cr_expect_eq(confined_run(&c, buf, sizeof(buf), &len, &err), -EBADMSG);
	cr_expect_str_eq(err.text, "the job: who reads it ended without an answer");
	c.job = crash;
	cr_expect_eq(confined_run(&c, buf, sizeof(buf), &len, &err), -EBADMSG);
	cr_expect_str_eq(err.text, "the job: who reads it was killed by SIGILL");
	c.job = close_and_hold;
	c.wall_s = 1;
	cr_expect_eq(confined_run(&c, buf, sizeof(buf), &len, &err), -ETIMEDOUT, "%s", err.text);
	/* None of them is left. */
	cr_expect_eq(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	cr_expect_eq(errno, ECHILD);
}
