/* SPDX-License-Identifier: MIT */
/* The streams that everything is said on; see show.h. */
#include "cli/show.h"

#include "base/err.h"
#include "base/utf8.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARK_LEN 18 /* 0xff, 16 digits, a letter */

struct sink {
	int fd;
	bool carries; /* what a buffer's end cut in two is kept for the next one */
	enum show_mode mode;
	size_t kept;
	char keep[MARK_LEN];
};

static struct sink out = { .fd = STDOUT_FILENO, .carries = true };
static struct sink errs = { .fd = STDERR_FILENO };
static char marks[N_STYLES][MARK_LEN + 1]; /* filled in when first asked for */

void show_as_options(struct cloche_err *err)
{
	for (unsigned i = CLOCHE_ERR_FIELDS; i-- > 0;) {
		size_t at = err->fields[i];

		if (at == 0)
			continue;
		/* A text that has no room for it is cut at its end. */
		at--;
		if (at + 3 < sizeof(err->text)) {
			memmove(err->text + at + 2, err->text + at, sizeof(err->text) - at - 2);
			memcpy(err->text + at, "--", 2);
			err->text[sizeof(err->text) - 1] = '\0';
		}
		err->fields[i] = 0;
	}
}

const char *show_style(enum show_style style)
{
	unsigned char random[8];

	if (!marks[0][0]) {
		randombytes_buf(random, sizeof(random));
		for (int i = 0; i < N_STYLES; i++) {
			marks[i][0] = '\xff';
			(void)sodium_bin2hex(marks[i] + 1, MARK_LEN - 1, random, sizeof(random));
			marks[i][MARK_LEN - 1] = (char)('a' + i);
		}
	}
	return marks[style];
}

static const char *const codes[N_STYLES] = {
	[STYLE_OFF] = "\033[0m",
	[STYLE_BOLD] = "\033[1m",
	[STYLE_DIM] = "\033[2m",
	[STYLE_RED] = "\033[31m",
	[STYLE_GREEN] = "\033[32m",
	[STYLE_YELLOW] = "\033[33m",
	[STYLE_CYAN] = "\033[36m",
	[STYLE_REWIND] = "\r\033[K",
	[STYLE_SCREEN] = "\033[?1049h\033[?25l",
	[STYLE_SCREEN_END] = "\033[?25h\033[?1049l",
	[STYLE_HOME] = "\033[H",
	[STYLE_EOL] = "\033[K",
	[STYLE_BELOW] = "\033[J",
};

/* Whether the bytes may be the beginning of something longer that passes. */
static bool is_cut(const struct sink *s, const char *p, size_t left)
{
	unsigned char c = (unsigned char)*p;
	size_t need = c >> 5 == 6 ? 2 : c >> 4 == 14 ? 3 : c >> 3 == 30 ? 4 : 1;

	if (!s->carries)
		return false;
	if (c == 0xff && marks[0][0])
		return left < MARK_LEN && memcmp(p, marks[0], left) == 0;
	if (c == '\r')
		return left < 2 && s->mode == SHOW_CSV;
	return left < need;
}

/* One step of the text at p into to (room for 24 bytes); how many bytes of it were taken. */
static size_t step(const struct sink *s, const char *p, size_t left, char *to, size_t *ret_len)
{
	size_t n = utf8_harmless(p, left);
	int len;

	if (s->mode != SHOW_RAW && !n && *p == '\xff' && marks[0][0] && left >= MARK_LEN &&
	    memcmp(p, marks[0], MARK_LEN - 1) == 0 && p[MARK_LEN - 1] >= 'a' &&
	    p[MARK_LEN - 1] < 'a' + N_STYLES) {
		*ret_len = (size_t)snprintf(to, 24, "%s", codes[p[MARK_LEN - 1] - 'a']);
		return MARK_LEN;
	}
	if (s->mode == SHOW_RAW || *p == '\n' || *p == '\t' ||
	    (*p == '\r' && s->mode == SHOW_CSV && left > 1 && p[1] == '\n'))
		n = 1;
	if (n) {
		memcpy(to, p, n);
		*ret_len = n;
		return n;
	}
	n = s->mode == SHOW_JSON ? utf8_width(p, left) : 0;
	if (n)
		len = snprintf(to, 24, "\\u%04x", utf8_code(p, left));
	else
		len = snprintf(to, 24, s->mode == SHOW_JSON ? "\\ufffd" : "\\x%02x",
			       (unsigned char)*p);
	*ret_len = (size_t)len;
	return n ? n : 1;
}

/* As write(2) does, an interruption is the end of it: who watches relies on that. */
static bool put(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static ssize_t sink_write(void *cookie, const char *buf, size_t size)
{
	struct sink *s = cookie;
	size_t len = s->kept + size, at = 0, used = 0, n = 0;
	char *all = malloc(len + 1), *shown = malloc(6 * len + 24);
	bool ok = all && shown;

	if (ok) {
		memcpy(all, s->keep, s->kept);
		memcpy(all + s->kept, buf, size);
		while (at < len && !is_cut(s, all + at, len - at)) {
			at += step(s, all + at, len - at, shown + used, &n);
			used += n;
		}
		s->kept = len - at;
		memcpy(s->keep, all + at, s->kept);
		ok = put(s->fd, shown, used);
	}
	free(all);
	free(shown);
	return ok ? (ssize_t)size : 0;
}

void show_begin(void)
{
	const cookie_io_functions_t io = { .write = sink_write };
	FILE *o = fopencookie(&out, "w", io), *e = fopencookie(&errs, "w", io);

	/* Without memory nothing is said at all. */
	if (!o || !e)
		_exit(1);
	(void)setvbuf(o, NULL, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF, BUFSIZ);
	(void)setvbuf(e, NULL, _IONBF, 0);
	stdout = o;
	stderr = e;
}

void show_line(const char *fmt, ...)
{
	char *text = NULL, *line;
	size_t n = 0;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len < 0)
		return;
	line = malloc(2 * (size_t)len + 2);
	if (line) {
		for (const char *p = text; *p; p++) {
			if (*p == '\n')
				line[n++] = '\\';
			line[n++] = (char)(*p == '\n' ? 'n' : *p);
		}
		line[n++] = '\n';
		(void)fwrite(line, 1, n, stderr);
	}
	free(line);
	free(text);
}

void show_as(enum show_mode mode)
{
	(void)fflush(stdout);
	out.mode = mode;
}

int show_json(const json_t *value, size_t flags)
{
	enum show_mode was = out.mode;
	int r;

	show_as(SHOW_JSON);
	r = json_dumpf(value, stdout, flags);
	show_as(was);
	return r;
}

bool show_on_terminal(FILE *f)
{
	return isatty(f == stdout ? STDOUT_FILENO : f == stderr ? STDERR_FILENO : fileno(f));
}
