/* SPDX-License-Identifier: MIT */
/* Timestamps for people. Durations never pass through here. */
#include "base/clock.h"

#include <stdio.h>

void clock_format_iso(int64_t real_ns, char buf[static CLOCK_ISO_LEN])
{
	time_t sec = (time_t)(real_ns / NSEC_PER_SEC);
	struct tm tm;

	(void)gmtime_r(&sec, &tm);
	(void)snprintf(buf, CLOCK_ISO_LEN, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ",
		       (unsigned)(tm.tm_year + 1900) % 10000u, (unsigned)(tm.tm_mon + 1) % 100u,
		       (unsigned)tm.tm_mday % 100u, (unsigned)tm.tm_hour % 100u,
		       (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u,
		       (unsigned)(real_ns % NSEC_PER_SEC / NSEC_PER_USEC) % 1000000u);
}
