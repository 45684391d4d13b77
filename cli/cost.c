/* SPDX-License-Identifier: MIT */
/*
 * `cloche cost`: what calls would cost, from figures or from what the ledger measured. Amounts are
 * exact; where a figure is a mean or rounded, the text says so. Sizes that the ledger has no runs
 * at are never guessed.
 */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "cli/ledger_args.h"
#include "cli/ledger_from.h"
#include "cli/run_caller.h"
#include "cli/run_prices.h"
#include "cli/show.h"
#include "cli/verb.h"
#include "launch/spec.h"
#include "ledger/bill.h"
#include "ledger/ledger.h"
#include "ledger/ledger_index.h"
#include "ledger/prices.h"
#include "ledger/sizing.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MONTH_S 2592000u

struct cost_args {
	bool memory_given;
	uint64_t memory_bytes;	 /* 0: not given */
	int64_t duration_ns;	 /* -1: not given */
	uint64_t calls, seconds; /* the rate; calls 0: not given */
	int64_t since_ns;
	const char *price_list, *function, *ledger;
	struct prices prices;
	bool json;
};

enum { OPT_DURATION = 256, OPT_PRICES, OPT_FUNCTION, OPT_SINCE, OPT_LEDGER, OPT_RATE, OPT_JSON };

static const struct verb_option options[] = {
	{ .text = "From figures" },
	{ "memory", 'm', "SIZE", NULL, "memory limit: 512, 512M, 2G (MiB when bare)" },
	{ "duration", OPT_DURATION, "D", NULL, "of a call: 250ms, 3s, 2m (seconds when bare)" },
	{ "prices", OPT_PRICES, "NAME", "lambda lambda-2019 @file",
	  "lambda (default), lambda-2019, or a price file" },

	{ .text = "From the ledger" },
	{ "function", OPT_FUNCTION, "NAME", NULL,
	  "as FUNCTION: the mean of its successful invocations, by memory size ('cloche run' and "
	  "'cloche "
	  "tune' name them by --name)" },
	{ .arg = "    --memory SIZE",
	  .text = "compare the other sizes with this one (default: the size with the most "
		  "invocations)" },
	{ "since", OPT_SINCE, "T", NULL, "only from this time on: 2026-01-31, 7d, 24h" },
	{ "ledger", OPT_LEDGER, "DIR", "@dir",
	  "the ledger (default: $CLOCHE_LEDGER, else the daemon's, and root's " LEDGER_DIR ")" },

	{ .text = "Both" },
	{ "rate", OPT_RATE, "N/PERIOD", NULL,
	  "calls per s, min, hour, day, week or month (30 days)" },
	{ "json", OPT_JSON, NULL, NULL, "one JSON object" },
	{ "help", 'h', NULL, NULL, "this text" },
	{ 0 },
};

const struct verb verb_cost = {
	.name = "cost",
	.run = cmd_cost,
	.text = "what it would cost",
	.usage = "Usage: cloche cost --memory SIZE --duration D [--rate N/PERIOD] [--prices NAME]\n"
		 "       cloche cost FUNCTION [--memory SIZE] [--rate N/PERIOD]\n\n"
		 "What calls would cost: from figures, or from what the ledger measured of a\n"
		 "function, without the time that it waited for CPUs that others had.\n",
	.options = options,
	.tail = "Examples:\n"
		"  cloche cost --memory 2432 --duration 3m --rate 50/min --prices lambda-2019\n"
		"  cloche cost thumbnail --rate 2/s\n",
	.values = "@function",
};

static const struct {
	const char *name, *key;
	uint64_t seconds;
} spans[] = {
	{ "a minute", "usd_a_minute", 60 },
	{ "an hour", "usd_an_hour", 3600 },
	{ "a day", "usd_a_day", 86400 },
	{ "a month", "usd_a_month", MONTH_S },
};
#define N_SPANS (sizeof(spans) / sizeof(spans[0]))

struct cost {
	struct prices_charge charge;
	money_t call;
	money_t span[N_SPANS];
	bool tiered; /* the month is by the tiers, not the call times the calls */
};

