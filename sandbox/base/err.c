/* SPDX-License-Identifier: MIT */
/*
 * Errors as values: see err.h. Formatting uses vsnprintf and strerrordesc_np only, neither of
 * which takes a lock or allocates for the conversions used here, so that the child between clone
 * and exec may call these too.
 */
#include "base/err.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(struct cloche_err) == 512, "an error crosses the pipe in one write");

static const char *errno_text(int code)
{
	/* The field's words for what users meet most; the C library's for the rest. */
	const char *desc = strerrordesc_np(code);

	return desc ? desc : "unknown error";
}

/* Takes the marks of fields out of the text, which may hold users' bytes: a stray mark of theirs
 * tells of a field where there is none, and no more. */
static void find_fields(struct cloche_err *err)
{
	unsigned n = 0;
	char *to = err->text;

	memset(err->fields, 0, sizeof(err->fields));
	for (const char *c = err->text; *c; c++) {
		if (*c != *CLOCHE_FIELD || c[1] < 'a' || c[1] > 'z')
			*to++ = *c;
		else if (n < CLOCHE_ERR_FIELDS)
			err->fields[n++] = (uint16_t)(to - err->text + 1);
	}
	*to = '\0';
}

/* One line, whatever a path in it holds; where users' text is expected, quote.h shows it better. */
static void format(struct cloche_err *err, int code, const char *fmt, va_list ap)
{
	err->code = code;
	err->stage[0] = '\0';
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	find_fields(err);
	for (char *c = err->text; *c;) {
		size_t n = utf8_harmless(c, strlen(c));

		if (!n)
			*c = '?';
		c += n ? n : 1;
	}
}

int cloche_err_set(struct cloche_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -code;
	va_start(ap, fmt);
	format(err, code, fmt, ap);
	va_end(ap);
	return -code;
}

int cloche_err_sys(struct cloche_err *err, int code, const char *fmt, ...)
{
	va_list ap;
	size_t len;

	if (!err)
		return -code;
	va_start(ap, fmt);
	format(err, code, fmt, ap);
	va_end(ap);
	len = strlen(err->text);
	(void)snprintf(err->text + len, sizeof(err->text) - len, ": %s", errno_text(code));
	/* "Permission denied" → "permission denied": the text is one sentence without a capital. */
	if (len + 2 < sizeof(err->text) && err->text[len + 2] >= 'A' && err->text[len + 2] <= 'Z' &&
	    err->text[len + 3] >= 'a')
		err->text[len + 2] = (char)(err->text[len + 2] - 'A' + 'a');
	return -code;
}

int cloche_err_wrap(struct cloche_err *err, const char *fmt, ...)
{
	struct cloche_err outer;
	unsigned n = 0;
	va_list ap;
	size_t len;

	if (!err)
		return -1;
	va_start(ap, fmt);
	format(&outer, err->code, fmt, ap);
	va_end(ap);
	len = strlen(outer.text);
	if (len + 1 >= sizeof(outer.text))
		return -err->code;
	(void)snprintf(outer.text + len, sizeof(outer.text) - len, ": %.*s",
		       (int)(sizeof(outer.text) - len), err->text);
	while (n < CLOCHE_ERR_FIELDS && outer.fields[n])
		n++;
	for (unsigned i = 0; n < CLOCHE_ERR_FIELDS && err->fields[i]; i++)
		if (err->fields[i] + len + 2 < sizeof(outer.text))
			outer.fields[n++] = (uint16_t)(err->fields[i] + len + 2);
	memcpy(err->fields, outer.fields, sizeof(err->fields));
	memcpy(err->text, outer.text, sizeof(err->text));
	return -err->code;
}

#define CODE_MAX 4095 /* of an errno */

int cloche_err_take(struct cloche_err *err, const struct cloche_err *told)
{
	size_t len;

	if (told->code <= 0 || told->code > CODE_MAX)
		return cloche_err_set(err, EBADMSG, "what went wrong is not known");
	(void)cloche_err_set(err, told->code, "%.*s", (int)sizeof(told->text) - 1, told->text);
	if (!err)
		return -told->code;
	len = strlen(err->text);
	for (unsigned i = 0; i < CLOCHE_ERR_FIELDS && told->fields[i]; i++)
		if (told->fields[i] <= len)
			err->fields[i] = told->fields[i];
		else
			break;
	return -told->code;
}

int cloche_err_stage(struct cloche_err *err, const char *stage)
{
	if (!err)
		return -1;
	(void)snprintf(err->stage, sizeof(err->stage), "%s", stage);
	return -err->code;
}
