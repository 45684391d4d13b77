/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. libseccomp turns rules into BPF, but knows one answer per call when no
 * condition holds (its filter's default) and drops a rule with conditions when the same call also
 * has one without. So a table becomes several libseccomp filters, "stages", one behind the other:
 *
 *	front    up to 10 instructions: foreign architecture, x32, numbers newer than the profile
 *	stage…   rules with conditions that are exceptions, one stage per action, most severe first;
 *	         "nothing holds" jumps to the next stage
 *	ranges   calls about which only one thing is left to say: a binary tree over the ranges of
 *	         numbers that share an answer
 *	main     everything else; "nothing holds" is the profile's default
 *
 * Behind a profile stand walls (policy_stack.h), each compiled in the same way but without a front.
 * Where a table lets a call pass and another stands behind it, "let it pass" becomes a jump there.
 *
 * A stage's default is a return value that no profile can ask for (SECCOMP_RET_TRACE with a
 * number of ours); after the export each return of that value is replaced by a forward jump of
 * the same length. At the end policy_tighten.c takes out what means nothing.
 *
 * The ranges are ours and not libseccomp's, which tests every number by itself: the kernel checks
 * and translates each instruction when the filter is loaded, and then runs it once for every number
 * to find the calls that are always allowed. Of the default profile less than half remains, and
 * loading it was a seventh of a launch.
 */
#include "policy/policy_compile.h"

#include "base/err.h"
#include "base/fd.h"
#include "policy/policy_rules.h"
#include "policy/policy_tighten.h"

#include <errno.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define NEXT_STAGE SCMP_ACT_TRACE(0xc10c)
#define QUIET	   SCMP_ACT_TRACE(0xc10d) /* EPERM by a rule of the profile: see policy_compile.h */
#define ASK	   SCMP_ACT_TRACE(0xc10e) /* refused by a wall that asks: as above */
#define X32_BIT	   0x40000000U
#define NEGATIVE   0x80000000U

struct program {
	struct sock_filter insns[BPF_MAXINSNS];
	size_t n;
};

static int too_long(struct cloche_err *err)
{
	return cloche_err_set(err, E2BIG,
			      "the profile compiles to more than the %d instructions that the "
			      "kernel takes: simplify its conditions",
			      BPF_MAXINSNS);
}

/* Everything that needs no rule. x32 shares the architecture word of x86_64, not the numbers. */
static void add_front(struct program *c, const struct policy_table *t)
{
	uint32_t native = seccomp_arch_native();
	const struct sock_filter front[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, native, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, t->foreign_action),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 3),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, NEGATIVE, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, t->foreign_action),
		BPF_STMT(BPF_RET | BPF_K, SCMP_ACT_ERRNO(ENOSYS)),
	};
	const struct sock_filter newer[] = {
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)t->newest, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SCMP_ACT_ERRNO(ENOSYS)),
	};

	/* No architecture but x86_64 has numbers up there, so the check fits all. */
	memcpy(c->insns, front, sizeof(front));
	c->n = sizeof(front) / sizeof(front[0]);
	if (t->newest == INT_MAX)
		return;
	memcpy(&c->insns[c->n], newer, sizeof(newer));
	c->n += sizeof(newer) / sizeof(newer[0]);
}

/* Appends a libseccomp filter; its "next stage" returns become jumps behind its end. */
static int add_exported(struct program *c, scmp_filter_ctx ctx, struct cloche_err *err)
{
	cleanup_fd int fd = memfd_create("cloche-policy", MFD_CLOEXEC);
	size_t first = c->n;
	off_t len;
	size_t n;
	int rc;

	if (fd < 0)
		return cloche_err_sys(err, errno, "memfd_create");
	rc = seccomp_export_bpf(ctx, fd);
	if (rc < 0)
		return cloche_err_sys(err, -rc, "libseccomp cannot compile the profile");
	/* Not by fstat(3), which asks by a path where this may run confined. */
	len = lseek(fd, 0, SEEK_END);
	if (len < 0)
		return cloche_err_sys(err, errno, "lseek in the compiled profile");
	n = (size_t)len / sizeof(c->insns[0]);
	if (n > BPF_MAXINSNS - c->n)
		return too_long(err);
	if (pread(fd, &c->insns[c->n], (size_t)len, 0) != len)
		return cloche_err_sys(err, EIO, "read the compiled profile");
	c->n += n;
	for (size_t i = first; i < c->n; i++)
		if (c->insns[i].code == (BPF_RET | BPF_K) && c->insns[i].k == NEXT_STAGE)
			c->insns[i] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA,
								   (uint32_t)(c->n - i - 1));
	return 0;
}

