/* SPDX-License-Identifier: MIT */
/* `cloche trace`: shows what an invocation did, from a file or from the folder of kept traces; what
 * is kept there; or, without an argument, what all do now. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/quote.h"
#include "cli/ledger_args.h"
#include "cli/reading.h"
#include "cli/run_caller.h"
#include "cli/show.h"
#include "cli/trace_from.h"
#include "cli/trace_watch.h"
#include "cli/verb.h"
#include "serve/request.h"
#include "trace/trace.h"
#include "trace/trace_json.h"
#include "trace/trace_perfetto.h"
#include "trace/trace_store.h"
#include "trace/trace_text.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { OPT_FORMAT = 256, OPT_CPU, OPT_DIR, OPT_LIST, OPT_FOR };

static const struct verb_option options[] = {
	{ .text = "What" },
	{ .arg = "REQUEST_ID",
	  .text = "a trace that 'cloche run --keep-trace' kept; the first four characters or more "
		  "will do where no other begins so" },
	{ .arg = "FILE", .text = "a trace that 'cloche run --trace' wrote; '-': standard input" },
	{ "list", OPT_LIST, NULL, NULL, "what is kept, a line each, the oldest first" },
	{ "dir", OPT_DIR, "DIR", "@dir",
	  "the folder of kept traces (default: $CLOCHE_TRACES, else " TRACE_STORE_DIR
	  "; who is not root: those that the daemon keeps for him)" },
	{ "for", OPT_FOR, "DURATION", NULL, "live: no longer than that, else until Ctrl-C" },

	{ .text = "How" },
	{ "format", OPT_FORMAT, "FORMAT", "text json perfetto",
	  "text (default), json (one object a line) or perfetto (for ui.perfetto.dev and "
	  "chrome://tracing; not live)" },
	{ "cpu", OPT_CPU, NULL, NULL, "text: also each stretch on a CPU and each wait; not live" },
	{ "output", 'o', "FILE", "@file", "write there instead of standard output" },
	{ "help", 'h', NULL, NULL, "this text" },
	{ 0 },
};

const struct verb verb_trace = {
	.name = "trace",
	.run = cmd_trace,
	.text = "the timeline of an invocation",
	.usage =
		"Usage: cloche trace [OPTIONS] FILE|REQUEST_ID\n"
		"       cloche trace [OPTIONS] --list\n"
		"       cloche trace [OPTIONS]\n\n"
		"Shows the timeline of one invocation: what it executed, forked, opened for\n"
		"writing, connected to and was denied, its signals, and when it had a CPU, waited\n"
		"for one or was held by its quota. Without an argument: the events of all\n"
		"invocations that begin from now on, as they happen: of what root runs here;\n"
		"who is not root, or has $CLOCHE_CONTROL, sees what the daemon runs for him.\n",
	.options = options,
	.tail = "A live line begins with the first eight characters of the request's id. To read\n"
		"slowly delays no invocation: its last line says how many events were lost.\n"
		"\n"
		"Examples:\n"
		"  cloche trace run.jsonl\n"
		"  cloche trace 5dc2\n"
		"  cloche trace --format perfetto -o run.json run.jsonl\n"
		"  cloche trace --format json run.jsonl | jq 'select(.event == \"denied\")'\n"
		"  cloche trace --for 10s\n",
	.values = "@file",
};

enum format { TEXT, JSON, PERFETTO };

struct trace_args {
	const char *dir, *output, *source;
	struct run_caller caller; /* whose these are */
	int format;		  /* enum format */
	int64_t for_ns;
	bool cpu, list;
};

/* ---- one trace ---------------------------------------------------------------------------- */

static FILE *open_kept(const struct trace_args *a, char *name, size_t size, struct cloche_err *err)
{
	struct trace_from from;
	FILE *f;

	if (trace_from_open(a->dir, &from, err) < 0)
		return NULL;
	f = trace_from_find(&from, a->source, name, size, err);
	trace_from_close(&from);
	return f;
}

static FILE *open_source(const struct trace_args *a, char *name, size_t size,
			 struct cloche_err *err)
{
	char shown[QUOTE_LEN];
	FILE *f;
	int fd;

	if (strcmp(a->source, "-") == 0) {
		(void)snprintf(name, size, "standard input");
		return stdin;
	}
	if (trace_store_is_id(a->source) && access(a->source, F_OK) < 0)
		return open_kept(a, name, size, err);
	(void)snprintf(name, size, "%s", a->source);
	fd = rights_call(run_caller_rights(&a->caller), file_open_input, a->source);
	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f)
		(void)cloche_err_sys(err, fd < 0 ? -fd : errno, "open %s", quote(shown, a->source));
	return f;
}

/* One trace on its way from a file to where it is shown. */
struct showing {
	const struct trace_args *args;
	char name[4200];
	struct trace trace; /* of who reads */
	FILE *in;
	FILE *out; /* of who writes */
};

static int trace_read(void *arg, struct cloche_err *err)
{
	struct showing *s = arg;

	return trace_json_read(s->in, s->name, &s->trace, err);
}

