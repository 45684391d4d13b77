/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BASE_ENVFILE_H
#define CLOCHE_BASE_ENVFILE_H

#include <stdbool.h>
#include <stddef.h>

struct cloche_err;

/* More than execve(2) can ever pass on: a longer file is a mistake, such as a log or an image. */
#define ENVFILE_MAX (8u << 20)

/*
 * An environment file in docker's form. Each line is NAME=VALUE; blank lines and lines that start
 * with '#' are skipped; blanks before the name and a carriage return at the end of the line are
 * dropped; everything else in the value is kept as it stands, quotes, '#' and blanks included.
 * NAME is POSIX's: [A-Za-z_][A-Za-z0-9_]*. Unlike docker, a NAME without '=' is refused: nothing
 * gets into a function's environment by being in the caller's. A name that comes twice is there
 * twice, in the file's order: the last one counts.
 *
 * Life cycle: envfile_parse → read vars → envfile_free.
 */
struct envfile {
	char **vars; /* owned: "NAME=VALUE", count of them and a NULL */
	size_t count;
	char *text; /* owned: what vars point into */
};

/* Whether the len bytes at name are a POSIX name. */
bool envfile_name_ok(const char *name, size_t len);

/* Parses len bytes of text (which may hold anything); name is for messages. -EINVAL with
 * "NAME:LINE: what is wrong: what was expected", and *ret unchanged. */
int envfile_parse(const char *text, size_t len, const char *name, struct envfile *ret,
		  struct cloche_err *err);

void envfile_free(struct envfile *env);

#endif
