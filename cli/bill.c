/* SPDX-License-Identifier: MIT */
/* `cloche bill`: what was used and what it costs, as a table, as JSON or as CSV. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/quote.h"
#include "cli/ledger_args.h"
#include "cli/ledger_from.h"
#include "cli/show.h"
#include "cli/verb.h"
#include "ledger/bill.h"
#include "ledger/ledger.h"
#include "ledger/ledger_index.h"
#include "ledger/prices.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum form { FORM_TABLE, FORM_JSON, FORM_CSV };

struct bill_args {
	struct bill_query query;
	const char *ledger; /* NULL: none was named */
	enum form form;
};

enum { OPT_BY = 256, OPT_SINCE, OPT_UNTIL, OPT_FUNCTION, OPT_OWNER, OPT_JSON, OPT_CSV, OPT_LEDGER };

static const struct verb_option options[] = {
	{ .text = "What" },
	{ "by", OPT_BY, "WHAT", "function owner day verdict memory prices",
	  "function (default), owner, day, verdict, memory or prices (the list)" },
	{ "since", OPT_SINCE, "T", NULL,
	  "from this time on: 2026-01-31, 2026-01-31T12:30Z, 7d, 24h" },
	{ "until", OPT_UNTIL, "T", NULL, "up to, and not including, this time" },
	{ "function", OPT_FUNCTION, "NAME", NULL, "this function only" },
	{ "owner", OPT_OWNER, "UID", NULL, "this owner only" },

	{ .text = "How" },
	{ "json", OPT_JSON, NULL, NULL, "one JSON object" },
	{ "csv", OPT_CSV, NULL, NULL, "comma-separated values with a header line" },
	{ "ledger", OPT_LEDGER, "DIR", "@dir",
	  "the ledger (default: $CLOCHE_LEDGER, else the daemon's, and root's " LEDGER_DIR ")" },
	{ "help", 'h', NULL, NULL, "this text" },
	{ 0 },
};

const struct verb verb_bill = {
	.name = "bill",
	.run = cmd_bill,
	.text = "what was used and what it costs",
	.usage = "Usage: cloche bill [OPTIONS]\n\n"
		 "What was used and what it costs: the sum over the ledger, to the last digit.\n"
		 "Root sees all owners' invocations, everybody else their own.\n",
	.options = options,
	.tail = "USD is the duration charge, REQUESTS the charge per request, TOTAL both. FAIR is\n"
		"the total with the time taken off that functions waited for others.\n"
		"\n"
		"Examples:\n"
		"  cloche bill --since 30d\n"
		"  cloche bill --by day --since 2026-01-01 --until 2026-02-01 --csv\n",
};

/* Text of a figure; two of them in one printf need two buffers. */
struct text {
	char s[PRICES_SUM_LEN];
};

static struct text usd(money_t amount)
{
	struct text t = { "" };

	money_format_fixed(amount, 12, t.s);
	return t;
}

static struct text nano(unsigned __int128 n)
{
	struct text t = { "" };

	prices_format_nano(n, t.s);
	return t;
}

static struct text seconds(int64_t ns)
{
	struct text t;

	(void)snprintf(t.s, sizeof(t.s), "%lld.%03lld", ns / NSEC_PER_SEC,
		       ns % NSEC_PER_SEC / NSEC_PER_MSEC);
	return t;
}

static json_t *row_json(const struct bill_row *r, const char *by)
{
	json_t *o = json_pack(
		"{sI sI ss sI sI sI sI ss ss ss ss}", "invocations", (json_int_t)r->invocations,
		"cold_starts", (json_int_t)r->cold, "gb_seconds", nano(r->gbs_nano).s, "billed_ms",
		(json_int_t)r->billed_ms, "duration_ns", (json_int_t)r->duration_ns,
		"contention_ns", (json_int_t)r->contention_ns, "contention_unmeasured",
		(json_int_t)r->unmeasured, "usd", usd(r->charge).s, "request_usd",
		usd(r->request).s, "total_usd", usd(r->total).s, "fair_usd", usd(r->fair).s);

	if (o && by)
		(void)json_object_set_new(o, by, json_string(r->key));
	return o;
}

static json_t *time_json(int64_t ns)
{
	char text[CLOCK_ISO_LEN];

	if (ns == 0 || ns == INT64_MAX)
		return json_null();
	clock_format_iso(ns, text);
	return json_string(text);
}

static int print_json(const struct bill *bill, const struct bill_query *q)
{
	json_t *rows = json_array();
	json_t *o;
	int r;

	for (size_t i = 0; i < bill->n; i++)
		(void)json_array_append_new(rows, row_json(&bill->rows[i], bill_by_text(q->by)));
	o = json_pack("{ss ss so so so so}", "schema", "cloche.bill/1", "by", bill_by_text(q->by),
		      "since", time_json(q->since_ns), "until", time_json(q->until_ns), "rows",
		      rows, "total", row_json(&bill->sum, NULL));
	r = o ? show_json(o, JSON_COMPACT) : -1;
	(void)putchar('\n');
	json_decref(o);
	return r;
}

