/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_RUN_CALLER_H
#define CLOCHE_CLI_RUN_CALLER_H

#include "launch/rights.h"

#include <stdbool.h>

struct cloche_err;

/*
 * Whom root acts for: the user that sudo(8) names in SUDO_UID and SUDO_GID, with the groups that
 * /etc/group gives them. The variables take rights away and give none, so it is no matter who set
 * them; what is in them and no number is refused.
 */
struct run_caller {
	bool is_there; /* false: root is root's own, or who runs this is not root */
	struct rights rights;
	gid_t groups[RIGHTS_GROUPS_MAX];
};

int run_caller_read(struct run_caller *ret, struct cloche_err *err);

/* For rights_call() and the like; NULL: our own. Points into the caller. */
const struct rights *run_caller_rights(const struct run_caller *caller);

/* From here on all files of this process are opened with the rights of whom root acts for: for
 * verbs, at their beginning, that open nothing but what their command line names. */
int run_caller_become(struct cloche_err *err);

#endif
