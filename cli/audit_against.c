/* SPDX-License-Identifier: MIT */
/* Lines kept elsewhere: see audit_against.h. */
#include "cli/audit_against.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "cli/run_caller.h"
#include "host/confined.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define AGAINST_MAX (64U << 20)

struct lines_text {
	const struct against *form;
	char *text; /* owned */
	size_t len;
};

static int lines_parse(void *arg, void *buf, size_t size, size_t *ret_len, struct cloche_err *err)
{
	const struct lines_text *t = arg;
	char *rest = t->text, *line, *to = buf;
	size_t number = 0, used = 0;

	if (strlen(t->text) != t->len)
		return cloche_err_set(err, EINVAL, "not lines of 'cloche audit head'");
	while ((line = strsep(&rest, "\n"))) {
		number++;
		if (!*line)
			continue;
		if (used + t->form->size > size)
			return -EMSGSIZE;
		if (t->form->parse(line, number, to + used, err) < 0)
			return cloche_err_wrap(err, "line %zu", number);
		used += t->form->size;
	}
	*ret_len = used;
	return used ? 0 : cloche_err_set(err, EINVAL, "no line of 'cloche audit head' in it");
}

static int lines_read(struct lines_text *t, void **ret, size_t *ret_n, struct cloche_err *err)
{
	const struct confined confined = { .what = "the lines",
					   .fd = -1,
					   .job = lines_parse,
					   .arg = t,
					   .mem_bytes = 256ULL << 20,
					   .cpu_s = 60,
					   .wall_s = 600 };
	size_t max = 1, len = 0;
	void *lines;
	int r;

	for (size_t i = 0; i < t->len; i++)
		max += t->text[i] == '\n';
	lines = calloc(max, t->form->size);
	if (!lines)
		return cloche_err_sys(err, ENOMEM, "read lines");
	r = confined_run(&confined, lines, max * t->form->size, &len, err);
	if (r == 0 && (!len || len % t->form->size))
		r = cloche_err_set(err, EBADMSG, "what was read of it are no lines");
	if (r < 0) {
		free(lines);
		return r;
	}
	*ret = lines;
	*ret_n = len / t->form->size;
	return 0;
}

static int line_of_argument(const char *given, const struct against *form, void **ret,
			    size_t *ret_n, struct cloche_err *err)
{
	void *line = calloc(1, form->size);
	int r = line ? form->parse(given, 0, line, err) : cloche_err_sys(err, ENOMEM, "read lines");

	if (r < 0) {
		free(line);
		return r;
	}
	*ret = line;
	*ret_n = 1;
	return 0;
}

int against_load(const char *given, const struct against *form, void **ret, size_t *ret_n,
		 struct cloche_err *err)
{
	struct lines_text t = { .form = form };
	struct run_caller caller;
	cleanup_fd int fd = -1;
	int r;

	if (strncmp(given, form->word, strlen(form->word)) == 0)
		return line_of_argument(given, form, ret, ret_n, err);
	r = run_caller_read(&caller, err);
	if (r < 0)
		return r;
	fd = rights_call(run_caller_rights(&caller), file_open_input, given);
	if (fd == -ENOENT)
		return cloche_err_set(err, ENOENT,
				      "neither a line of 'cloche audit head' nor a file");
	r = fd < 0 ? cloche_err_sys(err, -fd, "open it")
		   : file_load_fd(fd, given, AGAINST_MAX, &t.text, &t.len, err);
	if (r == 0)
		r = lines_read(&t, ret, ret_n, err);
	free(t.text);
	return r;
}