/* RFC 4180; a spreadsheet takes a leading =, +, - or @ for a formula, so that it gets a quote. */
static void csv_text(const char *text)
{
	if (strchr("=+-@", text[0]) && text[0] && text[1])
		(void)printf("\"'");
	else
		(void)putchar('"');
	for (; *text; text++) {
		if (*text == '"')
			(void)putchar('"');
		(void)putchar(*text);
	}
	(void)putchar('"');
}

static void show_csv(const struct bill *bill, const struct bill_query *q)
{
	show_as(SHOW_CSV);
	(void)printf("%s,invocations,cold_starts,gb_seconds,billed_ms,duration_ns,contention_ns,"
		     "contention_unmeasured,usd,request_usd,total_usd,fair_usd\r\n",
		     bill_by_text(q->by));
	for (size_t i = 0; i < bill->n; i++) {
		const struct bill_row *r = &bill->rows[i];

		csv_text(r->key);
		(void)printf(",%" PRId64 ",%" PRId64 ",%s,%" PRId64 ",%" PRId64 ",%" PRId64
			     ",%" PRId64 ",%s,%s,%s,%s\r\n",
			     r->invocations, r->cold, nano(r->gbs_nano).s, r->billed_ms,
			     r->duration_ns, r->contention_ns, r->unmeasured, usd(r->charge).s,
			     usd(r->request).s, usd(r->total).s, usd(r->fair).s);
	}
}

/* ---- the table ---- */

enum { KEY, CALLS, COLD, GB_SECONDS, BILLED, USED, USD, REQUESTS, TOTAL, FAIR, BARS, COLUMNS };
#define BAR 10

static const char *const heads[COLUMNS] = { "",		"CALLS",  "COLD", "GB-SECONDS",
					    "BILLED s", "USED s", "USD",  "REQUESTS",
					    "TOTAL",	"FAIR",	  "bars" };

/* How wide each column is; 0: it is left out. */
struct layout {
	int width[COLUMNS];
};

static void row_texts(const struct bill_row *r, struct text t[static COLUMNS])
{
	(void)snprintf(t[CALLS].s, sizeof(t[0].s), "%" PRId64, r->invocations);
	(void)snprintf(t[COLD].s, sizeof(t[0].s), "%" PRId64, r->cold);
	t[GB_SECONDS] = nano(r->gbs_nano);
	t[BILLED] = seconds(r->billed_ms * NSEC_PER_MSEC);
	t[USED] = seconds(r->duration_ns);
	t[USD] = usd(r->charge);
	t[REQUESTS] = usd(r->request);
	t[TOTAL] = usd(r->total);
	t[FAIR] = usd(r->fair);
}

static int layout_width(const struct layout *l)
{
	int sum = l->width[KEY];

	for (int i = KEY + 1; i < COLUMNS; i++)
		sum += l->width[i] ? l->width[i] + 2 : 0;
	return sum;
}

/* On a terminal a row is one line: what can best be done without goes first. */
static void layout_fit(struct layout *l)
{
	static const int spared[] = { BARS, REQUESTS, USD, USED, COLD, GB_SECONDS };
	struct winsize size = { 0 };

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return;
	for (size_t i = 0; i < sizeof(spared) / sizeof(spared[0]); i++)
		if (layout_width(l) > size.ws_col)
			l->width[spared[i]] = 0;
}

static struct layout layout_make(const struct bill *bill)
{
	struct layout l = { .width = { [KEY] = 8, [BARS] = BAR } };
	struct text t[COLUMNS];

	row_texts(&bill->sum, t);
	for (int i = KEY + 1; i < BARS; i++) {
		size_t head = strlen(heads[i]), figure = strlen(t[i].s);

		l.width[i] = (int)(head > figure ? head : figure);
	}
	for (size_t i = 0; i < bill->n; i++)
		if ((int)strlen(bill->rows[i].key) > l.width[KEY])
			l.width[KEY] = (int)strlen(bill->rows[i].key);
	layout_fit(&l);
	return l;
}

static void row_print(const char *key, const struct bill_row *r, const struct layout *l,
		      money_t most)
{
	struct text t[COLUMNS];
	char shown[256];
	int bar = most ? (int)((r->total * BAR + most - 1) / most) : 0;

	row_texts(r, t);
	quote_field(shown, sizeof(shown), key);
	(void)printf("%-*s", l->width[KEY], shown);
	for (int i = KEY + 1; i < BARS; i++)
		if (l->width[i])
			(void)printf("  %*s", l->width[i], t[i].s);
	if (bar && l->width[BARS])
		(void)printf("  %.*s", bar, "##########");
	(void)putchar('\n');
}

