/* SPDX-License-Identifier: MIT */
/* Arguments that bill, cost and audit share; see ledger_args.h. */
#include "cli/ledger_args.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/quote.h"
#include "cli/own_line.h"
#include "cli/show.h"
#include "ledger/ledger.h"
#include "ledger/ledger_index.h"
#include "trace/trace_store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int args_usage(const char *verb, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	show_line("cloche %s: %s; see 'cloche %s --help'", verb, text, verb);
	return 2;
}

int args_refused(const char *verb, char **argv, int returned)
{
	char word[QUOTE_LEN];

	/* A short option may stand inside a word; a long one is the word before optind. */
	if (optopt && optopt < 256)
		(void)quote(word, (const char[]){ '-', (char)optopt, '\0' });
	else
		(void)quote(word, argv[optind - 1]);
	return args_usage(verb, returned == ':' ? "option %s needs a value" : "unknown option %s",
			  word);
}

int args_failed(const char *verb, const struct cloche_err *err)
{
	struct cloche_err shown = *err;

	show_as_options(&shown);
	show_line("cloche %s: %s", verb, shown.text);
	return 1;
}

static const char *head_was(enum ledger_head_state state)
{
	switch (state) {
	case LEDGER_HEAD_MISSING:
		return "was missing";
	case LEDGER_HEAD_OLDER:
		return "was older than it";
	case LEDGER_HEAD_OTHER:
		return "knew another record";
	default:
		return "was damaged";
	}
}

void args_lost(const char *verb, const char *ledger, const struct ledger_repair *found)
{
	char word[QUOTE_LEN];

	if (found->lost_frames || found->findings)
		own_line();
	if (found->lost_frames)
		(void)fprintf(stderr,
			      "cloche %s: ledger %s: %" PRIu64 " records were missing at its end, "
			      "lost with the power or removed; this is noted in it ('cloche audit "
			      "verify') and it goes on\n",
			      verb, quote(word, ledger), found->lost_frames);
	/* NEWER is what the line above says. */
	if (found->findings && found->head != LEDGER_HEAD_NEWER)
		(void)fprintf(stderr,
			      "cloche %s: ledger %s: its file 'head' %s: records may have been "
			      "removed from its end; this is noted in it ('cloche audit verify') "
			      "and it goes on\n",
			      verb, quote(word, ledger), head_was(found->head));
}

void args_incomplete(const char *verb, const struct ledger_index *index)
{
	if (index->lost)
		(void)fprintf(stderr,
			      "cloche %s: %" PRIu64 " records are missing from this ledger and not "
			      "counted here; 'cloche audit verify' tells where\n",
			      verb, index->lost);
	else if (index->unsure)
		(void)fprintf(stderr,
			      "cloche %s: records may have been removed from this ledger and are "
			      "not counted here; 'cloche audit verify' tells why\n",
			      verb);
}

static int instant_bad(const char *text, struct cloche_err *err)
{
	char word[QUOTE_LEN];

	return cloche_err_set(err, EINVAL,
			      "%s is no time like 2026-01-31, 2026-01-31T12:30:00Z, 7d or 24h",
			      quote(word, text));
}

/* "7d": days, which durations elsewhere do not have. */
static int days_parse(const char *text, int64_t *ret_ns)
{
	uint64_t days;
	char number[16];
	size_t len = strlen(text);

	if (len < 2 || len > sizeof(number) || text[len - 1] != 'd')
		return -EINVAL;
	memcpy(number, text, len - 1);
	number[len - 1] = '\0';
	if (parse_count(number, 0, 100000, &days, NULL) < 0)
		return -EINVAL;
	*ret_ns = (int64_t)days * 86400 * NSEC_PER_SEC;
	return 0;
}

static int date_parse(const char *text, int64_t *ret_ns)
{
	static const char *const forms[] = { "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%MZ",
					     "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ" };

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm tm = { 0 }, back;
		const char *end = strptime(text, forms[i], &tm);
		time_t t;

		if (!end || *end)
			continue;
		back = tm;
		t = timegm(&back);
		/* 2026-02-31 is not the third of March. */
		if (t < 0 || t > INT64_MAX / NSEC_PER_SEC || back.tm_mday != tm.tm_mday)
			return -EINVAL;
		*ret_ns = (int64_t)t * NSEC_PER_SEC;
		return 0;
	}
	return -EINVAL;
}

int args_instant(const char *text, int64_t now_ns, int64_t *ret_ns, struct cloche_err *err)
{
	uint64_t seconds;
	int64_t ago;

	if (text[0] == '@') {
		if (parse_count(text + 1, 0, INT64_MAX / NSEC_PER_SEC, &seconds, NULL) < 0)
			return instant_bad(text, err);
		*ret_ns = (int64_t)seconds * NSEC_PER_SEC;
		return 0;
	}
	if (date_parse(text, ret_ns) == 0)
		return 0;
	/* A bare number would be seconds elsewhere, a year here: neither is meant surely. */
	if (!text[0] || strspn(text, "0123456789") == strlen(text))
		return instant_bad(text, err);
	if (days_parse(text, &ago) < 0 && parse_duration(text, &ago, NULL) < 0)
		return instant_bad(text, err);
	*ret_ns = ago < now_ns ? now_ns - ago : 0;
	return 0;
}

int args_function(const char *text, const char **ret, struct cloche_err *err)
{
	if (!*text)
		return cloche_err_set(err, EINVAL,
				      "'': expected a name, as 'cloche run --name' gives");
	*ret = text;
	return 0;
}

static const struct {
	const char *names[4];
	uint64_t seconds;
} periods[] = {
	{ { "s", "sec", "second" }, 1 }, { { "m", "min", "minute" }, 60 },
	{ { "h", "hour" }, 3600 },	 { { "d", "day" }, 86400 },
	{ { "w", "week" }, 604800 },	 { { "month" }, 2592000 },
};

int args_rate(const char *text, uint64_t *ret_calls, uint64_t *ret_seconds, struct cloche_err *err)
{
	const char *slash = strchr(text, '/');
	char number[24], word[QUOTE_LEN];

	if (!slash || (size_t)(slash - text) >= sizeof(number))
		goto bad;
	memcpy(number, text, (size_t)(slash - text));
	number[slash - text] = '\0';
	if (parse_count(number, 1, 1000000000000, ret_calls, NULL) < 0)
		goto bad;
	for (size_t i = 0; i < sizeof(periods) / sizeof(periods[0]); i++)
		for (size_t j = 0; j < 4 && periods[i].names[j]; j++)
			if (!strcmp(slash + 1, periods[i].names[j])) {
				*ret_seconds = periods[i].seconds;
				return 0;
			}
bad:
	return cloche_err_set(err, EINVAL,
			      "%s is no rate like 50/min (per s, min, hour, day, week, month)",
			      quote(word, text));
}

int64_t args_owner(void)
{
	uid_t uid = getuid();

	return uid ? (int64_t)uid : -1;
}

bool args_ledger_named(void)
{
	const char *dir = getenv("CLOCHE_LEDGER");

	return dir && *dir;
}

const char *args_ledger(void)
{
	return args_ledger_named() ? getenv("CLOCHE_LEDGER") : LEDGER_DIR;
}

const char *args_traces_named(void)
{
	const char *dir = getenv("CLOCHE_TRACES");

	return dir && *dir ? dir : NULL;
}

const char *args_traces(void)
{
	const char *dir = args_traces_named();

	return dir ? dir : TRACE_STORE_DIR;
}
