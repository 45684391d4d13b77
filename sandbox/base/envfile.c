/* SPDX-License-Identifier: MIT */
/*
 * Environment files: see envfile.h. The text is copied once, its lines are ended by NULs in place,
 * and the vector points into the copy.
 */
#include "base/envfile.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/quote.h"

#define WANTED	    "expected NAME=VALUE"
#define NAME_WANTED "expected a name of letters, digits and '_' that does not start with a digit"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r';
}

static bool name_char(char c, bool first)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
	       (!first && c >= '0' && c <= '9');
}

bool envfile_name_ok(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!name_char(name[i], i == 0))
			return false;
	return len > 0;
}

/* The file's name as FILE:LINE has it: made harmless as by quote(), without the quotes. */
static const char *bare(char buf[static QUOTE_LEN], const char *name)
{
	quote(buf, name);
	*strrchr(buf, '\'') = '\0';
	return buf + 1;
}

/* One line without its newline, blanks before it and its '\r' already gone; not blank. */
static int line_check(const char *line, size_t len, const char *file, size_t number,
		      struct cloche_err *err)
{
	char shown[QUOTE_LEN], shown_file[QUOTE_LEN];
	const char *equals = memchr(line, '=', len);

	if (memchr(line, '\0', len))
		return cloche_err_set(err, EINVAL, "%s:%zu: NUL byte: " WANTED " without NUL bytes",
				      bare(shown_file, file), number);
	if (!equals)
		return cloche_err_set(err, EINVAL, "%s:%zu: no '=' in %s: " WANTED,
				      bare(shown_file, file), number, quote_n(shown, line, len));
	if (!envfile_name_ok(line, (size_t)(equals - line)))
		return cloche_err_set(err, EINVAL, "%s:%zu: name %s: " NAME_WANTED,
				      bare(shown_file, file), number,
				      quote_n(shown, line, (size_t)(equals - line)));
	return 0;
}

/* Walks over the lines of text, ends each by a NUL and notes where the variables start. */
static int lines_collect(char *text, size_t len, const char *name, char **vars, size_t *ret_count,
			 struct cloche_err *err)
{
	char *line, *next, *end = text + len;
	size_t number = 0, count = 0;

	for (line = text; line < end; line = next) {
		char *stop = memchr(line, '\n', (size_t)(end - line));
		int r;

		number++;
		next = stop ? stop + 1 : end;
		if (!stop)
			stop = end;
		if (stop > line && stop[-1] == '\r')
			stop--;
		while (line < stop && is_blank(*line))
			line++;
		if (line == stop || *line == '#')
			continue;
		r = line_check(line, (size_t)(stop - line), name, number, err);
		if (r < 0)
			return r;
		*stop = '\0';
		vars[count++] = line;
	}
	vars[count] = NULL;
	*ret_count = count;
	return 0;
}

int envfile_parse(const char *text, size_t len, const char *name, struct envfile *ret,
		  struct cloche_err *err)
{
	/* Editors of another system put a byte order mark before the first name. */
	static const char bom[] = { (char)0xef, (char)0xbb, (char)0xbf };
	cleanup_free char *copy = NULL;
	cleanup_free char **vars = NULL;
	char shown[QUOTE_LEN];
	size_t i, lines = 1, count;
	int r;

	if (len >= sizeof(bom) && memcmp(text, bom, sizeof(bom)) == 0) {
		text += sizeof(bom);
		len -= sizeof(bom);
	}
	if (len > ENVFILE_MAX)
		return cloche_err_set(err, EFBIG, "%s: larger than %u bytes", bare(shown, name),
				      ENVFILE_MAX);
	for (i = 0; i < len; i++)
		lines += text[i] == '\n';
	copy = malloc(len + 1);
	vars = calloc(lines + 1, sizeof(*vars));
	if (!copy || !vars)
		return cloche_err_sys(err, ENOMEM, "%s", quote(shown, name));
	memcpy(copy, text, len);
	copy[len] = '\0';
	r = lines_collect(copy, len, name, vars, &count, err);
	if (r < 0)
		return r;
	*ret = (struct envfile){ .vars = vars, .count = count, .text = copy };
	vars = NULL;
	copy = NULL;
	return 0;
}

void envfile_free(struct envfile *env)
{
	if (!env)
		return;
	free(env->vars);
	free(env->text);
	*env = (struct envfile){ 0 };
}
