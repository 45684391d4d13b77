/* SPDX-License-Identifier: MIT */
/*
 * What a function of 64 MB can take of the host's memory in all, whatever it makes: objects.md
 * names every kind of kernel object that the shipped policies let it make. For each, as many as the
 * kernel gives are made; then what the host lacks is measured, beside what the context is charged;
 * then all of them are let go of at once, and the kernel has to serve on and to have its memory
 * back.
 *
 * This is meant to hurt the kernel, and has stopped one: it runs in virtual machines only, and only
 * in those whose command line says so (vm-images/machine.sh).
 *
 * How exact. Free memory is read with the pages that CPUs keep for themselves, all caches dropped,
 * when it stands still. What a context costs by itself (its namespaces, pid 1, the supervisor: 1.6
 * MB beside what it is charged) is measured with three that make nothing, and taken off. What is
 * left moves by up to 2.5 MB between two runs that make the same: NOISE allows for that.
 */
#include "base/fd.h"
#include "base/process.h"
#include "tests/lib/env.h"
#include "tests/lib/throwaway.h"
#include "tests/lib/turn.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TABLE	   "tests/escape/guest/objects.md"
#define LIMIT	   (64L << 20)
#define NOISE	   (3L << 20)
#define LEFT	   (LIMIT / 10)
#define ROWS_MAX   128
#define ANSWER_MS  60000
#define STATE	   "/tmp/hoard.state" /* of this program's tests, one after the other */
#define SETTLE_MAX 40

/* ---- the table ---- */

struct row {
	char name[32], most[16], processes[8], options[40];
	bool sum_only; /* a star: the tenth is known not to hold by itself */
};

static struct row rows[ROWS_MAX];

/* "| name | call | charged | bounded by | most | processes | options | 6.1 | 6.12 |" */
static bool row_read(char *line, struct row *ret)
{
	char *field[10];
	int n = 0;

	if (line[0] != '|' || line[2] != '`')
		return false;
	ret->sum_only = strstr(line, "` \\*");
	for (char *f; n < 10 && (f = strsep(&line, "|"));) {
		f += strspn(f, " `");
		f[strcspn(f, "`\n")] = '\0';
		for (size_t len = strlen(f); len && f[len - 1] == ' ';)
			f[--len] = '\0';
		field[n++] = f;
	}
	cr_assert_eq(n, 10, TABLE ": a row of %d fields", n);
	(void)snprintf(ret->name, sizeof(ret->name), "%s", field[1]);
	(void)snprintf(ret->most, sizeof(ret->most), "%s", field[5]);
	(void)snprintf(ret->processes, sizeof(ret->processes), "%s", field[6]);
	(void)snprintf(ret->options, sizeof(ret->options), "%s", field[7]);
	return true;
}

static size_t rows_read(void)
{
	cleanup_file FILE *f = fopen(TABLE, "re");
	char line[1024];
	size_t n = 0;

	cr_assert(f, "open '" TABLE "': %s", strerror(errno));
	while (n < ROWS_MAX && fgets(line, sizeof(line), f))
		n += row_read(line, &rows[n]);
	return n;
}

/* ---- the host ---- */

static long sum_lines(const char *path, const char *key)
{
	cleanup_file FILE *f = fopen(path, "re");
	char line[256], *at;
	long sum = 0;

	while (f && fgets(line, sizeof(line), f)) {
		at = line + strspn(line, " ");
		if (strncmp(at, key, strlen(key)) == 0)
			sum += strtol(at + strlen(key), NULL, 10);
	}
	return sum;
}

static long free_now(void)
{
	cleanup_fd int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	cr_assert_eq(write(fd, "3", 1), 1, "drop the caches");
	/* Returns when all that RCU holds back by now may go. */
	(void)syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	return sum_lines("/proc/meminfo", "MemFree:") * 1024 +
	       sum_lines("/proc/zoneinfo", "count:") * 4096;
}

/* Free memory when it stands still, or when it is as much as wanted. */
static long free_settled(long wanted)
{
	long last = free_now(), now;

	/* Namespaces that are gone have workers to clean up after them, which may be long at it. */
	for (int i = 0; i < (wanted ? 50 : 1) * SETTLE_MAX; i++, last = now) {
		now = free_now();
		if (now >= wanted && labs(now - last) < 256 << 10)
			return now;
		(void)sched_yield();
	}
	return last;
}

/* What the only context's cgroup is charged. */
static long charged(void)
{
	static const char *const at[] = { "/sys/fs/cgroup/cloche", "memory.current",
					  "/sys/fs/cgroup/memory/cloche", "memory.usage_in_bytes" };
	long most = 0;

	for (int i = 0; i < 4; i += 2) {
		DIR *dir = opendir(at[i]);
		struct dirent *d;
		char path[320];

		while (dir && (d = readdir(dir))) {
			long n;

			if (d->d_name[0] < '0' || d->d_name[0] > '9')
				continue;
			(void)snprintf(path, sizeof(path), "%s/%s/%s", at[i], d->d_name, at[i + 1]);
			n = sum_lines(path, "");
			most = n > most ? n : most;
		}
		if (dir)
			(void)closedir(dir);
	}
	return most;
}

/* ---- the context ---- */

struct hoard {
	pid_t pid;
	int in;
	FILE *out;
};

static struct hoard hoard_start(const struct row *r)
{
	int in[2], out[2];
	struct hoard h;
	char bind[512], options[40];

