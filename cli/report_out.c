/* SPDX-License-Identifier: MIT */
/* REPORT lines and reports, out of the program: see report_out.h. */
#include "cli/report_out.h"

#include "cli/own_line.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/quote.h"
#include "launch/rights.h"
#include "run/outcome.h"
#include "run/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void report_out_complain(const struct report_out *o, const char *text)
{
	own_line();
	fprintf(stderr, "cloche %s: %s\n", o->verb, text);
}

static void lost(const struct report_out *o, const char *doing, int code)
{
	char shown[QUOTE_LEN];

	own_line();
	fprintf(stderr, "cloche %s: %s %s: %s; the report goes to standard error\n", o->verb, doing,
		quote(shown, o->path), file_output_why(code));
}

void report_out_open(struct report_out *o)
{
	o->fd = -1;
	if (!o->path || strcmp(o->path, "-") == 0)
		return;
	o->fd = rights_call(o->as, file_make_output, o->path);
	if (o->fd < 0)
		lost(o, "open", -o->fd);
}

void report_out_close(struct report_out *o)
{
	fd_close(&o->fd);
}

static void write_report(const struct report_out *o, const char *line)
{
	size_t len = strlen(line);

	if (o->fd >= 0) {
		int r = file_write_all(o->fd, line, len);

		if (r == 0)
			return;
		lost(o, "write", -r);
	}
	own_line();
	(void)file_write_all(STDERR_FILENO, line, len);
}

/* In one piece, and however full the pipe is. */
static void say_line(const struct outcome *out)
{
	cleanup_free char *line = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&line, &len);

	if (!f)
		return;
	report_line(out, f);
	own_line();
	if (fclose(f) == 0)
		(void)file_write_all(STDERR_FILENO, line, len);
}

void report_out_say(struct report_out *o, const struct outcome *out)
{
	if (out->verdict == VERDICT_LAUNCH_ERROR)
		report_out_complain(o, out->err.text);
	else if (!o->quiet && out->ran)
		say_line(out);
	if (o->path) {
		cleanup_free char *line = report_json(out);

		if (line)
			write_report(o, line);
		else
			report_out_complain(o, "no memory for the report");
	}
}