/* amount × calls in so many seconds, rounded half up to 10⁻¹² dollars where it is not whole. */
static int times_rate(money_t amount, const struct cost_args *a, uint64_t seconds, money_t *ret)
{
	return money_mul_div(amount, (unsigned __int128)a->calls * seconds, a->seconds, MONEY_PICO,
			     ret);
}

/* A month of GB-seconds runs through the tiers. */
static int month_tiered(struct cost *c, const struct cost_args *a, money_t *ret)
{
	unsigned __int128 gbs = (unsigned __int128)c->charge.gbs_nano * a->calls * MONTH_S;
	money_t requests = 0;
	int r = prices_volume(&a->prices, gbs / a->seconds, ret);

	if (r == 0)
		r = times_rate(c->charge.request, a, MONTH_S, &requests);
	return r < 0 ? r : money_add(ret, requests);
}

static int cost_make(const struct cost_args *a, struct cost *c, struct cloche_err *err)
{
	struct prices_use use = {
		.memory_bytes = a->memory_bytes,
		.wall_ns = a->duration_ns,
		.contention_ns = -1,
	};
	int r;

	memset(c, 0, sizeof(*c));
	r = prices_charge(&a->prices, &use, &c->charge, err);
	if (r < 0)
		return r;
	c->call = c->charge.charge + c->charge.request;
	c->tiered = a->prices.n_tiers > 0;
	for (size_t i = 0; i < N_SPANS && a->calls && r == 0; i++)
		r = c->tiered && spans[i].seconds == MONTH_S
			    ? month_tiered(c, a, &c->span[i])
			    : times_rate(c->call, a, spans[i].seconds, &c->span[i]);
	if (r < 0)
		return cloche_err_set(err, ERANGE, "so many calls cost more than can be counted");
	return 0;
}

static void cost_text(const struct cost_args *a, const struct cost *c)
{
	char usd[MONEY_LEN], request[MONEY_LEN];

	money_format(c->call, usd);
	(void)printf("$%s a call", usd);
	for (size_t i = 0; i < N_SPANS && a->calls; i++) {
		/* The line that people compare; hours and months follow below. */
		if (spans[i].seconds != 60 && spans[i].seconds != 86400)
			continue;
		money_format(c->span[i], usd);
		(void)printf(", $%s %s", usd, spans[i].name);
	}
	(void)putchar('\n');
	for (size_t i = 0; i < N_SPANS && a->calls; i++) {
		if (spans[i].seconds == 60 || spans[i].seconds == 86400)
			continue;
		money_format(c->span[i], usd);
		(void)printf("$%s %s%s\n", usd, spans[i].name,
			     spans[i].seconds != MONTH_S ? ""
			     : c->tiered		 ? " of 30 days, by the tiers"
							 : " of 30 days");
	}
	money_format(c->charge.charge, usd);
	money_format(c->charge.request, request);
	(void)printf("a call: %" PRIu64
		     " ms billed, %s GB-seconds: duration $%s, request $%s (%s)\n",
		     c->charge.billed_ms, c->charge.gb_seconds, usd, request, a->prices.name);
}

static json_t *usd_json(money_t amount)
{
	char usd[MONEY_LEN];

	money_format(amount, usd);
	return json_string(usd);
}

static int json_print(json_t *o)
{
	struct cloche_err err = { 0 };
	int r = o ? show_json(o, JSON_COMPACT) : -1;

	json_decref(o);
	(void)putchar('\n');
	if (r == 0)
		return 0;
	(void)cloche_err_set(&err, EIO, "the JSON could not be written");
	return args_failed("cost", &err);
}

static int cost_json(const struct cost_args *a, const struct cost *c)
{
	json_t *o =
		json_pack("{ss ss sI sI ss so so so}", "schema", "cloche.cost/1", "prices",
			  a->prices.name, "memory_bytes", (json_int_t)a->memory_bytes, "billed_ms",
			  (json_int_t)c->charge.billed_ms, "gb_seconds", c->charge.gb_seconds,
			  "duration_usd", usd_json(c->charge.charge), "request_usd",
			  usd_json(c->charge.request), "usd_a_call", usd_json(c->call));

	for (size_t i = 0; i < N_SPANS && o && a->calls; i++)
		(void)json_object_set_new(o, spans[i].key, usd_json(c->span[i]));
	return json_print(o);
}

