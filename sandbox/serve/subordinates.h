/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_SUBORDINATES_H
#define CLOCHE_SERVE_SUBORDINATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;

/*
 * The numbers that subuid(5) lends to users, for their containers: whoever has 65,536 of them is
 * not as many users, each with limits of his own. Whose they are is not kept, for they are none of
 * the daemon's users. A plain value, in which ranges that touch are one.
 */
#define SUBORDINATES_PATH "/etc/subuid"
#define SUBORDINATES_MAX  2048

struct subordinates {
	struct {
		uint32_t first, last;
	} ranges[SUBORDINATES_MAX];
	uint32_t n;
};

/* Of the whole file; none where there is no file. A line that is none lends nothing, as for
 * newuidmap(1). -E2BIG: more ranges than there is room for; *ret is as it was then, as for each
 * error. */
int subordinates_read(const char *path, struct subordinates *ret, struct cloche_err *err);

bool subordinates_have(const struct subordinates *s, uint32_t uid);

#endif
