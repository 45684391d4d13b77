/* SPDX-License-Identifier: MIT */
/* `cloche logs`: what a function's contexts wrote, with the lines of its invocations. */
#include "cli/cli.h"
#include "cli/ledger_args.h"
#include "cli/show.h"
#include "cli/verb.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "function/function_log.h"
#include "serve/remote_invoke.h"
#include "serve/request.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Between two looks for what has come. */
#define FOLLOW_MS 250

enum { OPT_SINCE = 256, OPT_REQUEST };

static const struct verb_option options[] = {
	{ .text = "What" },
	{ .arg = "FUNCTION", .text = "a deployed function's name ('cloche functions' lists them)" },
	{ "since", OPT_SINCE, "TIME", NULL,
	  "what came since then: 2026-01-02[T03:04[:05]], @SECONDS, or so long ago: 10m, 2h, 7d" },
	{ "request", OPT_REQUEST, "ID", NULL,
	  "of one invocation; the first four characters of its request id or more will do" },

	{ .text = "How" },
	{ "follow", 'f', NULL, NULL, "goes on with what comes, until Ctrl-C" },
	{ "timestamps", 't', NULL, NULL, "when each line came, in UTC, before it" },
	{ "help", 'h', NULL, NULL, "this text" },
	{ 0 },
};

const struct verb verb_logs = {
	.name = "logs",
	.run = cmd_logs,
	.text = "what a function wrote, with START, END and REPORT lines",
	.usage = "Usage: cloche logs [OPTIONS] FUNCTION\n\n"
		 "What a deployed function wrote to standard output and standard error, and the\n"
		 "lines of its invocations, the oldest first. Old lines go when there are more\n"
		 "than 8 MiB of them.\n",
	.options = options,
	.tail = "Exit status: 0; 1 when there is nothing of that request; 2 usage; 125 when\n"
		"there is no such function or no daemon.\n"
		"\n"
		"Examples:\n"
		"  cloche logs thumbnail\n"
		"  cloche logs -f --since 10m thumbnail\n"
		"  cloche logs --request 5dc2 thumbnail\n",
	.values = "@function",
};

struct logs {
	const char *name, *request;
	int64_t since_ns;
	bool follow, stamps, shown;
	char *line;
	size_t len, size;
};

/* ---- one line -------------------------------------------------------------------------------- */

static bool is_wanted(const struct logs *l, const struct function_log_entry *e)
{
	return e->real_ns >= l->since_ns &&
	       (!l->request || strncmp(e->request_id, l->request, strlen(l->request)) == 0);
}

static void show(struct logs *l)
{
	struct function_log_entry e;
	enum function_log_kind kind = function_log_parse(l->line, l->len, &e);
	char when[CLOCK_ISO_LEN];

	if (kind != FUNCTION_LOG_ENTRY || !is_wanted(l, &e))
		return;
	l->shown = true;
	if (l->stamps) {
		clock_format_iso(e.real_ns, when);
		printf("%s ", when);
	}
	(void)fwrite(e.message, 1, e.len, stdout);
	(void)putchar('\n');
}

static int keep(struct logs *l, const char *bytes, size_t n)
{
	if (l->len + n > l->size) {
		size_t size = 2 * (l->len + n);
		char *line = realloc(l->line, size);

		if (!line)
			return -ENOMEM;
		l->line = line;
		l->size = size;
	}
	memcpy(l->line + l->len, bytes, n);
	l->len += n;
	return 0;
}

static int take(struct logs *l, const char *bytes, size_t n)
{
	const char *end;
	int r = 0;

	while (r == 0 && n && (end = memchr(bytes, '\n', n))) {
		size_t len = (size_t)(end - bytes);

		r = keep(l, bytes, len);
		if (r == 0)
			show(l);
		l->len = 0;
		bytes += len + 1;
		n -= len + 1;
	}
	return r == 0 ? keep(l, bytes, n) : r;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* Whoever reads standard output and leaves is an end, too. */
static int take_part(void *arg, const char *bytes, size_t len, bool gap)
{
	struct logs *l = arg;
	int r;

	if (gap) {
		l->len = 0;
		show_line("cloche logs: lines are missing here: more came between two looks than "
			  "the log keeps");
	}
	r = take(l, bytes, len);
	if (r == 0 && fflush(stdout) != 0)
		r = -errno;
	return r;
}

static bool is_left(void)
{
	struct pollfd out = { .fd = STDOUT_FILENO };

	return poll(&out, 1, FOLLOW_MS) > 0 && out.revents & (POLLERR | POLLHUP);
}

/* Where he reads as many as he may, one who follows has time. */
static bool goes_on(const struct logs *l, int r, struct cloche_err *err)
{
	if (l->follow && r == -EBUSY) {
		*err = (struct cloche_err){ 0 };
		return true;
	}
	return l->follow && r == 0;
}

static int show_logs(struct logs *l, struct cloche_err *err)
{
	const char *control = getenv("CLOCHE_CONTROL");
	const struct remote_log to = { .take = take_part, .arg = l };
	struct log_place at = { 0, 0 };
	int r;

	do
		r = remote_logs(control ? control : CONTROL_PATH, l->name, &at, &to, err);
	while (goes_on(l, r, err) && !is_left());
	if (r < 0 && !err->code && r != -EPIPE)
		(void)cloche_err_sys(err, -r, "show it");
	return err->code ? -err->code : 0;
}

/* ---- the command line ------------------------------------------------------------------------ */

static int set(struct logs *l, int c, struct cloche_err *err)
{
	switch (c) {
	case OPT_SINCE:
		return args_instant(optarg, clock_real_ns(), &l->since_ns, err);
	case OPT_REQUEST:
		if (strlen(optarg) < 4)
			return cloche_err_set(err, EINVAL,
					      "--request '%s': at least four characters of an id",
					      optarg);
		l->request = optarg;
		return 0;
	case 'f':
		l->follow = true;
		return 0;
	default:
		l->stamps = true;
		return 0;
	}
}

static int parse(struct logs *l, int argc, char **argv)
{
	struct cloche_err err = { 0 };
	struct verb_getopt known;
	int c;

	verb_getopt_init(&known, &verb_logs, ":");
	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, known.shorts, known.longs, NULL)) >= 0) {
		if (c == 'h')
			return verb_help(&verb_logs) ? EXIT_LAUNCH : -1;
		if (c == '?' || c == ':')
			return args_refused("logs", argv, c);
		if (set(l, c, &err) < 0)
			return args_usage("logs", "%s", err.text);
	}
	if (optind == argc)
		return args_usage("logs", "which function is missing");
	if (argc - optind > 1)
		return args_usage("logs", "unexpected argument '%.64s'", argv[optind + 1]);
	l->name = argv[optind];
	return 0;
}

int cmd_logs(int argc, char **argv)
{
	struct logs l = { .since_ns = 0 };
	struct cloche_err err = { 0 };
	int status = parse(&l, argc, argv);

	if (status)
		return status < 0 ? 0 : status;
	/* On a terminal nothing that a function wrote is an escape sequence; elsewhere it is as it
	 * was written. */
	if (!show_on_terminal(stdout))
		show_as(SHOW_RAW);
	status = 0;
	if (show_logs(&l, &err) < 0) {
		show_line("cloche logs: %s", err.text);
		status = EXIT_LAUNCH;
	} else if (l.request && !l.shown) {
		show_line(
			"cloche logs: '%.64s' has logged nothing for a request '%.40s...': 'cloche "
			"logs %.64s' has what there is",
			l.name, l.request, l.name);
		status = EXIT_FAILURE;
	}
	free(l.line);
	return status;
}
