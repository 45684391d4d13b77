/* SPDX-License-Identifier: MIT */
/*
 * What the kernel alone takes to end a crowd: as many spinning processes as a fork bomb is allowed,
 * all forks of one static program, evenly on all CPUs and under no quota, from the write to
 * cgroup.kill until their cgroup is empty. No supervisor of them can be faster than that.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"

#define CROWD	64
#define LIFE_NS (3 * NSEC_PER_SEC)

static int leaf_open(char *path, size_t size, struct cloche_err *err)
{
	const char *root = access("/sys/fs/cgroup/cgroup.procs", F_OK) == 0
				   ? "/sys/fs/cgroup"
				   : "/sys/fs/cgroup/unified";
	int fd;

	snprintf(path, size, "%s/cloche-bench-floor", root);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return cloche_err_sys(err, errno, "mkdir '%s'", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? cloche_err_sys(err, errno, "open '%s'", path) : fd;
}

static void crowd_main(int leaf, const char *helpers)
{
	int procs = openat(leaf, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	char path[PATH_MAX], number[16];

	snprintf(path, sizeof(path), "%s/crowd", helpers);
	snprintf(number, sizeof(number), "%d", CROWD);
	if (procs >= 0 && write(procs, "0", 1) == 1)
		execl(path, path, number, (char *)NULL);
	_exit(127);
}

static bool is_populated(int events)
{
	char text[128];
	ssize_t n = pread(events, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return strstr(text, "populated 1");
}

static int crowd_count(int leaf)
{
	cleanup_fd int fd = openat(leaf, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char text[4096];
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text));
	int lines = 0;

	for (ssize_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	return lines;
}

static int crowd_end(int leaf, int64_t *ret_ns, struct cloche_err *err)
{
	cleanup_fd int events = openat(leaf, "cgroup.events", O_RDONLY | O_CLOEXEC);
	cleanup_fd int kill_fd = openat(leaf, "cgroup.kill", O_WRONLY | O_CLOEXEC);
	struct sched_param first = { .sched_priority = 1 }, usual = { 0 };
	struct pollfd p = { .fd = events, .events = POLLPRI };
	int64_t start, give_up = clock_now_ns() + LIFE_NS;

	while (crowd_count(leaf) < CROWD && clock_now_ns() < give_up)
		(void)poll(NULL, 0, 1);
	(void)is_populated(events);
	(void)sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first);
	start = clock_now_ns();
	if (kill_fd < 0 || write(kill_fd, "1", 1) != 1)
		return cloche_err_sys(err, errno, "kill a cgroup");
	while (is_populated(events))
		(void)poll(&p, 1, 1);
	*ret_ns = clock_now_ns() - start;
	(void)sched_setscheduler(0, SCHED_OTHER, &usual);
	return 0;
}

int floor_measure(const char *helpers, int64_t *ret_ns, struct cloche_err *err)
{
	char path[64];
	cleanup_fd int leaf = leaf_open(path, sizeof(path), err);
	pid_t pid;
	int r;

	if (leaf < 0)
		return leaf;
	/* The crowd's orphans are ours to reap. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid = fork();
	if (pid == 0)
		crowd_main(leaf, helpers);
	r = pid < 0 ? cloche_err_sys(err, errno, "fork") : crowd_end(leaf, ret_ns, err);
	while (waitpid(-1, NULL, 0) > 0)
		;
	(void)prctl(PR_SET_CHILD_SUBREAPER, 0);
	if (rmdir(path) < 0 && r == 0)
		r = cloche_err_sys(err, errno, "rmdir '%s'", path);
	return r;
}
