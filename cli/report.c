/* SPDX-License-Identifier: MIT */
/* `cloche report`: reports and traces in, one page out. */
#include "cli/cli.h"

#include "base/err.h"
#include "base/file.h"
#include "cli/ledger_args.h"
#include "cli/verb.h"
#include "trace/page.h"
#include "trace/page_sources.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { OPT_HTML = 256 };

static const struct verb_option options[] = {
	{ .text = "What, and where to" },
	{ .arg = "FILE",
	  .text = "what 'cloche run' wrote by --report or --trace, in any order; a report and a "
		  "trace of the same request become one section" },
	{ "html", OPT_HTML, "OUT", "- @file", "the page; '-' is standard output" },
	{ "help", 'h', NULL, NULL, "this text" },
	{ 0 },
};

const struct verb verb_report = {
	.name = "report",
	.run = cmd_report,
	.text = "a report and its trace as one self-contained page",
	.usage = "Usage: cloche report FILE... --html OUT\n\n"
		 "Makes one page of reports and traces: where the wall time went as a picture,\n"
		 "what the function did, what it used and what it costs. The page is one file,\n"
		 "asks for nothing from elsewhere and runs no script.\n",
	.options = options,
	.tail = "Examples:\n"
		"  cloche run --report r.json --trace t.jsonl -- ./work\n"
		"  cloche report r.json t.jsonl --html work.html\n",
	.values = "@file",
};

static int read_source(struct page_sources *s, const char *name, struct cloche_err *err)
{
	FILE *f = fopen(name, "re");
	int r;

	if (!f)
		return cloche_err_sys(err, errno, "open '%.200s'", name);
	r = page_sources_read(s, f, name, err);
	(void)fclose(f);
	return r;
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && S_ISREG(x.st_mode) && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static int write_page(const struct page_sources *s, const char *path, struct cloche_err *err)
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
	cleanup_page_sources struct page_sources s = { 0 };
	struct cloche_err err = { 0 };
	const char *html = NULL;
	struct verb_getopt known;
	int opt, r = 0;

	verb_getopt_init(&known, &verb_report, ":");
	opterr = 0;
	while ((opt = getopt_long(argc, argv, known.shorts, known.longs, NULL)) != -1) {
		if (opt == 'h')
			return verb_help(&verb_report);
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
	return r ? args_failed("report", &err) : 0;
}
