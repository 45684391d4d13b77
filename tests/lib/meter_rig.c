/* SPDX-License-Identifier: MIT */
/*
 * The rig behind the meter's tests. It makes its cgroups by plain mkdir: what it is to find out is
 * whether the meter counts right, not whether the launcher launches.
 */
#include "tests/lib/meter_rig.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "bpf/meter_abi.h"

static int child_to = -1, child_from = -1;

static void put(const char *dir, const char *file, const char *text)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text),
		  "write '%s' to '%s': %s", text, path, strerror(errno));
	close(fd);
}

static const char *cgroup2_root(void)
{
	return access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) ? "/sys/fs/cgroup"
								   : "/sys/fs/cgroup/unified";
}

static void set_quota(struct rig *r, unsigned quota_us)
{
	bool v1 = !access("/sys/fs/cgroup/cpu/tasks", F_OK);
	char text[64];

	if (v1) {
		(void)snprintf(r->cpu_path, sizeof(r->cpu_path), "/sys/fs/cgroup/cpu/%s",
			       strrchr(r->leaf_path, '/') + 1);
		cr_assert(!mkdir(r->cpu_path, 0755), "mkdir '%s': %s", r->cpu_path,
			  strerror(errno));
		put(r->cpu_path, "cpu.cfs_period_us", "20000");
		(void)snprintf(text, sizeof(text), "%u", quota_us);
		put(r->cpu_path, "cpu.cfs_quota_us", text);
	} else {
		put("/sys/fs/cgroup", "cgroup.subtree_control", "+cpu");
		(void)snprintf(text, sizeof(text), "%u 20000", quota_us);
		put(r->leaf_path, "cpu.max", text);
	}
}

/*
 * Tests run side by side, of one program and of several. An abstract name is had by one socket at a
 * time, and is free again however its test ends (unix(7)).
 */
static uint32_t take_slot(struct rig *r)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	r->mine = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (uint32_t slot = 0;; slot++) {
		size_t n = (size_t)snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "%s-%u",
					    r->name, slot);

		if (bind(r->mine, (void *)&name,
			 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n)) == 0)
			return slot;
		cr_assert(errno == EADDRINUSE && slot + 1 < METER_SLOTS, "bind '@%s': %m",
			  name.sun_path + 1);
	}
}

static void open_named(struct rig *r, const char *name, unsigned quota_us)
{
	struct cloche_err err = { 0 };
	struct stat st;
	uint32_t slot;

	*r = (struct rig){ .meter = METER_INIT, .name = name };
	slot = take_slot(r);
	cr_assert(!meter_open(&r->meter, name, &err), "%s", err.text);
	(void)snprintf(r->leaf_path, sizeof(r->leaf_path), "%s/cloche-meter-test-%u-%d",
		       cgroup2_root(), slot, (int)getpid());
	cr_assert(!mkdir(r->leaf_path, 0755), "mkdir '%s': %s", r->leaf_path, strerror(errno));
	r->leaf = open(r->leaf_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(r->leaf >= 0 && !fstat(r->leaf, &st));
	r->id = st.st_ino;
	if (quota_us)
		set_quota(r, quota_us);
	cr_assert(!meter_arm(&r->ctx, &r->meter, slot, r->id, &err), "%s", err.text);
}

void rig_open(struct rig *r, unsigned quota_us)
{
	open_named(r, RIG_NAME, quota_us);
}

void rig_open_alone(struct rig *r, const char *name)
{
	open_named(r, name, 0);
}

/* rmdir says EBUSY until the last thread is quite gone; cgroup.events tells when. */
static void remove_leaf(struct rig *r)
{
	char text[128];
	int fd = openat(r->leaf, "cgroup.events", O_RDONLY | O_CLOEXEC);

	for (;;) {
		ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

		cr_assert(n > 0);
		text[n] = 0;
		if (strstr(text, "populated 0"))
			break;
		(void)poll(&(struct pollfd){ .fd = fd, .events = POLLPRI }, 1, 100);
	}
	close(fd);
	cr_assert(!rmdir(r->leaf_path), "rmdir '%s': %s", r->leaf_path, strerror(errno));
}

void rig_close(struct rig *r)
{
	struct cloche_err err = { 0 };

	cr_assert(!meter_disarm(&r->ctx, &err), "%s", err.text);
	meter_close(&r->meter);
	(void)meter_remove(r->name, NULL); /* the last test to end succeeds */
	remove_leaf(r);
	close(r->leaf);
	close(r->mine);
	if (*r->cpu_path)
		while (rmdir(r->cpu_path) && errno == EBUSY)
			;
}

struct child rig_spawn(struct rig *r, int (*fn)(void *arg), void *arg)
{
	struct clone_args a = { .flags = CLONE_INTO_CGROUP | CLONE_PIDFD,
				.exit_signal = SIGCHLD,
				.cgroup = (uint64_t)r->leaf };
	struct process process = PROCESS_NONE;
	int to[2], from[2];
	struct child c;

	cr_assert(!pipe2(to, O_CLOEXEC) && !pipe2(from, O_CLOEXEC));
	a.pidfd = (uint64_t)(uintptr_t)&process.pidfd;
	process.pid = (pid_t)syscall(SYS_clone3, &a, sizeof(a));
	cr_assert(process.pid >= 0, "clone3: %s", strerror(errno));
	if (!process.pid) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when the test fails */
		child_to = to[0];
		child_from = from[1];
		if (*r->cpu_path)
			put(r->cpu_path, "tasks", "0");
		_exit(fn(arg));
	}
	close(to[0]);
	close(from[1]);
	c = (struct child){ .process = process, .to = to[1], .from = from[0] };
	return c;
}