static void spared_print(const struct layout *l)
{
	const char *before = "no room for: ";

	for (int i = KEY + 1; i < COLUMNS; i++)
		if (!l->width[i]) {
			(void)printf("%s%s", before, heads[i]);
			before = ", ";
		}
	if (before[0] == ',')
		(void)putchar('\n');
}

static void show_table(const struct bill *bill, const struct bill_query *q)
{
	struct layout l = layout_make(bill);
	money_t most = 0;

	for (size_t i = 0; i < bill->n; i++)
		if (bill->rows[i].total > most)
			most = bill->rows[i].total;
	(void)printf("%-*s", l.width[KEY], bill_by_text(q->by));
	for (int i = KEY + 1; i < BARS; i++)
		if (l.width[i])
			(void)printf("  %*s", l.width[i], heads[i]);
	(void)putchar('\n');
	for (size_t i = 0; i < bill->n; i++)
		row_print(bill->rows[i].key, &bill->rows[i], &l, most);
	row_print("total", &bill->sum, &l, 0);
	spared_print(&l);
	if (bill->sum.unmeasured)
		(void)printf("contention was not measured in %" PRId64 " of %" PRId64
			     " invocations: FAIR takes nothing off these\n",
			     bill->sum.unmeasured, bill->sum.invocations);
}

/* ---- the command line ---- */

static int option_take(int opt, struct bill_args *a, struct cloche_err *err)
{
	uint64_t uid;
	int r = 0;

	switch (opt) {
	case OPT_BY:
		return bill_by_parse(optarg, &a->query.by, err);
	case OPT_SINCE:
		return args_instant(optarg, clock_real_ns(), &a->query.since_ns, err);
	case OPT_UNTIL:
		return args_instant(optarg, clock_real_ns(), &a->query.until_ns, err);
	case OPT_FUNCTION:
		return args_function(optarg, &a->query.function, err);
	case OPT_OWNER:
		r = parse_count(optarg, 0, UINT32_MAX, &uid, err);
		if (r == 0 && args_owner() >= 0 && (int64_t)uid != args_owner())
			return cloche_err_set(err, EPERM, "only root sees other owners' bills");
		if (r == 0)
			a->query.owner_uid = (int64_t)uid;
		break;
	case OPT_JSON:
	case OPT_CSV:
		if (a->form != FORM_TABLE && (a->form == FORM_JSON) != (opt == OPT_JSON))
			return cloche_err_set(err, EINVAL, "not together with --%s",
					      opt == OPT_JSON ? "csv" : "json");
		a->form = opt == OPT_JSON ? FORM_JSON : FORM_CSV;
		break;
	case OPT_LEDGER:
		a->ledger = optarg;
		break;
	default:
		break;
	}
	return r;
}

static int bill_show(const struct bill_args *a)
{
	cleanup_ledger_index struct ledger_index index = { 0 };
	cleanup_bill struct bill bill = { 0 };
	cleanup_ledger_from struct ledger_from from = { .remote = { .socket = -1 } };
	struct cloche_err err = { 0 };

	if (ledger_from_open(a->ledger, &from, &err) < 0 ||
	    ledger_from_index(&from, &index, &err) < 0 ||
	    bill_make(&index, &a->query, &bill, &err) < 0)
		return args_failed("bill", &err);
	args_incomplete("bill", &index);
	if (a->form == FORM_JSON)
		(void)print_json(&bill, &a->query);
	else if (a->form == FORM_CSV)
		show_csv(&bill, &a->query);
	else
		show_table(&bill, &a->query);
	if (fflush(stdout) || ferror(stdout)) {
		(void)cloche_err_set(&err, EIO, "the bill could not be written to standard output");
		return args_failed("bill", &err);
	}
	return 0;
}

int cmd_bill(int argc, char **argv)
{
	struct bill_args a = {
		.query = { .until_ns = INT64_MAX, .owner_uid = args_owner() },
	};
	struct cloche_err err = { 0 };
	struct verb_getopt known;
	int opt;

	verb_getopt_init(&known, &verb_bill, ":");
	opterr = 0;
	while ((opt = getopt_long(argc, argv, known.shorts, known.longs, NULL)) != -1) {
		if (opt == 'h')
			return verb_help(&verb_bill);
		if (opt == '?' || opt == ':')
			return args_refused("bill", argv, opt);
		if (option_take(opt, &a, &err) < 0)
			return args_usage("bill", "--%s: %s", verb_option_of(&verb_bill, opt)->name,
					  err.text);
	}
	if (optind < argc)
		return args_usage("bill", "unexpected argument '%.80s'", argv[optind]);
	return bill_show(&a);
}
