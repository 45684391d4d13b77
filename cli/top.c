/* SPDX-License-Identifier: MIT */
/*
 * `cloche top`: the daemon's contexts, live. On a terminal a screen of its own, drawn anew each
 * second and at each key; else one pass, as lines. What the terminal was it is again at the end,
 * however that comes.
 */
#include "cli/cli.h"
#include "cli/ps.h"
#include "cli/show.h"
#include "cli/verb.h"

#include "base/clock.h"
#include "base/fd.h"
#include "serve/listing.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define PERIOD_NS NSEC_PER_SEC
#define BAR	  20

static const struct verb_option options[] = {
	{ .text = "Options" },
	{ "help", 'h', NULL, NULL, "this text" },
	{ 0 },
};

const struct verb verb_top = {
	.name = "top",
	.run = cmd_top,
	.text = "the same, live",
	.usage = "Usage: cloche top\n\n"
		 "What contexts the daemon has, live: drawn anew each second, what uses most CPU\n"
		 "first. Root sees all of them, everybody else his own. In a pipe: once.\n",
	.options = options,
	.tail = "Keys: q ends; c, m, a: by CPU, memory, age. %CPU is of one CPU, since the last\n"
		"time; at first since the context was made. Root's head has the daemon's share\n"
		"of it and its memory.\n"
		"\n"
		"Exit status: 0, 2 usage, 125 when no daemon answers.\n"
		"\n"
		"Examples:\n"
		"  cloche top\n"
		"  cloche top | head\n",
};

enum order { BY_CPU, BY_MEMORY, BY_AGE };

struct row {
	const struct listed *of;
	uint64_t rate; /* thousandths of a CPU */
};

struct top {
	bool screen;
	enum order order;
	struct listing *now, *before; /* NULL: none */
	struct row rows[LISTING_MAX];
	unsigned columns, lines;
};

/* ---- figures --------------------------------------------------------------------------------- */

static const struct listed *find(const struct listing *l, const char *id)
{
	for (uint32_t i = 0; l && id[0] && i < l->n; i++)
		if (strcmp(l->rows[i].id, id) == 0)
			return &l->rows[i];
	return NULL;
}

static uint64_t rate(uint64_t used_ns, int64_t in_ns)
{
	return in_ns <= 0 ? 0 : used_ns * 1000 / (uint64_t)in_ns;
}

/* Of the time since the last listing; of what was not in it, since it was made. */
static uint64_t rate_of(const struct top *t, const struct listed *row)
{
	const struct listed *was = find(t->before, row->id);

	if (row->cpu_ns == LISTING_UNKNOWN)
		return 0;
	if (was && t->before && was->cpu_ns <= row->cpu_ns)
		return rate(row->cpu_ns - was->cpu_ns, t->now->taken_ns - t->before->taken_ns);
	return rate(row->cpu_ns, row->age_ns);
}

static uint64_t known(uint64_t n)
{
	return n == LISTING_UNKNOWN ? 0 : n;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? 1 : a > b ? -1 : 0;
}

static int compare(const void *a, const void *b, void *arg)
{
	const struct row *x = a, *y = b;
	const enum order *order = arg;
	int r = 0;

	if (*order == BY_CPU)
		r = compare_numbers(x->rate, y->rate);
	else if (*order == BY_MEMORY)
		r = compare_numbers(known(x->of->memory_bytes), known(y->of->memory_bytes));
	if (r == 0)
		r = compare_numbers((uint64_t)x->of->age_ns, (uint64_t)y->of->age_ns);
	return r ? r : strcmp(x->of->id, y->of->id);
}

static void sort(struct top *t)
{
	for (uint32_t i = 0; i < t->now->n; i++)
		t->rows[i] = (struct row){ &t->now->rows[i], rate_of(t, &t->now->rows[i]) };
	qsort_r(t->rows, t->now->n, sizeof(t->rows[0]), compare, &t->order);
}

/* ---- what is drawn --------------------------------------------------------------------------- */

static const char *styled(const struct top *t, enum show_style style)
{
	const char *no = getenv("NO_COLOR");

	return t->screen && !(no && *no) ? show_style(style) : "";
}

static void end_line(const struct top *t)
{
	(void)printf("%s\n", t->screen ? show_style(STYLE_EOL) : "");
}

