/* SPDX-License-Identifier: MIT */
/* What `cloche tune` found, for people and for programs. Nothing is measured or chosen here. */
#include "cli/show.h"
#include "cli/tune.h"

#include "base/clock.h"
#include "base/quote.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define BAR	20
#define MARKS	3
#define MILLION 1000000

/* The words for the chosen sizes, and their colours (SGR). */
static const struct {
	const char *name;
	enum show_style style;
} marks[MARKS] = { { "cheapest", STYLE_GREEN },
		   { "knee", STYLE_YELLOW },
		   { "fastest", STYLE_CYAN } };

static bool has_mark(const struct tune *t, size_t i, int mark)
{
	const int chosen[MARKS] = { t->choice.cheapest, t->choice.knee, t->choice.fastest };

	return chosen[mark] == (int)i;
}

static money_t call_cost(const struct tune_size *s)
{
	return s->charge.charge + s->charge.request;
}

struct text {
	char s[MONEY_LEN];
};

/* A million calls: whole digits instead of a row of zeroes, and still exact. */
static struct text million_text(const struct tune_size *s)
{
	struct text t;

	money_format_fixed(call_cost(s) * MILLION, 6, t.s);
	return t;
}

static struct text ms_text(int64_t ns)
{
	struct text t;
	int64_t us = (ns + 500) / 1000;

	(void)snprintf(t.s, sizeof(t.s), "%" PRId64 ".%03" PRId64, us / 1000, us % 1000);
	return t;
}

/* Of the time, what others had the CPUs for. */
static struct text share_text(int64_t part, int64_t all)
{
	struct text t = { "-" };
	int64_t tenths = all > 0 ? (int64_t)(((__int128)part * 1000 + all / 2) / all) : 0;

	if (all > 0)
		(void)snprintf(t.s, sizeof(t.s), "%" PRId64 ".%d %%", tenths / 10,
			       (int)(tenths % 10));
	return t;
}

static struct text size_text(uint64_t bytes)
{
	struct text t;

	if (bytes % (1 << 20) == 0)
		(void)snprintf(t.s, sizeof(t.s), "%" PRIu64 " MB", bytes >> 20);
	else
		(void)snprintf(t.s, sizeof(t.s), "%" PRIu64 " kB", bytes >> 10);
	return t;
}

/* "cheapest, knee", in colour or not. */
static void print_marks(const struct tune *t, size_t i, bool colour)
{
	const char *before = "  ";

	for (int m = 0; m < MARKS; m++) {
		if (!has_mark(t, i, m))
			continue;
		if (colour)
			(void)printf("%s%s%s%s%s", before, show_style(STYLE_BOLD),
				     show_style(marks[m].style), marks[m].name,
				     show_style(STYLE_OFF));
		else
			(void)printf("%s%s", before, marks[m].name);
		before = ", ";
	}
}

static void print_failure(const struct tune_size *s)
{
	const char *verdict = verdict_text(s->verdict);

	if (s->verdict == VERDICT_ERROR)
		(void)printf("  %s: exit status %d", verdict, s->status);
	else
		(void)printf("  %s", verdict);
	if (s->n)
		(void)printf(" in run %u", s->n + 1);
	if (s->why[0])
		(void)printf(": %s", s->why);
}

static void print_row(const struct tune *t, const struct tune_size *s)
{
	int64_t least = INT64_MAX, most = 0;
	struct text peak = { "-" };

	(void)printf("%8s  %5.3f", size_text(s->memory_bytes).s, (double)s->vcpu_micro / 1e6);
	if (s->failed) {
		print_failure(s);
		(void)putchar('\n');
		return;
	}
	for (unsigned i = 0; i < s->n; i++) {
		least = s->times_ns[i] < least ? s->times_ns[i] : least;
		most = s->times_ns[i] > most ? s->times_ns[i] : most;
	}
	if (s->peak_bytes)
		(void)snprintf(peak.s, sizeof(peak.s), "%" PRIu64,
			       (s->peak_bytes + (1 << 20) - 1) >> 20);
	(void)printf("  %9s  %9s  %9s  %7s  %8s  %11s\n", ms_text(s->median_ns).s, ms_text(least).s,
		     ms_text(most).s, peak.s, share_text(s->contention_ns, s->contended_ns).s,
		     million_text(s).s);
}

