/* SPDX-License-Identifier: MIT */
/* `cloche report`: reports and traces in, one page out. */
#include "cli/cli.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "cli/ledger_args.h"
#include "trace/page.h"
#include "trace/trace.h"
#include "trace/trace_json.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SCHEMA "cloche.report/1"

static const char help[] =
	"Usage: cloche report FILE... --html OUT\n"
	"Makes one page of reports and traces: where the wall time went as a picture,\n"
	"what the function did, what it used and what it costs. The page is one file,\n"
	"asks for nothing from elsewhere and runs no script.\n"
	"\n"
	"  FILE          what 'cloche run' wrote by --report or --trace, in any order; a\n"
	"                report and a trace of the same request become one section\n"
	"  --html OUT    the page; '-' is standard output\n"
	"  -h, --help    this text\n"
	"\n"
	"Examples:\n"
	"  cloche run --report r.json --trace t.jsonl -- ./work\n"
	"  cloche report r.json t.jsonl --html work.html\n";

enum { OPT_HTML = 256 };

static const struct option options[] = {
	{ "html", required_argument, NULL, OPT_HTML },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

struct sources {
	json_t **reports;
	struct trace *traces;
	size_t n_reports, n_traces;
};

static void sources_free(struct sources *s)
{
	for (size_t i = 0; i < s->n_reports; i++)
		json_decref(s->reports[i]);
	for (size_t i = 0; i < s->n_traces; i++)
		trace_free(&s->traces[i]);
	free(s->reports);
	free(s->traces);
}

static int add_report(struct sources *s, json_t *report, struct cloche_err *err)
{
	json_t **more = reallocarray(s->reports, s->n_reports + 1, sizeof(void *));

	if (!more) {
		json_decref(report);
		return cloche_err_sys(err, ENOMEM, "read the report");
	}
	s->reports = more;
	s->reports[s->n_reports++] = report;
	return 0;
}

/* The next that is no blank, which stays to be read; EOF. */
static int peek(FILE *f)
{
	int c;

	while ((c = getc(f)) != EOF && strchr(" \t\r\n", c))
		;
	return c == EOF ? EOF : ungetc(c, f);
}

static int read_reports(struct sources *s, FILE *f, const char *name, struct cloche_err *err)
{
	unsigned long number = 0;
	json_error_t why;

	while (peek(f) != EOF) {
		json_t *o = json_loadf(f, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &why);
		const char *schema = json_string_value(json_object_get(o, "schema"));
		int r;

		number++;
		if (!o || !schema || strcmp(schema, SCHEMA) != 0) {
			json_decref(o);
			return cloche_err_set(err, EPROTO,
					      "'%.200s' object %lu: neither a report (%s) nor a "
					      "trace (" TRACE_SCHEMA ")",
					      name, number, SCHEMA);
		}
		r = add_report(s, o, err);
		if (r)
			return r;
	}
	if (ferror(f))
		return cloche_err_sys(err, errno, "read '%.200s'", name);
	if (!number)
		return cloche_err_set(err, EPROTO, "'%.200s' is empty", name);
	return 0;
}

static int read_trace(struct sources *s, FILE *f, const char *name, struct cloche_err *err)
{
	struct trace *more = reallocarray(s->traces, s->n_traces + 1, sizeof(*more));

	if (!more)
		return cloche_err_sys(err, ENOMEM, "read '%.200s'", name);
	s->traces = more;
	/* Counted also when it fails: it is to be freed. */
	return trace_json_read(f, name, &s->traces[s->n_traces++], err);
}

/* Whoever wrote it, and with whatever blanks: by the schema of its first object. */
static bool is_trace(FILE *f)
{
	json_t *o = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL);
	const char *schema = json_string_value(json_object_get(o, "schema"));
	bool is = schema && strcmp(schema, TRACE_SCHEMA) == 0;

	json_decref(o);
	return is;
}

static int read_source(struct sources *s, const char *name, struct cloche_err *err)
{
	FILE *f = fopen(name, "re");
	bool trace;
	int r;

	if (!f)
		return cloche_err_sys(err, errno, "open '%.200s'", name);
	trace = is_trace(f);
	rewind(f);
	r = trace ? read_trace(s, f, name, err) : read_reports(s, f, name, err);
	(void)fclose(f);
	return r;
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && S_ISREG(x.st_mode) && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static int write_page(const struct sources *s, const char *path, struct cloche_err *err)
{
	bool is_stdout = strcmp(path, "-") == 0;
	int fd = is_stdout ? -1 : file_make_output(path);
	FILE *out = is_stdout ? stdout : fd < 0 ? NULL : fdopen(fd, "w");
	int r;

	if (!out)
		return cloche_err_set(err, fd < 0 ? -fd : errno, "open '%.200s': %s", path,
				      file_output_why(fd < 0 ? -fd : errno));
	r = page_write(out, s->reports, s->n_reports, s->traces, s->n_traces);
	if (r)
		(void)cloche_err_sys(err, -r, "write '%.200s'", path);
	if ((out == stdout ? fflush(out) : fclose(out)) && !r)
		r = cloche_err_sys(err, errno, "write '%.200s'", path);
	return r;
}

int cmd_report(int argc, char **argv)
{
	struct sources s = { 0 };
	struct cloche_err err = { 0 };
	const char *html = NULL;
	int opt, r = 0;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (opt == 'h')
			return fputs(help, stdout) < 0;
		if (opt != OPT_HTML)
			return args_refused("report", argv, opt);
		html = optarg;
	}
	if (optind == argc)
		return args_usage("report", "say which FILE");
	if (!html)
		return args_usage("report", "say where to: --html OUT");
	for (int i = optind; i < argc; i++)
		if (is_same_file(argv[i], html))
			return args_usage("report",
					  "--html '%.200s': that is read, and would be "
					  "lost",
					  html);
	for (int i = optind; i < argc && !r; i++)
		r = read_source(&s, argv[i], &err);
	if (!r)
		r = write_page(&s, html, &err);
	sources_free(&s);
	return r ? args_failed("report", &err) : 0;
}
