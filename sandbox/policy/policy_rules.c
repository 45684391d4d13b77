/* SPDX-License-Identifier: MIT */
/*
 * Gives the rules of a profile their meaning: a flat table, sorted so that the first entry of a
 * call that holds decides it. Both the compiler and `cloche policy explain` read this table, and
 * the tests hold the compiled filter against it.
 *
 * It also adds the guards. When a profile kills, death by SIGSYS must mean "the policy did it" and
 * nothing else, or the verdict `denied` would be a guess. So the ways in which a process can send
 * or order SIGSYS by itself answer EPERM in such a profile, where the profile would let them pass.
 */
#include "policy/policy_rules.h"

#include "base/err.h"
#include "base/fd.h"
#include "policy/policy_words.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define INT_MASK 0xffffffffULL /* an int argument: the kernel looks at these bits only */
#define X32_BIT	 0x40000000    /* asm/unistd.h, __X32_SYSCALL_BIT */

struct guard {
	const char *name;
	struct policy_arg args[2];
	size_t n_args;
};

#define INT_ARG(i, v)                                  \
	{                                              \
		(i), SCMP_CMP_MASKED_EQ, INT_MASK, (v) \
	}

static const struct guard guards[] = {
	{ "kill", { INT_ARG(1, SIGSYS) }, 1 },
	{ "tkill", { INT_ARG(1, SIGSYS) }, 1 },
	{ "tgkill", { INT_ARG(2, SIGSYS) }, 1 },
	{ "rt_sigqueueinfo", { INT_ARG(1, SIGSYS) }, 1 },
	{ "rt_tgsigqueueinfo", { INT_ARG(2, SIGSYS) }, 1 },
	{ "pidfd_send_signal", { INT_ARG(1, SIGSYS) }, 1 },
	/* The exit signal of a child, sent to its parent. */
	{ "clone", { { 0, SCMP_CMP_MASKED_EQ, 0xff, SIGSYS } }, 1 },
	{ "clone3", { { 0 } }, 0 }, /* its exit signal is in memory, out of a filter's sight */
	{ "fcntl", { INT_ARG(1, 10 /* F_SETSIG */), INT_ARG(2, SIGSYS) }, 2 },
	{ "prctl", { INT_ARG(0, 1 /* PR_SET_PDEATHSIG */), INT_ARG(1, SIGSYS) }, 2 },
	{ "prctl", { INT_ARG(0, 22 /* PR_SET_SECCOMP */) }, 1 },
	{ "prctl", { INT_ARG(0, 59 /* PR_SET_SYSCALL_USER_DISPATCH */) }, 1 },
	{ "seccomp", { { 0 } }, 0 }, /* a filter of the function's own could kill as well */
	/* struct sigevent is in memory; without one the signal is SIGALRM. */
	{ "timer_create", { { 1, SCMP_CMP_NE, 0, 0 } }, 1 },
	{ "mq_notify", { { 1, SCMP_CMP_NE, 0, 0 } }, 1 },
	{ "ptrace", { { 0 } }, 0 },
};

static int32_t severity(uint32_t action)
{
	return (int32_t)(action & 0xffff0000U); /* the kernel compares exactly this */
}

bool policy_action_kills(uint32_t action)
{
	return severity(action) <= severity(SCMP_ACT_TRAP);
}

bool policy_action_passes(uint32_t action)
{
	return severity(action) >= severity(SCMP_ACT_LOG);
}

/*
 * Whether the call could reach the kernel at all: only then a guard has something to guard.
 * *ret_decided: a rule without conditions is there, so that the default never speaks.
 */
static bool call_may_pass(const struct policy_table *t, int nr, bool *ret_decided)
{
	bool decided = false, passes = false;

	for (size_t i = 0; i < t->n_entries; i++) {
		if (t->entries[i].nr != nr)
			continue;
		passes |= policy_action_passes(t->entries[i].action);
		decided |= t->entries[i].n_args == 0;
	}
	*ret_decided = decided;
	return passes || (!decided && policy_action_passes(t->default_action));
}

