/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BASE_CLOCK_H
#define CLOCHE_BASE_CLOCK_H

#include <stdint.h>
#include <sys/time.h>
#include <time.h>

#define NSEC_PER_USEC 1000LL
#define NSEC_PER_MSEC 1000000LL
#define NSEC_PER_SEC  1000000000LL

static inline int64_t timespec_ns(struct timespec t)
{
	return (int64_t)t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

static inline int64_t timeval_ns(struct timeval t)
{
	return (int64_t)t.tv_sec * NSEC_PER_SEC + t.tv_usec * NSEC_PER_USEC;
}

static inline struct timespec ns_timespec(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / NSEC_PER_SEC, .tv_nsec = ns % NSEC_PER_SEC };
}

/* CLOCK_MONOTONIC, ns: the clock of every duration and deadline. */
static inline int64_t clock_now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return timespec_ns(t);
}

/* CPU time of this process, all threads, ns. */
static inline int64_t clock_process_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return timespec_ns(t);
}

/* CLOCK_REALTIME, ns since 1970: only for timestamps that people read. */
static inline int64_t clock_real_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return timespec_ns(t);
}

#define CLOCK_ISO_LEN sizeof("2026-01-02T03:04:05.678901Z")

/* RFC 3339 in UTC with microseconds, into buf of CLOCK_ISO_LEN bytes. */
void clock_format_iso(int64_t real_ns, char buf[static CLOCK_ISO_LEN]);

#endif
