/* SPDX-License-Identifier: MIT */
/*
 * crowd N: becomes N processes, evenly on all CPUs that it may use, each busy for three seconds at
 * most. N is a power of two, at most 64.
 */
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LIFE_MS 3000

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void stay_on(int n)
{
	cpu_set_t all, one;

	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return;
	n %= CPU_COUNT(&all);
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all) && n-- == 0)
			CPU_SET(cpu, &one);
	(void)sched_setaffinity(0, sizeof(one), &one);
}

int main(int argc, char **argv)
{
	int64_t end = now_ms() + LIFE_MS;
	int n = argc == 2 ? atoi(argv[1]) : 0, number = 0;

	if (n < 1 || n > 64 || n & (n - 1)) {
		fprintf(stderr, "crowd: how many? a power of two up to 64\n");
		return 2;
	}
	for (int bit = 1; bit < n; bit <<= 1)
		if (fork() == 0)
			number |= bit;
	stay_on(number);
	while (now_ms() < end)
		;
	return 0;
}
