/* SPDX-License-Identifier: MIT */
/* From the front's word, or a warden's notice, to figures: see counting.h. */
#include "serve/counting.h"

#include "launch/notice.h"
#include "serve/command.h"
#include "serve/place.h"
#include "serve/tracers.h"

#include <stdint.h>
#include <unistd.h>

/* reply: COUNTED, or PARTED. */
static void tell_counted(struct launching *l, const struct place *p, enum reply_kind reply)
{
	launching_say(l, &(struct reply){ .kind = reply, .context = p->number, .counted = p->last },
		      NULL);
}

static void add_up(struct place *p)
{
	if (p->last.usage.cpu_ns != UINT64_MAX)
		p->cpu_ns += p->last.usage.cpu_ns;
}

void counting_done(struct launching *l, struct place *p)
{
	place_turn(l, p, p->parted ? COMMAND_HANDED : COMMAND_COUNTED);
	add_up(p);
	tell_counted(l, p, p->parted ? REPLY_PARTED : REPLY_COUNTED);
}

/* Of a process that is kept, and frozen. */
static void try_part(struct launching *l, struct place *p)
{
	if (!p->spec.kept || !p->powers.powers.part(&p->powers.powers, &p->last))
		return;
	p->parted = true;
	if (!tracers_count(p))
		counting_done(l, p);
}

void counting_try(struct launching *l, struct place *p)
{
	if (p->state != COMMAND_COUNTING || tracers_counting(p))
		return;
	if (!p->powers.powers.empty(&p->powers.powers)) {
		try_part(l, p);
		return;
	}
	(void)p->powers.powers.counted(&p->powers.powers, &p->last);
	p->parted = false;
	if (!tracers_count(p))
		counting_done(l, p);
}

static void begin_count(struct launching *l, struct place *p)
{
	place_turn(l, p, COMMAND_COUNTING);
	counting_try(l, p);
}

int counting_on_count(struct launching *l, struct place *p, const struct command *c,
		      struct cloche_err *err)
{
	begin_count(l, p);
	return 0;
}

int counting_on_recount(struct launching *l, struct place *p, const struct command *c,
			struct cloche_err *err)
{
	if (p->state == COMMAND_HANDED && powers_local_owed(&p->powers))
		begin_count(l, p);
	return 0;
}

/* What is told at its end, or of a context that was there before, is not asked for any more. */
static void on_notice(struct launching *l, const struct notice *n)
{
	struct place *p = n->slot < SLOT_MAX ? l->by_slot[n->slot] : NULL;

	if (p && p->state == COMMAND_HANDED && p->spec.kept && p->keeper.ctx.slot.n == n->slot &&
	    p->keeper.ctx.plan.serial == n->serial)
		begin_count(l, p);
}

void counting_hear(struct launching *l)
{
	struct notice all[64];
	ssize_t n = read(l->launcher.notices[0], all, sizeof(all));

	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(all[0]); i++)
		on_notice(l, &all[i]);
}
