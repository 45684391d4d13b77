/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_OWNER_H
#define CLOCHE_RUN_OWNER_H

#include <sys/types.h>

/* Long enough for useradd(8)'s names; a longer one is cut. */
#define OWNER_NAME_LEN 33

/* The name of a user in /etc/passwd; "" when it has none there. Always UTF-8. */
void owner_name(uid_t uid, char ret[static OWNER_NAME_LEN]);

/* The same of users that were asked for before, without a look at the file: for as long as it is
 * the same one. Begins as zeros. */
struct owner_names {
	struct {
		uid_t uid;
		char name[OWNER_NAME_LEN];
	} of[16];
	unsigned n; /* so many ever */
};

void owner_name_again(struct owner_names *names, uid_t uid, char ret[static OWNER_NAME_LEN]);

#endif
