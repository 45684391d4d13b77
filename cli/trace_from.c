/* SPDX-License-Identifier: MIT */
/* Kept traces of a folder or of the daemon: see trace_from.h. */
#include "cli/trace_from.h"

#include "base/err.h"
#include "base/fd.h"
#include "cli/ledger_args.h"
#include "serve/remote_kept.h"
#include "serve/request.h"
#include "trace/trace_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool cannot_be_reached(int code)
{
	return code == -ENOENT || code == -ECONNREFUSED || code == -EACCES;
}

int trace_from_open(const char *given, struct trace_from *ret, struct cloche_err *err)
{
	const char *control = getenv("CLOCHE_CONTROL");
	struct trace_from from = { .remote = { .socket = -1 }, .all = geteuid() == 0 };
	int r;

	from.dir = given ? given : args_traces_named();
	from.named = from.dir != NULL;
	if (!from.dir && (geteuid() != 0 || control)) {
		r = remote_open(control ? control : CONTROL_PATH, &from.remote, err);
		if (r < 0 && (control || !cannot_be_reached(r)))
			return cloche_err_wrap(err, "ask for the traces that the daemon keeps");
		if (r < 0)
			from.dir = TRACE_STORE_DIR;
	} else if (!from.dir) {
		from.dir = TRACE_STORE_DIR;
	}
	*ret = from;
	return 0;
}

void trace_from_close(struct trace_from *from)
{
	remote_close(&from->remote);
}

/* Who is not root is told what is missing, where nobody named a folder. */
static int open_store(const struct trace_from *from, struct cloche_err *err)
{
	int fd = trace_store_open(from->dir, false, err);

	if ((fd == -EACCES || fd == -ENOENT) && !from->named && geteuid() != 0)
		return cloche_err_set(
			err, EACCES,
			"no daemon can be reached at '" CONTROL_PATH "', and the traces kept in "
			"'%.160s' are root's; have 'cloche serve' started, or name a folder of "
			"yours by --dir or $CLOCHE_TRACES",
			from->dir);
	return fd;
}

/* ---- one ------------------------------------------------------------------------------------- */

static FILE *find_here(const struct trace_from *from, const char *id, char *name, size_t size,
		       int *ret_code, struct cloche_err *err)
{
	cleanup_fd int fd = open_store(from, err);
	char whole[TRACE_STORE_ID_LEN];

	*ret_code = fd < 0 ? fd : trace_store_find(fd, id, whole, err);
	if (*ret_code < 0)
		return NULL;
	(void)snprintf(name, size, "%s/%s", from->dir, whole);
	return trace_store_read(fd, whole, err);
}

static FILE *find_there(const struct trace_from *from, const char *id, char *name, size_t size,
			int *ret_code, struct cloche_err *err)
{
	cleanup_fd int pipe = -1;
	struct shown shown;
	FILE *f;
	int r = remote_kept_open(&from->remote, id, &pipe, err);

	if (r == 0)
		r = remote_kept_next(pipe, &shown, err);
	*ret_code = r == 0 ? -ENOENT : r;
	if (r <= 0)
		return NULL;
	*ret_code = 0;
	(void)snprintf(name, size, "%s", shown.id);
	/* All that still comes is of this one, and what says that it was all lies behind it. */
	f = remote_kept_part(pipe, &shown, err);
	if (f && remote_kept_next(pipe, &shown, err) < 0) {
		(void)fclose(f);
		return NULL;
	}
	return f;
}

FILE *trace_from_find(struct trace_from *from, const char *id, char *name, size_t size,
		      struct cloche_err *err)
{
	bool here = from->dir != NULL;
	int r = 0;
	FILE *f = NULL;

	if (strlen(id) < TRACE_STORE_PREFIX)
		r = -EINVAL;
	else
		f = here ? find_here(from, id, name, size, &r, err)
			 : find_there(from, id, name, size, &r, err);
	if (r == -ENOENT)
		(void)cloche_err_set(err, ENOENT,
				     "no file '%.40s', and no trace of that request %s%.160s%s; "
				     "'cloche run --keep-trace' keeps them",
				     id, here ? "in '" : "that the daemon keeps for ",
				     here	 ? from->dir
				     : from->all ? "anybody"
						 : "you",
				     here ? "'" : "");
	if (r == -EEXIST && !here)
		(void)cloche_err_set(err, EEXIST,
				     "'%s' begins the ids of several traces: give more of it", id);
	if (r == -EINVAL)
		(void)cloche_err_set(err, EINVAL,
				     "no file '%.40s', and too little of a request's id: at least "
				     "%d characters of it",
				     id, TRACE_STORE_PREFIX);
	return r < 0 ? NULL : f;
}

/* ---- all ------------------------------------------------------------------------------------- */

static int list_here(const struct trace_from *from, trace_from_each *each, void *arg, size_t *ret_n,
		     struct cloche_err *err)
{
	cleanup_fd int fd = open_store(from, err);
	cleanup_free struct trace_store_entry *entries = NULL;
	size_t n = 0;
	int r = fd < 0 ? fd : trace_store_list(fd, &entries, &n, err);

	*ret_n = n;
	if (r < 0)
		return r == -ENOENT && !from->named ? 0 : r;
	for (size_t i = 0; r == 0 && i < n; i++) {
		cleanup_file FILE *f = trace_store_read(fd, entries[i].id, err);

		/* Between the listing and now it may have become one too many. */
		if (f)
			r = each(arg, 0, entries[i].id, f);
		else if (err->code != ENOENT)
			(void)args_failed("trace", err);
	}
	return r;
}

static int list_there(const struct trace_from *from, trace_from_each *each, void *arg,
		      size_t *ret_n, struct cloche_err *err)
{
	cleanup_fd int pipe = -1;
	struct shown shown;
	int r = remote_kept_open(&from->remote, NULL, &pipe, err);

	while (r == 0 && (r = remote_kept_next(pipe, &shown, err)) > 0) {
		cleanup_file FILE *f = remote_kept_part(pipe, &shown, err);

		++*ret_n;
		r = f ? each(arg, shown.owner, shown.id, f) : -err->code;
	}
	return r;
}

int trace_from_list(struct trace_from *from, trace_from_each *each, void *arg, size_t *ret_n,
		    struct cloche_err *err)
{
	*ret_n = 0;
	return from->dir ? list_here(from, each, arg, ret_n, err)
			 : list_there(from, each, arg, ret_n, err);
}
