/* SPDX-License-Identifier: MIT */
/*
 * Who an invocation belongs to, by name: for the report and the ledger, which must say the same.
 * From /etc/passwd alone: a static program cannot load what else the name service is made of.
 */
#include "run/owner.h"

#include "base/fd.h"
#include "base/quote.h"

#include <pwd.h>
#include <stdio.h>

void owner_name(uid_t uid, char ret[static OWNER_NAME_LEN])
{
	cleanup_file FILE *f = fopen("/etc/passwd", "re");
	struct passwd *pw = NULL;

	while (f && (pw = fgetpwent(f)) && pw->pw_uid != uid)
		;
	quote_field(ret, OWNER_NAME_LEN, pw ? pw->pw_name : "");
}
