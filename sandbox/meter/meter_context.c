/* SPDX-License-Identifier: MIT */
/*
 * Slots: armed for a cgroup, read at the edges of an invocation. A slot needs no lock of ours: its
 * number belongs to one caller.
 */
#include "meter/meter.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "bpf/meter_abi.h"
#include "meter/usage.h"

_Static_assert(sizeof(struct meter_slot) <= sizeof(((struct meter_context *)0)->begin),
	       "meter_context.begin is too small");

static int slot_read(const struct meter *m, uint32_t slot, struct meter_slot *ret,
		     struct cloche_err *err)
{
	if (bpf_map_lookup_elem_flags(m->slots, &slot, ret, BPF_F_LOCK))
		return cloche_err_sys(err, errno, "read the meter's slot %u", slot);
	return 0;
}

static int ctl_write(const struct meter_context *c, uint64_t floor_ns, struct cloche_err *err)
{
	struct meter_ctl v = {
		.floor_ns = floor_ns, .epoch_ns = c->epoch_ns, .epoch = c->epoch, .flags = c->flags
	};

	if (bpf_map_update_elem(c->meter->ctl, &c->slot, &v, BPF_ANY))
		return cloche_err_sys(err, errno, "set the meter's slot %u", c->slot);
	return 0;
}

/* Forgets who used the slot before: its cgroup and its timers. */
static void slot_forget(const struct meter *m, uint32_t slot, const struct meter_slot *old)
{
	struct meter_target t;

	if (old->cgroup_id && !bpf_map_lookup_elem(m->by_cgroup, &old->cgroup_id, &t) &&
	    t.slot == slot)
		(void)bpf_map_delete_elem(m->by_cgroup, &old->cgroup_id);
	for (int i = 0; i < 2; i++)
		if (old->timer[i])
			(void)bpf_map_delete_elem(m->timers, &old->timer[i]);
}

int meter_arm(struct meter_context *c, const struct meter *m, uint32_t slot, uint64_t cgroup_id,
	      struct cloche_err *err)
{
	struct meter_target target = { .slot = slot };
	struct meter_slot s;
	int r;

	if (slot >= METER_SLOTS)
		return cloche_err_set(err, ERANGE, "meter slot %u: the last one is %u", slot,
				      METER_SLOTS - 1);
	*c = (struct meter_context){ .meter = m, .slot = slot, .cgroup_id = cgroup_id };
	r = slot_read(m, slot, &s, err);
	if (r)
		return r;
	if (s.gen)
		slot_forget(m, slot, &s);
	c->gen = (uint64_t)clock_now_ns();
	if (c->gen <= s.gen)
		c->gen = s.gen + 1;
	r = ctl_write(c, c->gen, err);
	if (r)
		return r;
	s = (struct meter_slot){ .gen = c->gen, .cgroup_id = cgroup_id, .last_ns = c->gen };
	if (bpf_map_update_elem(m->slots, &slot, &s, BPF_F_LOCK))
		return cloche_err_sys(err, errno, "arm the meter's slot %u", slot);
	target.gen = c->gen;
	/* Last: from here on births count. */
	if (bpf_map_update_elem(m->by_cgroup, &cgroup_id, &target, BPF_ANY))
		return cloche_err_sys(err, errno, "arm the meter's slot %u", slot);
	return 0;
}

/*
 * An edge: the floor first, then the snapshot. Whatever the snapshot holds is dated at the returned
 * time or before, whatever comes into the slot after it at that time or later.
 */
static int edge(struct meter_context *c, bool begins, struct meter_slot *ret, uint64_t *ret_ns,
		struct cloche_err *err)
{
	uint64_t now = (uint64_t)clock_now_ns();
	int r;

	if (begins)
		c->epoch_ns = now;
	r = ctl_write(c, now, err);
	if (!r)
		r = slot_read(c->meter, c->slot, ret, err);
	if (r)
		return r;
	if (ret->gen != c->gen)
		return cloche_err_set(err, ESTALE, "meter slot %u: somebody else armed it",
				      c->slot);
	*ret_ns = usage_settle(ret, now);
	return 0;
}

