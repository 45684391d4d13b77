/* SPDX-License-Identifier: MIT */
/*
 * burn [MS]: keeps one CPU busy for MS milliseconds of wall-clock time (10,000 unless told), then
 * exits 0. It never sleeps, so only its runner's limits can end it sooner; the bound is there for
 * the day when they do not.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	int64_t start = now_ms(), ms = 10000;
	char *end;

	if (argc > 1) {
		ms = strtoll(argv[1], &end, 10);
		if (end == argv[1] || *end || ms < 0) {
			fprintf(stderr, "burn: '%s' is not a number of milliseconds\n", argv[1]);
			return 2;
		}
	}
	while (now_ms() - start < ms) {
		for (volatile unsigned i = 0; i < 20000; i++)
			;
	}
	return 0;
}