static void print_bar(__int128 value, __int128 most, int width, const char *sgr)
{
	int n = most ? (int)((value * BAR + most - 1) / most) : 0;

	(void)printf("  %s%.*s%s%*s", sgr ? sgr : "", n, "####################",
		     sgr ? show_style(STYLE_OFF) : "", width > n ? width - n : 0, "");
}

static void print_picture(const struct tune *t, bool colour)
{
	money_t dearest = 0;
	int64_t slowest = 0;

	for (size_t i = 0; i < t->n; i++) {
		const struct tune_size *s = &t->sizes[i];

		if (s->failed)
			continue;
		if (s->median_ns > slowest)
			slowest = s->median_ns;
		if (call_cost(s) > dearest)
			dearest = call_cost(s);
	}
	(void)printf("\n%8s  %-*s  %s\n", "", BAR, "TIME", "COST");
	for (size_t i = 0; i < t->n; i++) {
		const struct tune_size *s = &t->sizes[i];
		bool marked = has_mark(t, i, 0) || has_mark(t, i, 1) || has_mark(t, i, 2);

		(void)printf("%8s", size_text(s->memory_bytes).s);
		if (s->failed) {
			(void)printf("  %s\n", verdict_text(s->verdict));
			continue;
		}
		print_bar(s->median_ns, slowest, BAR, colour ? show_style(STYLE_CYAN) : NULL);
		print_bar(call_cost(s), dearest, marked ? BAR : 0,
			  colour ? show_style(STYLE_GREEN) : NULL);
		print_marks(t, i, colour);
		(void)putchar('\n');
	}
}

/* "12.3 % faster": how much less b is than a, in tenths of a per cent. */
static void print_change(__int128 a, __int128 b, const char *less, const char *more,
			 const char *same)
{
	__int128 tenths = a ? ((a > b ? a - b : b - a) * 1000 + a / 2) / a : 0;

	if (tenths)
		(void)printf("%" PRId64 ".%d %% %s", (int64_t)(tenths / 10), (int)(tenths % 10),
			     a >= b ? less : more);
	else
		(void)fputs(same, stdout);
}

/* What it has now, and what was not counted. */
static void print_deployed(const struct tune *t)
{
	unsigned cold = 0;

	if (!t->function)
		return;
	for (size_t i = 0; i < t->n; i++) {
		const struct tune_size *s = &t->sizes[i];

		cold += s->cold;
		if (s->memory_bytes == t->deployed_bytes && !s->failed)
			(void)printf("deployed: %s, $%s a million calls\n",
				     size_text(s->memory_bytes).s, million_text(s).s);
	}
	if (cold)
		(void)printf("%u invocation%s of new contexts %s not counted\n", cold,
			     cold == 1 ? "" : "s", cold == 1 ? "is" : "are");
}

static void print_choice(const struct tune *t)
{
	const int chosen[MARKS] = { t->choice.cheapest, t->choice.knee, t->choice.fastest };
	const struct tune_size *base = &t->sizes[t->choice.cheapest];

	(void)printf("\ncheapest: %s, $%s a million calls (%s)\n", size_text(base->memory_bytes).s,
		     million_text(base).s, t->prices.name);
	for (int m = 1; m < MARKS; m++) {
		const struct tune_size *s = chosen[m] < 0 ? base : &t->sizes[chosen[m]];

		if (s == base)
			continue;
		(void)printf("%s: %s; against %s: ", marks[m].name, size_text(s->memory_bytes).s,
			     size_text(base->memory_bytes).s);
		print_change(base->median_ns, s->median_ns, "faster", "slower", "as fast");
		(void)fputs(", ", stdout);
		print_change(call_cost(base), call_cost(s), "cheaper", "dearer", "same price");
		(void)putchar('\n');
	}
	if (t->choice.flat)
		(void)puts("memory makes no difference to the time");
	print_deployed(t);
}

/* What is not in the times any more, where that was much; or is, where nobody measured it. */
static void print_contention(const struct tune *t)
{
	int64_t contention_ns = 0, contended_ns = 0;
	bool unmeasured = false;

	for (size_t i = 0; i < t->n; i++) {
		const struct tune_size *s = &t->sizes[i];

		contention_ns += s->contention_ns;
		contended_ns += s->contended_ns;
		for (unsigned run = 0; run < s->n; run++)
			unmeasured |= s->runs[run].contention_ns < 0;
	}
	if (sizing_is_much(contention_ns, contended_ns))
		(void)printf("this host was busy: for %s of their time the runs waited for CPUs "
			     "that others had;\ntimes and prices are without that\n",
			     share_text(contention_ns, contended_ns).s);
	if (unmeasured)
		(void)puts("there was no meter: what runs waited for others is in the times");
}

