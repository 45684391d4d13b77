/* SPDX-License-Identifier: MIT */
/* From bytes to lines: see function_lines.h. */
#include "function/function_lines.h"

#include "function/function_log.h"

#include <stdlib.h>
#include <string.h>

/* Most lines need no memory of their own, and who has written one long line holds none for it. */
#define KEPT 4096

void function_lines_flush(struct function_lines *l)
{
	if (l->len)
		l->line(l->arg, l->text, l->len);
	l->len = 0;
	if (l->size > KEPT)
		function_lines_free(l);
}

void function_lines_free(struct function_lines *l)
{
	free(l->text);
	l->text = NULL;
	l->len = l->size = 0;
}

static int make_room(struct function_lines *l, size_t len)
{
	size_t size = l->size ? l->size : 256;
	char *text;

	while (size < len)
		size *= 2;
	if (size == l->size)
		return 0;
	text = realloc(l->text, size);
	if (!text)
		return -1;
	l->text = text;
	l->size = size;
	return 0;
}

/* A part of a line, which has not ended yet. */
static void keep(struct function_lines *l, const char *bytes, size_t len)
{
	while (len) {
		size_t most = FUNCTION_LOG_LINE - l->len, n = len < most ? len : most;

		if (make_room(l, l->len + n) < 0) {
			function_lines_flush(l);
			l->line(l->arg, bytes, n);
		} else {
			memcpy(l->text + l->len, bytes, n);
			l->len += n;
		}
		l->cut = l->len == FUNCTION_LOG_LINE;
		if (l->cut)
			function_lines_flush(l);
		bytes += n;
		len -= n;
	}
}

void function_lines_take(struct function_lines *l, const char *bytes, size_t len)
{
	const char *end;

	while (len && (end = memchr(bytes, '\n', len))) {
		size_t n = (size_t)(end - bytes);

		if (!l->len && n <= FUNCTION_LOG_LINE && !(l->cut && n == 0)) {
			l->line(l->arg, bytes, n);
		} else {
			keep(l, bytes, n);
			function_lines_flush(l);
		}
		l->cut = false;
		bytes += n + 1;
		len -= n + 1;
	}
	keep(l, bytes, len);
}
