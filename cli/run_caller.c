/* SPDX-License-Identifier: MIT */
/* Finds out for whom sudo runs this. See run_caller.h. */
#include "cli/run_caller.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/quote.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "nogroup" */
#define NO_GROUP 65534

/* 1: it is there. (uid_t)-1 is nobody's number, and the one before it is the last. */
static int read_id(const char *variable, uint32_t *ret, struct cloche_err *err)
{
	const char *text = getenv(variable);
	char shown[QUOTE_LEN];
	uint64_t n = 0;

	if (!text)
		return 0;
	if (parse_count(text, 0, UINT32_MAX - 1, &n, NULL) < 0)
		return cloche_err_set(err, EINVAL,
				      "%s is %s, and sudo sets it to a number: unset it to have "
				      "root's rights",
				      variable, quote(shown, text));
	*ret = (uint32_t)n;
	return 1;
}

static bool is_member(const struct group *group, const char *name)
{
	for (char **m = group->gr_mem; *m; m++)
		if (strcmp(*m, name) == 0)
			return true;
	return false;
}

/* What other name services know of groups a static program cannot ask: those are left out. */
static void read_groups(struct run_caller *c, const char *name)
{
	cleanup_file FILE *f = fopen("/etc/group", "re");
	struct group *group;

	while (f && c->rights.n_groups < RIGHTS_GROUPS_MAX && (group = fgetgrent(f)))
		if (is_member(group, name))
			c->groups[c->rights.n_groups++] = group->gr_gid;
	c->rights.groups = c->groups;
}

int run_caller_read(struct run_caller *ret, struct cloche_err *err)
{
	cleanup_file FILE *f = NULL;
	struct passwd *pw = NULL;
	uint32_t uid = 0, gid = NO_GROUP;
	int r;

	*ret = (struct run_caller){ 0 };
	if (geteuid() != 0)
		return 0;
	r = read_id("SUDO_UID", &uid, err);
	if (r <= 0 || uid == 0)
		return r < 0 ? r : 0;
	r = read_id("SUDO_GID", &gid, err);
	if (r < 0)
		return r;
	f = fopen("/etc/passwd", "re");
	while (f && (pw = fgetpwent(f)) && pw->pw_uid != uid)
		;
	if (r == 0 && pw)
		gid = pw->pw_gid;
	ret->is_there = true;
	ret->rights = (struct rights){ .uid = uid, .gid = gid };
	if (pw)
		read_groups(ret, pw->pw_name);
	return 0;
}

const struct rights *run_caller_rights(const struct run_caller *caller)
{
	return caller->is_there ? &caller->rights : NULL;
}

int run_caller_become(struct cloche_err *err)
{
	struct run_caller caller;
	int r = run_caller_read(&caller, err);

	if (r == 0 && caller.is_there)
		r = rights_take(&caller.rights);
	return r < 0 && !err->code ? cloche_err_sys(err, -r, "take the rights of uid %u",
						    (unsigned)caller.rights.uid)
				   : r;
}
