/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_LOGGED_H
#define CLOCHE_SERVE_LOGGED_H

#include "function/function_log.h"

#include <stdint.h>

struct cloche_err;
struct function_store;

/*
 * The logs of deployed functions (function/function_log.h), which are in their directories
 * (function_store_dir), one of each, whoever writes. Whoever writes into one has it open meanwhile.
 */

struct function_logged {
	struct function_logged *next;
	uint32_t uid, users;
	char name[72];
	int dir;
	struct function_log log;
};

struct logged {
	struct function_logged *first;
};

/* NULL: *err says why. */
struct function_logged *logged_open(struct logged *l, const struct function_store *store,
				    uint32_t uid, const char *function, struct cloche_err *err);
struct function_logged *logged_close(struct logged *l, struct function_logged *log);

/* Open for reading, -1 where there is none: the older one, the present one, which is made. 0 or
 * -errno. */
int logged_files(const struct function_store *store, uint32_t uid, const char *function,
		 int ret[static 2], struct cloche_err *err);

#endif
