/* SPDX-License-Identifier: MIT */
/* Kept traces of a folder or of the daemon: see trace_from.h. */
#include "cli/trace_from.h"

#include "base/err.h"
#include "base/fd.h"
#include "cli/ledger_args.h"
#include "cli/reading.h"
#include "serve/remote_kept.h"
#include "serve/request.h"
#include "trace/trace.h"
#include "trace/trace_json.h"
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

/* What is wrong with one does not hide the others. */
static void tell_one(int dir, const char *id, trace_from_each *each, void *arg, FILE *out)
{
	cleanup_trace struct trace t = { 0 };
	struct cloche_err err = { 0 };
	cleanup_file FILE *f = trace_store_read(dir, id, &err);

	/* Between the listing and now it may have become one too many. */
	if (!f && err.code == ENOENT)
		return;
	if (!f || trace_json_summary(f, id, &t, &err) < 0)
		(void)args_failed("trace", &err);
	else
		each(arg, out, 0, id, &t);
}

static int list_here(const struct trace_from *from, trace_from_each *each, void *arg, FILE *out,
		     struct cloche_err *err)
{
	cleanup_fd int fd = open_store(from, err);
	cleanup_free struct trace_store_entry *entries = NULL;
	size_t n = 0;
	int r = fd < 0 ? fd : trace_store_list(fd, &entries, &n, err);

	if (r < 0 && (r != -ENOENT || from->named))
		return r;
	for (size_t i = 0; i < n; i++)
		tell_one(fd, entries[i].id, each, arg, out);
	if (n == 0)
		each(arg, out, 0, NULL, NULL);
	return 0;
}

/* The daemon's, in the process without rights. */
struct gathered {
	struct {
		struct shown shown;
		struct trace trace; /* its head and end */
	} * v;
	size_t n, room;
	FILE *pipe, *out;
	trace_from_each *each;
	void *arg;
};

static int take_one(struct gathered *g, const struct shown *shown, struct cloche_err *err)
{
	char bytes[TRACE_JSON_HEAD + TRACE_JSON_TAIL];
	struct trace *t = &g->v[g->n].trace;
	struct cloche_err none;
	FILE *f;
	int r = shown->len > sizeof(bytes)
			? cloche_err_set(err, EPROTO, "the daemon answered something else")
			: remote_kept_read(fileno(g->pipe), bytes, shown->len, err);

	if (r < 0)
		return r;
	g->v[g->n].shown = *shown;
	*t = (struct trace){ 0 };
	f = shown->len ? fmemopen(bytes, shown->len, "r") : NULL;
	if (f)
		(void)trace_json_summary(f, shown->id, t, &none);
	if (f)
		(void)fclose(f);
	g->n++;
	return 0;
}

static int gather(void *arg, struct cloche_err *err)
{
	struct gathered *g = arg;
	struct shown shown;
	int r;

	while ((r = remote_kept_next(fileno(g->pipe), &shown, err)) > 0) {
		if (g->n == g->room) {
			void *more = reallocarray(g->v, g->room * 2 + 64, sizeof(*g->v));

			if (!more)
				return cloche_err_sys(err, ENOMEM, "list traces");
			g->v = more;
			g->room = g->room * 2 + 64;
		}
		r = take_one(g, &shown, err);
		if (r < 0)
			return r;
	}
	return r;
}

static int tell(void *arg, FILE *to)
{
	const struct gathered *g = arg;

	for (size_t i = 0; i < g->n; i++)
		g->each(g->arg, to, g->v[i].shown.owner, g->v[i].shown.id, &g->v[i].trace);
	if (g->n == 0)
		g->each(g->arg, to, 0, NULL, NULL);
	return 0;
}

static FILE *where_to(void *arg, struct cloche_err *err)
{
	return ((struct gathered *)arg)->out;
}

static int list_there(const struct trace_from *from, trace_from_each *each, void *arg, FILE *out,
		      struct cloche_err *err)
{
	struct gathered g = { .out = out, .each = each, .arg = arg };
	const struct reading reading = { .files = &g.pipe,
					 .n_files = 1,
					 .read = gather,
					 .show = tell,
					 .open = where_to,
					 .arg = &g };
	cleanup_fd int pipe = -1;
	int r = remote_kept_open(&from->remote, NULL, &pipe, err);

	if (r < 0)
		return r;
	g.pipe = fdopen(pipe, "r");
	if (!g.pipe)
		return cloche_err_sys(err, errno, "list traces");
	(void)TAKE_FD(pipe);
	r = reading_run(&reading, err);
	(void)fclose(g.pipe);
	return r;
}

int trace_from_list(struct trace_from *from, trace_from_each *each, void *arg, FILE *out,
		    struct cloche_err *err)
{
	return from->dir ? list_here(from, each, arg, out, err)
			 : list_there(from, each, arg, out, err);
}