static int cost_show(const struct cost_args *a)
{
	struct cloche_err err = { 0 };
	struct cost c;

	if (cost_make(a, &c, &err) < 0)
		return args_failed("cost", &err);
	if (a->json)
		return cost_json(a, &c);
	cost_text(a, &c);
	return 0;
}

/* ---- from the ledger ---- */

/* The row to compare with: the size asked for, else the one with the most invocations. */
static const struct bill_row *row_pick(const struct bill *bill, const struct cost_args *a)
{
	const struct bill_row *best = NULL;

	for (size_t i = 0; i < bill->n; i++) {
		const struct bill_row *r = &bill->rows[i];

		if (a->memory_bytes && strtoull(r->key, NULL, 10) != a->memory_bytes >> 20)
			continue;
		if (!best || r->invocations > best->invocations)
			best = r;
	}
	return best;
}

static int mean_of(const struct bill_row *r, const struct cost_args *a, money_t *call,
		   money_t *month)
{
	int rc = money_mul_div(r->alone, 1, (unsigned __int128)r->invocations, MONEY_PICO, call);

	*month = 0;
	if (rc == 0 && a->calls)
		rc = money_mul_div(r->alone, (unsigned __int128)a->calls * MONTH_S,
				   (unsigned __int128)r->invocations * a->seconds, MONEY_PICO,
				   month);
	return rc;
}

/* "12.3 % faster": how much less b is than a, in whole tenths of a per cent. */
static void compare(char *buf, size_t size, __int128 a, __int128 b, const char *less,
		    const char *more)
{
	__int128 tenths = a ? ((a > b ? a - b : b - a) * 1000 + a / 2) / a : 0;

	(void)snprintf(buf, size, "%" PRId64 ".%d %% %s", (int64_t)(tenths / 10),
		       (int)(tenths % 10), a >= b ? less : more);
}

static void history_row(const struct bill_row *r, const struct bill_row *base, money_t call,
			money_t month, const struct cost_args *a)
{
	char usd[MONEY_LEN], faster[64], cheaper[64];
	int64_t mean_ns = r->alone_ns / r->invocations;
	int64_t beside_ns = (r->duration_ns - r->alone_ns) / r->invocations;

	money_format_fixed(call, 12, usd);
	(void)printf("%s MB: $%s a call", r->key, usd);
	if (a->calls) {
		money_format_fixed(month, 2, usd);
		(void)printf(", $%s a month of 30 days at this rate", usd);
	}
	(void)printf("; mean of %" PRId64 " invocation%s, %lld.%03lld ms", r->invocations,
		     r->invocations == 1 ? "" : "s", mean_ns / NSEC_PER_MSEC,
		     mean_ns % NSEC_PER_MSEC / 1000);
	if (beside_ns > 0)
		(void)printf(" (and %lld.%03lld ms while others had the CPUs)",
			     beside_ns / NSEC_PER_MSEC, beside_ns % NSEC_PER_MSEC / 1000);
	if (r != base) {
		/* Means as cross products: nothing is rounded before it is compared. */
		compare(faster, sizeof(faster), (__int128)base->alone_ns * r->invocations,
			(__int128)r->alone_ns * base->invocations, "faster", "slower");
		compare(cheaper, sizeof(cheaper), base->alone / MONEY_PICO * r->invocations,
			r->alone / MONEY_PICO * base->invocations, "cheaper", "dearer");
		(void)printf("; measured %s, %s than with %s MB", faster, cheaper, base->key);
	}
	(void)putchar('\n');
}

static json_t *history_json(const struct bill_row *r, money_t call, money_t month,
			    const struct cost_args *a)
{
	json_t *o = json_pack(
		"{sI sI sI sI sI sI so so}", "memory_mb", (json_int_t)strtoull(r->key, NULL, 10),
		"invocations", (json_int_t)r->invocations, "mean_duration_ns",
		(json_int_t)(r->duration_ns / r->invocations), "mean_uncontended_ns",
		(json_int_t)(r->alone_ns / r->invocations), "contention_ns",
		(json_int_t)r->contention_ns, "contention_unmeasured", (json_int_t)r->unmeasured,
		"total_usd", usd_json(r->total), "usd_a_call", usd_json(call));

	if (o && a->calls)
		(void)json_object_set_new(o, "usd_a_month", usd_json(month));
	return o;
}

