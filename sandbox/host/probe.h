/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_HOST_PROBE_H
#define CLOCHE_HOST_PROBE_H

#include <stdbool.h>
#include <stddef.h>

struct cloche_err;

/*
 * What a launch needs of this host, each found out by doing it once in a child that is thrown
 * away: never by a version, a configuration or a list. Nothing stays behind: cgroups made for a
 * probe are removed before probe_run returns, mounts and namespaces die with the child.
 *
 *   name         for people and scripts, unique
 *   essential    without it `cloche run` refuses
 *   consequence  what follows when it is missing
 */
struct probe {
	const char *name;
	bool essential;
	const char *consequence;
};

struct probe_result {
	int code;	  /* 0: it works; else the errno that says why not */
	char detail[160]; /* what was found; when it is missing, what failed and why */
	char mend[160];	  /* the command that mends it; "" when it works */
};

size_t probe_count(void);

/* i < probe_count(); the order is the one to show. */
const struct probe *probe_at(size_t i);

/* Does it. A feature that is missing is a result, not an error: errors are that no child could be
 * made. SIGINT, SIGTERM and SIGHUP wait meanwhile (each child ends within seconds, by alarm(2)). */
int probe_run(size_t i, struct probe_result *ret, struct cloche_err *err);

#endif