/* ---- ranges -------------------------------------------------------------------------------- */

/* Numbers from first on, up to the next range. */
struct range {
	uint32_t first;
	uint32_t action; /* NEXT_STAGE: the main stage knows */
};

/* A jump reaches 255 instructions: so many nodes and as many answers. More is left to libseccomp.
 */
#define RANGES_MAX 127
#define PLAIN_FEW  24

struct ranges {
	struct range all[RANGES_MAX];
	size_t n;
	bool too_many;
};

static void ranges_add(struct ranges *r, uint32_t first, uint32_t action)
{
	if (r->n > 0 && r->all[r->n - 1].first == first)
		r->n--; /* an empty one */
	if (r->n > 0 && r->all[r->n - 1].action == action)
		return;
	if (r->n == RANGES_MAX) {
		r->too_many = true;
		return;
	}
	r->all[r->n++] = (struct range){ first, action };
}

/* Where the answer of an action is, among those behind the tree; it is added when new. */
static size_t answer_of(uint32_t *answers, size_t *n, uint32_t action)
{
	size_t i = 0;

	while (i < *n && answers[i] != action)
		i++;
	if (i == *n)
		answers[(*n)++] = action;
	return i;
}

/*
 * Of n > 1 ranges the tree has n - 1 nodes, in this order: a node, what is below it, what is not.
 * Answers are where the tree ends, in the order of their first use.
 */
static void add_tree(struct program *c, size_t end, const struct range *r, size_t n,
		     uint32_t *answers, size_t *n_answers)
{
	size_t low = n / 2, at = c->n++;
	size_t below = end + answer_of(answers, n_answers, r[0].action);
	size_t above = end + answer_of(answers, n_answers, r[low].action);

	if (low > 1) {
		below = c->n;
		add_tree(c, end, r, low, answers, n_answers);
	}
	if (n - low > 1) {
		above = c->n;
		add_tree(c, end, r + low, n - low, answers, n_answers);
	}
	c->insns[at] =
		(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, r[low].first,
					     (uint8_t)(above - at - 1), (uint8_t)(below - at - 1));
}

static int add_ranges(struct program *c, const struct ranges *r, struct cloche_err *err)
{
	uint32_t answers[RANGES_MAX];
	size_t n = 0, end;

	if (c->n + 1 + 2 * r->n > BPF_MAXINSNS)
		return too_long(err);
	c->insns[c->n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
							offsetof(struct seccomp_data, nr));
	end = c->n + r->n - 1;
	(void)answer_of(answers, &n, r->all[0].action);
	if (r->n > 1)
		add_tree(c, end, r->all, r->n, answers, &n);
	for (size_t i = 0; i < n; i++)
		c->insns[c->n++] =
			answers[i] == NEXT_STAGE
				? (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA,
							       (uint32_t)(n - i - 1))
				: (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, answers[i]);
	return 0;
}

/* ---- libseccomp's stages --------------------------------------------------------------------- */

