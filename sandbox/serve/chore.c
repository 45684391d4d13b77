/* SPDX-License-Identifier: MIT */
/* The launcher's children that do what takes long: see chore.h. */
#include "serve/chore.h"

#include "base/err.h"
#include "base/fd.h"
#include "host/confined.h"
#include "launch/launcher.h"
#include "launch/own_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* In one write: less than a pipe takes whole. */
struct told {
	struct cloche_err err;
	char value[CHORE_ROOM];
};
_Static_assert(sizeof(struct told) <= PIPE_BUF, "it comes whole or not at all");

/* All but keep[], the result's pipe and 0 to 2. */
static int close_others(const int keep[], size_t n, int result)
{
	for (int from = STDERR_FILENO + 1, next;; from = next + 1) {
		next = result >= from ? result : INT_MAX;
		for (size_t i = 0; i < n; i++)
			if (keep[i] >= from && keep[i] < next)
				next = keep[i];
		if (next > from && syscall(SYS_close_range, (unsigned)from,
					   next == INT_MAX ? ~0U : (unsigned)next - 1, 0) < 0)
			return -errno;
		if (next == INT_MAX)
			return 0;
	}
}

static _Noreturn void child_main(pid_t parent, chore_job *job, const void *arg, const int keep[],
				 size_t n, int result)
{
	struct told told;
	int r;

	memset(&told, 0, sizeof(told));
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(1);
	r = close_others(keep, n, result);
	if (r < 0)
		(void)cloche_err_sys(&told.err, -r, "close what is the launcher's");
	if (r == 0)
		r = confined_unmap_shared(&told.err);
	if (r == 0)
		r = job(arg, told.value, &told.err);
	/* What was tried first and went wrong is no error of what went well then. */
	if (r == 0)
		memset(&told.err, 0, sizeof(told.err));
	else if (!told.err.code)
		told.err.code = -r;
	_exit(write(result, &told, sizeof(told)) == sizeof(told) ? 0 : 1);
}

/* With a thousand contexts to copy their descriptors for a child that closes them again takes some
 * milliseconds, in which the launcher does nothing else. */
static pid_t fork_with(struct launcher *launcher, const int keep[], size_t n, int result)
{
	int all[CHORE_KEEP + 1];
	pid_t pid;

	if (launcher->apart && n <= CHORE_KEEP) {
		for (size_t i = 0; i < n; i++)
			all[i] = keep[i];
		all[n] = result;
		return own_fds_fork(launcher->null, all, n + 1, &launcher->apart);
	}
	pid = fork();
	return pid < 0 ? -errno : pid;
}

int chore_begin(struct chore *ret, struct launcher *launcher, chore_job *job, const void *arg,
		const int keep[], size_t n, struct cloche_err *err)
{
	pid_t parent = getpid(), pid;
	int pair[2];

	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
		return cloche_err_sys(err, errno, "pipe2");
	pid = fork_with(launcher, keep, n, pair[1]);
	if (pid == 0)
		child_main(parent, job, arg, keep, n, pair[1]);
	(void)close(pair[1]);
	if (pid < 0) {
		(void)close(pair[0]);
		return cloche_err_sys(err, -(int)pid, "begin what takes longer (fork)");
	}
	*ret = (struct chore){ .process = process_open(pid), .result = pair[0] };
	return 0;
}

int chore_done(struct chore *chore, void *ret, size_t size, struct cloche_err *err)
{
	struct told told;
	ssize_t n;

	if (!process_try_reap(&chore->process))
		return -EAGAIN;
	n = read(chore->result, &told, sizeof(told));
	fd_close(&chore->result);
	if (n != sizeof(told))
		return cloche_err_set(err, EIO, "what was to be done died");
	if (told.err.code)
		return cloche_err_take(err, &told.err);
	memcpy(ret, told.value, size);
	return 0;
}

void chore_kill(const struct chore *chore)
{
	process_kill(&chore->process);
}

void chore_end(const struct chore *chore)
{
	if (process_is(&chore->process))
		(void)kill(chore->process.pid, SIGTERM);
}
