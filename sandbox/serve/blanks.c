/* SPDX-License-Identifier: MIT */
/* Makes blanks, gives them out, ends what is too many: see blanks.h. */
#include "serve/blanks.h"

#include "base/clock.h"
#include "base/err.h"

#include <poll.h>

void blanks_open(struct blanks *b, struct launcher *launcher)
{
	b->launcher = launcher;
	spec_defaults(&b->spec);
	(void)metering_open(&b->clock, METERING_AUTO, launcher->hierarchy.v2, NULL);
}

/* Of the last one no function knows anything, and its end is not much to wait for. */
static void end_last(struct blanks *b)
{
	(void)context_destroy(b->launcher, &b->held[--b->n], NULL);
}

void blanks_close(struct blanks *b)
{
	while (b->n)
		end_last(b);
	metering_close(&b->clock);
}

/* It says nothing by itself, so that what can be read is its end. */
bool blanks_take(struct blanks *b, const struct spec *spec, struct context *ret)
{
	if (spec->n_binds)
		return false;
	while (b->n) {
		struct pollfd gone = { .fd = b->held[b->n - 1].control, .events = POLLIN };

		if (poll(&gone, 1, 0) == 0) {
			*ret = b->held[--b->n];
			return true;
		}
		end_last(b);
	}
	return false;
}

void blanks_asked(struct blanks *b)
{
	supply_asked(&b->supply, clock_now_ns());
}

void blanks_forgo(struct blanks *b)
{
	b->supply = (struct supply){ 0 };
}

/* What cannot be made is told of to who asks next, for whom it fails as well. */
void blanks_step(struct blanks *b, bool busy)
{
	const struct context_options how = { .handed = true,
					     .blank = true,
					     .clock = metering_clock(&b->clock) };
	unsigned want = supply_want(&b->supply, clock_now_ns());
	struct cloche_err none = { 0 };

	if (b->n > want)
		end_last(b);
	else if (b->n < want && !busy &&
		 context_create(b->launcher, &b->spec, &how, &b->held[b->n], &none) == 0)
		b->n++;
	else if (b->n < want && !busy)
		b->supply.want = b->n;
}

int64_t blanks_due(const struct blanks *b)
{
	int64_t now_ns = clock_now_ns();

	return supply_want(&b->supply, now_ns) != b->n ? now_ns : supply_due(&b->supply, now_ns);
}
