/* SPDX-License-Identifier: MIT */
/* Children, by number and pidfd. */
#include "base/process.h"

#include "base/fd.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct process process_open(pid_t child)
{
	return (struct process){ .pid = child, .pidfd = (int)syscall(SYS_pidfd_open, child, 0) };
}

void process_kill(const struct process *p)
{
	if (!process_is(p))
		return;
	if (p->pidfd < 0 || syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0) < 0)
		(void)kill(p->pid, SIGKILL);
}

int process_reap(struct process *p, int *ret_status)
{
	pid_t pid = p->pid;
	int status = 0, r;

	process_close(p);
	if (pid <= 0)
		return -ECHILD;
	while ((r = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
		;
	if (r < 0)
		return -errno;
	if (ret_status)
		*ret_status = status;
	return 0;
}

bool process_try_reap(struct process *p)
{
	if (process_is(p) && waitpid(p->pid, NULL, WNOHANG) == 0)
		return false;
	process_close(p);
	return true;
}

void process_close(struct process *p)
{
	fd_close(&p->pidfd);
	p->pid = 0;
}