/* What is not in the means, where that was much, and where it is in them. */
static void contention_print(const struct bill *bill)
{
	const struct bill_row *sum = &bill->sum;
	int64_t off_ns = sum->duration_ns - sum->alone_ns;

	if (sizing_is_much(off_ns, sum->duration_ns))
		(void)printf(
			"note: the host was busy: %.1f %% of the time these runs were kept off "
			"the CPUs by others; times and prices are without that\n",
			100.0 * (double)off_ns / (double)sum->duration_ns);
	if (sum->unmeasured)
		(void)printf("note: contention was not measured in %" PRId64 " of %" PRId64
			     " invocations: nothing is taken off these\n",
			     sum->unmeasured, sum->invocations);
}

/* Means of amounts by different price lists are of little use: it is said when they are. */
static void lists_print(const struct bill *lists)
{
	if (lists->n < 2)
		return;
	(void)printf("note: these runs were charged by %zu price lists (", lists->n);
	for (size_t i = 0; i < lists->n; i++)
		(void)printf("%s%s", i ? ", " : "", lists->rows[i].key);
	(void)printf("), which the means mix\n");
}

/* What a call cost is its record's, at the list's first price: a volume is nobody's there. */
static void tiers_print(const struct cost_args *a, const struct bill *lists)
{
	for (size_t i = 0; i < lists->n && a->calls; i++) {
		struct prices p;

		if (prices_find(lists->rows[i].key, &p, NULL) < 0)
			(void)printf(
				"note: a month is the mean times the calls; tiers that '%s' may "
				"have are not applied\n",
				lists->rows[i].key);
	}
}

static json_t *lists_json(const struct bill *lists)
{
	json_t *names = json_array();

	for (size_t i = 0; i < lists->n; i++)
		(void)json_array_append_new(names, json_string(lists->rows[i].key));
	return names;
}

static int history_print(const struct cost_args *a, const struct bill *bill,
			 const struct bill *lists, const struct bill_row *base)
{
	json_t *rows = a->json ? json_array() : NULL;
	struct cloche_err err = { 0 };
	money_t call, month;

	for (size_t i = 0; i < bill->n; i++) {
		if (mean_of(&bill->rows[i], a, &call, &month) < 0) {
			json_decref(rows);
			(void)cloche_err_set(&err, ERANGE,
					     "so many calls cost more than can be "
					     "counted");
			return args_failed("cost", &err);
		}
		if (a->json)
			(void)json_array_append_new(rows,
						    history_json(&bill->rows[i], call, month, a));
		else
			history_row(&bill->rows[i], base, call, month, a);
	}
	if (a->json)
		return json_print(json_pack("{ss ss so so}", "schema", "cloche.cost-history/1",
					    "function", a->function, "prices", lists_json(lists),
					    "sizes", rows));
	contention_print(bill);
	lists_print(lists);
	tiers_print(a, lists);
	if (bill->n == 1)
		(void)printf("the ledger has runs at this size only: what another would cost is "
			     "not guessed\n");
	return 0;
}

static int history_show(const struct cost_args *a)
{
	cleanup_ledger_from struct ledger_from from = { .remote = { .socket = -1 } };
	cleanup_ledger_index struct ledger_index index = { 0 };
	cleanup_bill struct bill bill = { 0 }, lists = { 0 };
	struct bill_query q = {
		.by = BILL_BY_MEMORY,
		.since_ns = a->since_ns,
		.until_ns = INT64_MAX,
		.owner_uid = args_owner(),
		.function = a->function,
		.verdict = "ok", /* a run that failed early is no measure of what work costs */
	};
	struct cloche_err err = { 0 };
	const struct bill_row *base;

	if (ledger_from_open(a->ledger, &from, &err) < 0 ||
	    ledger_from_index(&from, &index, &err) < 0 || bill_make(&index, &q, &bill, &err) < 0)
		return args_failed("cost", &err);
	base = row_pick(&bill, a);
	if (!base && bill.n)
		(void)cloche_err_set(&err, ENOENT,
				     "the ledger has no successful run of '%.64s' with %" PRIu64
				     " MB: what it would cost is not guessed; run it there first",
				     a->function, a->memory_bytes >> 20);
	else if (!base)
		(void)cloche_err_set(&err, ENOENT, "the ledger has no successful run of '%.64s'",
				     a->function);
	if (!base)
		return args_failed("cost", &err);
	q.by = BILL_BY_PRICES;
	if (bill_make(&index, &q, &lists, &err) < 0)
		return args_failed("cost", &err);
	args_incomplete("cost", &index);
	return history_print(a, &bill, &lists, base);
}

