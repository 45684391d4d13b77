/* SPDX-License-Identifier: MIT */
/* Between `cloche run` and environment files, which are somebody's text: see run_envfile.h. */
#include "cli/run_envfile.h"

#include "base/envfile.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/quote.h"
#include "base/texts.h"
#include "host/confined.h"
#include "launch/rights.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each variable has a line, and a NUL in place of its end. */
#define ANSWER_MAX (ENVFILE_MAX + 1U)
#define VARS_MAX   (ENVFILE_MAX / 2U) /* the shortest is "A=" */

struct text {
	const char *path;
	char *text; /* owned */
	size_t len;
};

static int parse(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	const struct text *t = arg;
	struct envfile file = { 0 };
	int r = envfile_parse(t->text, t->len, t->path, &file, err);

	return r < 0 ? r : texts_pack(file.vars, file.count, buf, size, len, err);
}

/* What comes of it is believed to be variables only when it is. */
static int take(struct envfile *file, size_t len, struct cloche_err *err)
{
	int r = texts_take(file->text, len, VARS_MAX, &file->vars, &file->count, err);

	for (size_t i = 0; r == 0 && i < file->count; i++) {
		const char *var = file->vars[i];
		size_t name = strcspn(var, "=");

		if (!var[name] || !envfile_name_ok(var, name))
			r = cloche_err_set(err, EBADMSG, "what was read of it is no environment");
	}
	return r;
}

static int parse_confined(struct text *t, struct envfile *ret, struct cloche_err *err)
{
	char shown[QUOTE_LEN], what[QUOTE_LEN + 24];
	const struct confined confined = { .what = what,
					   .fd = -1,
					   .job = parse,
					   .arg = t,
					   .mem_bytes = 256ULL << 20,
					   .cpu_s = 10,
					   .wall_s = 60 };
	struct envfile file = { .text = malloc(ANSWER_MAX) };
	size_t len = 0;
	int r;

	if (!file.text)
		return cloche_err_sys(err, ENOMEM, "%s", quote(shown, t->path));
	(void)snprintf(what, sizeof(what), "environment file %s", quote(shown, t->path));
	r = confined_run(&confined, file.text, ANSWER_MAX, &len, err);
	if (r == 0)
		r = take(&file, len, err);
	if (r < 0)
		envfile_free(&file);
	else
		*ret = file;
	return r;
}

int run_envfile_load(const char *path, const struct rights *caller, struct envfile *ret,
		     struct cloche_err *err)
{
	cleanup_fd int fd = rights_call(caller, file_open_input, path);
	struct text t = { .path = path };
	char shown[QUOTE_LEN];
	int r;

	if (fd < 0)
		return cloche_err_sys(err, -fd, "open %s", quote(shown, path));
	r = file_load_fd(fd, path, ENVFILE_MAX, &t.text, &t.len, err);
	if (r == 0)
		r = parse_confined(&t, ret, err);
	free(t.text);
	return r;
}
