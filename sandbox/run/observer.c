/* SPDX-License-Identifier: MIT */
/* From counted calls to used rules: see observer.h. */
#include "run/observer.h"

#include "base/err.h"
#include "base/quote.h"
#include "launch/launcher.h"
#include "policy/policy_stack.h"

#include <errno.h>
#include <linux/audit.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static void want_args(uint8_t wanted[static CALLS_NR], const struct policy_table *table)
{
	for (size_t i = 0; i < table->n_entries; i++) {
		const struct policy_entry *e = &table->entries[i];

		for (size_t j = 0; j < e->n_args && e->nr < CALLS_NR; j++)
			wanted[e->nr] |= (uint8_t)(1U << e->args[j].index);
	}
}

void observer_wants(const struct policy_stack *base, uint8_t ret[static CALLS_NR])
{
	memset(ret, 0, CALLS_NR);
	want_args(ret, base->table);
	for (size_t i = 0; i < base->n_walls; i++)
		want_args(ret, &base->walls[i].table);
}

int observer_open(struct observer *ret, const struct policy_stack *base, struct cloche_err *err)
{
	uint8_t wanted[CALLS_NR];

	observer_wants(base, wanted);
	*ret = (struct observer){ .base = base };
	return calls_open(&ret->calls, wanted, 0, err);
}

int observer_arm(struct observer *observer, const struct context *ctx, struct cloche_err *err)
{
	struct stat st;

	if (fstat(ctx->plan.cgroup.v2, &st) < 0)
		return cloche_err_sys(err, errno, "stat the context's cgroup");
	calls_arm(&observer->calls, st.st_ino);
	return 0;
}

static void take(const struct calls_key *key, uint64_t count, void *arg)
{
	struct observer *o = arg;
	struct policy_use use = { .arch = AUDIT_ARCH_X86_64, .nr = key->nr, .count = count };
	uint64_t args[6];
	char raw[sizeof(key->comm) + 1] = { 0 }, name[sizeof(use.users[0].name)];

	for (int i = 0; i < 6; i++)
		args[i] = key->args[i];
	if (key->compat) {
		use.arch = AUDIT_ARCH_I386;
		use.rule = POLICY_RULE_FOREIGN;
		use.action = o->base->table->foreign_action;
	} else {
		use.action = policy_stack_decide(o->base, key->nr, args, &use.rule);
		/* A wall asked the warden for it: the profile let it pass. */
		if (!policy_action_passes(use.action) && key->fate == CALLS_PASSED)
			use.action = policy_table_decide(o->base->table, key->nr, args, &use.rule);
	}
	/* What the base lets pass and failed has been counted when it passed, or was refused by a
	 * filter of the function's own. */
	if (policy_action_passes(use.action) != (key->fate == CALLS_PASSED))
		return;
	memcpy(raw, key->comm, sizeof(key->comm));
	quote_field(name, sizeof(name), raw[0] ? raw : "?");
	policy_seen_add(&o->seen, &use, name);
}

void observer_collect(struct observer *observer)
{
	observer->seen.lost += calls_read(&observer->calls, take, observer);
}

static bool is_meant(const struct calls_key *key, const uint64_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] == key->cgroup)
			return true;
	return false;
}

/* The launch loads the last filter of its own right before exec, and what the function loads comes
 * on top of that: with fewer it is the launch. */
static bool is_exec(const struct calls_key *key)
{
	return !key->compat && key->fate == CALLS_PASSED &&
	       (key->nr == SYS_execve || key->nr == SYS_execveat);
}

void observer_take(struct observer *observer, const struct observer_count *counts, size_t n,
		   const uint64_t *cgroup_ids, size_t n_ids)
{
	uint32_t filters = UINT32_MAX;

	for (size_t i = 0; i < n; i++)
		if (is_meant(counts[i].key, cgroup_ids, n_ids) && is_exec(counts[i].key) &&
		    counts[i].key->filters < filters)
			filters = counts[i].key->filters;
	for (size_t i = 0; i < n; i++)
		if (is_meant(counts[i].key, cgroup_ids, n_ids) && counts[i].key->filters >= filters)
			take(counts[i].key, counts[i].count, observer);
}

void observer_close(struct observer *observer)
{
	calls_close(&observer->calls);
	policy_seen_free(&observer->seen);
}