static void draw_bar(const struct top *t, uint64_t part, uint64_t whole)
{
	unsigned full = whole ? (unsigned)(part * BAR / whole) : 0;

	if (!t->screen || !whole || t->columns < 100)
		return;
	full = full > BAR ? BAR : full;
	(void)printf("  [%s%.*s%s%.*s]", styled(t, full > BAR * 3 / 4 ? STYLE_YELLOW : STYLE_GREEN),
		     (int)full, "||||||||||||||||||||", styled(t, STYLE_OFF), (int)(BAR - full),
		     "                    ");
}

static void draw_head(const struct top *t)
{
	const struct listing *l = t->now;
	uint64_t memory = 0, cpu = 0;
	unsigned n[LISTED_STATES] = { 0 };

	for (uint32_t i = 0; i < l->n; i++) {
		memory += known(l->rows[i].memory_bytes);
		cpu += t->rows[i].rate;
		n[l->rows[i].state]++;
	}
	(void)printf("%scloche top%s  %u of %" PRIu64 " contexts: %u busy, %u ready, %u other",
		     styled(t, STYLE_BOLD), styled(t, STYLE_OFF), l->n, l->contexts_max,
		     n[LISTED_BUSY], n[LISTED_READY], l->n - n[LISTED_BUSY] - n[LISTED_READY]);
	(void)printf("  up %s", ps_age(clock_real_ns() - l->since_ns).s);
	end_line(t);
	(void)printf("memory %s", ps_bytes(memory).s);
	if (l->memory_max_bytes)
		(void)printf(" of %s", ps_bytes(l->memory_max_bytes).s);
	draw_bar(t, memory, l->memory_max_bytes);
	(void)printf("  CPU %" PRIu64 ".%" PRIu64 "%%", cpu / 10, cpu % 10);
	if (l->vcpu_milli)
		(void)printf(" of %" PRIu64 "%%", l->vcpu_milli / 10);
	draw_bar(t, cpu, l->vcpu_milli);
	if (l->daemon_cpu_ns != LISTING_UNKNOWN) {
		const struct listing *b = t->before;
		uint64_t own =
			b ? rate(l->daemon_cpu_ns - b->daemon_cpu_ns, l->taken_ns - b->taken_ns)
			  : rate(l->daemon_cpu_ns, clock_real_ns() - l->since_ns);

		(void)printf("  daemon %" PRIu64 ".%" PRIu64 "%% %s", own / 10, own % 10,
			     ps_bytes(known(l->launcher_bytes) + known(l->front_bytes)).s);
	}
	end_line(t);
}

static void draw_row(const struct top *t, const struct row *r)
{
	static const enum show_style styles[LISTED_STATES] = {
		[LISTED_STARTING] = STYLE_CYAN, [LISTED_READY] = STYLE_DIM,
		[LISTED_BUSY] = STYLE_GREEN,	[LISTED_FROZEN] = STYLE_DIM,
		[LISTED_ENDING] = STYLE_YELLOW,
	};
	const struct listed *l = r->of;
	char owner[OWNER_NAME_LEN], what[LISTING_COMMAND_LEN];
	/* What stands before it is 61 columns wide. */
	int room = t->screen ? (t->columns > 62 ? (int)t->columns - 62 : 1) : (int)sizeof(what);

	(void)snprintf(owner, sizeof(owner), "%u", l->uid);
	ps_what(l, what, sizeof(what));
	(void)printf(
		"%-8.8s  %-10.10s  %s%-8s%s %4" PRIu64 ".%" PRIu64 "  %9s  %7s  %5" PRIu64 "  %.*s",
		l->id[0] ? l->id : "-", l->owner[0] ? l->owner : owner, styled(t, styles[l->state]),
		listed_state_text(l->state), styled(t, STYLE_OFF), r->rate / 10, r->rate % 10,
		ps_bytes(l->memory_bytes).s, ps_age(l->age_ns).s, l->invocations, room, what);
	end_line(t);
}

