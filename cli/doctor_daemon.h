/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_DOCTOR_DAEMON_H
#define CLOCHE_CLI_DOCTOR_DAEMON_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

struct json_t;

/* What `cloche doctor` says of the daemon: it is asked, as `cloche ps` asks it. */
struct doctor_daemon {
	const char *control;
	bool serves;
	char why[200]; /* it does not answer; "": there is none */
	char since[CLOCK_ISO_LEN];
	uint32_t contexts; /* that are the caller's to see */
};

void doctor_daemon_ask(struct doctor_daemon *ret);

/* A line for people; an object for scripts, null where there is none. */
void doctor_daemon_show(const struct doctor_daemon *d);
struct json_t *doctor_daemon_json(const struct doctor_daemon *d);

#endif
