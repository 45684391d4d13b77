/* SPDX-License-Identifier: MIT */
/*
 * The probes of what a launch can do without, each saying so in the report: see enum lack and
 * warden.c's proof.
 */
#include "host/probe_use.h"

#include "base/fd.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int probe_use_listener(struct probe_job *job)
{
	struct sock_filter code[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog prog = { .len = 1, .filter = code };
	cleanup_fd int fd = -1;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return probe_say(job, errno, "set no_new_privs");
	fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			  &prog);
	if (fd < 0)
		return probe_say(job, errno, "load a filter with a listener");
	return probe_say(job, 0, "a filter was loaded with one");
}

int probe_use_affinity(struct probe_job *job)
{
	cpu_set_t all;

	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return probe_say(job, errno, "sched_getaffinity");
	if (sched_setaffinity(0, sizeof(all), &all) < 0)
		return probe_say(job, errno, "sched_setaffinity");
	return probe_say(job, 0, "%d CPUs, and they can be set", CPU_COUNT(&all));
}

/* A kernel without POSIX message queues has none that could be left behind. */
int probe_use_fsopen(struct probe_job *job)
{
	cleanup_fd int fs = fsopen("mqueue", FSOPEN_CLOEXEC), tree = -1;

	if (fs < 0 && errno == ENODEV)
		return probe_say(job, 0, "this kernel has no message queues");
	if (fs < 0)
		return probe_say(job, errno, "fsopen 'mqueue'");
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return probe_say(job, errno, "fsconfig 'mqueue'");
	tree = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	if (tree < 0)
		return probe_say(job, errno, "fsmount 'mqueue'");
	return probe_say(job, 0, "the message queues were mounted");
}