void tune_show(const struct tune *t, bool colour)
{
	(void)printf("%8s  %5s  %9s  %9s  %9s  %7s  %8s  %11s\n", "MEMORY", "vCPU", "MEDIAN ms",
		     "MIN ms", "MAX ms", "PEAK MB", "OTHERS", "USD/MILLION");
	for (size_t i = 0; i < t->n; i++)
		print_row(t, &t->sizes[i]);
	if (t->choice.cheapest < 0)
		return;
	print_picture(t, colour);
	print_choice(t);
	print_contention(t);
}

static json_t *usd_json(money_t amount)
{
	char usd[MONEY_LEN];

	money_format_fixed(amount, 12, usd);
	return json_string(usd);
}

/* What the times were computed from. */
static json_t *runs_json(const struct tune_size *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < s->n; i++) {
		const struct tune_run *r = &s->runs[i];

		(void)json_array_append_new(
			list,
			json_pack("{s:I, s:I, s:o, s:I}", "wall_ns", (json_int_t)r->wall_ns,
				  "init_ns", (json_int_t)r->init_ns, "contention_ns",
				  r->contention_ns < 0 ? json_null()
						       : json_integer((json_int_t)r->contention_ns),
				  "on_cpu_ns", (json_int_t)r->on_cpu_ns));
	}
	return list;
}

static json_t *size_json(const struct tune *t, size_t at)
{
	const struct tune_size *s = &t->sizes[at];
	const struct prices_charge *c = s->failed ? NULL : &s->charge;
	json_t *o = json_object(), *list = json_array(), *times = json_array();

	for (unsigned i = 0; i < s->n; i++)
		(void)json_array_append_new(times, json_integer((json_int_t)s->times_ns[i]));
	(void)json_object_set_new(o, "runs", runs_json(s));
	(void)json_object_set_new(o, "cold_runs", json_integer(s->cold));
	if (t->function)
		(void)json_object_set_new(o, "deployed",
					  json_boolean(s->memory_bytes == t->deployed_bytes));
	for (int m = 0; m < MARKS; m++)
		if (has_mark(t, at, m))
			(void)json_array_append_new(list, json_string(marks[m].name));
	(void)json_object_update_new(
		o,
		json_pack("{s:I, s:o, s:s, s:o, s:o, s:o}", "memory_bytes",
			  (json_int_t)s->memory_bytes, "vcpus",
			  s->vcpu_micro ? json_real((double)s->vcpu_micro / 1e6) : json_null(),
			  "verdict", s->failed ? verdict_text(s->verdict) : "ok", "message",
			  s->why[0] ? json_string(s->why) : json_null(), "times_ns", times,
			  "peak_bytes",
			  s->peak_bytes ? json_integer((json_int_t)s->peak_bytes) : json_null()));
	(void)json_object_update_new(
		o, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "median_ns",
			     c ? json_integer((json_int_t)s->median_ns) : json_null(), "billed_ms",
			     c ? json_integer((json_int_t)c->billed_ms) : json_null(), "gb_seconds",
			     c ? json_string(c->gb_seconds) : json_null(), "usd",
			     c ? usd_json(c->charge) : json_null(), "request_usd",
			     c ? usd_json(c->request) : json_null(), "usd_a_call",
			     c ? usd_json(call_cost(s)) : json_null(), "marks", list));
	return o;
}

int tune_json(const struct tune *t)
{
	json_t *sizes = json_array(), *command = json_array();
	char word[4096];
	json_t *o;
	int r;

	for (size_t i = 0; i < t->n; i++)
		(void)json_array_append_new(sizes, size_json(t, i));
	for (char *const *arg = t->argv; arg && *arg; arg++) {
		quote_field(word, sizeof(word), *arg);
		(void)json_array_append_new(command, json_string(word));
	}
	o = json_pack("{s:s, s:o, s:s?, s:i, s:s, s:b, s:o}", "schema", "cloche.tune/1", "command",
		      t->argv ? command : json_null(), "function", t->function, "runs",
		      (int)t->runs, "prices", t->prices.name, "flat", t->choice.flat, "sizes",
		      sizes);
	if (!o)
		return -ENOMEM;
	r = show_json(o, JSON_COMPACT | JSON_REAL_PRECISION(6)) < 0 ? -EIO : 0;
	json_decref(o);
	(void)putchar('\n');
	return r;
}