static void draw(const struct top *t)
{
	static const char *const orders[] = { "CPU", "memory", "age" };
	/* Four for the heads, one for the keys. */
	uint32_t most = !t->screen ? t->now->n : t->lines > 5 ? t->lines - 5 : 1;

	if (t->screen)
		(void)printf("%s", show_style(STYLE_HOME));
	draw_head(t);
	end_line(t);
	(void)printf("%s%-8s  %-10s  %-8s %6s  %9s  %7s  %5s  %s%s", styled(t, STYLE_BOLD),
		     "CONTEXT", "OWNER", "STATE", "%CPU", "MEM", "AGE", "INV", "COMMAND",
		     styled(t, STYLE_OFF));
	end_line(t);
	for (uint32_t i = 0; i < t->now->n && i < most; i++)
		draw_row(t, &t->rows[i]);
	if (t->screen)
		(void)printf("%s%sby %s; c CPU, m memory, a age, q end%s", show_style(STYLE_BELOW),
			     styled(t, STYLE_DIM), orders[t->order], styled(t, STYLE_OFF));
	(void)fflush(stdout);
}

/* ---- the terminal ---------------------------------------------------------------------------- */

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	stopped = 1;
}

static void measure(struct top *t)
{
	struct winsize size = { 0 };

	t->columns = 80;
	t->lines = 24;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return;
	t->columns = size.ws_col ? size.ws_col : t->columns;
	t->lines = size.ws_row ? size.ws_row : t->lines;
}

static int refresh(struct top *t)
{
	struct listing *next = NULL;
	int status = ps_ask("top", &next);

	if (status)
		return status;
	free(t->before);
	t->before = t->now;
	t->now = next;
	return 0;
}

/* Until the time has come or something is to be drawn anew; false: it is to end. */
static bool wait_for_key(struct top *t, int64_t until_ns)
{
	struct pollfd key = { .fd = STDIN_FILENO, .events = POLLIN };
	int64_t left_ns = until_ns - clock_now_ns();
	struct timespec left = ns_timespec(left_ns > 0 ? left_ns : 0);
	char c = 0;

	if (ppoll(&key, 1, &left, NULL) <= 0)
		return !stopped;
	if (read(STDIN_FILENO, &c, 1) <= 0)
		return false;
	if (c == 'c')
		t->order = BY_CPU;
	else if (c == 'm')
		t->order = BY_MEMORY;
	else if (c == 'a')
		t->order = BY_AGE;
	return c != 'q' && !stopped;
}

static int watch(struct top *t)
{
	int64_t until_ns = clock_now_ns();
	int status = 0;

	while (status == 0) {
		if (clock_now_ns() >= until_ns) {
			status = refresh(t);
			until_ns = clock_now_ns() + PERIOD_NS;
		}
		if (status)
			break;
		measure(t);
		sort(t);
		draw(t);
		if (!wait_for_key(t, until_ns))
			break;
	}
	return status;
}

static int show_screen(struct top *t)
{
	/* Without SA_RESTART: what is waited for ends. */
	const struct sigaction stop = { .sa_handler = on_signal };
	struct termios was, raw;
	/* Before the screen is taken: where there is none, that is a line. */
	int status = refresh(t);

	if (status)
		return status;
	if (tcgetattr(STDIN_FILENO, &was) < 0)
		return EXIT_LAUNCH;
	raw = was;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	(void)sigaction(SIGINT, &stop, NULL);
	(void)sigaction(SIGTERM, &stop, NULL);
	(void)sigaction(SIGHUP, &stop, NULL);
	(void)sigaction(SIGWINCH, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	(void)printf("%s", show_style(STYLE_SCREEN));
	status = watch(t);
	(void)printf("%s", show_style(STYLE_SCREEN_END));
	(void)fflush(stdout);
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &was);
	return status;
}

static int show_once(struct top *t)
{
	int status = refresh(t);

	if (status)
		return status;
	sort(t);
	draw(t);
	return 0;
}

int cmd_top(int argc, char **argv)
{
	cleanup_free struct top *t = calloc(1, sizeof(*t));
	struct verb_getopt known;
	int status, c;

	verb_getopt_init(&known, &verb_top, "+:");
	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, known.shorts, known.longs, NULL)) >= 0) {
		if (c == 'h')
			return verb_help(&verb_top);
		show_line("cloche top: unknown option '%.64s'; see 'cloche top --help'",
			  argv[optind - 1]);
		return EXIT_USAGE;
	}
	if (optind < argc) {
		show_line("cloche top: unexpected argument '%.64s'; see 'cloche top --help'",
			  argv[optind]);
		return EXIT_USAGE;
	}
	if (!t)
		return EXIT_LAUNCH;
	t->screen = show_on_terminal(stdout) && isatty(STDIN_FILENO);
	status = t->screen ? show_screen(t) : show_once(t);
	free(t->now);
	free(t->before);
	return status;
}