static void add_guards(struct policy_table *t)
{
	for (size_t i = 0; i < sizeof(guards) / sizeof(guards[0]); i++) {
		const struct guard *g = &guards[i];
		int nr = seccomp_syscall_resolve_name(g->name);
		bool decided;

		if (nr < 0 || !call_may_pass(t, nr, &decided))
			continue;
		/* Without arguments the whole call goes: what let it pass refuses it. */
		for (size_t j = 0; j < t->n_entries && g->n_args == 0; j++) {
			if (t->entries[j].nr != nr || !policy_action_passes(t->entries[j].action))
				continue;
			t->entries[j].action = SCMP_ACT_ERRNO(EPERM);
			t->entries[j].rule = POLICY_RULE_GUARD;
		}
		if (g->n_args > 0 || !decided)
			t->entries[t->n_entries++] = (struct policy_entry){
				.nr = nr,
				.action = SCMP_ACT_ERRNO(EPERM),
				.args = g->args,
				.n_args = g->n_args,
				.rule = POLICY_RULE_GUARD,
			};
	}
}

/* Ranks the actions of the table: by severity, then by where the action first stands. */
static int rank_actions(struct policy_table *t)
{
	cleanup_free uint32_t *order = calloc(t->n_entries + 1, sizeof(*order));
	size_t n = 0;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < t->n_entries; i++) {
		uint32_t action = t->entries[i].action;
		size_t at = 0;

		while (at < n && order[at] != action)
			at++;
		if (at < n)
			continue;
		for (at = n++; at > 0 && severity(order[at - 1]) > severity(action); at--)
			order[at] = order[at - 1];
		order[at] = action;
	}
	for (size_t i = 0; i < t->n_entries; i++)
		while (order[t->entries[i].rank] != t->entries[i].action)
			t->entries[i].rank++;
	return 0;
}

static int entry_compare(const void *a, const void *b)
{
	const struct policy_entry *x = a, *y = b;

	if (x->nr != y->nr)
		return x->nr < y->nr ? -1 : 1;
	if ((x->n_args == 0) != (y->n_args == 0))
		return x->n_args == 0 ? 1 : -1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->rule < y->rule ? -1 : x->rule > y->rule;
}

/* Adds one named call of a rule; a second rule without conditions must agree with the first. */
static int add_call(const char *source, const struct policy_profile *p, size_t rule,
		    const char *name, struct policy_table *t, struct cloche_err *err)
{
	const struct policy_rule *r = &p->rules[rule];
	int nr = policy_call_number(name);

	if (nr < 0 || nr >= X32_BIT) /* known, but not on this architecture */
		return 0;
	if (t->newest < nr)
		t->newest = nr; /* also by a rule that does not apply: the profile knows it */
	if (!r->applies)
		return 0;
	for (size_t i = 0; r->n_args == 0 && i < t->n_entries; i++) {
		const struct policy_entry *e = &t->entries[i];

		if (e->nr != nr || e->n_args > 0)
			continue;
		if (e->action == r->action)
			return 0;
		if (r->chosen || p->rules[e->rule].chosen) {
			/* One that is for all hosts and one for hosts such as this: the stricter.
			 */
			if (severity(r->action) < severity(e->action)) {
				t->entries[i].action = r->action;
				t->entries[i].rule = (int)rule;
			}
			return 0;
		}
		return cloche_err_set(
			err, EINVAL,
			"%s: syscalls[%zu] and syscalls[%d] contradict each other about "
			"'%s': keep one, or give one of them conditions",
			source, rule, e->rule, name);
	}
	t->entries[t->n_entries++] = (struct policy_entry){
		.nr = nr,
		.action = r->action,
		.args = r->args,
		.n_args = r->n_args,
		.rule = (int)rule,
	};
	return 0;
}

