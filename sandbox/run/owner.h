/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_OWNER_H
#define CLOCHE_RUN_OWNER_H

#include <sys/types.h>

/* Long enough for useradd(8)'s names; a longer one is cut. */
#define OWNER_NAME_LEN 33

/* The name of a user in /etc/passwd; "" when it has none there. Always UTF-8. */
void owner_name(uid_t uid, char ret[static OWNER_NAME_LEN]);

#endif
