/* SPDX-License-Identifier: MIT */
/* `cloche invoke`: an event in, a response out, by the daemon. */
#include "cli/cancel.h"
#include "cli/cli.h"
#include "cli/event.h"
#include "cli/invoke_trace.h"
#include "cli/ledger_args.h"
#include "cli/own_line.h"
#include "cli/report_out.h"
#include "cli/run_caller.h"
#include "cli/run_options.h"
#include "cli/show.h"
#include "cli/verb.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/quote.h"
#include "launch/rights.h"
#include "run/outcome.h"
#include "serve/remote_invoke.h"
#include "serve/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPT_REPORT = 256, OPT_TAIL, OPT_VERSION, OPT_TRACE, OPT_KEEP_TRACE };

static const struct verb_option options[] = {
	{ .text = "What" },
	{ .arg = "FUNCTION", .text = "a deployed function's name ('cloche functions' lists them)" },
	{ .arg = "PAYLOAD",
	  .text = "the event: text, @FILE, or - for standard input (default: {})" },
	{ "version", OPT_VERSION, "N", NULL, "that version of it (default: the newest)" },

	{ .text = "What is said" },
	{ "log-tail", OPT_TAIL, NULL, NULL, "the last 4 KB of what it logged, on standard error" },
	{ "report", OPT_REPORT, "FILE", "- @file", "JSON report; '-' is standard error" },
	{ "trace", OPT_TRACE, "FILE", "@file",
	  "what it did with the event and when, for 'cloche trace'" },
	{ "keep-trace", OPT_KEEP_TRACE, NULL, NULL,
	  "keep that for 'cloche trace REQUEST_ID', in $CLOCHE_TRACES or with the daemon" },
	{ "quiet", 'q', NULL, NULL, "no REPORT line" },
	{ "help", 'h', NULL, NULL, "this text" },
	{ 0 },
};

const struct verb verb_invoke = {
	.name = "invoke",
	.run = cmd_invoke,
	.text = "invoke a deployed function: an event in, a response out",
	.usage = "Usage: cloche invoke [OPTIONS] FUNCTION [PAYLOAD]\n\n"
		 "Hands one event to a deployed function and writes its response to standard\n"
		 "output, as it is. What it logs goes to 'cloche logs'.\n",
	.options = options,
	.tail = "Exit status: as of 'cloche run'; 1 when the function answered with an error,\n"
		"which is then its response; 125 when it could not be invoked.\n"
		"\n"
		"Examples:\n"
		"  cloche invoke thumbnail '{\"width\": 128}'\n"
		"  cloche invoke thumbnail @event.json >out.json\n"
		"  jq -n '{a: 1}' | cloche invoke --log-tail thumbnail -\n",
	.values = "@function",
};

struct invoke {
	const char *name, *payload, *control;
	uint32_t version;
	bool tail;
	struct run_caller caller;
	struct report_out said;
	struct invoke_trace trace;
	char *event;
	size_t len;
	int cancel_fd;
};

/* ---- what is said ---------------------------------------------------------------------------- */

static void say_cold(void *arg)
{
	const struct invoke *v = arg;

	if (show_on_terminal(stderr))
		show_line("cloche invoke: '%s' starts in a new context; waiting for its init phase",
			  v->name);
}

/* What is written and lost is no success of anybody. */
static int write_response(struct invoke *v, const struct remote_response *response)
{
	int r = file_write_all(STDOUT_FILENO, response->bytes, response->len);

	if (r < 0 && r != -EPIPE) {
		struct cloche_err err;

		(void)cloche_err_sys(&err, -r, "write to standard output");
		report_out_complain(&v->said, err.text);
	}
	own_line_after(response->len && response->bytes[response->len - 1] != '\n' &&
		       show_on_terminal(stdout) && show_on_terminal(stderr));
	return r;
}

/* Its last line is the REPORT line. What of it the function wrote is shown as what it is. */
static void say_tail(const struct remote_response *response)
{
	own_line();
	(void)fwrite(response->bytes + response->len, 1, response->tail_len, stderr);
}

static int status_of(const struct invoke *v, const struct outcome *out, int written)
{
	if (out->verdict == VERDICT_CANCELLED)
		return cancel_status(v->cancel_fd);
	if (out->verdict == VERDICT_OK && (written < 0 || out->stream_err.code))
		return EXIT_LAUNCH;
	return outcome_exit_status(out);
}