static void filter_cleanup(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

/* libseccomp's filter for those entries for which wanted[] is the stage. */
static int add_stage(struct program *c, const struct policy_table *t, const uint64_t *stage_of,
		     uint64_t stage, uint32_t otherwise, struct cloche_err *err)
{
	__attribute__((cleanup(filter_cleanup))) scmp_filter_ctx ctx = seccomp_init(otherwise);
	int rc;

	if (!ctx)
		return cloche_err_set(err, ENOMEM, "libseccomp cannot begin a filter");
	rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (rc < 0)
		return cloche_err_sys(err, -rc, "libseccomp cannot optimise for a binary tree");
	for (size_t i = 0; i < t->n_entries; i++) {
		const struct policy_entry *e = &t->entries[i];
		struct scmp_arg_cmp args[POLICY_ARGS_MAX];

		if (stage_of[i] != stage)
			continue;
		for (size_t j = 0; j < e->n_args; j++)
			args[j] = (struct scmp_arg_cmp){ e->args[j].index, e->args[j].op,
							 e->args[j].value, e->args[j].value_two };
		rc = seccomp_rule_add_exact_array(ctx, e->action, e->nr, (unsigned int)e->n_args,
						  args);
		if (rc < 0)
			return cloche_err_sys(err, -rc, "libseccomp refuses a rule for syscall %d",
					      e->nr);
	}
	return add_exported(c, ctx, err);
}

enum { STAGE_NONE = 0, STAGE_MAIN = 1, STAGE_FIRST = 2 };

/*
 * What is left to say of each call behind the exceptions. Those that the ranges answer leave the
 * main stage, unless there are too many.
 */
static void ranges_find(struct ranges *r, const struct policy_table *t, uint64_t *stage_of)
{
	uint32_t next = 0;
	size_t plain = 0;

	ranges_add(r, 0, t->default_action);
	for (size_t i = 0, n; i < t->n_entries; i += n) {
		const struct policy_entry *e = &t->entries[i];
		uint32_t action = t->default_action;

		(void)policy_table_find(t, e->nr, &n);
		for (size_t j = i; j < i + n; j++)
			if (stage_of[j] == STAGE_MAIN)
				action = t->entries[j].n_args ? NEXT_STAGE : t->entries[j].action;
		plain += action != NEXT_STAGE && action != t->default_action;
		if ((uint32_t)e->nr > next)
			ranges_add(r, next, t->default_action);
		next = (uint32_t)e->nr + 1;
		ranges_add(r, (uint32_t)e->nr, action);
	}
	ranges_add(r, next, t->default_action);
	/* For a few calls a tree over all numbers is more than a test of each. */
	r->too_many |= plain < PLAIN_FEW;
	for (size_t i = 0; i < t->n_entries && !r->too_many; i++)
		if (stage_of[i] == STAGE_MAIN && t->entries[i].n_args == 0)
			stage_of[i] = STAGE_NONE;
}

/* Whether libseccomp 2.5 can hold several such rules for one call: see stage_call. */
static bool merges_well(const struct policy_entry *e)
{
	for (size_t i = 0; i < e->n_args; i++)
		if (e->args[i].op != SCMP_CMP_EQ && e->args[i].op != SCMP_CMP_MASKED_EQ)
			return false;
	return true;
}

/*
 * The stage of each entry of one call, sorted as policy_rules.h says. Exceptions go to the stage
 * of their action. Entries at the end that say what would happen anyway are left out. Without an
 * unconditional rule the mildest action can go to the main stage, where falling through is the
 * default.
 *
 * Rules of one call that compare other than for equality get a stage each: libseccomp 2.5.4 joins
 * some of them wrongly ("arg0 >= 1<<32" beside "arg0 <= 6") and does not come back from joining
 * others (several "!=" on two arguments). Each alone, and any number of equalities, it gets right.
 */
static void stage_call(const struct policy_table *t, size_t first, size_t n, uint64_t *stage_of)
{
	const struct policy_entry *e = &t->entries[first];
	bool wide = e[n - 1].n_args == 0, merge = true;
	uint32_t base = wide ? e[n - 1].action : t->default_action;
	size_t narrow = wide ? n - 1 : n;

	if (wide)
		stage_of[first + narrow] = base == t->default_action ? STAGE_NONE : STAGE_MAIN;
	while (narrow > 0 && e[narrow - 1].action == base)
		stage_of[first + --narrow] = STAGE_NONE;
	for (size_t i = 0; i < narrow && narrow > 1; i++)
		merge &= merges_well(&e[i]);
	for (size_t i = 0; i < narrow; i++)
		stage_of[first + i] = STAGE_FIRST + e[i].rank * (uint64_t)(t->n_entries + 1) +
				      (merge ? 0 : 1 + first + i);
	if (wide || narrow == 0 || !merge)
		return;
	for (uint32_t mildest = e[narrow - 1].action; narrow > 0; narrow--) {
		if (e[narrow - 1].action != mildest)
			break;
		stage_of[first + narrow - 1] = STAGE_MAIN;
	}
}

/* The lowest stage above this one that has an entry; 0: there is none. */
static uint64_t next_stage(const uint64_t *stage_of, size_t n, uint64_t stage)
{
	uint64_t next = 0;

	for (size_t i = 0; i < n; i++)
		if (stage_of[i] > stage && (next == 0 || stage_of[i] < next))
			next = stage_of[i];
	return next;
}

/* All of one table but its front. */
static int add_table(struct program *c, const struct policy_table *table, struct cloche_err *err)
{
	cleanup_free uint64_t *stage_of = calloc(table->n_entries + 1, sizeof(*stage_of));
	struct ranges ranges = { .n = 0 };
	uint64_t stage = STAGE_MAIN;
	int rc = 0;

	if (!stage_of)
		return cloche_err_set(err, ENOMEM, "out of memory");
	for (size_t i = 0, n; i < table->n_entries; i += n) {
		(void)policy_table_find(table, table->entries[i].nr, &n);
		stage_call(table, i, n, stage_of);
	}

	ranges_find(&ranges, table, stage_of);
	while (rc == 0 && (stage = next_stage(stage_of, table->n_entries, stage)) != 0)
		rc = add_stage(c, table, stage_of, stage, NEXT_STAGE, err);
	if (rc == 0 && !ranges.too_many)
		rc = add_ranges(c, &ranges, err);
	if (rc == 0)
		rc = add_stage(c, table, stage_of, STAGE_MAIN, table->default_action, err);
	return rc;
}

/* Sends what a table answers with an action to what is at the end of the code. False: there is
 * nothing to send. */
static bool send_on(struct program *c, size_t first, size_t end, uint32_t action)
{
	bool any = false;

	for (size_t i = first; i < end; i++)
		if (c->insns[i].code == (BPF_RET | BPF_K) && c->insns[i].k == action) {
			c->insns[i] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA,
								   (uint32_t)(c->n - i - 1));
			any = true;
		}
	return any;
}

