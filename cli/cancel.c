/* SPDX-License-Identifier: MIT */
/* Signals that cancel an invocation: see cancel.h. */
#include "cli/cancel.h"

#include "base/err.h"
#include "base/tick.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* nohup(1) and a shell's background: these three stay ignored. */
static bool is_ignored(int sig)
{
	struct sigaction old;

	return (sig == SIGHUP || sig == SIGINT || sig == SIGQUIT) &&
	       sigaction(sig, NULL, &old) == 0 && old.sa_handler == SIG_IGN;
}

int cancel_open(int *ret, struct cloche_err *err)
{
	static const int ends[] = { SIGINT,  SIGTERM, SIGHUP,	SIGQUIT, SIGUSR1,
				    SIGUSR2, SIGALRM, SIGPROF,	SIGPOLL, SIGVTALRM,
				    SIGXCPU, SIGPWR,  SIGSTKFLT };
	sigset_t set;

	(void)signal(SIGPIPE, SIG_IGN);
	/* What was inherited: with SIGCHLD ignored no end of a child could be waited for, and a
	 * limit of file sizes would kill in the midst of things. */
	(void)signal(SIGCHLD, SIG_DFL);
	(void)signal(SIGXFSZ, SIG_IGN);
	tick_allow();
	(void)sigemptyset(&set);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (!is_ignored(ends[i]))
			(void)sigaddset(&set, ends[i]);
	for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
		(void)sigaddset(&set, sig);
	/* Blocked, they would be lost without it. */
	*ret = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (*ret < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return cloche_err_sys(err, errno, "watch for signals");
	return 0;
}

int cancel_status(int fd)
{
	struct signalfd_siginfo info;

	return read(fd, &info, sizeof(info)) == sizeof(info) ? 128 + (int)info.ssi_signo
							     : 128 + SIGTERM;
}