int policy_table_build(const char *source, const struct policy_profile *profile,
		       struct policy_table *ret, struct cloche_err *err)
{
	struct policy_table t = { .default_action = profile->default_action, .newest = -1 };
	size_t room = sizeof(guards) / sizeof(guards[0]);
	int rc = 0;

	*ret = (struct policy_table){ 0 };
	for (size_t i = 0; i < profile->n_rules; i++)
		room += profile->rules[i].n_names;
	t.entries = calloc(room, sizeof(*t.entries));
	if (!t.entries)
		return cloche_err_set(err, ENOMEM, "%s: out of memory", source);

	for (size_t i = 0; rc == 0 && i < profile->n_rules; i++)
		for (size_t j = 0; rc == 0 && j < profile->rules[i].n_names; j++)
			rc = add_call(source, profile, i, profile->rules[i].names[j], &t, err);
	if (rc < 0) {
		free(t.entries);
		return rc;
	}
	t.kills = policy_action_kills(t.default_action);
	for (size_t i = 0; i < t.n_entries; i++)
		t.kills |= policy_action_kills(t.entries[i].action);
	if (t.kills)
		add_guards(&t);
	if (policy_action_passes(t.default_action) || t.newest < 0)
		t.newest = INT_MAX;
	t.foreign_action = SCMP_ACT_KILL_PROCESS;
	if (rank_actions(&t) < 0) {
		free(t.entries);
		return cloche_err_set(err, ENOMEM, "%s: out of memory", source);
	}
	qsort(t.entries, t.n_entries, sizeof(*t.entries), entry_compare);
	*ret = t;
	return 0;
}

void policy_table_free(struct policy_table *table)
{
	free(table->entries);
	*table = (struct policy_table){ 0 };
}

const struct policy_entry *policy_table_find(const struct policy_table *table, int nr,
					     size_t *ret_n)
{
	size_t lo = 0, hi = table->n_entries, n = 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (table->entries[mid].nr < nr)
			lo = mid + 1;
		else
			hi = mid;
	}
	while (lo + n < table->n_entries && table->entries[lo + n].nr == nr)
		n++;
	*ret_n = n;
	return n ? &table->entries[lo] : NULL;
}

bool policy_arg_holds(const struct policy_arg *arg, uint64_t value)
{
	switch (arg->op) {
	case SCMP_CMP_NE:
		return value != arg->value;
	case SCMP_CMP_LT:
		return value < arg->value;
	case SCMP_CMP_LE:
		return value <= arg->value;
	case SCMP_CMP_EQ:
		return value == arg->value;
	case SCMP_CMP_GE:
		return value >= arg->value;
	case SCMP_CMP_GT:
		return value > arg->value;
	case SCMP_CMP_MASKED_EQ:
		return (value & arg->value) == arg->value_two;
	default:
		return false;
	}
}

bool policy_table_lets(const struct policy_table *table, int nr)
{
	size_t n;
	const struct policy_entry *e = policy_table_find(table, nr, &n);

	if (n == 0)
		return nr <= table->newest && policy_action_passes(table->default_action);
	return n == 1 && e->n_args == 0 && policy_action_passes(e->action);
}

uint32_t policy_table_decide(const struct policy_table *table, int nr, const uint64_t args[6],
			     int *ret_rule)
{
	int unused, *rule = ret_rule ? ret_rule : &unused;
	const struct policy_entry *e;
	size_t n;

	*rule = POLICY_RULE_FOREIGN;
	if (nr >= X32_BIT)
		return table->foreign_action;
	*rule = POLICY_RULE_NEWER;
	if (nr < 0 || nr > table->newest)
		return SCMP_ACT_ERRNO(ENOSYS);
	e = policy_table_find(table, nr, &n);
	for (; n > 0; n--, e++) {
		bool holds = true;

		for (size_t i = 0; i < e->n_args && holds; i++)
			holds = policy_arg_holds(&e->args[i], args[e->args[i].index]);
		if (holds) {
			*rule = e->rule;
			return e->action;
		}
	}
	*rule = POLICY_RULE_DEFAULT;
	return table->default_action;
}
