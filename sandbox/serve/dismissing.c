/* SPDX-License-Identifier: MIT */
/* The last word to function processes: see dismissing.h. */
#include "serve/dismissing.h"

#include "serve/front.h"
#include "serve/held.h"
#include "serve/resident.h"

#include <stddef.h>

static void enqueue(struct dismissing *d, struct held *h)
{
	if (!d->first)
		d->last = &d->first;
	*d->last = h;
	d->last = &h->next_dismissed;
	h->next_dismissed = NULL;
}

static void dequeue(struct dismissing *d, const struct held *h)
{
	struct held **at = &d->first;

	while (*at != h)
		at = &(*at)->next_dismissed;
	*at = h->next_dismissed;
	if (!*at)
		d->last = at;
}

/* Whoever is told may have died, and is over within this. */
void dismissing_go_on(struct front *f)
{
	struct dismissing *d = &f->dismissing;

	if (d->turning)
		return;
	d->turning = true;
	while (d->first && d->n < DISMISSING_MAX) {
		struct held *h = d->first;

		dequeue(d, h);
		d->n++;
		h->dismissal = DISMISSAL_TOLD;
		resident_dismiss(h->resident, DISMISSING_GRACE_NS);
	}
	d->turning = false;
}

bool dismissing_begin(struct front *f, struct held *h)
{
	if (!h->resident || !resident_hears(h->resident))
		return false;
	h->dismissal = DISMISSAL_WAITS;
	enqueue(&f->dismissing, h);
	return true;
}

void dismissing_end(struct front *f, struct held *h)
{
	struct dismissing *d = &f->dismissing;

	if (h->dismissal == DISMISSAL_NONE)
		return;
	if (h->dismissal == DISMISSAL_WAITS)
		dequeue(d, h);
	else
		d->n--;
	h->dismissal = DISMISSAL_NONE;
	dismissing_go_on(f);
}

bool dismissing_cut_short(struct front *f, uint32_t owner)
{
	if (!dismissing_any(&f->dismissing))
		return false;
	for (struct pool_context *c = f->pool.first; c; c = c->all.next) {
		struct held *h = (struct held *)c;

		if (h->dismissal == DISMISSAL_NONE || (owner != POOL_ANY && c->kind.owner != owner))
			continue;
		held_end_now(f, h);
		return true;
	}
	return false;
}

bool dismissing_any(const struct dismissing *d)
{
	return d->first || d->n;
}
