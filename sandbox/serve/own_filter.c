/* SPDX-License-Identifier: MIT */
/* Loads the filters of the daemon's processes: see own_filter.h. */
#include "serve/own_filter.h"

#include "base/err.h"
#include "policy/policy_ours.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of all threads; where one cannot have it the answer is its number. */
static int load(const char *name, bool inherited, struct cloche_err *err)
{
	struct sock_fprog prog = { 0 };
	unsigned int flags = 0;
	int r = policy_ours_compile(name, inherited, &prog, &flags, err);

	flags |= SECCOMP_FILTER_FLAG_TSYNC;
	if (r == 0 && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog) != 0)
		r = cloche_err_sys(err, errno, "filter its own system calls (seccomp)");
	free(prog.filter);
	return r < 0 ? cloche_err_wrap(err, "the %s", name) : 0;
}

int own_filter_launcher(struct cloche_err *err)
{
	return load("launcher", true, err);
}

int own_filter_front(struct cloche_err *err)
{
	return load("front", false, err);
}