/* The walls, one behind the other, for calls that passed with this action. */
static int add_walls(struct program *c, const struct policy_table *const *walls, size_t n,
		     uint32_t action, struct cloche_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		size_t first = c->n;

		rc = add_table(c, walls[i], err);
		for (size_t j = first; j < c->n && walls[i]->asks; j++)
			if (c->insns[j].code == (BPF_RET | BPF_K) && c->insns[j].k == POLICY_ASKED)
				c->insns[j].k = ASK;
		if (rc == 0 && i + 1 < n)
			(void)send_on(c, first, c->n, SCMP_ACT_ALLOW);
		for (size_t j = first; j < c->n && i + 1 == n; j++)
			if (c->insns[j].code == (BPF_RET | BPF_K) &&
			    c->insns[j].k == SCMP_ACT_ALLOW)
				c->insns[j].k = action;
	}
	return rc;
}

/*
 * The table in which EPERM by the profile's own rules is another answer than EPERM by its default,
 * by our guards and by the walls. Ranks stay in their order, two of what was one: a guard stands
 * before the profile's rules already.
 */
static int tell_apart(const struct policy_table *table, struct policy_table *ret)
{
	*ret = *table;
	ret->entries = calloc(table->n_entries + 1, sizeof(*ret->entries));
	if (!ret->entries)
		return -ENOMEM;
	for (size_t i = 0; i < table->n_entries; i++) {
		struct policy_entry *e = &ret->entries[i];
		bool own;

		*e = table->entries[i];
		own = e->rule >= 0 && e->action == SCMP_ACT_ERRNO(EPERM);
		e->rank = 2 * e->rank + own;
		if (own)
			e->action = QUIET;
	}
	return 0;
}

/* What the kernel is to see of it. It does not look at where a return would jump. */
static void mark(struct program *c, uint32_t what, uint8_t mark, uint32_t action)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->insns[i].code == (BPF_RET | BPF_K) && c->insns[i].k == what)
			c->insns[i] = (struct sock_filter){ BPF_RET | BPF_K, mark, 0, action };
}

int policy_compile(const struct policy_table *table, const struct policy_table *const *walls,
		   size_t n_walls, struct sock_fprog *ret, struct cloche_err *err)
{
	static const uint32_t passing[] = { SCMP_ACT_ALLOW, SCMP_ACT_LOG };
	cleanup_free struct program *c = calloc(1, sizeof(*c));
	struct sock_filter *filter;
	struct policy_table apart;
	size_t first, end;
	int rc;

	if (!c || tell_apart(table, &apart) < 0)
		return cloche_err_set(err, ENOMEM, "out of memory");
	add_front(c, table);
	first = c->n;
	rc = add_table(c, &apart, err);
	policy_table_free(&apart);
	end = c->n;
	for (size_t i = 0; i < 2 && rc == 0 && n_walls > 0; i++)
		if (send_on(c, first, end, passing[i]))
			rc = add_walls(c, walls, n_walls, passing[i], err);
	if (rc < 0)
		return rc;
	c->n = policy_tighten(c->insns, c->n, first, seccomp_arch_native());
	mark(c, QUIET, POLICY_RET_QUIET, SCMP_ACT_ERRNO(EPERM));
	mark(c, ASK, POLICY_RET_ASK, POLICY_ASKED);

	filter = malloc(c->n * sizeof(*filter));
	if (!filter)
		return cloche_err_set(err, ENOMEM, "out of memory");
	memcpy(filter, c->insns, c->n * sizeof(*filter));
	*ret = (struct sock_fprog){ .len = (unsigned short)c->n, .filter = filter };
	return 0;
}