static int trace_show(void *arg, FILE *to)
{
	const struct showing *s = arg;

	if (s->args->format == PERFETTO)
		return trace_perfetto_write(to, &s->trace);
	if (s->args->format == TEXT)
		return trace_text_write(to, &s->trace, s->args->cpu);
	trace_json_write(to, &s->trace);
	return 0;
}

/* ---- the list ----------------------------------------------------------------------------- */

/* owner: NULL: it is not said. */
static void list_text(FILE *out, const char *id, const uint32_t *owner, const struct trace *t)
{
	char wall[32] = "-", events[24] = "-", whose[16] = "";

	if (owner)
		(void)snprintf(whose, sizeof(whose), " %10u", *owner);
	if (t->ended) {
		(void)snprintf(wall, sizeof(wall), "%.3f ms",
			       (double)(t->end_ns - t->begin_ns) / 1e6);
		(void)snprintf(events, sizeof(events), "%" PRIu64, t->n_written);
	}
	(void)fprintf(out, "%-20.19s  %-36s  %-20s %-12s %15s %9s%s\n",
		      *t->started_at ? t->started_at : "-", id, *t->function ? t->function : "-",
		      *t->verdict ? t->verdict : "-", wall, events, whose);
}

static void list_json(FILE *out, const char *id, const uint32_t *owner, const struct trace *t)
{
	(void)fprintf(out, "{\"request_id\":\"%s\",", id);
	if (owner)
		(void)fprintf(out, "\"owner_uid\":%u,", *owner);
	(void)fputs("\"started_at\":", out);
	trace_json_string(out, t->started_at);
	(void)fputs(",\"function\":", out);
	if (*t->function)
		trace_json_string(out, t->function);
	else
		(void)fputs("null", out);
	(void)fputs(",\"verdict\":", out);
	if (*t->verdict)
		trace_json_string(out, t->verdict);
	else
		(void)fputs("null", out);
	if (t->ended)
		(void)fprintf(out,
			      ",\"wall_ns\":%" PRIu64 ",\"events\":%" PRIu64 ",\"lost\":%" PRIu64
			      "}\n",
			      t->end_ns - t->begin_ns, t->n_written, t->lost);
	else
		(void)fputs(",\"wall_ns\":null,\"events\":null,\"lost\":null}\n", out);
}

struct list {
	const struct trace_args *args;
	bool owners, begun; /* each with its owner */
};

static void list_head(struct list *l, FILE *to)
{
	if (!l->begun)
		(void)fprintf(to, "%-20s  %-36s  %-20s %-12s %15s %9s%s\n", "WHEN (UTC)",
			      "REQUEST ID", "FUNCTION", "VERDICT", "WALL", "EVENTS",
			      l->owners ? "      OWNER" : "");
	l->begun = true;
}

static void list_one(void *arg, FILE *to, uint32_t owner, const char *id, const struct trace *t)
{
	struct list *l = arg;
	const uint32_t *whose = l->owners ? &owner : NULL;

	if (l->args->format == JSON) {
		if (id)
			list_json(to, id, whose, t);
		return;
	}
	if (!id) {
		(void)fprintf(to, "none is kept; 'cloche run --keep-trace' keeps them\n");
		return;
	}
	list_head(l, to);
	list_text(to, id, whose, t);
}

static int list(const struct trace_args *a, FILE *out, struct cloche_err *err)
{
	struct list l = { .args = a };
	struct trace_from from;
	int r = trace_from_open(a->dir, &from, err);

	if (r < 0)
		return r;
	l.owners = !from.dir && from.all;
	r = trace_from_list(&from, list_one, &l, out, err);
	trace_from_close(&from);
	return r;
}

/* ---- the verb ----------------------------------------------------------------------------- */

static int watch(const struct trace_args *a, FILE *out, struct cloche_err *err)
{
	const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");
	const char *control = getenv("CLOCHE_CONTROL");
	struct trace_watch_options opt = {
		.control = control	    ? control
			   : geteuid() != 0 ? CONTROL_PATH
					    : NULL,
		.out = out,
		.json = a->format == JSON,
		.for_ns = a->for_ns,
		.colour = out == stdout && show_on_terminal(out) && term &&
			  strcmp(term, "dumb") != 0 && !(no_colour && *no_colour),
	};
	int r;

	r = trace_watch(&opt, err);
	if ((r == -ENOENT || r == -ECONNREFUSED || r == -EACCES) && opt.control && !control)
		return cloche_err_set(err, -r,
				      "who is not root watches what the daemon runs for him, and "
				      "none can be reached at '" CONTROL_PATH "': have 'cloche "
				      "serve' started");
	return r;
}

static FILE *open_output(const struct trace_args *a, struct cloche_err *err)
{
	char shown[QUOTE_LEN];
	int fd = a->output ? rights_call(run_caller_rights(&a->caller), file_make_output, a->output)
			   : -1;
	FILE *f = !a->output ? stdout : fd < 0 ? NULL : fdopen(fd, "w");

	if (!f)
		(void)cloche_err_set(err, fd < 0 ? -fd : errno, "open %s: %s",
				     quote(shown, a->output),
				     file_output_why(fd < 0 ? -fd : errno));
	return f;
}

