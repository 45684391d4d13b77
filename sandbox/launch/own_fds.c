/* SPDX-License-Identifier: MIT */
/* The list of what is the warden's, and the gaps in between: see own_fds.h. */
#include "launch/own_fds.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/process.h"
#include "host/bounds.h"
#include "launch/plan.h"
#include "launch/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* All but the binds. */
#define OWN_MAX (64 + SPEC_BINDS_MAX)

/* Numbers that are kept for the next warden: with these few the kernel's table of descriptors is a
 * part of the process' and takes no memory of its own (NR_OPEN_DEFAULT, 64). */
#define RESERVED_FIRST 16
#define RESERVED_N     40
#define RESERVED_LAST  (RESERVED_FIRST + RESERVED_N - 1)
/* For a warden that is killed before it has a table of its own. */
#define LOOK_NS (10 * NSEC_PER_MSEC)

struct list {
	int fd[OWN_MAX];  /* ascending */
	int *at[OWN_MAX]; /* where it is known by its number; NULL: nowhere */
	unsigned n;
};

/* Most come in ascending order, as they were opened. */
static void add(struct list *l, int fd, int *where)
{
	unsigned at = l->n;

	if (fd <= STDERR_FILENO || l->n == OWN_MAX)
		return;
	while (at > 0 && l->fd[at - 1] > fd) {
		l->fd[at] = l->fd[at - 1];
		l->at[at] = l->at[at - 1];
		at--;
	}
	l->fd[at] = fd;
	l->at[at] = where;
	l->n++;
}

static void add_known(struct list *l, int *where)
{
	add(l, *where, where);
}

static void add_root(struct list *l, struct rootfs *fs)
{
	add_known(l, &fs->template);
	add_known(l, &fs->tree);
	add_known(l, &fs->code.task);
	add_known(l, &fs->code.layers);
	for (size_t i = 0; i < fs->n_binds; i++)
		add_known(l, &fs->binds[i].tree);
}

/* Of binds that are still to come. */
static void add_maps(struct list *l, struct rootfs *fs)
{
	for (size_t i = 0; i < fs->n_maps; i++)
		add_known(l, &fs->maps[i].map.userns);
}

static void list_own(struct plan *p, struct list *l)
{
	add_known(l, &p->control);
	add_known(l, &p->null);
	add_known(l, &p->clock.fd);
	/* With its lock: the slot is nobody else's before all of us are gone. */
	add_known(l, &p->slot.fd);
	add_root(l, &p->rootfs);
	add_known(l, &p->names);
	add_known(l, &p->notices);
	if (p->given)
		add_maps(l, &p->rootfs);
	/* Below these the last one to leave removes the cgroups. */
	if (p->single) {
		add(l, p->hierarchy->v2, NULL);
		for (int i = 0; i < CONTROLLER_N; i++)
			add(l, p->hierarchy->ctl[i], NULL);
	}
	/* The pins may be another version's by now, and the launcher dies a moment before us: what
	 * the function holds is counted for as long as it runs. */
	for (int i = 0; i < BOUNDS_LINKS; i++)
		add(l, p->bounds->links[i], NULL);
}

static int close_between(unsigned first, unsigned last)
{
	return first <= last && syscall(SYS_close_range, first, last, 0) < 0 ? -errno : 0;
}

static int close_others(const struct list *l, unsigned first)
{
	unsigned next = first;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < l->n; i++) {
		r = close_between(next, (unsigned)l->fd[i] - 1);
		next = (unsigned)l->fd[i] + 1;
	}
	return r == 0 ? close_between(next, ~0U) : r;
}

int own_fds_keep(struct plan *plan, struct cloche_err *err)
{
	struct list own = { .n = 0 };
	int r;

	list_own(plan, &own);
	r = close_others(&own, STDERR_FILENO + 1);
	return r < 0 ? cloche_err_sys(err, -r, "close what is not the context's (close_range)") : 0;
}

/* ---- of a launcher of many ------------------------------------------------------------------- */

/* Whatever has a number of these that is not such a placeholder is a warden's of before. */
bool own_fds_reserve(int null)
{
	for (int fd = RESERVED_FIRST; fd <= RESERVED_LAST; fd++)
		if (dup3(null, fd, O_CLOEXEC) < 0)
			return false;
	return true;
}

