/* SPDX-License-Identifier: MIT */
/* A signal each millisecond, that ends waits: see tick.h. */
#include "base/tick.h"

#include "base/fd.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/time.h>

#define TICK_USEC 1000

static bool allowed;
static unsigned depth;

static void on_tick(int signal)
{
	(void)signal;
}

void tick_allow(void)
{
	/* No SA_RESTART: the wait is to end. */
	struct sigaction act = { .sa_handler = on_tick };
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGALRM);
	allowed = sigaction(SIGALRM, &act, NULL) == 0 && sigprocmask(SIG_UNBLOCK, &set, NULL) == 0;
}

static void set_timer(suseconds_t usec)
{
	const struct itimerval t = { .it_interval.tv_usec = usec, .it_value.tv_usec = usec };
	int before = errno;

	(void)setitimer(ITIMER_REAL, &t, NULL);
	errno = before;
}

void tick_begin(void)
{
	if (allowed && depth++ == 0)
		set_timer(TICK_USEC);
}

void tick_end(void)
{
	if (allowed && --depth == 0)
		set_timer(0);
}

void tick_close(int *fd)
{
	if (*fd < 0)
		return;
	tick_begin();
	fd_close(fd);
	tick_end();
}