	(void)snprintf(bind, sizeof(bind), "%s:/opt", env_need("HELPERS"));
	(void)snprintf(options, sizeof(options), "%s", r->options);
	cr_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	h.pid = fork();
	cr_assert_geq(h.pid, 0);
	if (h.pid == 0) {
		const char *argv[32] = { env_need("CLOCHE"),
					 "run",
					 "-q",
					 "--no-ledger",
					 "-m",
					 "64M",
					 "--cpu",
					 "2",
					 "-t",
					 "120s",
					 "-b",
					 bind };
		int n = 12;

		for (char *o = strtok(options, " "); o; o = strtok(NULL, " "))
			argv[n++] = o;
		argv[n++] = "--";
		argv[n++] = "/opt/hoard";
		argv[n++] = r->name;
		argv[n++] = r->most;
		argv[n++] = r->processes;
		(void)dup2(in[0], 0);
		(void)dup2(out[1], 1);
		(void)execv(argv[0], (char **)argv);
		_exit(127);
	}
	(void)close(in[0]);
	(void)close(out[1]);
	h.in = in[1];
	h.out = fdopen(out[0], "re");
	return h;
}

static int hoard_end(struct hoard *h)
{
	int status;

	(void)close(h->in);
	(void)fclose(h->out);
	cr_assert_eq(waitpid(h->pid, &status, 0), h->pid);
	return status;
}

/* ---- does the kernel serve on? ---- */

static int ask(void)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, 0xffff);
	struct sock_fprog prog = { .len = 1, .filter = &all };
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) < 0 ||
	    setsockopt(fds[0], SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ||
	    setsockopt(fds[0], SOL_SOCKET, SO_DETACH_FILTER, &prog, sizeof(prog)) < 0)
		return 1;
	if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWNS) < 0)
		return 2;
	sync();
	return 0;
}

/* In a process of its own, which is left behind where the kernel does not answer. */
static void expect_answer(const char *name)
{
	pid_t pid = fork();
	struct pollfd end = { .events = POLLIN };
	struct process asker;
	int status = -1;

	if (pid == 0)
		_exit(ask());
	asker = process_open(pid);
	end.fd = asker.pidfd;
	cr_assert_eq(poll(&end, 1, ANSWER_MS), 1, "%s: the kernel does not answer any more", name);
	(void)process_reap(&asker, &status);
	cr_expect_eq(status, 0, "%s: the kernel answers %x", name, (unsigned)status);
}

/* ---- the tests ---- */

struct figures {
	long taken, charged;
	char said[64];
};

/* The host's files, as others have read them. */
static void warm(void)
{
	(void)!system("find /usr -type f -exec cat {} + >/dev/null 2>&1");
}

static struct figures measure(const struct row *r)
{
	struct figures f = { .said = "" };
	long before = free_settled(0);
	struct hoard h;
	int status;

	if (strstr(r->name, "-of-usr"))
		warm();
	h = hoard_start(r);
	(void)!fgets(f.said, sizeof(f.said), h.out);
	f.said[strcspn(f.said, "\n")] = '\0';
	f.taken = before - free_settled(0);
	f.charged = charged();
	status = hoard_end(&h);
	cr_expect_eq(status, 0, "%s: ended with %x", r->name, (unsigned)status);
	cr_expect_str_neq(f.said, "", "%s: made nothing", r->name);
	expect_answer(r->name);
	/* Slabs that are not quite empty stay, and are used again. */
	cr_expect_geq(free_settled(before - LEFT), before - LEFT,
		      "%s: its memory does not come back", r->name);
	return f;
}

/* What a context takes that makes nothing; the first one of all sets up what stays. */
static long own_cost(FILE *state)
{
	static const struct row nothing = { "nothing", "1", "0", "", false };
	long cost = LONG_MAX;
	struct hoard h;
	char said[64];

	if (fscanf(state, "%ld", &cost) == 1)
		return cost;
	/* The first of all leaves its parts for the next ones: more than LEFT, and for good. */
	h = hoard_start(&nothing);
	(void)!fgets(said, sizeof(said), h.out);
	cr_assert_eq(hoard_end(&h), 0, "a context that makes nothing ended otherwise");
	for (int i = 0; i < 3; i++) {
		struct figures f = measure(&nothing);

		if (f.taken - f.charged < cost)
			cost = f.taken - f.charged;
	}
	rewind(state);
	(void)fprintf(state, "%ld\n", cost);
	(void)fflush(state);
	return cost;
}

ParameterizedTestParameters(guest_hoard, all_that_it_can_take)
{
	static struct row none = { .name = "" };
	size_t n = access(TABLE, R_OK) == 0 ? rows_read() : 0;

	n = turn_take(rows, n, sizeof(rows[0]));
	return n ? cr_make_param_array(struct row, rows, n)
		 : cr_make_param_array(struct row, &none, 1);
}

ParameterizedTest(const struct row *r, guest_hoard, all_that_it_can_take, .timeout = 300)
{
	cleanup_file FILE *state = NULL;
	struct figures f;
	long own;

	only_in_a_guest();
	cr_assert_str_neq(r->name, "", "no row in '" TABLE "'");
	/* One at a time: what others take cannot be told apart. */
	state = fdopen(open(STATE, O_RDWR | O_CREAT | O_CLOEXEC, 0600), "r+e");
	cr_assert(state && flock(fileno(state), LOCK_EX) == 0);
	own = own_cost(state);
	f = measure(r);
	f.taken -= own;
	(void)fprintf(stderr, "\nnote: %-20s %-20s takes %6.1f MB, of it charged %5.1f\n", r->name,
		      f.said, (double)f.taken / 1e6, (double)f.charged / 1e6);
	cr_expect_leq(f.taken, LIMIT + LIMIT / 10 + NOISE, "%s: the host lacks %ld bytes", r->name,
		      f.taken);
	/* What is charged has its own limit; the tenth is for what is not. */
	cr_expect(r->sum_only || f.taken - f.charged <= LIMIT / 10 + NOISE,
		  "%s: %ld bytes are charged to nobody", r->name, f.taken - f.charged);
}
