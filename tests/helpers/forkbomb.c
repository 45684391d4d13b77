/* SPDX-License-Identifier: MIT */
/*
 * A fork bomb that is only one where it belongs: it refuses to start unless its pid is so low that
 * it must be in a fresh pid namespace, and every process of it looks at the clock and leaves five
 * seconds after the first one began. Both are bounds for the case that a sandbox failed; inside
 * one, the process limit and the deadline must end it long before.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define PID_MAX_INSIDE 64
#define LIFE_MS	       5000

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(void)
{
	int64_t start = now_ms();

	if (getpid() > PID_MAX_INSIDE) {
		fprintf(stderr,
			"forkbomb: pid %d is not in a sandbox's pid namespace: not started\n",
			(int)getpid());
		return 125;
	}
	/* A refused fork (the pids limit) is tried again at once: that is the attack. */
	while (now_ms() - start < LIFE_MS)
		(void)fork();
	return 0;
}
