/* SPDX-License-Identifier: MIT */
/* Children, by number and pidfd. */
#include "base/process.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
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

/* "size resident …", in pages: proc(5). */
uint64_t process_own_memory(void)
{
	cleanup_fd int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	uint64_t pages = 0;
	char text[128];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return UINT64_MAX;
	text[n] = '\0';
	if (sscanf(text, "%*s %" SCNu64, &pages) != 1)
		return UINT64_MAX;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
