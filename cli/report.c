/* SPDX-License-Identifier: MIT */
/* `cloche report`: reports and traces in, one page out, made by a confined process (reading.h). */
#include "cli/cli.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "cli/ledger_args.h"
#include "cli/reading.h"
#include "cli/run_caller.h"
#include "cli/verb.h"
#include "trace/page.h"
#include "trace/page_sources.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

/* One of many: a file is in memory, so that no descriptor bounds how many there may be; what is
 * none, or says that it is empty, stays open. */
struct input {
	const char *name;
	void *data; /* of len bytes, mapped; NULL: open */
	size_t len;
	FILE *file;
};

/* What is read, and where the page of it goes. */
struct job {
	struct input *inputs;
	size_t n;
	const char *html;
	struct page_sources sources; /* of who reads */
	FILE *out;		     /* of who writes */
};

static void inputs_close(struct job *j)
{
	for (size_t i = 0; i < j->n; i++) {
		if (j->inputs[i].data)
			(void)munmap(j->inputs[i].data, j->inputs[i].len);
		if (j->inputs[i].file)
			(void)fclose(j->inputs[i].file);
	}
	free(j->inputs);
}

static int input_open(struct input *in, struct cloche_err *err)
{
	cleanup_fd int fd = file_open_input(in->name);
	struct stat st;
	void *data;

	if (fd < 0 || fstat(fd, &st) < 0)
		return cloche_err_sys(err, fd < 0 ? -fd : errno, "open '%.200s'", in->name);
	if (S_ISREG(st.st_mode) && st.st_size > 0) {
		/* Private: what is shared, who reads it has not. */
		data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (data != MAP_FAILED) {
			in->data = data;
			in->len = (size_t)st.st_size;
			return 0;
		}
	}
	in->file = fdopen(fd, "r");
	if (!in->file)
		return cloche_err_sys(err, errno, "open '%.200s'", in->name);
	(void)TAKE_FD(fd);
	return 0;
}

/* What of them stays open is in files. */
static int inputs_open(struct job *j, char *const *names, FILE **files, size_t *ret_n,
		       struct cloche_err *err)
{
	int r = 0;

	*ret_n = 0;
	j->inputs = calloc(j->n, sizeof(*j->inputs));
	if (!j->inputs)
		return cloche_err_sys(err, ENOMEM, "read files");
	for (size_t i = 0; i < j->n && !r; i++) {
		j->inputs[i].name = names[i];
		r = input_open(&j->inputs[i], err);
		if (j->inputs[i].file)
			files[(*ret_n)++] = j->inputs[i].file;
	}
	return r;
}

static int input_read(struct page_sources *to, const struct input *in, struct cloche_err *err)
{
	FILE *f = in->data ? fmemopen(in->data, in->len, "r") : in->file;
	int r;

	if (!f)
		return cloche_err_sys(err, errno, "read '%.200s'", in->name);
	r = page_sources_read(to, f, in->name, err);
	if (f != in->file)
		(void)fclose(f);
	return r;
}

static int sources_read(void *arg, struct cloche_err *err)
{
	struct job *j = arg;
	int r = 0;

	for (size_t i = 0; i < j->n && !r; i++)
		r = input_read(&j->sources, &j->inputs[i], err);
	return r;
}

static int page_show(void *arg, FILE *to)
{
	const struct page_sources *s = &((struct job *)arg)->sources;

	return page_write(to, s->reports, s->n_reports, s->traces, s->n_traces);
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && S_ISREG(x.st_mode) && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static FILE *page_open(void *arg, struct cloche_err *err)
{
	struct job *j = arg;
	bool is_stdout = strcmp(j->html, "-") == 0;
	int fd = is_stdout ? -1 : file_make_output(j->html);

	j->out = is_stdout ? stdout : fd < 0 ? NULL : fdopen(fd, "w");
	if (!j->out)
		(void)cloche_err_set(err, fd < 0 ? -fd : errno, "open '%.200s': %s", j->html,
				     file_output_why(fd < 0 ? -fd : errno));
	return j->out;
}

static int page_make(struct job *j, char *const *names, struct cloche_err *err)
{
	cleanup_free FILE **files = calloc(j->n, sizeof(void *));
	struct reading reading = {
		.files = files, .read = sources_read, .show = page_show, .open = page_open, .arg = j
	};
	int r = files ? inputs_open(j, names, files, &reading.n_files, err)
		      : cloche_err_sys(err, ENOMEM, "read files");

	if (!r)
		r = reading_run(&reading, err);
	if (j->out && (j->out == stdout ? fflush(j->out) : fclose(j->out)) && !r)
		r = cloche_err_sys(err, errno, "write '%.200s'", j->html);
	if (j->inputs)
		inputs_close(j);
	return r;
}

int cmd_report(int argc, char **argv)
{
	struct job job = { 0 };
	struct cloche_err err = { 0 };
	const char *html = NULL;
	struct verb_getopt known;
	int opt;

	verb_getopt_init(&known, &verb_report, ":");
	opterr = 0;
	while ((opt = getopt_long(argc, argv, known.shorts, known.longs, NULL)) != -1) {
		if (opt == 'h')
			return verb_help(&verb_report);
		if (opt != OPT_HTML)
			return args_refused("report", argv, opt);
		html = optarg;
	}
	if (optind >= argc)
		return args_usage("report", "say which FILE");
	if (!html)
		return args_usage("report", "say where to: --html OUT");
	if (run_caller_become(&err) < 0)
		return args_failed("report", &err);
	for (int i = optind; i < argc; i++)
		if (is_same_file(argv[i], html))
			return args_usage("report",
					  "--html '%.200s': that is read, and would be "
					  "lost",
					  html);
	job.n = (size_t)(argc - optind);
	job.html = html;
	return page_make(&job, argv + optind, &err) ? args_failed("report", &err) : 0;
}