static int settle(struct invoke *v, struct outcome *out, const struct ledger_repair *found,
		  const struct remote_response *response)
{
	int written = write_response(v, response);

	args_lost("invoke", "of the daemon", found);
	if (out->unrecorded) {
		own_line();
		fprintf(stderr, "cloche invoke: no safe record of this invocation: %s\n",
			out->unrecorded_why);
	}
	if (v->tail && response->tail_len) {
		say_tail(response);
		v->said.quiet = true;
	}
	invoke_trace_say(&v->trace, out);
	report_out_say(&v->said, out);
	if (out->stream_err.code)
		report_out_complain(&v->said, out->stream_err.text);
	return status_of(v, out, written);
}

static int invoke(struct invoke *v)
{
	struct remote_event event = { .function = v->name,
				      .version = v->version,
				      .bytes = v->event,
				      .len = v->len,
				      .tail = v->tail,
				      .cancel_fd = v->cancel_fd,
				      .wait_ns = NSEC_PER_SEC,
				      .cold = say_cold,
				      .arg = v };
	cleanup_free struct outcome *out = calloc(1, sizeof(*out));
	struct remote_response response = { NULL, 0, 0 };
	struct ledger_repair found = { 0 };
	struct cloche_err err = { 0 };
	int r;

	if (!out)
		return EXIT_LAUNCH;
	invoke_trace_begin(&v->trace, v->name, v->said.as, &event);
	r = remote_invoke(v->control, &event, out, &found, &response, &err);
	invoke_trace_end(&v->trace, out);
	if (r < 0) {
		report_out_complain(&v->said, err.text);
		return EXIT_LAUNCH;
	}
	report_out_open(&v->said);
	r = settle(v, out, &found, &response);
	report_out_close(&v->said);
	free(response.bytes);
	return r;
}

/* ---- the command line ------------------------------------------------------------------------ */

static int set(struct invoke *v, int c, struct cloche_err *err)
{
	uint64_t n = 0;
	int r = 0;

	switch (c) {
	case OPT_VERSION:
		r = parse_count(optarg, 1, UINT32_MAX, &n, err);
		v->version = (uint32_t)n;
		return r < 0 ? cloche_err_wrap(err, "--version %.32s", optarg) : 0;
	case OPT_REPORT:
		v->said.path = optarg;
		return 0;
	case OPT_TRACE:
		if (!*optarg || strcmp(optarg, "-") == 0)
			return cloche_err_set(err, EINVAL, "--trace '%s': expected a file", optarg);
		v->trace.path = optarg;
		return 0;
	case OPT_KEEP_TRACE:
		v->trace.keep = true;
		return 0;
	case OPT_TAIL:
		v->tail = true;
		return 0;
	default:
		v->said.quiet = true;
		return 0;
	}
}

static int parse(struct invoke *v, int argc, char **argv)
{
	struct cloche_err err = { 0 };
	struct verb_getopt known;
	int c;

	verb_getopt_init(&known, &verb_invoke, ":");
	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, known.shorts, known.longs, NULL)) >= 0) {
		if (c == 'h')
			return verb_help(&verb_invoke) ? EXIT_LAUNCH : -1;
		if (c == '?' || c == ':')
			return args_refused("invoke", argv, c);
		if (set(v, c, &err) < 0)
			return args_usage("invoke", "%s", err.text);
	}
	if (run_options_check_files(v->said.path, v->trace.path, &err) < 0)
		return args_usage("invoke", "%s", err.text);
	if (optind == argc)
		return args_usage("invoke", "which function is missing");
	if (argc - optind > 2)
		return args_usage("invoke",
				  "unexpected argument '%.64s': a payload is one word, "
				  "in quotes",
				  argv[optind + 2]);
	v->name = argv[optind];
	v->payload = argv[optind + 1];
	return 0;
}

int cmd_invoke(int argc, char **argv)
{
	const char *control = getenv("CLOCHE_CONTROL");
	struct invoke v = { .control = control ? control : CONTROL_PATH,
			    .cancel_fd = -1,
			    .said = { .verb = "invoke", .fd = -1 } };
	struct cloche_err err = { 0 };
	int status = parse(&v, argc, argv);

	if (status)
		return status < 0 ? 0 : status;
	if (run_caller_read(&v.caller, &err) < 0 ||
	    event_read(v.payload, run_caller_rights(&v.caller), &v.event, &v.len, &err) < 0)
		return args_usage("invoke", "%s", err.text);
	v.said.as = run_caller_rights(&v.caller);
	if (cancel_open(&v.cancel_fd, &err) < 0) {
		report_out_complain(&v.said, err.text);
		status = EXIT_LAUNCH;
	} else {
		status = invoke(&v);
	}
	fd_close(&v.cancel_fd);
	free(v.event);
	return status;
}