void rig_wait(void)
{
	char b;

	if (read(child_to, &b, 1) != 1)
		_exit(99);
}

void rig_tell(uint64_t value)
{
	if (write(child_from, &value, sizeof(value)) != sizeof(value))
		_exit(98);
}

void rig_go(struct child *c)
{
	cr_assert(write(c->to, "", 1) == 1);
}

uint64_t rig_hear(struct child *c)
{
	uint64_t v = 0;

	cr_assert(read(c->from, &v, sizeof(v)) == sizeof(v), "the child ended too early");
	return v;
}

int rig_reap(struct child *c, uint64_t *ret_rusage_ns)
{
	struct rusage u;
	int status = 0;

	close(c->to);
	cr_assert(wait4(c->process.pid, &status, 0, &u) == c->process.pid);
	if (ret_rusage_ns)
		*ret_rusage_ns =
			(uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * NSEC_PER_SEC +
			(uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * NSEC_PER_USEC;
	close(c->from);
	process_close(&c->process);
	return status;
}

/* By "syscall" and not by the letter of "stat", which says S already while the thread is on its way
 * off the CPU: the kernel waits for that before it shows a system call. */
static bool thread_sleeps(pid_t pid, const char *tid)
{
	char path[96], text[256] = "";
	ssize_t n = -1;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%.16s/syscall", (int)pid, tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		n = read(fd, text, sizeof(text));
	close(fd);
	return n <= 0 || text[0] != 'r'; /* "running"; no file: gone */
}

void rig_await_sleep(struct child *c)
{
	char path[64];
	bool asleep;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)c->process.pid);
	do {
		DIR *dir = opendir(path);
		struct dirent *d;

		asleep = true;
		cr_assert_not_null(dir);
		while ((d = readdir(dir)))
			if (d->d_name[0] != '.')
				asleep &= thread_sleeps(c->process.pid, d->d_name);
		closedir(dir);
	} while (!asleep);
}

void rig_begin(struct rig *r, bool at_exec, bool trace)
{
	struct cloche_err err = { 0 };

	cr_assert(!meter_begin(&r->ctx, at_exec, trace, &err), "%s", err.text);
}

struct meter_usage rig_end(struct rig *r)
{
	struct cloche_err err = { 0 };
	struct meter_usage u;

	cr_assert(!meter_end(&r->ctx, &u, &err), "%s", err.text);
	return u;
}

struct meter_usage rig_end_last(struct rig *r)
{
	int64_t give_up = clock_now_ns() + 30 * NSEC_PER_SEC;
	struct meter_usage u;

	do {
		u = rig_end(r);
		cr_assert(u.ended || clock_now_ns() < give_up, "a last switch was never seen");
	} while (!u.ended);
	return u;
}

uint64_t rig_stat(struct rig *r, const char *file, const char *key)
{
	char path[256], line[128], name[64];
	unsigned long long v;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", r->leaf_path, file);
	if (*r->cpu_path && strcmp(key, "usage_usec") != 0)
		(void)snprintf(path, sizeof(path), "%s/%s", r->cpu_path, file);
	f = fopen(path, "re");
	cr_assert_not_null(f, "open '%s'", path);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %llu", name, &v) == 2 && strcmp(name, key) == 0) {
			fclose(f);
			return v;
		}
	fclose(f);
	cr_assert_fail("no '%s' in '%s'", key, path);
	return 0;
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	(void)clock_gettime(id, &t);
	return (uint64_t)timespec_ns(t);
}

uint64_t rig_process_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t rig_thread_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

void rig_burn(uint64_t ns)
{
	uint64_t end = rig_thread_ns() + ns;

	while (rig_thread_ns() < end)
		;
}