static FILE *showing_open(void *arg, struct cloche_err *err)
{
	struct showing *s = arg;

	s->out = open_output(s->args, err);
	if (s->out == stdout && s->args->format != TEXT)
		show_as(SHOW_JSON);
	return s->out;
}

static int output_end(const struct trace_args *a, FILE *out, int r, struct cloche_err *err)
{
	char shown[QUOTE_LEN];

	if ((out == stdout ? fflush(out) : fclose(out)) && !r)
		r = cloche_err_sys(err, errno, "write %s",
				   a->output ? quote(shown, a->output) : "standard output");
	return r;
}

/* What is shown is read before the output is opened: it may be the same file, and what cannot be
 * read costs nobody the file that is there. */
static int show_one(const struct trace_args *a, struct cloche_err *err)
{
	struct showing s = { .args = a };
	const struct reading reading = { .files = &s.in,
					 .n_files = 1,
					 .read = trace_read,
					 .show = trace_show,
					 .open = showing_open,
					 .arg = &s };
	int r;

	s.in = open_source(a, s.name, sizeof(s.name), err);
	if (!s.in)
		return -err->code;
	r = reading_run(&reading, err);
	if (s.in != stdin)
		(void)fclose(s.in);
	return s.out ? output_end(a, s.out, r, err) : r;
}

static int trace(const struct trace_args *a, struct cloche_err *err)
{
	FILE *out;

	if (a->source)
		return show_one(a, err);
	out = open_output(a, err);
	if (!out)
		return -err->code;
	if (out == stdout && a->format != TEXT)
		show_as(SHOW_JSON);
	return output_end(a, out, a->list ? list(a, out, err) : watch(a, out, err), err);
}

static int format_find(const char *text)
{
	static const char *const names[] = { "text", "json", "perfetto" };

	for (int i = 0; i < 3; i++)
		if (strcmp(names[i], text) == 0)
			return i;
	return -1;
}

/* 0, or the status of a usage error. */
static int check(const struct trace_args *a)
{
	bool live = !a->source && !a->list;

	if (a->cpu && a->format != TEXT)
		return args_usage("trace", "--cpu is for --format text; the others have it always");
	if (a->list && a->source)
		return args_usage("trace", "--list takes no '%.80s'", a->source);
	if (a->list && (a->format == PERFETTO || a->cpu))
		return args_usage("trace", "--list has no %s",
				  a->cpu ? "--cpu" : "--format perfetto");
	if (live && a->format == PERFETTO)
		return args_usage("trace", "--format perfetto needs the whole trace: it cannot be "
					   "live; say which FILE or REQUEST_ID");
	if (live && a->cpu)
		return args_usage("trace", "--cpu needs the whole trace: it cannot be live; say "
					   "which FILE or REQUEST_ID");
	if (live && a->dir)
		return args_usage("trace", "--dir is for a REQUEST_ID or --list");
	if (!live && a->for_ns)
		return args_usage("trace", "--for is for watching live, without a FILE, a "
					   "REQUEST_ID or --list");
	return 0;
}

static int parse(int argc, char **argv, struct trace_args *a)
{
	struct cloche_err err = { 0 };
	struct verb_getopt known;
	int opt;

	verb_getopt_init(&known, &verb_trace, ":");
	while ((opt = getopt_long(argc, argv, known.shorts, known.longs, NULL)) != -1) {
		switch (opt) {
		case OPT_FORMAT:
			a->format = format_find(optarg);
			if (a->format < 0)
				return args_usage("trace",
						  "--format '%.40s': text, json or perfetto",
						  optarg);
			break;
		case OPT_CPU:
			a->cpu = true;
			break;
		case OPT_DIR:
			a->dir = optarg;
			break;
		case OPT_LIST:
			a->list = true;
			break;
		case OPT_FOR:
			if (parse_duration(optarg, &a->for_ns, &err) < 0 || a->for_ns <= 0)
				return args_usage("trace", "--for '%.40s': a duration such as 10s",
						  optarg);
			break;
		case 'o':
			a->output = optarg;
			break;
		case 'h':
			return -1;
		default:
			return args_refused("trace", argv, opt);
		}
	}
	if (optind + 1 < argc)
		return args_usage("trace", "unexpected argument '%.80s'", argv[optind + 1]);
	a->source = argv[optind];
	return check(a);
}

int cmd_trace(int argc, char **argv)
{
	struct trace_args a = { .format = TEXT };
	struct cloche_err err = { 0 };
	int r;

	opterr = 0;
	r = parse(argc, argv, &a);
	if (r < 0)
		return verb_help(&verb_trace);
	if (r)
		return r;
	r = run_caller_read(&a.caller, &err);
	if (r == 0)
		r = trace(&a, &err);
	/* Watching ignores SIGPIPE; the end is the one that other verbs come to. */
	if (r == -EPIPE) {
		(void)signal(SIGPIPE, SIG_DFL);
		(void)raise(SIGPIPE);
	}
	return r ? args_failed("trace", &err) : 0;
}