/* In the words of 'cloche run', but that this host's memory is no limit to a question. */
static int memory_check(const struct cost_args *a)
{
	bool whole = a->memory_bytes >> 20 && a->memory_bytes % (1 << 20) == 0;

	if (!a->memory_given || a->memory_bytes >= SPEC_MEMORY_MIN)
		return 0;
	return args_usage("cost", "--memory %" PRIu64 "%s: from %lluM",
			  whole ? a->memory_bytes >> 20 : a->memory_bytes, whole ? "M" : " bytes",
			  SPEC_MEMORY_MIN >> 20);
}

/* Usage errors, as for 'cloche run'. */
static int prices_take(struct cost_args *a, struct cloche_err *err)
{
	struct run_caller caller;
	int r = run_caller_read(&caller, err);

	if (r == 0)
		r = run_prices_find(a->price_list ? a->price_list : "lambda",
				    run_caller_rights(&caller), &a->prices, err);
	return r < 0 ? r : prices_check_memory(&a->prices, a->memory_bytes, err);
}

static int option_take(int opt, struct cost_args *a, struct cloche_err *err)
{
	switch (opt) {
	case 'm':
		a->memory_given = true;
		return parse_size(optarg, &a->memory_bytes, err);
	case OPT_DURATION:
		return parse_duration(optarg, &a->duration_ns, err);
	case OPT_RATE:
		return args_rate(optarg, &a->calls, &a->seconds, err);
	case OPT_SINCE:
		return args_instant(optarg, clock_real_ns(), &a->since_ns, err);
	case OPT_PRICES:
		a->price_list = optarg;
		return 0;
	case OPT_FUNCTION:
		return args_function(optarg, &a->function, err);
	case OPT_LEDGER:
		a->ledger = optarg;
		return 0;
	default:
		a->json = true;
		return 0;
	}
}

int cmd_cost(int argc, char **argv)
{
	struct cost_args a = { .duration_ns = -1 };
	struct cloche_err err = { 0 };
	struct verb_getopt known;
	int opt;

	verb_getopt_init(&known, &verb_cost, ":");
	opterr = 0;
	while ((opt = getopt_long(argc, argv, known.shorts, known.longs, NULL)) != -1) {
		if (opt == 'h')
			return verb_help(&verb_cost);
		if (opt == '?' || opt == ':')
			return args_refused("cost", argv, opt);
		if (option_take(opt, &a, &err) < 0)
			return args_usage("cost", "--%s: %s", verb_option_of(&verb_cost, opt)->name,
					  err.text);
	}
	if (optind < argc && !a.function && args_function(argv[optind++], &a.function, &err) < 0)
		return args_usage("cost", "%s", err.text);
	if (optind < argc)
		return args_usage("cost", "unexpected argument '%.80s'", argv[optind]);
	if (memory_check(&a))
		return 2;
	if (a.function && (a.duration_ns >= 0 || a.price_list))
		return args_usage("cost", "those of a function are taken from the ledger: "
					  "leave out --duration and --prices");
	if (a.function)
		return history_show(&a);
	if (a.since_ns)
		return args_usage("cost", "--since goes with a function");
	if (!a.memory_bytes || a.duration_ns < 0)
		return args_usage("cost", "give --memory and --duration, or a function");
	if (prices_take(&a, &err) < 0)
		return args_usage("cost", "--prices: %s", err.text);
	return cost_show(&a);
}