int meter_begin(struct meter_context *c, bool at_exec, bool trace, struct cloche_err *err)
{
	struct meter_slot s;
	int r;

	c->epoch++;
	c->flags = (at_exec ? METER_BEGIN_AT_EXEC : 0) | (trace ? METER_TRACE : 0);
	r = edge(c, true, &s, &c->begin_ns, err);
	if (!r)
		memcpy(c->begin, &s, sizeof(s));
	return r;
}

int meter_end(struct meter_context *c, struct meter_usage *ret, struct cloche_err *err)
{
	struct meter_slot s, begin;
	uint64_t now = 0;
	int r = edge(c, false, &s, &now, err);

	if (r)
		return r;
	memcpy(&begin, c->begin, sizeof(begin));
	usage_between(&begin, c->begin_ns, &s, now, c->epoch, c->flags & METER_BEGIN_AT_EXEC,
		      (uint64_t)sysconf(_SC_PAGESIZE), ret);
	return 0;
}

int meter_next(struct meter_context *c, struct meter_usage *ret, struct cloche_err *err)
{
	struct meter_slot s, begin;
	uint64_t now = 0;
	int r = edge(c, false, &s, &now, err);

	if (r)
		return r;
	memcpy(&begin, c->begin, sizeof(begin));
	usage_between(&begin, c->begin_ns, &s, now, c->epoch, c->flags & METER_BEGIN_AT_EXEC,
		      (uint64_t)sysconf(_SC_PAGESIZE), ret);
	memcpy(c->begin, &s, sizeof(s));
	c->begin_ns = c->epoch_ns = now;
	c->epoch++;
	c->flags = METER_GOES_ON;
	return ctl_write(c, now, err);
}

int meter_trace(struct meter_context *c, struct cloche_err *err)
{
	c->flags |= METER_TRACE;
	return ctl_write(c, c->begin_ns, err);
}

bool meter_at_rest(const struct meter_context *c)
{
	struct meter_slot s;

	return slot_read(c->meter, c->slot, &s, NULL) < 0 || (!s.running && !s.queued);
}

static int armed_slot(int slots, uint32_t slot, struct meter_slot *ret)
{
	if (bpf_map_lookup_elem_flags(slots, &slot, ret, BPF_F_LOCK) < 0)
		return -errno;
	return ret->gen ? 0 : -ENODATA;
}

int meter_began(int slots, uint32_t slot, int64_t *ret_ns)
{
	struct meter_slot s;
	int r = armed_slot(slots, slot, &s);

	if (r < 0)
		return r;
	*ret_ns = (int64_t)s.base_ns;
	return s.base_ns != 0;
}

int meter_used(int slots, uint32_t slot, uint64_t *ret_ns)
{
	struct meter_slot s;
	int r = armed_slot(slots, slot, &s);

	if (r < 0)
		return r;
	(void)usage_settle(&s, (uint64_t)clock_now_ns());
	*ret_ns = s.now.on_cpu_ns - s.base.on_cpu_ns - (s.now.stolen_ns - s.base.stolen_ns);
	return s.base_ns != 0;
}

int meter_asked_from(int slots, uint32_t slot, uint64_t *ret)
{
	struct meter_slot s;
	int r = armed_slot(slots, slot, &s);

	if (r < 0)
		return r;
	*ret = s.notif_begin;
	return s.notif != 0;
}

int meter_disarm(struct meter_context *c, struct cloche_err *err)
{
	struct meter_slot s;
	int r = slot_read(c->meter, c->slot, &s, err);

	if (r)
		return r;
	if (s.gen != c->gen)
		return 0;
	slot_forget(c->meter, c->slot, &s);
	s = (struct meter_slot){ .last_ns = c->gen };
	if (bpf_map_update_elem(c->meter->slots, &c->slot, &s, BPF_F_LOCK))
		return cloche_err_sys(err, errno, "disarm the meter's slot %u", c->slot);
	return 0;
}
