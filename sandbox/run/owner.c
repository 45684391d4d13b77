/* SPDX-License-Identifier: MIT */
/*
 * Who an invocation belongs to, by name: for the report and the ledger, which must say the same.
 * From /etc/passwd alone: a static program cannot load what else the name service is made of. Line
 * by line, as fgetpwent(3) asks the kernel where it stands at each.
 */
#include "run/owner.h"

#include "base/fd.h"
#include "base/quote.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* passwd(5): NAME:PASSWORD:UID:… */
static bool is_of(char *line, uid_t uid)
{
	char *name_end = strchr(line, ':'), *number, *end;
	unsigned long n;

	number = name_end ? strchr(name_end + 1, ':') : NULL;
	if (!number)
		return false;
	n = strtoul(++number, &end, 10);
	*name_end = '\0';
	return end > number && *end == ':' && n == uid && *line;
}

void owner_name(uid_t uid, char ret[static OWNER_NAME_LEN])
{
	cleanup_file FILE *f = fopen("/etc/passwd", "re");
	cleanup_free char *line = NULL;
	bool found = false;
	size_t size = 0;

	while (f && !found && getline(&line, &size, f) > 0)
		found = is_of(line, uid);
	quote_field(ret, OWNER_NAME_LEN, found ? line : "");
}

void owner_name_again(struct owner_names *names, uid_t uid, char ret[static OWNER_NAME_LEN])
{
	const unsigned most = sizeof(names->of) / sizeof(names->of[0]);
	unsigned at;

	for (at = 0; at < names->n && at < most; at++)
		if (names->of[at].uid == uid) {
			memcpy(ret, names->of[at].name, OWNER_NAME_LEN);
			return;
		}
	owner_name(uid, ret);
	at = names->n++ % most;
	names->of[at].uid = uid;
	memcpy(names->of[at].name, ret, OWNER_NAME_LEN);
}