bool own_fds_free(void)
{
	for (int fd = RESERVED_FIRST; fd <= RESERVED_LAST; fd++)
		if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
			return false;
	return true;
}

bool own_fds_fit(struct plan *plan)
{
	struct list own = { .n = 0 };

	list_own(plan, &own);
	return !plan->single && own.n <= RESERVED_N;
}

static int take(struct plan *plan)
{
	struct list own = { .n = 0 };
	int to = RESERVED_FIRST;

	list_own(plan, &own);
	for (unsigned i = 0; i < own.n; i++, to++) {
		if (dup3(own.fd[i], to, O_CLOEXEC) < 0)
			return -errno;
		if (own.at[i])
			*own.at[i] = to;
	}
	/* The rest is not copied. What is below is the launcher's no more from here on. */
	if (syscall(SYS_close_range, to, ~0U, CLOSE_RANGE_UNSHARE) < 0)
		return -errno;
	return close_between(STDERR_FILENO + 1, RESERVED_FIRST - 1);
}

static void tell_apart(uint32_t *apart)
{
	__atomic_store_n(apart, 1, __ATOMIC_SEQ_CST);
	(void)syscall(SYS_futex, apart, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void wait_apart(uint32_t *apart, int pidfd)
{
	const struct timespec look = ns_timespec(LOOK_NS);
	struct pollfd end = { .fd = pidfd, .events = POLLIN };

	while (!__atomic_load_n(apart, __ATOMIC_SEQ_CST)) {
		(void)syscall(SYS_futex, apart, FUTEX_WAIT, 0, &look, NULL, 0);
		if (poll(&end, 1, 0) != 0)
			return;
	}
}

int own_fds_take(struct plan *plan, struct cloche_err *err)
{
	int r = take(plan);

	if (r < 0)
		return cloche_err_sys(err, -r, "have descriptors apart from the launcher's");
	tell_apart(&plan->shared->apart);
	return 0;
}

void own_fds_wait(const struct plan *plan, const struct process *warden)
{
	wait_apart(&plan->shared->apart, warden->pidfd);
}

/* ---- its other children ---------------------------------------------------------------------- */

/* In the child, with the launcher's table until the first call. */
static int go_apart(const int keep[], size_t n, uint32_t *apart)
{
	unsigned end = RESERVED_FIRST + (unsigned)n;

	if (syscall(SYS_close_range, end, ~0U, CLOSE_RANGE_UNSHARE) < 0)
		return -errno;
	tell_apart(apart);
	if (close_between(STDERR_FILENO + 1, RESERVED_FIRST - 1) < 0)
		return -errno;
	for (size_t i = 0; i < n; i++)
		if (dup3(RESERVED_FIRST + (int)i, keep[i], O_CLOEXEC) < 0)
			return -errno;
	return close_between(RESERVED_FIRST, end - 1);
}

static pid_t fork_sharing(const int keep[], size_t n, uint32_t *apart)
{
	int pidfd = -1;
	struct clone_args args = { .flags = CLONE_FILES | CLONE_PIDFD,
				   .pidfd = (__u64)(uintptr_t)&pidfd,
				   .exit_signal = SIGCHLD };
	pid_t pid;

	for (size_t i = 0; i < n; i++)
		if (dup3(keep[i], RESERVED_FIRST + (int)i, O_CLOEXEC) < 0)
			return -errno;
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		if (go_apart(keep, n, apart) < 0)
			_exit(1);
		return 0;
	}
	if (pid < 0)
		return -errno;
	wait_apart(apart, pidfd);
	(void)close(pidfd);
	return pid;
}

pid_t own_fds_fork(int null, const int keep[], size_t n, bool *ret_free)
{
	uint32_t *apart = n > OWN_FDS_KEEP ? MAP_FAILED
					   : mmap(NULL, sizeof(*apart), PROT_READ | PROT_WRITE,
						  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	if (apart == MAP_FAILED)
		return -ENOMEM;
	pid = fork_sharing(keep, n, apart);
	(void)munmap(apart, sizeof(*apart));
	if (pid != 0)
		*ret_free = own_fds_reserve(null);
	return pid;
}

int own_fds_only(const int *fds, unsigned n)
{
	struct list own = { .n = 0 };

	for (unsigned i = 0; i < n; i++)
		add(&own, fds[i], NULL);
	return close_others(&own, STDIN_FILENO);
}
