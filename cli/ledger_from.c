/* SPDX-License-Identifier: MIT */
/* Which ledger is read, and how: see ledger_from.h. */
#include "cli/ledger_from.h"

#include "base/err.h"
#include "ledger/ledger.h"
#include "ledger/ledger_index.h"
#include "ledger/ledger_verify.h"
#include "serve/remote_ledger.h"
#include "serve/request.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static bool cannot_be_reached(int code)
{
	return code == -ENOENT || code == -ECONNREFUSED || code == -EACCES;
}

int ledger_from_open(const char *given, struct ledger_from *ret, struct cloche_err *err)
{
	const char *env = getenv("CLOCHE_LEDGER"), *control = getenv("CLOCHE_CONTROL");
	struct ledger_from from = { .remote = { .socket = -1 } };
	int r;

	from.dir = given ? given : env && *env ? env : NULL;
	if (!from.dir && (geteuid() != 0 || control)) {
		from.control = control ? control : CONTROL_PATH;
		r = remote_open(from.control, &from.remote, err);
		if (cannot_be_reached(r) && control)
			return cloche_err_set(err, -r,
					      "no daemon can be reached at '%.200s'; have 'cloche "
					      "serve' started, or name a ledger by --ledger",
					      control);
		if (r < 0 && !cannot_be_reached(r))
			return r;
		if (r < 0)
			from.dir = LEDGER_DIR;
	} else if (!from.dir) {
		from.dir = LEDGER_DIR;
	}
	*ret = from;
	return 0;
}

/* Nobody named the directory: what is missing is the daemon. */
static int missing(const struct ledger_from *from, int r, struct cloche_err *err)
{
	if (from->control && (r == -EACCES || r == -ENOENT))
		return cloche_err_set(
			err, -r,
			"no daemon can be reached at '%.200s', and '%.200s' is no "
			"ledger of yours; have 'cloche serve' started, or name one by "
			"--ledger",
			from->control, from->dir);
	return r;
}

int ledger_from_walk(const struct ledger_from *from, const struct ledger_walk *walk,
		     struct ledger_finding *ret, struct cloche_err *err)
{
	if (!from->dir)
		return remote_ledger_walk(&from->remote, walk, ret, err);
	return missing(from, ledger_verify(from->dir, walk, ret, err), err);
}

static int walk_remote(void *arg, const struct ledger_walk *walk, struct ledger_finding *ret,
		       struct cloche_err *err)
{
	return remote_ledger_walk(arg, walk, ret, err);
}

int ledger_from_index(const struct ledger_from *from, struct ledger_index *ret,
		      struct cloche_err *err)
{
	const struct ledger_source source = { walk_remote, (void *)(uintptr_t)&from->remote };

	if (!from->dir)
		return ledger_index_gather(&source, ret, err);
	return missing(from, ledger_index_open(from->dir, false, ret, err), err);
}

int ledger_from_directory(const struct ledger_from *from, struct cloche_err *err)
{
	if (from->dir)
		return 0;
	return cloche_err_set(
		err, ENOTSUP,
		"the daemon's ledger is one chain of all owners' records, which only "
		"root can prove: --ledger /var/lib/cloche/daemon/ledger; 'cloche audit "
		"show' shows your own");
}

void ledger_from_close(struct ledger_from *from)
{
	remote_close(&from->remote);
}
