/* SPDX-License-Identifier: MIT */
/* A signal each millisecond, that ends waits: see tick.h. */
#include "base/tick.h"

#include "base/fd.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#define TICK_NSEC 1000000

/* Nobody is told anything by it, and it ends no process that has no handler. */
#define TICK_SIGNAL SIGURG

static bool allowed;
static unsigned depth;
static timer_t timer;
static pid_t has_timer; /* no child inherits it */

static void on_tick(int signal)
{
	(void)signal;
}

void tick_allow(void)
{
	/* No SA_RESTART: the wait is to end. */
	struct sigaction act = { .sa_handler = on_tick };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = TICK_SIGNAL };
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, TICK_SIGNAL);
	if (has_timer == getpid())
		return;
	has_timer = getpid();
	allowed = sigaction(TICK_SIGNAL, &act, NULL) == 0 &&
		  sigprocmask(SIG_UNBLOCK, &set, NULL) == 0 &&
		  timer_create(CLOCK_MONOTONIC, &event, &timer) == 0;
}

static void set_timer(long nsec)
{
	const struct itimerspec t = { .it_interval.tv_nsec = nsec, .it_value.tv_nsec = nsec };
	int before = errno;

	(void)timer_settime(timer, 0, &t, NULL);
	errno = before;
}

void tick_begin(void)
{
	if (allowed && depth++ == 0)
		set_timer(TICK_NSEC);
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
