/* SPDX-License-Identifier: MIT */
/* Makes, limits and removes the cgroups around several contexts: see group.h. */
#include "launch/group.h"

#include "base/err.h"
#include "base/file.h"
#include "launch/launcher.h"
#include "launch/limits.h"
#include "launch/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* On top of the limit: what the kernel charges the group itself for what is inside (of each cgroup
 * its counters, one for each CPU), and what those that have ended have left for a moment. The
 * contexts' own limits come first. */
#define MEMORY_SHARE 8
#define MEMORY_MORE  (16ULL << 20)

static const struct hierarchy *parent_of(const struct launcher *l, const struct group *in)
{
	return in ? &in->inside : &l->hierarchy;
}

static bool has_dir(const struct hierarchy *h, int controller)
{
	return h->ctl[controller] >= 0 && controller != CONTROLLER_CPUSET;
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* text: NULL: none; what is new has none of itself. */
static int write_limit(int dir, const char *file, const char *text, const char *none, bool new,
		       struct cloche_err *err)
{
	if (!text && new)
		return 0;
	return file_write_text(dir, file, text ? text : none, err);
}

static const char *number(char ret[static 24], uint64_t n)
{
	(void)snprintf(ret, 24, "%" PRIu64, n);
	return n ? ret : NULL;
}

static int limit_memory(const struct hierarchy *h, uint64_t bytes, bool new, struct cloche_err *err)
{
	bool v1 = h->ctl[CONTROLLER_MEMORY] >= 0;
	int dir = v1 ? h->ctl[CONTROLLER_MEMORY] : h->v2;
	char text[24];
	/* Before 5.11 the other way would be the default. */
	int r = v1 && new ? file_write_text(dir, "memory.use_hierarchy", "1", err) : 0;

	if (bytes)
		bytes += bytes / MEMORY_SHARE + MEMORY_MORE;
	return r < 0 ? r
		     : write_limit(dir, v1 ? "memory.limit_in_bytes" : "memory.max",
				   number(text, bytes), v1 ? "-1" : "max", new, err);
}

/* On v1 nobody inside may have a larger share of its period; with one period for all and rounding
 * down nobody has who was not asked to (kernel/sched/core.c, tg_cfs_schedulable_down). */
static int limit_cpu(const struct hierarchy *h, uint64_t milli, bool new, struct cloche_err *err)
{
	struct cpu_limits cpu = cpu_limits_of(CPU_FIXED, 0, milli, UINT16_MAX);
	int v1 = h->ctl[CONTROLLER_CPU];
	char text[48];
	int r = 0;

	if (v1 < 0) {
		(void)snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64, cpu.quota_us,
			       cpu.period_us);
		return write_limit(h->v2, "cpu.max", milli ? text : NULL, "max", new, err);
	}
	if (milli)
		r = file_write_u64(v1, "cpu.cfs_period_us", cpu.period_us, err);
	return r < 0 ? r
		     : write_limit(v1, "cpu.cfs_quota_us",
				   milli ? number(text, cpu.quota_us) : NULL, "-1", new, err);
}

static int limit_all(const struct hierarchy *h, const struct group_limits *limits, bool new,
		     struct cloche_err *err)
{
	int pids = h->ctl[CONTROLLER_PIDS] >= 0 ? h->ctl[CONTROLLER_PIDS] : h->v2;
	char text[24];
	int r = limit_memory(h, limits->memory_bytes, new, err);

	if (r == 0)
		r = limit_cpu(h, limits->vcpu_milli, new, err);
	return r < 0 ? r
		     : write_limit(pids, "pids.max", number(text, limits->pids), "max", new, err);
}

int group_set(const struct group *group, const struct group_limits *limits, struct cloche_err *err)
{
	return limit_all(&group->inside, limits, false, err);
}

/* ---- the cgroups ----------------------------------------------------------------------------- */

static int make_dirs(const struct hierarchy *in, const char *name, struct cloche_err *err)
{
	int r = mkdirat(in->v2, name, 0755);

	for (int i = 0; r == 0 && i < CONTROLLER_N; i++)
		if (has_dir(in, i))
			r = mkdirat(in->ctl[i], name, 0755);
	return r < 0 ? cloche_err_sys(err, errno, "make the cgroup 'cloche/%s' for several", name)
		     : 0;
}

/* What is inside may be limited on cgroup2, too. */
static int pass_controllers_on(const struct hierarchy *h, struct cloche_err *err)
{
	char text[64] = "";

	for (int i = 0; i < CONTROLLER_NEEDED; i++)
		if (h->ctl[i] < 0)
			(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s+%s",
				       text[0] ? " " : "", controller_names[i]);
	return text[0] ? file_write_text(h->v2, "cgroup.subtree_control", text, err) : 0;
}

int group_remove(const struct launcher *launcher, const struct group *in, struct group *group,
		 struct cloche_err *err)
{
	const struct hierarchy *parent = parent_of(launcher, in);
	char name[16];
	int r = 0;

	if (group->slot.fd < 0)
		return 0;
	(void)snprintf(name, sizeof(name), "%u", group->slot.n);
	hierarchy_close(&group->inside);
	for (int i = 0; i < CONTROLLER_N; i++)
		if (has_dir(parent, i) && unlinkat(parent->ctl[i], name, AT_REMOVEDIR) < 0 &&
		    errno != ENOENT)
			r = -errno;
	/* The last: where the sweep looks for it. */
	if (r == 0 && unlinkat(parent->v2, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = -errno;
	slot_release(&group->slot, r == 0);
	return r < 0 ? cloche_err_sys(err, -r, "remove the cgroup 'cloche/%s' for several", name)
		     : 0;
}

int group_make(const struct launcher *launcher, const struct group *in,
	       const struct group_limits *limits, struct group *ret, struct cloche_err *err)
{
	const struct hierarchy *parent = parent_of(launcher, in);
	struct group g = GROUP_NONE;
	char name[16];
	int r = slot_take(launcher->run_fd, launcher->slots, sweep_slot,
			  (void *)(uintptr_t)&launcher->hierarchy, &g.slot, err);

	if (r < 0)
		return r;
	(void)snprintf(name, sizeof(name), "%u", g.slot.n);
	r = make_dirs(parent, name, err);
	if (r == 0)
		r = hierarchy_below(parent, name, &g.inside, err);
	if (r == 0)
		r = pass_controllers_on(&g.inside, err);
	if (r == 0)
		r = limit_all(&g.inside, limits, true, err);
	if (r < 0) {
		(void)group_remove(launcher, in, &g, NULL);
		return r;
	}
	*ret = g;
	return 0;
}
