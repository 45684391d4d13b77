/* SPDX-License-Identifier: MIT */
/* `cloche trace`: shows what an invocation did, from the file that `cloche run --trace` wrote. */
#include "cli/cli.h"

#include "base/err.h"
#include "base/fd.h"
#include "cli/ledger_args.h"
#include "meter/trace.h"
#include "meter/trace_json.h"
#include "meter/trace_perfetto.h"
#include "meter/trace_text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TRACE_DIR "/var/lib/cloche/traces"

static const char help[] =
	"Usage: cloche trace [OPTIONS] FILE|REQUEST_ID\n"
	"Shows the timeline of one invocation: what it executed, forked, opened for\n"
	"writing, connected to and was denied, its signals, and when it had a CPU, waited\n"
	"for one or was held by its quota.\n"
	"\n"
	"What:\n"
	"  FILE              a trace that a run left; '-' is standard input\n"
	"  REQUEST_ID        the file REQUEST_ID.jsonl in the traces' folder\n"
	"  --dir DIR         the traces' folder (default " TRACE_DIR ")\n"
	"How:\n"
	"  --format FORMAT   text (default), json (one object a line, sorted by time) or\n"
	"                    perfetto (for ui.perfetto.dev and chrome://tracing)\n"
	"  --cpu             text: also each stretch on a CPU and each wait\n"
	"  -o, --output FILE write there instead of standard output\n"
	"  --help            this text\n"
	"\n"
	"Examples:\n"
	"  cloche trace run.jsonl\n"
	"  cloche trace --format perfetto -o run.json run.jsonl\n"
	"  cloche trace --format json run.jsonl | jq 'select(.event == \"denied\")'\n";

enum { OPT_FORMAT = 256, OPT_CPU, OPT_DIR, OPT_HELP };

static const struct option options[] = {
	{ "format", required_argument, NULL, OPT_FORMAT },
	{ "cpu", no_argument, NULL, OPT_CPU },
	{ "dir", required_argument, NULL, OPT_DIR },
	{ "output", required_argument, NULL, 'o' },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

struct trace_args {
	const char *format, *dir, *output, *source;
	bool cpu;
};

/* What names no file may be a request's id: hexadecimal digits and dashes, so that it cannot lead
 * out of the folder. */
static FILE *open_source(const struct trace_args *a, char *name, size_t size,
			 struct cloche_err *err)
{
	FILE *f;
	int n;

	if (strcmp(a->source, "-") == 0) {
		(void)snprintf(name, size, "standard input");
		return stdin;
	}
	(void)snprintf(name, size, "%s", a->source);
	f = fopen(a->source, "re");
	if (f || errno != ENOENT || strspn(a->source, "0123456789abcdef-") != strlen(a->source)) {
		if (!f)
			(void)cloche_err_sys(err, errno, "open '%.200s'", a->source);
		return f;
	}
	n = snprintf(name, size, "%s/%s.jsonl", a->dir, a->source);
	f = n > 0 && (size_t)n < size ? fopen(name, "re") : NULL;
	if (!f)
		(void)cloche_err_set(err, ENOENT,
				     "no file '%.80s', and no trace of that request in '%.200s'",
				     a->source, a->dir);
	return f;
}

static int write_trace(const struct trace_args *a, const struct trace *t, FILE *out,
		       struct cloche_err *err)
{
	int r = 0;

	if (strcmp(a->format, "json") == 0)
		trace_json_write(out, t);
	else if (strcmp(a->format, "perfetto") == 0)
		r = trace_perfetto_write(out, t);
	else
		r = trace_text_write(out, t, a->cpu);
	return r ? cloche_err_sys(err, -r, "write the trace") : 0;
}

static int show(const struct trace_args *a)
{
	cleanup_trace struct trace t = { 0 };
	struct cloche_err err = { 0 };
	FILE *in, *out = stdout;
	char name[4200];
	int r;

	in = open_source(a, name, sizeof(name), &err);
	if (!in)
		return args_failed("trace", &err);
	r = trace_json_read(in, name, &t, &err);
	if (in != stdin)
		(void)fclose(in);
	if (r)
		return args_failed("trace", &err);
	if (a->output)
		out = fopen(a->output, "we");
	if (!out) {
		(void)cloche_err_sys(&err, errno, "open '%.200s'", a->output);
		return args_failed("trace", &err);
	}
	r = write_trace(a, &t, out, &err);
	if ((out == stdout ? fflush(out) : fclose(out)) && !r)
		r = cloche_err_sys(&err, errno, "write '%.200s'",
				   a->output ? a->output : "standard output");
	return r ? args_failed("trace", &err) : 0;
}

int cmd_trace(int argc, char **argv)
{
	struct trace_args a = { .format = "text", .dir = TRACE_DIR };
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":o:", options, NULL)) != -1) {
		if (opt == OPT_HELP)
			return fputs(help, stdout) < 0;
		if (opt == OPT_FORMAT)
			a.format = optarg;
		else if (opt == OPT_CPU)
			a.cpu = true;
		else if (opt == OPT_DIR)
			a.dir = optarg;
		else if (opt == 'o')
			a.output = optarg;
		else
			return args_refused("trace", argv, opt);
	}
	if (strcmp(a.format, "text") != 0 && strcmp(a.format, "json") != 0 &&
	    strcmp(a.format, "perfetto") != 0)
		return args_usage("trace", "--format '%.40s': text, json or perfetto", a.format);
	if (a.cpu && strcmp(a.format, "text") != 0)
		return args_usage("trace", "--cpu is for --format text; %s has it always",
				  a.format);
	if (optind == argc)
		return args_usage("trace", "say which FILE or REQUEST_ID");
	if (optind + 1 < argc)
		return args_usage("trace", "unexpected argument '%.80s'", argv[optind + 1]);
	a.source = argv[optind];
	return show(&a);
}
